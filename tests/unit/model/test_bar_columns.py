from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from engine.model.bar_columns import DAY_NS, BarColumns, day_sessions, session_edges
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import Bar

HOUR_NS = DAY_NS // 24
INSTRUMENT = Instrument(ConnectorPair("backtest", "A"), Decimal("0.5"), Decimal(1))


def columns(count: int = 5, *, step_ns: int = HOUR_NS, symbol: str = "A") -> BarColumns:
    opens = np.arange(count, dtype=np.int64) * step_ns
    prices = np.arange(10, 10 + count, dtype=np.int64)
    starts, ends = day_sessions(opens, opens + step_ns)
    return BarColumns(
        instrument=INSTRUMENT,
        symbol=symbol,
        duration_ns=step_ns,
        ts_open=opens,
        ts_close=opens + step_ns,
        open=prices,
        high=prices + 2,
        low=prices - 2,
        close=prices + 1,
        volume=prices * 10,
        is_synthetic=np.zeros(count, dtype=np.bool_),
        starts_session=starts,
        ends_session=ends,
        features={"x": prices.astype(np.float64)},
    )


def test_a_row_is_a_bar_record() -> None:
    bars = columns()
    assert bars.row(1) == Bar(INSTRUMENT.market, HOUR_NS, 2 * HOUR_NS, 11, 13, 9, 12, 110)


def test_a_slice_is_a_view_of_the_same_memory() -> None:
    bars = columns()
    part = bars.slice(1, 3)
    assert len(part) == 2
    assert part.open.tolist() == [11, 12]
    assert part.features["x"].tolist() == [11.0, 12.0]
    assert np.shares_memory(part.close, bars.close)
    assert bars.prefix(2).close.tolist() == [11, 12]
    assert len(bars.slice(-3, 2)) == 2


def test_what_is_known_at_an_instant_data_1() -> None:
    bars = columns()
    assert [bars.closes_by(ts) for ts in (0, HOUR_NS - 1, HOUR_NS, 3 * HOUR_NS)] == [0, 0, 1, 3]


def test_prices_are_ticks_times_the_tick() -> None:
    assert columns(2).close_prices().tolist() == [5.5, 6.0]


def test_every_array_refuses_to_be_written_data_11() -> None:
    source = np.arange(3, dtype=np.int64)
    bars = columns(3).with_columns(close=source)
    with pytest.raises(ValueError, match="read-only"):
        bars.close[0] = 7
    with pytest.raises(ValueError, match="read-only"):
        source[0] = 7  # the array that was given may not change the bars either
    with pytest.raises(ValueError, match="read-only"):
        bars.slice(0, 2).close[0] = 7


def test_no_flag_makes_an_array_writable_again_data_11() -> None:
    source = np.arange(6, dtype=np.int64)
    bars = columns(3).with_columns(close=source[:3])
    for values in (bars.close, bars.slice(0, 2).close, bars.is_synthetic, bars.features["x"]):
        with pytest.raises(ValueError, match="WRITEABLE"):
            values.flags.writeable = True
    assert not source.flags.writeable
    assert len(columns(0)) == 0


def test_columns_have_one_length() -> None:
    with pytest.raises(ValueError, match="A: column close has 2 of 3 rows"):
        columns(3).with_columns(close=np.zeros(2, dtype=np.int64))


def test_the_hash_covers_values_grid_and_flags_data_10() -> None:
    bars = columns()
    assert bars.data_hash == columns(symbol="B").data_hash
    flags = np.zeros(5, dtype=np.bool_)
    flags[0] = True
    others = (
        bars.with_columns(close=bars.close + 1),
        bars.with_columns(is_synthetic=flags),
        bars.with_columns(vwap=bars.close),
        bars.with_columns(
            instrument=Instrument(ConnectorPair("backtest", "A"), Decimal(1), Decimal(1))
        ),
        bars.prefix(4),
    )
    assert len({bars.data_hash, *(one.data_hash for one in others)}) == 6


def test_sessions_are_days_and_long_bars_are_their_own() -> None:
    opens = np.array([22, 23, 24, 25], dtype=np.int64) * HOUR_NS
    starts, ends = day_sessions(opens, opens + HOUR_NS)
    assert starts.tolist() == [True, False, True, False]
    assert ends.tolist() == [False, True, False, True]
    weekly = np.array([0, 7], dtype=np.int64) * DAY_NS
    assert day_sessions(weekly, weekly + 7 * DAY_NS)[1].tolist() == [True, True]
    none = session_edges(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_))
    assert [len(one) for one in none] == [0, 0]
