"""What an order is for its executor; the role goes with every request and fill.

An order of a level names it behind the kind: ``entry L3``.
"""

from __future__ import annotations

from typing import Final

ENTRY: Final = "entry"
TAKE_PROFIT: Final = "take_profit"
CLOSE: Final = "close"
PARTIAL_CLOSE: Final = "partial_close"


def level_role(kind: str, level: int) -> str:
    """Return the role of an order of a level."""
    return f"{kind} L{level}"


def kind_of(role: str) -> str:
    """Return the role without its level."""
    return role.partition(" ")[0]


def level_of(role: str) -> int | None:
    """Return the level that the role names, if it names one."""
    number = role.partition(" L")[2]
    return int(number) if number.isdigit() else None
