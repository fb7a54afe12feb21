"""Columns over long bars block by block: what is computed on the way need not fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from engine.model.bar_columns import BLOCK_ROWS, BarColumns, IntArray, blocks
from engine.strategies.indicators import Column

MOST_SHARED: Final = 1 << 21
"""Rows of a column that a memo shares; it would hold few that are longer."""
_MAPPED: Final = ("open", "high", "low", "close", "volume")


def bar_blocks(
    bars: BarColumns, lookback: int, *, block_rows: int = BLOCK_ROWS
) -> Iterator[tuple[int, int, BarColumns]]:
    """Yield (start, skip, part): bars that begin at *start*, after *skip* bars before them.

    *lookback* bars come before each block, as far as there are so many. Bars with a memo come as
    one block, unless they are many: whole columns are what it shares.
    """
    if len(bars) <= block_rows or (bars.memo is not None and len(bars) <= MOST_SHARED):
        yield 0, 0, bars
        return
    columns = [getattr(bars, name) for name in _MAPPED]
    for rows in blocks(len(bars), *columns, rows=block_rows):
        first = max(0, rows.start - lookback)
        yield rows.start, rows.start - first, bars.slice(first, rows.stop)


def marked_rows(
    bars: BarColumns,
    compute: Callable[[BarColumns], Column],
    *,
    lookback: int,
    start: int = 0,
    block_rows: int = BLOCK_ROWS,
) -> tuple[IntArray, Column]:
    """Return the rows from *start* on where a column is not 0, and its values there.

    *compute* makes the column of any bars; a value may use *lookback* bars before its own.
    """
    rows: list[IntArray] = []
    values: list[Column] = []
    for first, skip, part in bar_blocks(bars, lookback, block_rows=block_rows):
        column = compute(part)[skip:]
        found = np.flatnonzero(column)
        found = found[np.searchsorted(found, start - first) :]
        rows.append(found + first)
        values.append(column[found])
    return np.concatenate(rows), np.concatenate(values)
