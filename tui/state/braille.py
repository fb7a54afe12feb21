"""A curve in braille dots: two columns and four rows in every cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_EMPTY: Final = 0x2800


def braille_curve(values: Sequence[float], width: int, height: int) -> tuple[str, ...]:
    """Return *height* rows of *width* cells with the curve of *values* over their own range.

    Every dot column shows the lowest to the highest value that falls into it, so that a spike is
    never lost. Values that are not finite leave a gap.
    """
    if width < 1 or height < 1:
        return ()
    dots = [[_EMPTY] * width for _ in range(height)]
    known = [value for value in values if math.isfinite(value)]
    if known:
        low, high = min(known), max(known)
        previous: int | None = None
        for column, bounds in enumerate(_column_bounds(values, 2 * width)):
            if bounds is None:
                previous = None
                continue
            rows = [_row_of(value, low, high, 4 * height) for value in bounds]
            first, last = min(rows), max(rows)
            if previous is not None:
                first, last = min(first, previous), max(last, previous)
            for row in range(first, last + 1):
                dots[row // 4][column // 2] |= _DOTS[column % 2][row % 4]
            previous = rows[-1]
    return tuple("".join(map(chr, row)) for row in dots)


def _column_bounds(
    values: Sequence[float], columns: int
) -> list[tuple[float, float, float] | None]:
    """Return lowest, highest and last value for each column; None where there is none."""
    count = len(values)
    if count == 1:
        values, count = [values[0], values[0]], 2
    result: list[tuple[float, float, float] | None] = []
    for column in range(columns):
        if count >= columns:
            part = values[column * count // columns : (column + 1) * count // columns]
        else:
            part = (_between(values, column * (count - 1) / max(1, columns - 1)),)
        known = [value for value in part if math.isfinite(value)]
        result.append((min(known), max(known), known[-1]) if known else None)
    return result


def _between(values: Sequence[float], place: float) -> float:
    first = int(place)
    second = min(first + 1, len(values) - 1)
    share = place - first
    return values[first] if share == 0 else values[first] * (1 - share) + values[second] * share


def _row_of(value: float, low: float, high: float, rows: int) -> int:
    span = high / 2 - low / 2  # halves: the difference of two large floats may overflow
    share = 0.5 if span <= 0 else (value / 2 - low / 2) / span
    return min(rows - 1, max(0, rows - 1 - round(share * (rows - 1))))
