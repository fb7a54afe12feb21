"""The order in which the bars of several symbols become known (TIME-1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.model.bar_columns import BarColumns, IntArray, blocks


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Bars of all symbols in the order of their ends.

    Entry i is bar ``bar[i]`` of the columns ``symbol[i]``, known at ``ts_close[i]``. Equal stamps
    are one instant. ``bars`` are the same numbers as ``bar``, without an array if there is one
    symbol: they are consecutive then.
    """

    ts_close: IntArray
    symbol: IntArray
    bars: IntArray | range

    def __post_init__(self) -> None:
        """Let nobody write: the arrays are shared with every copy of the run."""
        for one in (self.ts_close, self.symbol, self.bars):
            if not isinstance(one, range):
                one.flags.writeable = False

    @property
    def bar(self) -> IntArray:
        """Return the number of the bar of each entry."""
        if not isinstance(self.bars, range):
            return self.bars
        found = np.arange(self.bars.start, self.bars.stop, dtype=np.int64)
        found.flags.writeable = False
        return found

    def __len__(self) -> int:
        return len(self.ts_close)

    @property
    def is_one_by_one(self) -> bool:
        """Whether it is plain that every entry is an instant of its own: one symbol, no ties."""
        if not isinstance(self.bars, range):
            return False
        later, earlier = self.ts_close[1:], self.ts_close[:-1]
        parts = blocks(len(later), self.ts_close)
        return not any(bool((later[part] == earlier[part]).any()) for part in parts)

    @property
    def instants(self) -> IntArray:
        """Return where each instant starts, and the length as the last entry (TIME-2)."""
        is_first = np.ones(len(self) + 1, dtype=np.bool_)
        if len(self):
            np.not_equal(self.ts_close[1:], self.ts_close[:-1], out=is_first[1:-1])
        found = np.flatnonzero(is_first)
        found.flags.writeable = False
        return found


def merge_timeline(
    columns: Sequence[BarColumns],
    *,
    starts: Sequence[int] | None = None,
    stops: Sequence[int] | None = None,
) -> Timeline:
    """Return the merged timeline of *columns*.

    Ties: the finer timeframe first, then the order of *columns* (TIME-1). ``starts`` and ``stops``
    limit the bars of each symbol to ``[start, stop)``.
    """
    starts = starts or [0] * len(columns)
    stops = stops or [len(one) for one in columns]
    by_fineness = sorted(range(len(columns)), key=lambda index: columns[index].duration_ns)
    stamps = [columns[index].ts_close[starts[index] : stops[index]] for index in by_fineness]
    symbols = [
        np.broadcast_to(np.int64(index), len(part))  # one number, as often as it is needed
        for index, part in zip(by_fineness, stamps, strict=True)
    ]
    if len(columns) == 1:
        return Timeline(stamps[0], symbols[0], range(starts[0], starts[0] + len(stamps[0])))
    if not columns:
        empty = np.zeros(0, dtype=np.int64)
        return Timeline(empty, empty, empty)
    bars = [np.arange(starts[index], stops[index], dtype=np.int64) for index in by_fineness]
    ts_close = np.concatenate(stamps)
    order = np.argsort(ts_close, kind="stable")
    return Timeline(ts_close[order], np.concatenate(symbols)[order], np.concatenate(bars)[order])
