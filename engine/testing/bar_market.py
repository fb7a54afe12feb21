"""Small markets of bars and configurations of backtests on them, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from engine.backtest.assembly import RunRequest
from engine.backtest.config import BacktestConfig, as_config
from engine.backtest.control import RunControl
from engine.backtest.market_data import MarketData
from engine.backtest.results import BacktestResult
from engine.backtest.runner import Runner
from engine.live.clock import SystemClock
from engine.model.bar_columns import DAY_NS, BarColumns, day_sessions
from engine.model.instruments import ConnectorPair, Instrument, Settlement
from engine.strategies.catalogue import StrategyType

HOUR_NS = 3_600_000_000_000
START_NS = 1_483_228_800_000_000_000

Row = tuple[int, int, int, int]
"""Open, high, low, close in ticks."""


def bars_of(
    rows: Sequence[Row],
    *,
    symbol: str = "ACME",
    bar_ns: int = DAY_NS,
    volume: int = 1000,
    tick: str = "0.01",
    lot: str = "1",
    features: Mapping[str, Sequence[float]] | None = None,
    start_ns: int = START_NS,
) -> BarColumns:
    """Return *rows* as columns, one bar after the other without gaps."""
    table = np.asarray(rows, dtype=np.int64).reshape(len(rows), 4)
    ts_open = start_ns + np.arange(len(rows), dtype=np.int64) * bar_ns
    starts, ends = day_sessions(ts_open, ts_open + bar_ns)
    instrument = Instrument(
        ConnectorPair("backtest", symbol),
        Decimal(tick),
        Decimal(lot),
        settlement=Settlement.SPOT,
    )
    return BarColumns(
        instrument=instrument,
        symbol=symbol,
        duration_ns=bar_ns,
        ts_open=ts_open,
        ts_close=ts_open + bar_ns,
        open=table[:, 0].copy(),
        high=table[:, 1].copy(),
        low=table[:, 2].copy(),
        close=table[:, 3].copy(),
        volume=np.full(len(rows), volume, dtype=np.int64),
        is_synthetic=np.zeros(len(rows), dtype=np.bool_),
        starts_session=starts,
        ends_session=ends,
        features={name: np.asarray(one, dtype=float) for name, one in (features or {}).items()},
    )


def wave(count: int, *, seed: int = 3, start: int = 10_000, step: int = 60) -> list[Row]:
    """Return *count* bars of a seeded random walk."""
    rng = np.random.Generator(np.random.PCG64(seed))
    rows: list[Row] = []
    last = start
    for _ in range(count):
        first = max(200, last + int(rng.integers(-step // 4, step // 4 + 1)))
        last = max(200, first + int(rng.integers(-step, step + 1)))
        high = max(first, last) + int(rng.integers(0, step // 2))
        low = max(100, min(first, last) - int(rng.integers(0, step // 2)))
        rows.append((first, high, low, last))
    return rows


def config_of(
    strategy: str = "sma_cross",
    params: Mapping[str, Any] | None = None,
    *,
    symbols: Sequence[str] = ("ACME",),
    risk: Mapping[str, Any] | None = None,
    broker: Mapping[str, Any] | None = None,
    portfolio: Mapping[str, Any] | None = None,
    **more: Any,  # noqa: ANN401 (any key of the configuration)
) -> BacktestConfig:
    """Return a configuration on symbols whose bars are given elsewhere."""
    return as_config(
        {
            "data": [{"symbol": one, "path": f"{one}.csv"} for one in symbols],
            "components": {
                "strategy": {"class": strategy, "params": dict(params or {})},
                "risk_manager": {"params": dict(risk or {"sizer": {"kind": "fixed", "qty": 10}})},
                "broker": {"params": dict(broker or {})},
                "portfolio": {"params": dict(portfolio or {})},
            },
            **more,
        }
    )


def request_of(
    config: BacktestConfig,
    *columns: BarColumns,
    strategies: Mapping[str, StrategyType] | None = None,
) -> RunRequest:
    """Return a request that runs *config* on *columns*."""
    return RunRequest(config, Path(), MarketData(columns, {}), strategies=strategies)


def run_on(
    config: BacktestConfig,
    *columns: BarColumns,
    strategies: Mapping[str, StrategyType] | None = None,
    control: RunControl | None = None,
    keep_failed: bool = False,
    in_threads: bool = False,
) -> BacktestResult:
    """Run *config* on *columns* and return the result."""
    runner = Runner(
        control or RunControl(),
        clock=SystemClock(),
        keep_failed=keep_failed,
        in_threads=in_threads,
    )
    return runner.run(request_of(config, *columns, strategies=strategies))
