"""FAST-1, DET-1: executors whose idle quotes are left out leave the same bytes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.backtest.assembly import RunRequest
from engine.backtest.config import BacktestConfig
from engine.backtest.control import Progress, RunControl
from engine.backtest.executor_run import ExecutorRun
from engine.backtest.market_data import MarketData
from engine.backtest.results import BacktestResult, ResultStatus
from engine.model.bar_columns import MISSING, BarColumns, day_sessions
from engine.model.instruments import ConnectorPair, Instrument, Settlement

GROUPS = 6
GROUP = 12
Rng = np.random.Generator


def bars_of(rng: Rng, length: int = 160) -> BarColumns:
    """Return bars with gaps in time and price, ties, still bars, some without quotes."""
    duration = int(rng.choice([1_000_000_000, 7_000_000_001, 60_000_000_000, 3_600_000_000_000]))
    gaps = np.where(rng.random(length) < 0.05, rng.integers(1, 4, length), 0)
    ts_open = (np.arange(length) + np.cumsum(gaps)) * duration + 86_400_000_000_000
    wide = int(rng.choice([1, 4, 15]))
    close = np.maximum(5, 1000 + np.cumsum(rng.integers(-wide, wide + 1, length)))
    jump = np.where(rng.random(length) < 0.1, rng.integers(-3 * wide, 3 * wide + 1, length), 0)
    opening = np.maximum(5, np.concatenate((close[:1], close[:-1])) + jump)
    spare = rng.integers(0, wide + 1, (2, length)) * (rng.random((2, length)) < 0.8)
    high = np.maximum(opening, close) + spare[0]
    low = np.maximum(1, np.minimum(opening, close) - spare[1])
    spread = None
    if rng.random() < 0.4:
        spread = np.where(rng.random(length) < 0.2, MISSING, rng.integers(0, 4, length))
    absent = (rng.random(length) < 0.07) & (rng.random() < 0.5)
    starts, ends = day_sessions(ts_open, ts_open + duration)
    settlement = Settlement.DERIVATIVE if rng.random() < 0.7 else Settlement.SPOT
    return BarColumns(
        instrument=Instrument(
            ConnectorPair("backtest", "X"),
            tick=Decimal("0.1"),
            lot=Decimal("0.01"),
            settlement=settlement,
        ),
        symbol="X-USD",
        duration_ns=duration,
        ts_open=ts_open.astype(np.int64),
        ts_close=(ts_open + duration).astype(np.int64),
        open=opening.astype(np.int64),
        high=high.astype(np.int64),
        low=low.astype(np.int64),
        close=close.astype(np.int64),
        volume=np.full(length, -1, dtype=np.int64),
        spread=None if spread is None else spread.astype(np.int64),
        is_synthetic=np.asarray(absent, dtype=np.bool_),
        starts_session=starts,
        ends_session=ends,
    )


def executor(rng: Rng, bars: BarColumns) -> dict[str, Any]:
    """Return the configuration of one executor of a type that trades on one market."""
    seconds = bars.duration_ns / 1e9
    price = float(bars.open[0]) / 10
    side = str(rng.choice(["BUY", "SELL"]))
    sign = 1 if side == "BUY" else -1
    if bars.instrument.settlement is Settlement.SPOT:
        side, sign = "BUY", 1
    common = {"connector_name": "backtest", "trading_pair": "X-USD", "side": side}

    def some(value: Any) -> Any:
        return value if rng.random() < 0.6 else None

    def near(away: float) -> str:
        return str(round(price * (1 + away * float(rng.random())), 1))

    kind = rng.choice(["position", "position", "position", "grid", "dca", "order", "twap"])
    if kind == "position":
        entry = str(rng.choice(["MARKET", "MARKET", "LIMIT"]))
        trailing = {
            "activation_price": str(round(0.001 + 0.02 * rng.random(), 4)),
            "trailing_delta": str(round(0.0005 + 0.01 * rng.random(), 4)),
        }
        return common | {
            "type": "position_executor",
            "amount": str(round(0.02 + float(rng.random()) * 3, 2)),
            "entry_price": some(near(-0.01 * sign)),
            "triple_barrier_config": {
                "stop_loss": some(str(round(0.001 + 0.03 * rng.random(), 4))),
                "take_profit": some(str(round(0.001 + 0.03 * rng.random(), 4))),
                "time_limit": some(int(1 + seconds * rng.integers(1, 60))),
                "trailing_stop": some(trailing),
                "open_order_type": entry,
                "take_profit_order_type": str(rng.choice(["MARKET", "LIMIT"])),
            },
        }
    if kind == "grid":
        start, end = sorted([price * 0.99, price * 1.01])
        limit = start * 0.97 if side == "BUY" else end * 1.03
        return common | {
            "type": "grid_executor",
            "start_price": f"{start:.1f}",
            "end_price": f"{end:.1f}",
            "limit_price": f"{limit:.1f}",
            "total_amount_quote": "400",
            "min_spread_between_orders": "0.001",
            "triple_barrier_config": {"take_profit": "0.003", "stop_loss": some("0.05")},
        }
    if kind == "dca":
        steps = [near(-0.002 * sign), near(-0.01 * sign), near(-0.02 * sign)]
        return common | {
            "type": "dca_executor",
            "amounts_quote": ["50", "80", "120"],
            "prices": sorted(steps, key=float, reverse=side == "BUY"),
            "take_profit": "0.004",
            "stop_loss": some("0.02"),
            "time_limit": some(int(1 + seconds * 40)),
        }
    if kind == "twap":
        return common | {
            "type": "twap_executor",
            "total_amount_quote": "500",
            "total_duration": int(max(10, seconds * 20)),
            "order_interval": int(max(2, seconds * 2)),
            "mode": "TAKER",
        }
    return common | {
        "type": "order_executor",
        "amount": "0.5",
        "price": near(-0.01 * sign),
        "execution_strategy": str(rng.choice(["LIMIT", "MARKET"])),
    }


def request_of(number: int, engine: str) -> RunRequest:
    """Return random executors on random bars."""
    rng = np.random.default_rng(number)
    bars = bars_of(rng)
    commission = {"kind": "percent", "rate": "0.0004"} if rng.random() < 0.7 else {"kind": "none"}
    slippage = {"kind": "fixed", "ticks": 1} if rng.random() < 0.4 else {"kind": "none"}
    path = str(rng.choice(["pessimistic", "pessimistic", "adaptive", "ohlc", "olhc"]))
    config = BacktestConfig.model_validate(
        {
            "engine": engine,
            "close_positions_at_end": bool(rng.random() < 0.8),
            "data": [
                {
                    "symbol": "X-USD",
                    "path": "none.csv",
                    "bar": "1m",
                    "settlement": bars.instrument.settlement.value,
                }
            ],
            "components": {
                "portfolio": {"params": {"initial_cash": "100000"}},
                "broker": {
                    "params": {
                        "path": path,
                        "slippage_model": slippage,
                        "commission_model": commission,
                    }
                },
            },
            "executors": [executor(rng, bars) for _ in range(int(rng.integers(1, 6)))],
        }
    )
    return RunRequest(config=config, base_dir=Path(), data=MarketData((bars,), {}))


def play(number: int, engine: str) -> BacktestResult:
    return ExecutorRun(request_of(number, engine), RunControl()).run()


def assert_same(events: BacktestResult, compiled: BacktestResult, number: int) -> None:
    assert (events.engine, compiled.engine) == ("events", "compiled")
    assert compiled.fills.tolist() == events.fills.tolist(), number
    assert compiled.orders.tolist() == events.orders.tolist(), number
    assert compiled.equity.tolist() == events.equity.tolist(), number
    assert compiled.fingerprint == events.fingerprint
    assert compiled.metrics.values == events.metrics.values
    assert compiled.trades.tobytes() == events.trades.tobytes()
    assert compiled.rejections == events.rejections
    assert compiled.cancellations == events.cancellations
    assert compiled.warnings == events.warnings
    assert tuple(compiled.order_notes) == tuple(events.order_notes)
    assert compiled.flags["close_types"] == events.flags["close_types"], number


@pytest.mark.parametrize("group", range(GROUPS))
def test_both_paths_leave_the_same_tables(group: int) -> None:
    for number in range(group * GROUP, (group + 1) * GROUP):
        assert_same(play(number, "events"), play(number, "compiled"), number)


def test_the_scenarios_reach_what_they_are_for() -> None:
    runs = [play(number, "compiled") for number in range(60)]
    closed = {name for run in runs for name in run.flags["close_types"]}
    assert {"STOP_LOSS", "TAKE_PROFIT", "TRAILING_STOP", "TIME_LIMIT", "EARLY_STOP"} <= closed
    assert all(len(run.fills) for run in runs)


def test_idle_quotes_are_left_out() -> None:
    """What is played follows what happens, not how many bars there are."""

    def inputs(length: int, engine: str) -> int:
        request = request_of(3, engine)
        bars = flat_bars(length)
        config = request.config.model_copy(update={"executors": (waiting(bars),)})
        data = MarketData((bars,), {})
        return int(
            ExecutorRun(replace(request, config=config, data=data), RunControl())
            .run()
            .flags["inputs"]
        )

    assert inputs(2_000, "compiled") == inputs(20_000, "compiled") < 20
    assert inputs(500, "events") > 2_000


def flat_bars(length: int) -> BarColumns:
    """Return bars that never go far."""
    bars = bars_of(np.random.default_rng(1), length)
    still = np.full(length, 1000, dtype=np.int64)
    absent = np.zeros(length, dtype=np.bool_)
    return replace(
        bars, open=still, high=still + 1, low=still - 1, close=still, is_synthetic=absent
    )


def waiting(bars: BarColumns) -> dict[str, Any]:
    """Return an executor that waits for a far price on *bars*."""
    return {
        "type": "position_executor",
        "connector_name": "backtest",
        "trading_pair": bars.symbol,
        "side": "BUY",
        "amount": "1",
        "triple_barrier_config": {"stop_loss": "0.5", "take_profit": "0.5"},
    }


def test_a_cancelled_run_keeps_what_was_played() -> None:
    bars = flat_bars(300_000)
    request = request_of(3, "compiled")
    config = request.config.model_copy(update={"executors": (waiting(bars),)})
    control = RunControl(listener=lambda progress: _cancel(control, progress))
    result = ExecutorRun(
        replace(request, config=config, data=MarketData((bars,), {})), control
    ).run()
    assert result.status is ResultStatus.CANCELLED
    assert 1 <= len(result.equity) < 300_000
    assert len(result.fills) == 2


def _cancel(control: RunControl, progress: Progress) -> None:
    if progress.bars_done:
        control.cancel()
