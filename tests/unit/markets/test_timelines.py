"""TIME-1 over bars in files: the timeline in blocks is the timeline at once."""

from __future__ import annotations

import numpy as np
import pytest

from engine.markets.mapped_columns import is_mapped, on_disk
from engine.markets.timelines import instants_of, timeline_of
from engine.model.bar_columns import BarColumns
from engine.model.timeline import Timeline, merge_timeline
from engine.testing.bar_market import bars_of, wave

HOUR_NS = 3_600_000_000_000


def market(seed: int) -> list[BarColumns]:
    """Return three symbols of different timeframes with gaps, some of which end together."""
    rng = np.random.default_rng(seed)
    found = []
    for number, hours in enumerate((4, 1, 1)):
        count = int(rng.integers(1, 60))
        bars = bars_of(wave(80), symbol=f"S{number}", bar_ns=hours * HOUR_NS)
        kept = np.sort(rng.choice(80, count, replace=False))
        names = ("ts_open", "ts_close", "open", "high", "low", "close", "volume")
        flags = ("is_synthetic", "starts_session", "ends_session")
        columns = {name: getattr(bars, name)[kept] for name in names + flags}
        found.append(bars.with_columns(**columns))
    return found


def entries(line: Timeline) -> list[tuple[int, int, int]]:
    columns = (line.ts_close.tolist(), line.symbol.tolist(), line.bar.tolist())
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("block_rows", [1, 2, 7, 1000])
@pytest.mark.parametrize("seed", range(6))
def test_the_timeline_in_blocks(seed: int, block_rows: int) -> None:
    bars = market(seed)
    starts, stops = [0, len(bars[1]) // 3, 0], [len(bars[0]), len(bars[1]), len(bars[2]) // 2]
    for limits in ({}, {"starts": starts, "stops": stops}):
        expected = merge_timeline(bars, **limits)
        found = timeline_of([on_disk(one) for one in bars], block_rows=block_rows, **limits)
        assert is_mapped(found.ts_close)
        assert entries(found) == entries(expected)
        assert instants_of(found).tolist() == expected.instants.tolist()


def test_bars_in_memory_and_single_symbols_have_the_plain_timeline() -> None:
    bars = market(1)
    assert not is_mapped(timeline_of(bars).ts_close)
    line = timeline_of([on_disk(bars[0])])
    assert line.bars == range(len(bars[0]))
    assert line.is_one_by_one
    assert instants_of(line).tolist() == list(range(len(bars[0]) + 1))
    assert not timeline_of(bars).is_one_by_one
    assert instants_of(timeline_of([])).tolist() == [0]
