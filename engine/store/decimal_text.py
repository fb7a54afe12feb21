"""The one text form of a `Decimal` in the store."""

from __future__ import annotations

from decimal import Decimal


def to_text(value: Decimal) -> str:
    """Return *value* exactly, in plain notation: no exponent, no trailing zeros, no `-0`.

    Equal values have equal texts, whatever the decimal context.

    Raises:
        ValueError: *value* is not finite.
    """
    if not value.is_finite():
        raise ValueError(f"{value} is not a finite number")
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def from_text(text: str) -> Decimal:
    """Return the value that `to_text` wrote."""
    return Decimal(text)
