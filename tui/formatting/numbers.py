"""Exact numbers to text: separators, never scientific, ``--`` for what is not known."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

Number = Decimal | int | float

UNKNOWN: Final = "--"
_MAX_DIGITS: Final = 30
_SCALES: Final = ((Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 3, "k"))


def to_decimal(value: Number | None) -> Decimal | None:
    """Return *value* as a Decimal, or None if it is unknown, not finite or beyond 30 digits.

    A float is taken by its shortest text, as an operator would read it.
    """
    if value is None:
        return None
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not exact.is_finite() or (exact and abs(exact.adjusted()) > _MAX_DIGITS):
        return None
    return exact


def fixed(value: Decimal, decimals: int, *, signed: bool = False) -> str:
    """Return *value* with separators and exactly *decimals* digits; a zero has no sign."""
    text = format(value, f"{'+' if signed else ''},.{decimals}f")
    return text.lstrip("+-") if not text.strip("+-0.,") else text


def format_decimal(value: Number | None, decimals: int | None = None) -> str:
    """Return a price or an amount: ``64,480.4``.

    Args:
        value: None or a value that is not finite gives ``--``.
        decimals: digits after the point; None takes those of the value's own exponent, which is
            the instrument's step for prices and amounts of the engine.
    """
    exact = to_decimal(value)
    if exact is None:
        return UNKNOWN
    exponent = exact.as_tuple().exponent
    own = -exponent if isinstance(exponent, int) else 0
    return fixed(exact, min(max(own, 0), _MAX_DIGITS) if decimals is None else decimals)


def format_compact(value: Number | None, *, signed: bool = False) -> str:
    """Return *value* in at most about six cells: ``981.20``, ``26.6k``, ``1.20M``, ``3.4B``."""
    exact = to_decimal(value)
    if exact is None:
        return UNKNOWN
    for scale, suffix in _SCALES:
        if abs(exact) >= scale:
            scaled = exact / scale
            decimals = 2 if abs(scaled) < 10 else 1 if abs(scaled) < 100 else 0
            return f"{fixed(scaled, decimals, signed=signed)}{suffix}"
    return fixed(exact, 2, signed=signed)
