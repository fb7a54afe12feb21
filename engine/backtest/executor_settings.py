"""What a backtest's components mean for trading executors, and which keys mean nothing to them.

Executors trade in the container of a paper session: on quotes, with the session's broker and risk
manager. A key that would be read and then do nothing is a problem that is told, not ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from engine.backtest.config import BacktestConfig, SimulatedBrokerSection
from engine.execution.bar_settings import BarBrokerSettings, PathMode, StopFill
from engine.execution.cost_settings import MakerTakerCommissionSettings
from engine.execution.settings import BrokerSettings
from engine.risk.bar_limits import (
    SIZE_LIMITS,
    BarRiskSettings,
    HaltAction,
    HaltResume,
    Limit,
)
from engine.risk.limits import RiskSettings, SizeLimit
from engine.risk.sizers import AnySizer

BROKER: Final = ("components", "broker", "params")
RISK: Final = ("components", "risk_manager", "params")

_BARS_ONLY: Final = (
    "fill_timing",
    "limit_fill",
    "market_basis",
    "max_participation",
    "unknown_volume",
    "insufficient_funds",
    "trail_update",
    "price_grid",
)
"""Rules of matching against bars; executors meet quotes."""

_SAME: Final = (
    "no_stop_risk",
    "default_vol",
    "max_open_positions",
    "max_orders_per_bar",
    "max_orders_per_day",
    "max_daily_loss",
    "allowed_symbols",
    "blocked_symbols",
    "trading_hours",
    "cooldown_bars",
    "one_pending_per_symbol",
)


def settings_problems(config: BacktestConfig) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the keys of a run of executors that would do nothing, each with what is allowed."""
    for number, entry in enumerate(config.data):
        if entry.fx_symbol is not None:
            yield (
                ("data", number, "fx_symbol"),
                "executors count every quote asset 1:1 with the account's currency, leave it out",
            )
    yield from _broker_problems(config)
    yield from _risk_problems(config)


def _broker_problems(config: BacktestConfig) -> Iterator[tuple[tuple[str, ...], str]]:
    section = config.components.broker
    plain = BarBrokerSettings()
    if isinstance(section, SimulatedBrokerSection):
        for name in _BARS_ONLY:
            given, default = getattr(section.params, name), getattr(plain, name)
            if given != default:
                text = "has no meaning for executors, which trade on quotes: leave it at"
                yield (*BROKER, name), f"{_text(given)} {text} {_text(default)}"
    else:
        yield (
            ("components", "broker", "class"),
            f"{section.kind!r} cannot run executors, use 'SimulatedBroker'",
        )


def _risk_problems(config: BacktestConfig) -> Iterator[tuple[tuple[str, ...], str]]:
    risk = config.components.risk_manager.params
    if risk.exit_memory:
        yield (*RISK, "exit_memory"), "true is about signals: executors keep it false"
    if risk.max_data_age_bars is not None:
        yield (
            (*RISK, "max_data_age_bars"),
            f"{risk.max_data_age_bars} has no meaning for executors, leave it out",
        )
    control = risk.drawdown
    if control is not None and control.action is HaltAction.FLATTEN:
        yield (
            (*RISK, "drawdown_control", "action"),
            "'flatten' is not done to executors, which keep their own exits: use 'halt'",
        )
    if control is not None and control.resume is HaltResume.NEXT_SESSION:
        yield (
            (*RISK, "drawdown_control", "resume"),
            "'next_session' has no meaning for executors, use 'never' or 'manual'",
        )
    has_strategies = bool(config.components.all_strategies)
    if has_strategies and not isinstance(risk.sizer, AnySizer):
        text = (
            "does not size strategies beside executors, use 'fixed', 'percent_equity', "
            "'percent_risk' or 'kelly'"
        )
        yield (*RISK, "sizer", "kind"), f"{risk.sizer.kind!r} {text}"


def broker_settings(config: BacktestConfig) -> BrokerSettings:
    """Return the costs and the latency of the backtest for the session's broker."""
    section = config.components.broker
    if not isinstance(section, SimulatedBrokerSection):
        return BrokerSettings()
    params = section.params
    commission = params.commission_model
    if isinstance(commission, MakerTakerCommissionSettings):
        commission = commission.model_copy(
            update={
                "maker": Decimal("0.0002") if commission.maker is None else commission.maker,
                "taker": Decimal("0.0005") if commission.taker is None else commission.taker,
            }
        )
    return BrokerSettings(
        slippage_model=params.slippage_model,
        commission_model=commission,
        latency_ms=params.latency_ms,
    )


def risk_settings(params: BarRiskSettings) -> RiskSettings:
    """Return the limits of the backtest for the session's risk manager."""
    control = params.drawdown
    values: dict[str, Any] = {name: getattr(params, name) for name in _SAME}
    for name in SIZE_LIMITS:
        limit: Limit | None = getattr(params, name)
        values[name] = None if limit is None else SizeLimit(value=limit.value, mode=limit.mode)
    if isinstance(params.sizer, AnySizer):
        values["sizer"] = params.sizer
    return RiskSettings(
        max_drawdown=None if control is None else control.max_drawdown,
        **values,
    )


def walked_path(config: BacktestConfig) -> PathMode:
    """Return how executors see a bar: as told; `pessimistic` asks what the account holds."""
    section = config.components.broker
    if not isinstance(section, SimulatedBrokerSection):
        return PathMode.ADAPTIVE
    return section.params.path


def stops_at_barriers(config: BacktestConfig) -> bool:
    """Whether a watched barrier inside a bar fills at its own price."""
    section = config.components.broker
    if not isinstance(section, SimulatedBrokerSection):
        return False
    return section.params.stop_fill is StopFill.BARRIER


def _text(value: Any) -> str:  # noqa: ANN401 (any setting)
    kind = getattr(value, "kind", None)
    return str(kind if kind is not None else getattr(value, "value", value))
