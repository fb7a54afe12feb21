from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from engine.markets.historical import HistoricalDataHandler
from engine.markets.windows import SplitSettings, Window, split_windows, without_embargoed
from engine.model.bar_columns import DAY_NS, BarColumns

MakeBars = Callable[..., BarColumns]


def handler(*bars: BarColumns, **split: Any) -> HistoricalDataHandler:
    return HistoricalDataHandler(bars, enable_splits=True, split=SplitSettings(**split))


@pytest.mark.parametrize(
    ("count", "settings", "train", "test"),
    [
        (10, {}, (0, 7), (7, 10)),
        (11, {"train": Decimal("0.7")}, (0, 7), (7, 11)),
        (10, {"purge": 2}, (0, 7), (9, 10)),
        (10, {"method": "bars", "train": 4}, (0, 4), (4, 10)),
        (10, {"method": "date", "train": "1970-01-04"}, (0, 3), (3, 10)),
        (10, {"method": "date", "train": "1970-01-04T12:00:00"}, (0, 3), (3, 10)),
    ],
)
def test_train_and_test_by_their_method_coord_6(
    make_bars: MakeBars,
    count: int,
    settings: dict[str, Any],
    train: tuple[int, int],
    test: tuple[int, int],
) -> None:
    both = handler(make_bars(count), **settings)
    assert both.window("A") == Window(0, count)
    assert both.train.window("A") == Window(*train)
    assert both.test.window("A") == Window(*test)


def test_train_does_not_hold_later_bars_and_test_starts_after_the_split(
    make_bars: MakeBars,
) -> None:
    both = handler(make_bars(10))
    assert len(both.train.columns("A")) == 7
    assert both.train.timeline.bar.tolist() == list(range(7))
    test = both.test
    assert len(test.columns("A")) == 10  # earlier bars are there for warm-up
    assert test.timeline.bar.tolist() == [7, 8, 9]
    assert both.full.timeline.bar.tolist() == list(range(10))


def test_several_symbols_are_split_at_one_instant(make_bars: MakeBars) -> None:
    daily = make_bars(10)
    hourly = make_bars(240, step_ns=DAY_NS // 24, symbol="B")
    both = handler(daily, hourly)
    train, test = both.train, both.test
    last_train = max(int(one.ts_close[-1]) for one in train.bars)
    first_test = int(test.timeline.ts_close[0])
    assert last_train < first_test
    assert len(train.timeline) + len(test.timeline) == len(both.full.timeline)


def test_the_data_of_the_windows_have_different_hashes_iso_9(make_bars: MakeBars) -> None:
    both = handler(make_bars(10))
    hashes = {both.train.data_hash, both.test.data_hash, both.full.data_hash}
    assert len(hashes) == 3
    assert handler(make_bars(10)).test.data_hash in hashes


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"train": Decimal(1)}, "not between 0 and 1"),
        ({"train": Decimal(0)}, "not between 0 and 1"),
        ({"purge": -1}, "purge: -1 is negative"),
        ({"embargo": -1}, "embargo: -1 is negative"),
        ({"method": "bars", "train": 0}, "is not a number of bars"),
        ({"method": "bars", "train": Decimal("0.7")}, "is not a number of bars"),
        ({"method": "bars", "train": "7"}, "is not a number of bars"),
        ({"method": "date", "train": "soon"}, "Invalid isoformat"),
    ],
)
def test_a_split_that_does_not_fit_its_method(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SplitSettings(**settings)


@pytest.mark.parametrize(
    "settings",
    [{"method": "bars", "train": 10}, {"purge": 3}, {"method": "date", "train": "1960-01-01"}],
)
def test_an_empty_window_is_refused(make_bars: MakeBars, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="both need at least one"):
        split_windows([make_bars(10)], SplitSettings(**settings), name="test")


def test_embargoed_bars_are_kept_out_of_later_training_coord_6() -> None:
    kept = without_embargoed(range(12), [(3, 5), (8, 9)], embargo=2)
    assert kept == [0, 1, 2, 7, 11]


def test_history_ends_at_the_present_bar_str_3(make_bars: MakeBars) -> None:
    one = HistoricalDataHandler([make_bars(10)], cache_size=3)
    assert len(one.history("A", 5)) == 0
    for bar in range(10):
        one.advance(0, bar)
        for wanted in (1, 2, 3, 4, 20):
            found = one.history("A", wanted)
            first = max(0, bar + 1 - wanted)
            assert found.open.tolist() == list(range(100 + first, 101 + bar))
            assert not found.close.flags.writeable


def test_the_cache_size_changes_nothing(make_bars: MakeBars) -> None:
    bars = make_bars(50)
    handlers = [HistoricalDataHandler([bars], cache_size=size) for size in (1, 4, 1000)]
    rng = np.random.default_rng(3)
    for bar in range(50):
        wanted = int(rng.integers(1, 60))
        for one in handlers:
            one.advance(0, bar)
        found = {tuple(one.history("A", wanted).close.tolist()) for one in handlers}
        assert len(found) == 1


def test_the_cursor_moves_forward_inside_the_window(make_bars: MakeBars) -> None:
    one = HistoricalDataHandler([make_bars(10)])
    one.advance(0, 5)
    with pytest.raises(ValueError, match="bar 4 does not follow 5 of 10"):
        one.advance(0, 4)
    with pytest.raises(ValueError, match="bar 10 does not follow"):
        one.advance(0, 10)
    one.reset()
    assert len(one.history("A", 5)) == 0


def test_it_is_a_component_that_lets_go_of_its_data(make_bars: MakeBars) -> None:
    one = HistoricalDataHandler([make_bars(10)])
    one.initialize(object())
    one.start()
    one.stop()
    one.teardown()
    assert one.bars == ()
    assert HistoricalDataHandler.reusable


def test_what_cannot_be_handled(make_bars: MakeBars) -> None:
    bars = make_bars(10)
    with pytest.raises(ValueError, match="A, A are not all different"):
        HistoricalDataHandler([bars, bars])
    with pytest.raises(ValueError, match="cache_size: 0"):
        HistoricalDataHandler([bars], cache_size=0)
    with pytest.raises(ValueError, match="needs enable_splits"):
        HistoricalDataHandler([bars], window="train")
    with pytest.raises(KeyError, match="'B' is not part of the run, use A"):
        HistoricalDataHandler([bars]).columns("B")
