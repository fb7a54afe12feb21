"""Past sessions as lines of text for the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tui.formatting.money import format_money
from tui.formatting.text import clean

_HEADINGS: Final = (
    "STARTED",
    "SESSION",
    "MODE",
    "STATUS",
    "EQUITY",
    "CHANGE",
    "EXECUTORS",
    "FILLS",
)
_NUMBERS: Final = frozenset({"EQUITY", "CHANGE", "EXECUTORS", "FILLS"})
_NONE: Final = "no sessions yet; quarterdeck starts one"


def session_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table of *rows*, as the door lists them, in columns as wide as they must be."""
    if not rows:
        return [_NONE]
    cells = [_HEADINGS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [_line(line, widths) for line in cells]


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    equity = Decimal(row["equity"])
    change = equity - Decimal(row["initial_equity"])
    return (
        f"{clean(str(row['started_at']))[:19]}Z",
        clean(str(row["session_id"])),
        clean(str(row["mode"])),
        clean(str(row["status"])),
        f"{format_money(equity)} {clean(str(row['currency']))}",
        f"{change:+,.2f}",
        f"{row['executors']:,}",
        f"{row['fills']:,}",
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell.rjust(width) if heading in _NUMBERS else cell.ljust(width)
        for heading, cell, width in zip(_HEADINGS, cells, widths, strict=True)
    )
    return "  ".join(padded).rstrip()
