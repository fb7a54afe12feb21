"""Money and profit: the sign is in an arrow, in the number and (elsewhere) in the colour."""

from __future__ import annotations

from typing import Final, Literal

from tui.formatting.numbers import UNKNOWN, Number, fixed, to_decimal

Direction = Literal["up", "down", "flat"]

_ARROWS: Final[dict[Direction, str]] = {"up": "▲", "down": "▼", "flat": "·"}


def direction(value: Number | None, decimals: int = 2) -> Direction:
    """Return which way *value* points once it is rounded to *decimals*; unknown is flat."""
    exact = to_decimal(value)
    if exact is None or not fixed(exact, decimals).strip("+-0.,"):
        return "flat"
    return "up" if exact > 0 else "down"


def format_money(value: Number | None, decimals: int = 2) -> str:
    """Return ``1,234.50``; ``--`` if it is not known."""
    exact = to_decimal(value)
    return UNKNOWN if exact is None else fixed(exact, decimals)


def format_signed_money(value: Number | None, decimals: int = 2) -> str:
    """Return ``▲ +1,234.50``, ``▼ -56.10`` or ``·  0.00``; ``--`` if it is not known."""
    exact = to_decimal(value)
    if exact is None:
        return UNKNOWN
    way = direction(exact, decimals)
    gap = "  " if way == "flat" else " "
    return f"{_ARROWS[way]}{gap}{fixed(exact, decimals, signed=True)}"
