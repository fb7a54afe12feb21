"""Runs over bars in files: the same results to the bit, in memory that does not grow with them."""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.api.backtest_files import make_report
from engine.backtest.assembly import build_run
from engine.backtest.config import as_config
from engine.backtest.control import RunControl
from engine.backtest.curve_facts import CurveFacts, curve_facts
from engine.backtest.metric_series import DepthWalk, drawdowns, equity_values, running_sum
from engine.backtest.report_html import render_report
from engine.backtest.result_view import ResultView
from engine.backtest.results import BacktestResult
from engine.backtest.results_export import export_result
from engine.backtest.results_io import load_result, save_result
from engine.backtest.run_history import run_bars, run_history
from engine.backtest.sampling import SAMPLES_AT_ONCE, candles, min_max_buckets, min_max_places
from engine.markets.mapped_columns import is_mapped, on_disk, temporary_column
from engine.model.bar_columns import BLOCK_ROWS, DAY_NS, BarColumns, FloatArray, IntArray
from engine.model.run_tables import EQUITY_DTYPE, fingerprint
from engine.testing.bar_market import bars_of, config_of, request_of, run_on, wave

MINUTE_NS = 60_000_000_000
FEW_TRADES = {"fast": 500, "slow": 3000}


def walk(count: int, *, seed: int = 2) -> IntArray:
    steps = np.random.default_rng(seed).integers(-90, 95, count)
    found: IntArray = 50_000_000 + np.cumsum(steps) * 10
    return found


def long_bars(count: int) -> BarColumns:
    """Return minutes in files, made there block by block."""
    names = ("ts_open", "ts_close", "open", "high", "low", "close", "volume")
    flags = ("is_synthetic", "starts_session", "ends_session")
    columns: dict[str, Any] = {name: temporary_column(count, np.dtype(np.int64)) for name in names}
    columns |= {name: temporary_column(count, np.dtype(np.bool_)) for name in flags}
    rng = np.random.default_rng(4)
    last = 1_000_000
    for start in range(0, count, 1 << 14):
        rows = slice(start, min(count, start + (1 << 14)))
        size = rows.stop - start
        closes = np.maximum(900_000, last + np.cumsum(rng.integers(-90, 91, size)))
        opens = np.append(last, closes[:-1])
        last = int(closes[-1])
        columns["ts_open"][rows] = np.arange(start, rows.stop) * MINUTE_NS
        columns["ts_close"][rows] = columns["ts_open"][rows] + MINUTE_NS
        columns["open"][rows], columns["close"][rows] = opens, closes
        columns["high"][rows] = np.maximum(opens, closes) + 5
        columns["low"][rows] = np.minimum(opens, closes) - 5
        columns["volume"][rows] = 100
    small = bars_of(wave(1), bar_ns=MINUTE_NS)
    return small.with_columns(**columns)


def everything(result: BacktestResult) -> dict[str, Any]:
    """Return what must be equal to the bit."""
    return {
        **{
            name: getattr(result, name).tolist() for name in ("equity", "fills", "orders", "trades")
        },
        "notes": [{**note, "client_id": ""} for note in result.order_notes],
        "metrics": dict(result.metrics.values),
        "fingerprint": result.fingerprint,
    }


STRATEGIES: dict[str, dict[str, Any]] = {
    "sma_cross": {"fast": 3, "slow": 9, "direction": "both"},
    "donchian": {"entry": 9, "exit": 4},
    "rsi_reversion": {"length": 5},
    "bracket": {"fast": 3, "slow": 9, "stop_loss": "0.01", "take_profit": "0.02"},
    "buy_and_hold": {},
}


@pytest.mark.parametrize("engine", ["events", "compiled"])
@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_bars_in_files_give_the_results_of_bars_in_memory(name: str, engine: str) -> None:
    bars = bars_of(wave(400, seed=8))
    config = config_of(name, STRATEGIES[name], engine=engine)
    in_memory, in_files = run_on(config, bars), run_on(config, on_disk(bars))
    assert len(in_memory.fills)
    assert in_files.engine == engine
    assert is_mapped(in_files.equity)
    assert not is_mapped(in_memory.equity)
    assert everything(in_files) == everything(in_memory)


@pytest.mark.parametrize("engine", ["events", "compiled"])
def test_several_symbols_in_files(engine: str) -> None:
    bars = [bars_of(wave(90, seed=seed), symbol=symbol) for seed, symbol in enumerate("AB")]
    config = config_of("sma_cross", {"fast": 2, "slow": 5}, symbols=("A", "B"), engine=engine)
    in_memory, in_files = run_on(config, *bars), run_on(config, *map(on_disk, bars))
    assert len(in_memory.fills)
    assert everything(in_files) == everything(in_memory)


@pytest.mark.parametrize("engine", ["events", "compiled"])
def test_executors_over_bars_in_files(engine: str) -> None:
    bars = bars_of(wave(400, seed=8), symbol="ACME-USD")
    plan = {
        "type": "position_executor",
        "connector_name": "backtest",
        "trading_pair": "ACME-USD",
        "side": "BUY",
        "amount": 10,
        "triple_barrier_config": {"stop_loss": "0.02", "take_profit": "0.03"},
    }
    more: dict[str, Any] = {"engine": engine, "executors": [plan]}
    config = as_config(
        {
            "data": [{"symbol": "ACME-USD", "path": "none.csv"}],
            "components": {"broker": {"params": {}}},
            **more,
        }
    )
    in_memory, in_files = run_on(config, bars), run_on(config, on_disk(bars))
    assert len(in_memory.fills) == 2
    assert in_files.engine == engine
    assert is_mapped(in_files.equity)
    assert everything(in_files) == everything(in_memory)


@pytest.mark.parametrize("slice_bars", [1, 7, 64, 1000])
@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_a_run_whose_history_is_put_away_in_slices_is_the_run(name: str, slice_bars: int) -> None:
    bars = bars_of(wave(150, seed=8))
    config = config_of(name, STRATEGIES[name], engine="events")
    expected = run_on(config, bars)
    built = build_run(request_of(config, on_disk(bars)), RunControl())
    history = run_history(built)
    assert history.is_on_disk
    with built.container as container, closing(history):
        container.start()
        built.run.begin()
        run_bars(built, history, slice_bars=slice_bars)
        built.run.finish()
        container.stop()
        assert (built.broker.fill_count, built.broker.order_count) == (
            len(expected.fills),
            len(expected.orders),
        )
        tables = built.broker.tables(history.finish())
        assert history.notes() == expected.order_notes
    assert fingerprint(*tables) == expected.fingerprint
    for table, other in zip(tables, ("fills", "equity", "orders"), strict=True):
        assert table.tolist() == getattr(expected, other).tolist()
    assert built.broker.sample_count == len(bars)


def test_orders_that_still_work_are_not_put_away() -> None:
    bars = bars_of(wave(40))
    script = [{"bar": 1, "side": "buy", "qty": 1, "type": "LIMIT", "limit": "1", "tag": "far"}]
    script += [{"bar": bar, "side": "buy", "qty": 1} for bar in (2, 5)]
    config = config_of("scripted", {"orders": script}, engine="events")
    built = build_run(request_of(config, on_disk(bars)), RunControl())
    history = run_history(built)
    with built.container as container, closing(history):
        container.start()
        built.run.begin()
        built.run.run(20)
        history.take()
        broker = built.broker
        assert [order.tag for order in broker.open_orders()] == ["far"]
        assert [order.seq for order in broker.orders] == [0]
        name = broker.orders[0].client_id
        assert broker.order(name) is broker.orders[0]
        assert broker.order(f"{name[:-1]}1") is None
        assert not broker.cancel(f"{name[:-1]}1", now_ns=broker.books[0].ts_close[19])
        assert (broker.order_count, broker.fill_count, broker.fills(1)) == (3, 2, [])
        assert broker.cancel(name, now_ns=broker.books[0].ts_close[19])
        container.stop()
        assert history.finish().orders["seq"].tolist() == [0, 1, 2]


def test_runs_in_memory_are_not_cut() -> None:
    built = build_run(request_of(config_of(engine="events"), bars_of(wave(60))), RunControl())
    with built.container:
        assert not run_history(built).is_on_disk


def test_stamps_are_put_away_with_samples_of_several_symbols() -> None:
    bars = [
        on_disk(bars_of(wave(40, seed=seed), symbol=symbol))
        for seed, symbol in ((1, "A"), (2, "B"))
    ]
    config = config_of("sma_cross", {"fast": 2, "slow": 5}, symbols=("A", "B"), engine="events")
    built = build_run(request_of(config, *bars), RunControl())
    history = run_history(built)
    with built.container as container, closing(history):
        container.start()
        built.run.begin()
        run_bars(built, history, slice_bars=3)
        container.stop()
        found = history.finish()
    assert found.stamps is not None
    assert found.stamps.tolist() == bars[0].ts_close.tolist()


# --- what is made of a run ------------------------------------------------------------------------


def facts_of_whole_arrays(stamps: IntArray, atoms: IntArray) -> CurveFacts:
    """Return the facts from the definitions, over whole arrays."""
    equity = equity_values(atoms, 8)
    depth = 1.0 - equity / np.maximum.accumulate(equity)
    total = square = 0.0
    for value in equity.tolist():
        total += value
    for value in depth.tolist():
        square += value * value
    below = np.concatenate(([False], depth > 0, [False]))
    edges = np.flatnonzero(below[1:] != below[:-1])
    firsts, afters = edges[::2], np.minimum(edges[1::2], len(depth) - 1)
    spells = [
        float(depth[first:after].max()) if after > first else 0.0
        for first, after in zip(firsts, edges[1::2], strict=True)
    ]
    counted = [
        deep for deep, first, after in zip(spells, firsts, afters, strict=True) if after > first
    ]
    depths = 0.0
    for deep in counted:
        depths += deep
    ends = np.append(np.flatnonzero(np.diff((stamps - 1) // DAY_NS)), len(stamps) - 1)
    return CurveFacts(
        samples=len(atoms),
        first_ns=int(stamps[0]),
        last_ns=int(stamps[-1]),
        last=float(equity[-1]),
        total=total,
        deepest=float(depth.max()),
        square_depths=square,
        longest_ns=max(
            (
                int(stamps[after] - stamps[first - 1])
                for first, after in zip(firsts, afters, strict=True)
            ),
            default=0,
        ),
        spells=len(counted),
        depths=depths,
        period_ns=stamps[ends],
        period_values=equity[ends],
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [2, 1000, 1 << 15, (1 << 15) + 1, 70_000])
def test_the_facts_of_a_curve_in_blocks_are_those_of_the_whole(count: int, seed: int) -> None:
    atoms = walk(count, seed=seed)
    if seed == 3:
        atoms = atoms[::-1].copy()  # a drawdown that goes on over blocks, to the end
    stamps = (1 + np.arange(count)) * MINUTE_NS
    found = curve_facts(stamps, atoms, money_precision=8, bar_ns=MINUTE_NS)
    expected = facts_of_whole_arrays(stamps, atoms)
    for name in CurveFacts.__slots__:
        one, other = getattr(found, name), getattr(expected, name)
        assert np.array_equal(one, other), name


def test_drawdowns_in_blocks_and_sums_that_go_on() -> None:
    equity = equity_values(walk(1000), 8)
    depth = DepthWalk()
    parts = [depth.take(equity[start : start + 7]) for start in range(0, 1000, 7)]
    assert np.concatenate(parts).tolist() == drawdowns(equity).tolist()
    assert running_sum(equity[400:], running_sum(equity[:400])) == running_sum(equity)


@pytest.mark.parametrize("buckets", [1, 3, 100, 1000])
def test_a_curve_is_thinned_in_parts_as_at_once(buckets: int) -> None:
    count = 2 * SAMPLES_AT_ONCE + 17
    values = equity_values(walk(count), 8)
    asked: list[slice] = []

    def part(rows: slice) -> FloatArray:
        asked.append(rows)
        return values[rows]

    places, kept = min_max_places(count, part, buckets)
    assert [one.start for one in asked] == [0, *(one.stop for one in asked[:-1])]
    assert asked[-1].stop == count
    edges = np.append(np.arange(buckets) * count // buckets, count)
    wanted = {0, count - 1}
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        bucket = values[start:stop]
        wanted |= {start + int(bucket.argmin()), start + int(bucket.argmax())}
    assert places.tolist() == sorted(wanted)
    assert kept.tolist() == values[places].tolist()
    ts = np.arange(count)
    assert min_max_buckets(ts, values, buckets)[0].tolist() == places.tolist()


def test_joined_bars_of_a_file_are_those_of_memory() -> None:
    bars = bars_of(wave(997))
    for one in (bars, on_disk(bars)):
        prices = (one.open, one.high, one.low, one.close)
        joined = candles(one.ts_open, one.ts_close, prices, 10, tick=0.01)
        first, stop = int(joined.first_bar[3]), int(joined.first_bar[4])
        assert joined.open[3] == bars.open[first] * 0.01
        assert joined.high[3] == bars.high[first:stop].max() * 0.01
        assert joined.low[3] == bars.low[first:stop].min() * 0.01
        assert joined.close[3] == bars.close[stop - 1] * 0.01
        assert joined.ts_close[3] == bars.ts_close[stop - 1]


def test_a_long_result_is_stored_shown_and_reported_like_a_short_one(tmp_path: Path) -> None:
    bars = bars_of(wave(70_000), bar_ns=MINUTE_NS)
    result = run_on(config_of(params={"fast": 50, "slow": 300}, engine="events"), bars)
    in_files = replace(result, equity=_in_file(result))
    for name, one, columns in (("memory", result, bars), ("files", in_files, on_disk(bars))):
        save_result(one, tmp_path / name, bars=[columns])
        export_result(one, tmp_path / f"{name}-out", bars=[columns])
    loaded = load_result(tmp_path / "files")
    assert everything(loaded) == everything(result)
    assert loaded.order_notes == result.order_notes
    assert loaded.order_notes[-1] == result.order_notes[-1]
    for name in ("equity.csv", "trades.csv", "fills.csv", "orders.csv", "report.html"):
        texts = [(tmp_path / one / name).read_text() for one in ("memory-out", "files-out")]
        assert texts[0] == texts[1], name
    assert len((tmp_path / "files-out/equity.csv").read_text().splitlines()) == 70_001
    assert everything(load_result(tmp_path / "files-out")) == everything(result)
    view = ResultView(tmp_path / "files")
    assert view.equity(100)[1].max() == result.equity_curve.max()
    assert view.drawdown(100)[1].max() == result.drawdown.max()
    assert view.price(50).high.max() == bars.high.max() * 0.01
    assert make_report(in_files).equity == make_report(result).equity
    assert make_report(in_files).drawdown == make_report(result).drawdown
    assert render_report(in_files, bars=[bars]) == render_report(result, bars=[bars])


def _in_file(result: BacktestResult) -> Any:
    table = temporary_column(len(result.equity), EQUITY_DTYPE)
    table[:] = result.equity
    return table


# --- memory ---------------------------------------------------------------------------------------


def most_memory(bars: BarColumns, engine: str) -> int:
    """Return the most bytes that a run and its report held at once, maps of files not counted."""
    config = config_of("sma_cross", FEW_TRADES, engine=engine)
    gc.collect()
    tracemalloc.start()
    try:
        make_report(run_on(config, bars))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_compiled_run_needs_the_memory_of_a_block_however_long_it_is() -> None:
    most_memory(long_bars(60_000), "compiled")  # what is imported and compiled once
    short, long = (most_memory(long_bars(blocks * BLOCK_ROWS), "compiled") for blocks in (2, 4))
    assert long - short < BLOCK_ROWS  # half a byte for each further bar: a few more trades


def held_memory(count: int, name: str) -> tuple[int, int]:
    """Return what a run on the event path holds after its last bar, and its orders."""
    config = config_of(name, STRATEGIES[name], engine="events")
    built = build_run(request_of(config, long_bars(count)), RunControl())
    history = run_history(built)
    gc.collect()
    with built.container as container, closing(history):
        container.start()
        built.run.begin()
        tracemalloc.start()
        try:
            run_bars(built, history, slice_bars=500)
            history.take()
            gc.collect()
            return tracemalloc.get_traced_memory()[0], built.broker.order_count
        finally:
            tracemalloc.stop()


def test_a_run_of_events_holds_nothing_of_the_bars_it_has_seen() -> None:
    held_memory(600, "buy_and_hold")
    short, long = (held_memory(count, "buy_and_hold")[0] for count in (4000, 12_000))
    assert long - short < 8000  # a sample alone would be eight bytes for each of 8000 bars


def test_a_run_of_events_holds_rows_of_the_orders_that_have_ended_and_no_objects() -> None:
    held_memory(600, "sma_cross")
    (short, few), (long, many) = (held_memory(count, "sma_cross") for count in (2000, 6000))
    assert many - few > 300
    assert long - short < 400 * (many - few)
