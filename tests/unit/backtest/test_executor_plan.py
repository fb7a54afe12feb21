"""FAST-1: when a backtest of executors is scanned, and every reason against it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.backtest.config import BacktestConfig
from engine.backtest.executor_plan import WORTH_SCANNING, plan_executors
from engine.backtest.planner import EngineRefusedError
from engine.model.bar_columns import BarColumns
from engine.testing.backtest_scenarios import long_columns

DATA: dict[str, Any] = {"symbol": "X", "path": "none.csv", "bar": "1m"}
POSITION = {"type": "position_executor", "side": "BUY", "amount": "1"}


def config_of(engine: str = "compiled", **changes: Any) -> BacktestConfig:
    values: dict[str, Any] = {
        "engine": engine,
        "data": [DATA],
        "executors": [POSITION],
    }
    return BacktestConfig.model_validate(values | changes)


def components(**sections: dict[str, Any]) -> dict[str, Any]:
    return {name: {"params": params} for name, params in sections.items()}


@pytest.fixture
def bars() -> BarColumns:
    return long_columns(3, 50)


def test_executors_on_one_market_are_compiled(bars: BarColumns) -> None:
    plan = plan_executors(config_of(), [bars])
    assert (plan.engine, plan.refusals, plan.request) == ("compiled", (), None)


def test_events_are_played_when_they_are_asked_for_or_the_run_is_short(bars: BarColumns) -> None:
    assert plan_executors(config_of("events"), [bars]).engine == "events"
    assert plan_executors(config_of("auto"), [bars]).engine == "events"


def test_auto_scans_long_runs_and_says_why_it_does_not() -> None:
    bars = long_columns(3, WORTH_SCANNING)
    assert plan_executors(config_of("auto"), [bars]).engine == "compiled"
    plan = plan_executors(config_of("auto", controllers=[{"kind": "momentum"}]), [bars])
    assert plan.engine == "events"
    assert plan.refusals == ("controllers decide at every timer, in Python",)


REASONS: dict[str, tuple[dict[str, Any], str]] = {
    "controllers": ({"controllers": [{"kind": "momentum"}]}, "controllers decide"),
    "strategies": (
        {"components": {"strategy": {"class": "buy_and_hold"}}},
        "strategies beside executors",
    ),
    "hedge": (
        {"data": [{**DATA, "settlement": "derivative", "position_mode": "HEDGE"}]},
        "position_mode HEDGE is kept on the event path",
    ),
    "latency": ({"components": components(broker={"latency_ms": 5})}, "latency_ms: 5 is above 0"),
    "stops at barriers": (
        {"components": components(broker={"stop_fill": "barrier"})},
        "broker.stop_fill: barrier is walked",
    ),
    "account limit": (
        {"components": components(risk_manager={"max_open_positions": 2})},
        "risk_manager.max_open_positions",
    ),
    "cooldown": (
        {"components": components(risk_manager={"cooldown_bars": 2})},
        "risk_manager.cooldown_bars",
    ),
    "kill switch": (
        {"components": components(risk_manager={"drawdown_control": {"max_drawdown": 0.2}})},
        "drawdown_control.max_drawdown",
    ),
}


@pytest.mark.parametrize(("changes", "reason"), REASONS.values(), ids=REASONS)
def test_what_cannot_be_scanned_is_refused(
    bars: BarColumns, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(EngineRefusedError, match=reason):
        plan_executors(config_of(**changes), [bars])


def test_every_reason_is_told_at_once(bars: BarColumns) -> None:
    config = config_of(
        controllers=[{"kind": "momentum"}],
        components=components(broker={"latency_ms": 1}, risk_manager={"max_daily_loss": 0.1}),
    )
    crossed = replace(bars, ts_close=bars.ts_close + 10 * bars.duration_ns)
    with pytest.raises(EngineRefusedError) as refused:
        plan_executors(config, [crossed, bars])
    text = str(refused.value)
    for part in ("controllers", "2 markets", "latency_ms", "max_daily_loss", "overlap"):
        assert part in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": [{**DATA, "position_mode": "HEDGE"}]}, "X is spot: it is an asset"),
        (
            {
                "data": [{**DATA, "settlement": "derivative", "position_mode": "hedge"}],
                "components": {"strategy": {"class": "buy_and_hold"}},
            },
            "a strategy holds one net position",
        ),
        ({"data": [{**DATA, "position_mode": "BOTH"}]}, "must be one of HEDGE, ONEWAY"),
    ],
)
def test_hedging_is_for_executors_on_derivatives(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        config_of("auto", **changes)


def test_no_bars_no_scan(bars: BarColumns) -> None:
    columns = ("ts_open", "ts_close", "open", "high", "low", "close", "volume", "is_synthetic")
    empty = {name: getattr(bars, name)[:0] for name in (*columns, "starts_session", "ends_session")}
    with pytest.raises(EngineRefusedError, match="no bars"):
        plan_executors(config_of(), [replace(bars, vwap=None, spread=None, **empty)])
    assert np.all(bars.ts_close > bars.ts_open)
