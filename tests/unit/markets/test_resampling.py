from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.markets.mapped_columns import on_disk
from engine.markets.resampling import resample
from engine.markets.stamps import parse_bar_duration
from engine.model.bar_columns import DAY_NS, MISSING, BarColumns
from engine.model.calendar import SessionCalendar
from engine.model.clock import from_iso, to_iso

MakeBars = Callable[..., BarColumns]
HOUR_NS = DAY_NS // 24


def column(*values: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


def test_first_highest_lowest_last_and_sum_known_at_the_end_data_9(make_bars: MakeBars) -> None:
    fine = make_bars(8, step_ns=HOUR_NS)
    coarse = resample(fine, parse_bar_duration("4h"))
    assert len(coarse) == 2
    assert coarse.ts_open.tolist() == [0, 4 * HOUR_NS]
    assert coarse.ts_close.tolist() == [4 * HOUR_NS, 8 * HOUR_NS]
    assert coarse.open.tolist() == [100, 104]
    assert coarse.high.tolist() == [106, 110]
    assert coarse.low.tolist() == [97, 101]
    assert coarse.close.tolist() == [104, 108]
    assert coarse.volume.tolist() == [40, 40]
    assert coarse.duration_ns == 4 * HOUR_NS


def test_the_forming_bar_is_never_shown_data_9(make_bars: MakeBars) -> None:
    fine = make_bars(7, step_ns=HOUR_NS)
    assert len(resample(fine, parse_bar_duration("4h"))) == 1
    assert len(resample(fine, parse_bar_duration("4h"), keep_partial_end=True)) == 2
    assert len(resample(fine.prefix(3), parse_bar_duration("4h"))) == 0


def test_gaps_leave_periods_out(make_bars: MakeBars) -> None:
    fine = make_bars(4, step_ns=HOUR_NS)
    moved = column(0, 1, 8, 11) * HOUR_NS
    coarse = resample(
        fine.with_columns(ts_open=moved, ts_close=moved + HOUR_NS), parse_bar_duration("4h")
    )
    assert (coarse.ts_open // HOUR_NS).tolist() == [0, 8]
    assert coarse.volume.tolist() == [20, 20]


def test_vwap_is_weighted_by_volume_half_to_even(make_bars: MakeBars) -> None:
    fine = make_bars(6, step_ns=HOUR_NS).with_columns(
        vwap=column(10, 11, 13, 14, 20, MISSING),
        volume=column(1, 3, 1, 1, 0, 5),
        trades=column(1, 2, 3, 4, 5, MISSING),
        spread=column(1, 2, 3, 4, 5, 6),
    )
    coarse = resample(fine, parse_bar_duration("2h"))
    assert coarse.vwap is not None
    assert coarse.trades is not None
    assert coarse.spread is not None
    assert coarse.vwap.tolist() == [11, 14, MISSING]  # 10.75, 13.5 to even, none
    assert coarse.trades.tolist() == [3, 7, MISSING]
    assert coarse.spread.tolist() == [2, 4, 6]


def test_large_values_do_not_overflow(make_bars: MakeBars) -> None:
    fine = make_bars(2, step_ns=HOUR_NS).with_columns(
        vwap=column(2**40, 2**40), volume=column(2**40, 2**40)
    )
    coarse = resample(fine, parse_bar_duration("2h"))
    assert coarse.vwap is not None
    assert coarse.vwap.tolist() == [2**40]


def test_an_unknown_volume_makes_the_sum_unknown(make_bars: MakeBars) -> None:
    fine = make_bars(4, step_ns=HOUR_NS).with_columns(volume=column(5, -1, 5, 6))
    assert resample(fine, parse_bar_duration("2h")).volume.tolist() == [-1, 11]


def test_only_wholly_synthetic_bars_stay_synthetic(make_bars: MakeBars) -> None:
    flags = np.array([True, True, True, False])
    fine = make_bars(4, step_ns=HOUR_NS).with_columns(is_synthetic=flags)
    assert resample(fine, parse_bar_duration("2h")).is_synthetic.tolist() == [True, False]


def test_weeks_begin_on_monday_and_months_on_their_first(make_bars: MakeBars) -> None:
    daily = make_bars(70, start_ns=from_iso("2024-01-01"))
    weeks = resample(daily, parse_bar_duration("1w"))
    assert to_iso(int(weeks.ts_open[0])).startswith("2024-01-01")
    assert set((weeks.ts_close - weeks.ts_open).tolist()) == {7 * DAY_NS}
    months = resample(daily, parse_bar_duration("1mo"))
    assert [to_iso(ts)[:10] for ts in months.ts_open.tolist()] == ["2024-01-01", "2024-02-01"]
    assert [to_iso(ts)[:10] for ts in months.ts_close.tolist()] == ["2024-02-01", "2024-03-01"]
    assert months.ends_session.tolist() == [True, True]


def test_sessions_follow_a_calendar(make_bars: MakeBars) -> None:
    calendar = SessionCalendar(opens_ns=0, closes_ns=12 * HOUR_NS)
    coarse = resample(make_bars(24, step_ns=HOUR_NS), parse_bar_duration("6h"), calendar=calendar)
    assert coarse.starts_session.tolist() == [True, False, True, False]


def test_features_are_the_last_ones(make_bars: MakeBars) -> None:
    fine = make_bars(4, step_ns=HOUR_NS).with_columns(features={"x": np.arange(4.0)})
    assert resample(fine, parse_bar_duration("2h")).features["x"].tolist() == [1.0, 3.0]


def test_bars_cannot_become_finer_or_reach_over_an_end(make_bars: MakeBars) -> None:
    with pytest.raises(ValueError, match="cannot become finer"):
        resample(make_bars(3), parse_bar_duration("1h"))
    with pytest.raises(ValueError, match="reach over the ends of 3h"):
        resample(make_bars(3, step_ns=2 * HOUR_NS), parse_bar_duration("3h"))


@pytest.mark.parametrize("block_rows", [1, 3, 7, 100])
@pytest.mark.parametrize("text", ["2h", "4h", "1d", "1w", "1mo"])
@pytest.mark.parametrize("keep_partial_end", [False, True])
def test_bars_in_files_are_joined_in_parts_of_whole_periods(
    make_bars: MakeBars, text: str, block_rows: int, *, keep_partial_end: bool
) -> None:
    rng = np.random.default_rng(3)
    moved = np.sort(rng.choice(2000, 400, replace=False)) * HOUR_NS
    fine = make_bars(400, step_ns=HOUR_NS).with_columns(
        ts_open=moved,
        ts_close=moved + HOUR_NS,
        volume=rng.integers(-1, 50, 400),
        vwap=np.where(rng.random(400) < 0.2, MISSING, rng.integers(90, 110, 400)),
        trades=rng.integers(0, 9, 400),
        features={"x": rng.random(400)},
    )
    duration = parse_bar_duration(text)
    whole, parts = (
        resample(one, duration, keep_partial_end=keep_partial_end, block_rows=block_rows)
        for one in (fine, on_disk(fine))
    )
    assert parts.data_hash == whole.data_hash
    assert parts.duration_ns == whole.duration_ns
    assert parts.features["x"].tolist() == whole.features["x"].tolist()
    for name in ("starts_session", "ends_session"):
        assert getattr(parts, name).tolist() == getattr(whole, name).tolist()
