"""Timelines of bars in files: merged block by block, into files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from engine.markets.mapped_columns import column_like, is_mapped
from engine.model.bar_columns import BLOCK_ROWS, BarColumns, IntArray, blocks, release_pages
from engine.model.timeline import Timeline, merge_timeline

_INT: Final = np.dtype(np.int64)


def timeline_of(
    columns: Sequence[BarColumns],
    *,
    starts: Sequence[int] | None = None,
    stops: Sequence[int] | None = None,
    block_rows: int = BLOCK_ROWS,
) -> Timeline:
    """Return the merged timeline of *columns* as `merge_timeline` does; in files if they are.

    Raises:
        NoRoomError: the disk is full.
    """
    on_disk = next((one.ts_close for one in columns if is_mapped(one.ts_close)), None)
    if len(columns) < 2 or on_disk is None:
        return merge_timeline(columns, starts=starts, stops=stops)
    first = list(starts or [0] * len(columns))
    last = list(stops or map(len, columns))
    count = sum(stop - start for start, stop in zip(first, last, strict=True))
    merged = [column_like(on_disk, dtype=_INT, length=count) for _ in range(3)]
    place = 0
    for part in _merged_parts(columns, first, last, block_rows):
        rows = slice(place, place + len(part))
        for column, values in zip(merged, (part.ts_close, part.symbol, part.bar), strict=True):
            column[rows] = values
        place = rows.stop
        release_pages(*merged, *(one.ts_close for one in columns))
    return Timeline(*merged)


def _merged_parts(
    columns: Sequence[BarColumns], starts: list[int], stops: list[int], block_rows: int
) -> Iterator[Timeline]:
    """Yield the timeline in parts: each ends with an instant of all symbols."""
    here = list(starts)
    while any(place < stop for place, stop in zip(here, stops, strict=True)):
        ends = []
        for bars, place, stop in zip(columns, here, stops, strict=True):
            if place + block_rows < stop:
                ends.append(int(bars.ts_close[place + block_rows - 1]))
        there = list(stops)
        if ends:
            until = min(ends)
            for index, (bars, place, stop) in enumerate(zip(columns, here, stops, strict=True)):
                near = bars.ts_close[place : min(stop, place + block_rows)]
                there[index] = place + int(np.searchsorted(near, until, side="right"))
        yield merge_timeline(columns, starts=here, stops=there)
        here = there


def instants_of(timeline: Timeline) -> IntArray:
    """Return where each instant starts, and the length as the last entry; in a file if it is."""
    ts = timeline.ts_close
    if not is_mapped(ts) or not len(ts):
        return timeline.instants
    count = sum(int(np.count_nonzero(first)) for _, first in _firsts(ts))
    found = column_like(ts, dtype=_INT, length=count + 1)
    place = 0
    for start, first in _firsts(ts):
        here = np.flatnonzero(first) + start
        found[place : place + len(here)] = here
        place += len(here)
        release_pages(found)
    found[place] = len(ts)
    found.flags.writeable = False
    return found


def _firsts(ts: IntArray) -> Iterator[tuple[int, np.ndarray[tuple[int], np.dtype[np.bool_]]]]:
    """Yield (start, which entries begin an instant) block by block."""
    for rows in blocks(len(ts), ts):
        part = ts[max(0, rows.start - 1) : rows.stop]
        first = np.ones(rows.stop - rows.start, dtype=np.bool_)
        changes = part[1:] != part[:-1]
        first[len(first) - len(changes) :] = changes
        yield rows.start, first
