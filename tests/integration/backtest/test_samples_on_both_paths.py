"""FAST-7, DET-1: every shipped strategy gives one result, whichever engine runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.backtest.assembly import RunRequest
from engine.backtest.config import BacktestConfig
from engine.backtest.control import RunControl
from engine.backtest.market_data import MarketData
from engine.backtest.results import BacktestResult
from engine.backtest.runner import Runner
from engine.live.clock import SystemClock
from engine.model.bar_columns import BarColumns
from engine.strategies.catalogue import strategy_types
from engine.testing.backtest_scenarios import long_columns

STRATEGIES: dict[str, dict[str, Any]] = {
    "sma_cross": {"fast": 5, "slow": 12, "direction": "both"},
    "donchian": {},
    "rsi_reversion": {},
    "bracket": {},
    "buy_and_hold": {},
    "scripted": {
        "orders": [
            {"bar": 3, "side": "buy", "qty": 5},
            {"bar": 40, "side": "sell", "qty": 2, "type": "limit", "limit": "10"},
            {"bar": 90, "side": "sell", "qty": 3},
        ]
    },
}


def played(name: str, engine: str, bars: BarColumns, **components: Any) -> BacktestResult:
    config = BacktestConfig.model_validate(
        {
            "engine": engine,
            "data": [{"symbol": bars.symbol, "path": "none.csv", "bar": "1m"}],
            "components": {
                "strategy": {"class": name, "params": STRATEGIES[name]},
                "broker": {
                    "params": {
                        "slippage_model": {"kind": "bps", "bps": "3"},
                        "commission_model": {"kind": "percent", "rate": "0.0005"},
                    }
                },
            }
            | components,
        }
    )
    request = RunRequest(config=config, base_dir=Path(), data=MarketData((bars,), {}))
    return Runner(RunControl(), clock=SystemClock()).one(request)


def test_every_shipped_strategy_is_here() -> None:
    assert set(strategy_types()) == set(STRATEGIES)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("sizer", ["percent_equity", "all_in", "fixed"])
def test_both_engines_give_one_result(name: str, sizer: str) -> None:
    bars = long_columns(5, 1500)
    risk = {"risk_manager": {"params": {"sizer": sizer}}}
    events = played(name, "events", bars, **risk)
    compiled = played(name, "compiled", bars, **risk)
    assert (events.engine, compiled.engine) == ("events", "compiled")
    assert len(events.fills)
    assert compiled.fingerprint == events.fingerprint
    assert compiled.metrics.values == events.metrics.values
    assert compiled.trades.tobytes() == events.trades.tobytes()
    assert compiled.orders_by_state == events.orders_by_state
    assert np.array_equal(compiled.equity, events.equity)
