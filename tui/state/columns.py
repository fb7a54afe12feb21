"""Columns of a table: what they show, and which of them fit into a width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tui.formatting import iso_time, raw_text
from tui.state.text import Align, Span

RowT = TypeVar("RowT")

GUTTER = 2
"""Cells for the mark and the cursor in front of every row."""
_WIDEST_GAP = 3
_FEW_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Column(Generic[RowT]):
    """One column. ``cell`` makes text and roles of a row.

    ``rank`` says when it goes if there is no room: 0 never, the highest first. ``letter`` sorts by
    it after ``o``; empty: it cannot be sorted by. A ``live`` column changes with the market.
    ``raw`` makes what is copied where the cell shows a shorter text.
    """

    key: str
    title: str
    width: int
    cell: Callable[[RowT], Span]
    align: Align = "left"
    letter: str = ""
    rank: int = 0
    frozen: bool = False
    flexible: bool = False
    live: bool = False
    raw: Callable[[RowT], str] | None = None

    def copied(self, row: RowT) -> str:
        """Return what goes to the clipboard for *row*."""
        return self.cell(row)[0] if self.raw is None else self.raw(row)


def raw_of(name: str) -> Callable[[Any], str]:
    """Return what makes the exact text of a row's attribute *name*, for the clipboard."""
    return lambda row: raw_text(getattr(row, name))


def time_of(name: str) -> Callable[[Any], str]:
    """Return what makes the ISO 8601 time of a row's attribute *name*, nanoseconds."""
    return lambda row: iso_time(getattr(row, name))


@dataclass(frozen=True, slots=True)
class Slot(Generic[RowT]):
    """A column at its place: *x* and *width* in cells inside the table."""

    column: Column[RowT]
    x: int
    width: int


def lay_out(
    columns: Sequence[Column[RowT]], width: int, *, wide: bool = False, offset: int = 0
) -> tuple[Slot[RowT], ...]:
    """Return the columns to show in *width* cells, in order, with their places.

    When *wide*, all columns keep their places and *offset* of those that are not frozen are
    scrolled away; otherwise columns are dropped by rank until the others fit.
    """
    if wide:
        frozen = [column for column in columns if column.frozen]
        shown = [*frozen, *[column for column in columns if not column.frozen][offset:]]
    else:
        shown = _fitting(columns, width)
    return _place(shown, width, _gap(shown, width))


def _natural(columns: Sequence[Column[RowT]], gap: int) -> int:
    return GUTTER + sum(column.width for column in columns) + gap * max(0, len(columns) - 1)


def _fitting(columns: Sequence[Column[RowT]], width: int) -> list[Column[RowT]]:
    shown = list(columns)
    for column in sorted(columns, key=lambda column: column.rank, reverse=True):
        if column.rank == 0 or _natural(shown, 1) <= width:
            break
        shown.remove(column)
    return shown


def _gap(columns: Sequence[Column[RowT]], width: int) -> int:
    widest = _WIDEST_GAP
    if any(column.flexible for column in columns):
        widest = 2 if len(columns) > _FEW_COLUMNS else 1
    for gap in range(widest, 1, -1):
        if _natural(columns, gap) <= width:
            return gap
    return 1


def _place(columns: Sequence[Column[RowT]], width: int, gap: int) -> tuple[Slot[RowT], ...]:
    spare = max(0, width - _natural(columns, gap))
    slots: list[Slot[RowT]] = []
    x = GUTTER
    for column in columns:
        size = column.width
        if column.flexible:
            size, spare = size + spare, 0
        size = min(size, width - x)
        if size <= 0:
            break
        slots.append(Slot(column, x, size))
        x += size + gap
    return tuple(slots)
