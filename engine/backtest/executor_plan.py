"""Decides whether a backtest of executors is scanned, and lists every reason against it (FAST-1).

Importing this needs no numba, and deciding compiles nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Final

import numpy as np

from engine.backtest.config import BacktestConfig, EngineChoice, SimulatedBrokerSection
from engine.backtest.executor_settings import stops_at_barriers
from engine.backtest.planner import EnginePlan, EngineRefusedError
from engine.model.bar_columns import BarColumns
from engine.model.orders import PositionMode
from engine.risk.bar_limits import BarRiskSettings

WORTH_SCANNING: Final = 10_000
"""Bars from which `auto` scans: below, every quote is played before numba is loaded."""
_WATCHED: Final = (
    "max_position_pct",
    "max_gross_exposure",
    "max_net_exposure",
    "max_leverage",
    "max_concentration",
    "max_portfolio_heat",
    "max_portfolio_risk",
    "max_open_positions",
    "max_orders_per_bar",
    "max_orders_per_day",
    "max_daily_loss",
    "trading_hours",
)


def plan_executors(config: BacktestConfig, columns: Sequence[BarColumns]) -> EnginePlan:
    """Return the path for the executors of *config* on *columns*.

    Raises:
        EngineRefusedError: ``engine: compiled`` and there is a reason against it.
    """
    if config.engine is EngineChoice.EVENTS:
        return EnginePlan("events")
    if config.engine is EngineChoice.AUTO and sum(map(len, columns)) < WORTH_SCANNING:
        return EnginePlan("events")
    refusals = tuple(_refusals(config, columns))
    if not refusals:
        return EnginePlan("compiled")
    if config.engine is EngineChoice.COMPILED:
        raise EngineRefusedError(
            "engine: compiled cannot run this, use auto or events: " + "; ".join(refusals)
        )
    return EnginePlan("events", refusals)


def _refusals(config: BacktestConfig, columns: Sequence[BarColumns]) -> Iterator[str]:
    if find_spec("numba") is None:
        yield "numba is not installed"
    if config.controllers:
        yield "controllers decide at every timer, in Python"
    if config.components.all_strategies:
        yield "strategies beside executors see every bar, in Python"
    if len(columns) > 1:
        yield f"executors on {len(columns)} markets: one market can be scanned"
    if any(one.position_mode is PositionMode.HEDGE for one in config.data):
        yield "position_mode HEDGE is kept on the event path"
    if any(one.funding or one.corporate_actions for one in config.data):
        yield "funding and corporate actions are settled on the event path"
    yield from _broker(config)
    yield from _limits(config.components.risk_manager.params)
    for bars in columns:
        if not len(bars):
            yield f"{bars.symbol} has no bars"
        elif bool(np.any(bars.ts_open[1:] < bars.ts_close[:-1])):
            yield f"{bars.symbol} has bars that overlap"


def _broker(config: BacktestConfig) -> Iterator[str]:
    """Yield what the broker does that no scan of quotes sees."""
    section = config.components.broker
    if isinstance(section, SimulatedBrokerSection) and section.params.latency_ms:
        yield f"broker.latency_ms: {section.params.latency_ms} is above 0"
    if stops_at_barriers(config):
        yield "broker.stop_fill: barrier is walked on the event path"


def _limits(risk: BarRiskSettings) -> Iterator[str]:
    """Yield the limits that look at the account or at bars while nothing is ordered."""
    for name in _WATCHED:
        if getattr(risk, name) is not None:
            yield f"risk_manager.{name} is watched on the event path"
    if risk.cooldown_bars:
        yield "risk_manager.cooldown_bars is watched on the event path"
    if risk.drawdown is not None and risk.drawdown.max_drawdown is not None:
        yield "risk_manager.drawdown_control.max_drawdown is watched on the event path"
