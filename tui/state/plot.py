"""Curves over time in braille dots: every dot column shows the lowest to the highest value in it.

A plot is a grid of cells; a cell has two dot columns and four dot rows, and the role of the curve
that was drawn into it last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tui.state.text import Line, Span

_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_EMPTY: Final = 0x2800
Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """Samples in the order of time; stamps in nanoseconds, values of any unit."""

    stamps: Sequence[int] = ()
    values: Sequence[float] = ()

    def value_at(self, at_ns: int) -> float | None:
        """Return the newest value at *at_ns*, the first one before the first sample."""
        from bisect import bisect_right

        if not self.values:
            return None
        return self.values[max(0, bisect_right(self.stamps, at_ns) - 1)]

    @property
    def bounds(self) -> Bounds | None:
        """Lowest and highest finite value."""
        known = [value for value in self.values if math.isfinite(value)]
        return (min(known), max(known)) if known else None


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time over a number of cells."""

    from_ns: int
    to_ns: int
    cells: int

    def cell_of(self, at_ns: int) -> int:
        """Return the cell of *at_ns*, which may lie outside of the window."""
        span = max(1, self.to_ns - self.from_ns)
        return ((at_ns - self.from_ns) * (self.cells - 1) + span // 2) // span

    def time_of(self, cell: int) -> int:
        """Return the instant that *cell* stands for."""
        span = self.to_ns - self.from_ns
        return self.from_ns + span * cell // max(1, self.cells - 1)


def join_bounds(bounds: Sequence[Bounds | None]) -> Bounds:
    """Return a range that holds all of *bounds*; a flat one is widened a little."""
    known = [one for one in bounds if one is not None]
    if not known:
        return (0.0, 1.0)
    low, high = min(one[0] for one in known), max(one[1] for one in known)
    if high / 2 - low / 2 <= 0:
        pad = abs(high) * 0.01 or 1.0
        return (low - pad, high + pad)
    return (low, high)


@dataclass(slots=True)
class Canvas:
    """Cells to draw into."""

    width: int
    height: int
    bounds: Bounds
    dots: list[list[int]] = field(default_factory=list)
    roles: list[list[str]] = field(default_factory=list)
    marks: dict[tuple[int, int], Span] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dots = [[_EMPTY] * self.width for _ in range(self.height)]
        self.roles = [[""] * self.width for _ in range(self.height)]

    def row_of(self, value: float) -> int:
        """Return the dot row of *value*, 0 at the top, kept inside."""
        low, high = self.bounds
        rows = 4 * self.height
        span = high / 2 - low / 2  # halves: the difference of two large floats may overflow
        share = 0.5 if span <= 0 else (value / 2 - low / 2) / span
        return min(rows - 1, max(0, rows - 1 - round(share * (rows - 1))))

    def draw(self, curve: Curve, window: Window, role: str, *, every: int = 1) -> None:
        """Draw *curve*; with *every* 2 only each second dot column, for a dotted look."""
        for column, (low, high) in dot_columns(curve, window, 2 * self.width).items():
            if column // every % 2 and every > 1:
                continue
            for row in range(self.row_of(high), self.row_of(low) + 1):
                self._dot(column, row, role)

    def fill_from_top(self, curve: Curve, window: Window, role: str) -> None:
        """Fill from the top down to *curve*, for what lies below zero."""
        for column, (low, _) in dot_columns(curve, window, 2 * self.width).items():
            for row in range(self.row_of(low) + 1):
                self._dot(column, row, role)

    def _dot(self, column: int, row: int, role: str) -> None:
        x, y = column // 2, row // 4
        self.dots[y][x] |= _DOTS[column % 2][row % 4]
        self.roles[y][x] = role

    def mark(self, cell: int, row: int, text: str, role: str) -> None:
        """Put one character over a cell."""
        if 0 <= cell < self.width and 0 <= row < self.height:
            self.marks[cell, row] = (text, role)

    def lines(self, cursor: int | None = None) -> list[Line]:
        """Return the cells as lines; *cursor* is a cell with a vertical line through it."""
        return [self._line(y, cursor) for y in range(self.height)]

    def _line(self, y: int, cursor: int | None) -> Line:
        spans: list[Span] = []
        for x in range(self.width):
            text, role = self.marks.get((x, y), ("", ""))
            if not text:
                dots = self.dots[y][x]
                text, role = ("│" if x == cursor else " ", "") if dots == _EMPTY else (
                    chr(dots), self.roles[y][x])  # fmt: skip
            if x == cursor:
                role = "key" if text == "│" else f"{role} reverse"
            if spans and spans[-1][1] == role:
                spans[-1] = (spans[-1][0] + text, role)
            else:
                spans.append((text, role))
        return tuple(spans)


def dot_columns(curve: Curve, window: Window, columns: int) -> dict[int, Bounds]:
    """Return lowest and highest value of *curve* in each dot column, joined without gaps."""
    result: dict[int, Bounds] = {}
    span = max(1, window.to_ns - window.from_ns)
    before: tuple[int, float] | None = None
    for at_ns, value in zip(curve.stamps, curve.values, strict=True):
        if not math.isfinite(value):
            before = None
            continue
        column = (at_ns - window.from_ns) * (columns - 1) // span
        if before is not None and column > before[0]:
            _join(result, before, (column, value), columns)
        _widen(result, column, value, columns)
        before = (column, value)
    if len(result) == 1 and before is not None:
        for column in range(before[0], columns):
            _widen(result, column, before[1], columns)
    return result


def _join(
    result: dict[int, Bounds], first: tuple[int, float], last: tuple[int, float], columns: int
) -> None:
    """Draw the line between two samples; it meets the second one's column from the first."""
    steps = last[0] - first[0]
    previous = first[1]
    for step in range(1, steps + 1):
        share = step / steps
        value = first[1] * (1 - share) + last[1] * share
        _widen(result, first[0] + step, (previous + value) / 2, columns)
        _widen(result, first[0] + step, value, columns)
        previous = value


def _widen(result: dict[int, Bounds], column: int, value: float, columns: int) -> None:
    if 0 <= column < columns:
        low, high = result.get(column, (value, value))
        result[column] = (min(low, value), max(high, value))
