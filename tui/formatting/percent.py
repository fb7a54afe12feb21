"""Fractions to percent: the only place where a fraction is multiplied by 100."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from tui.formatting.numbers import UNKNOWN, Number, fixed, to_decimal

_BASIS_POINT_LIMIT: Final = Decimal("0.001")


def format_percent(fraction: Number | None, *, signed: bool = True) -> str:
    """Return ``+0.82%``; below 0.1 % basis points, ``+5.4bp``; ``0.00%`` for nothing."""
    exact = to_decimal(fraction)
    if exact is None:
        return UNKNOWN
    if abs(exact) >= _BASIS_POINT_LIMIT:
        return f"{fixed(exact * 100, 2, signed=signed)}%"
    points = fixed(exact * 10_000, 1, signed=signed)
    return f"{points}bp" if points != "0.0" else "0.00%"


def format_share(fraction: Number | None) -> str:
    """Return a share without sign or decimals, ``62%``: for bars and progress."""
    exact = to_decimal(fraction)
    return UNKNOWN if exact is None else f"{fixed(exact * 100, 0)}%"
