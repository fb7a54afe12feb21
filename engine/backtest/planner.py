"""Decides which path runs a backtest, and lists every reason against the compiled one (FAST-1).

Importing this needs no numba, and deciding compiles nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, TypeAlias

import numpy as np

from engine.backtest.config import BacktestConfig, EngineChoice, SimulatedBrokerSection
from engine.backtest.kernel_request import LARGEST, KernelRequest, SymbolSignals, safe_lots
from engine.execution.bar_settings import BarBrokerSettings
from engine.flow.errors import ConfigurationError
from engine.model.bar_columns import BarColumns, blocks
from engine.portfolio.account_settings import AccountSettings
from engine.risk.bar_limits import BarRiskSettings, HaltResume
from engine.strategies.signal_codes import BracketBasis, KindCode
from engine.strategies.signal_table import NO_PRICE, SignalTable
from engine.strategies.strategy import Strategy

WORTH_IT: Final = 50_000
"""Bars from which `auto` takes the compiled path: below, events are done before it starts."""

_REACTIONS: Final = ("on_slice", "on_quote", "on_trade", "on_fill", "on_order", "on_timer")
_SLIPPAGE: Final = frozenset(
    {"none", "fixed", "percent", "bps", "spread", "volume_share", "volatility"}
)
_COMMISSION: Final = frozenset({"none", "per_share", "percent", "per_trade", "maker_taker"})
_SIZERS: Final = frozenset({"fixed", "percent_equity", "percent_risk", "all_in", "kelly"})
_OTHER_LIMITS: Final = (
    "max_gross_exposure",
    "max_net_exposure",
    "max_concentration",
    "max_portfolio_heat",
    "max_portfolio_risk",
    "max_open_positions",
    "max_orders_per_bar",
    "max_orders_per_day",
    "max_daily_loss",
    "allowed_symbols",
    "trading_hours",
    "max_data_age_bars",
)
_PRICES: Final = ("limit", "stop", "sl", "tp", "activation")
_LARGEST_FACTOR: Final = 8
"""Weights and bounds are parts per billion that are multiplied in 64 bits (UNIT-8)."""

Window: TypeAlias = tuple[int, int]
"""First bar and end of the bars that may trade."""


@dataclass(frozen=True, slots=True)
class PlannedStrategy:
    """A strategy of the run: its id, the instance, the indexes of its symbols."""

    id: str
    strategy: Strategy
    symbols: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """Which path runs; ``refusals`` are the reasons against the compiled one, all of them.

    ``request`` is what the compiled path is to run, None on the event path.
    """

    engine: str
    refusals: tuple[str, ...] = ()
    request: KernelRequest | None = None


class EngineRefusedError(ConfigurationError):
    """``engine: compiled`` was asked for, and the compiled path cannot run this."""


def plan_engine(
    config: BacktestConfig,
    *,
    columns: Sequence[BarColumns],
    windows: Sequence[Window],
    strategies: Sequence[PlannedStrategy],
) -> EnginePlan:
    """Return the path for *config* on *columns*.

    Raises:
        EngineRefusedError: ``engine: compiled`` and there is a reason against it.
    """
    if config.engine is EngineChoice.EVENTS:
        return EnginePlan("events")
    total = sum(stop - start for start, stop in windows)
    if config.engine is EngineChoice.AUTO and total < WORTH_IT:
        return EnginePlan("events")
    refusals = list(_static_refusals(config, columns, strategies))
    request = None
    if not refusals:
        signals, refusals = _signals(columns, windows, strategies)
        request = kernel_request(config, columns=columns, windows=windows, signals=signals)
        refusals += _table_refusals(request)
    if not refusals:
        return EnginePlan("compiled", (), request)
    if config.engine is EngineChoice.COMPILED:
        raise EngineRefusedError(
            "engine: compiled cannot run this, use auto or events: " + "; ".join(refusals)
        )
    return EnginePlan("events", tuple(refusals))


def standing_refusals(
    config: BacktestConfig, columns: Sequence[BarColumns], strategies: Sequence[PlannedStrategy]
) -> tuple[str, ...]:
    """Return the reasons against the compiled path that no parameter of a strategy changes."""
    found = list(_static_refusals(config, columns, strategies))
    if config.engine is EngineChoice.EVENTS:
        found.insert(0, "engine: events was asked for")
    return tuple(found)


def plan_column(
    config: BacktestConfig,
    *,
    columns: Sequence[BarColumns],
    windows: Sequence[Window],
    strategies: Sequence[PlannedStrategy],
) -> tuple[KernelRequest | None, tuple[str, ...]]:
    """Return what the compiled path runs for one column of a grid, or None and every reason.

    The `standing_refusals` were asked before.
    """
    signals, refusals = _signals(columns, windows, strategies)
    if refusals:
        return None, tuple(refusals)
    request = kernel_request(config, columns=columns, windows=windows, signals=signals)
    refusals = _table_refusals(request)
    return (None, tuple(refusals)) if refusals else (request, ())


def kernel_request(
    config: BacktestConfig,
    *,
    columns: Sequence[BarColumns],
    windows: Sequence[Window],
    signals: Sequence[SymbolSignals],
) -> KernelRequest:
    """Return what the compiled path runs for *config*, which must have the simulated broker."""
    section = config.components.broker
    broker = section.params if isinstance(section, SimulatedBrokerSection) else BarBrokerSettings()
    return KernelRequest(
        columns=tuple(columns),
        starts=tuple(start for start, _ in windows),
        stops=tuple(stop for _, stop in windows),
        signals=tuple(signals),
        account=config.components.portfolio.params,
        broker=broker,
        risk=config.components.risk_manager.params,
        seed=config.seed,
        close_positions=config.close_positions_at_end,
    )


def _data_refusals(config: BacktestConfig) -> Iterator[str]:
    if any(one.fx_symbol is not None for one in config.data):
        yield "fx_symbol: other currencies are converted on the event path"
    if any(one.execution_bars is not None for one in config.data):
        yield "execution_bars: finer bars are matched on the event path"
    if any(one.funding or one.corporate_actions for one in config.data):
        yield "funding and corporate actions are settled on the event path"


def _static_refusals(
    config: BacktestConfig, columns: Sequence[BarColumns], strategies: Sequence[PlannedStrategy]
) -> Iterator[str]:
    """Yield what can be said before any signal is computed."""
    if find_spec("numba") is None:
        yield "numba is not installed"
    if config.record_events:
        yield "record_events: events are made on the event path only"
    yield from _data_refusals(config)
    if config.executors or config.controllers:
        yield "trading executors and controllers run on the event path"
    if not strategies:
        yield "there is no strategy"
    for one in strategies:
        yield from _strategy_refusals(one)
    section = config.components.broker
    if isinstance(section, SimulatedBrokerSection):
        yield from _broker_refusals(section.params)
    else:
        yield f"broker.class: {section.kind} has no kernel"
    yield from _account_refusals(config.components.portfolio.params)
    yield from _risk_refusals(config.components.risk_manager.params)
    for bars in columns:
        if not len(bars):
            yield f"{bars.symbol} has no bars"
        elif bars.lowest <= 0:
            yield f"{bars.symbol} has prices at or below zero"
    yield from _timeline_refusals(columns)


def _strategy_refusals(one: PlannedStrategy) -> Iterator[str]:
    kind = type(one.strategy)
    if kind.signals is Strategy.signals:
        yield f"strategy {one.id} decides bar by bar: it has no signals()"
    for hook in _REACTIONS:
        if getattr(kind, hook) is not getattr(Strategy, hook):
            yield f"strategy {one.id} has {hook}(), which Python must call"


def _broker_refusals(broker: BarBrokerSettings) -> Iterator[str]:
    if broker.latency_ms:
        yield f"broker.latency_ms: {broker.latency_ms} is above 0"
    if broker.slippage_model.kind not in _SLIPPAGE:
        yield f"broker.slippage_model: {broker.slippage_model.kind} has no kernel"
    if broker.commission_model.kind not in _COMMISSION:
        yield f"broker.commission_model: {broker.commission_model.kind} has no kernel"


def _account_refusals(account: AccountSettings) -> Iterator[str]:
    if account.leverage % 1:
        yield f"portfolio.leverage: {account.leverage} is not a whole number"
    if account.intrabar_margin:
        yield "portfolio.intrabar_margin: margin is tested at closes only"
    if account.borrow_rate or account.interest_rate:
        yield "portfolio: borrow and interest are charged on the event path"
    if account.maintenance_ratio > _LARGEST_FACTOR:
        yield f"portfolio.maintenance_ratio: {account.maintenance_ratio} is too large"


def _risk_refusals(risk: BarRiskSettings) -> Iterator[str]:
    if risk.sizer.kind not in _SIZERS:
        yield f"risk_manager.sizer: {risk.sizer.kind} has no kernel"
    for name in _OTHER_LIMITS:
        if getattr(risk, name) is not None:
            yield f"risk_manager.{name} has no kernel"
    for name in ("blocked_symbols", "cooldown_bars", "exit_memory"):
        if getattr(risk, name):
            yield f"risk_manager.{name} has no kernel"
    control = risk.drawdown
    if control is not None and control.resume is HaltResume.NEXT_SESSION:
        yield "risk_manager.drawdown_control.resume: next_session has no kernel"
    for name in ("max_position_pct", "max_leverage"):
        limit = getattr(risk, name)
        if limit is not None and limit.value > _LARGEST_FACTOR:
            yield f"risk_manager.{name}: {limit.value} is above {_LARGEST_FACTOR}"
    weight = getattr(risk.sizer, "weight", None)
    if weight is not None and weight > _LARGEST_FACTOR:
        yield f"risk_manager.sizer.weight: {weight} is above {_LARGEST_FACTOR}"


def _timeline_refusals(columns: Sequence[BarColumns]) -> Iterator[str]:
    """Orders must not be able to arrive inside a bar."""
    for bars in columns:
        if _overlap(bars):
            yield f"{bars.symbol} has bars that overlap"
    if len(columns) < 2 or any(not len(one) for one in columns):
        return
    for bars in columns:
        if any(_ends_inside(other, bars) for other in columns):
            yield f"bars of other symbols end inside those of {bars.symbol}"


def _ends_inside(other: BarColumns, bars: BarColumns) -> bool:
    """Whether a bar of *other* ends after the start and before the end of one of *bars*."""
    stamps = other.ts_close
    for part in blocks(len(bars), bars.ts_open, bars.ts_close, stamps):
        before = np.searchsorted(stamps, bars.ts_close[part], side="left")
        if bool((before > np.searchsorted(stamps, bars.ts_open[part], side="right")).any()):
            return True
    return False


def _overlap(bars: BarColumns) -> bool:
    """Whether a bar starts before the one before it ends."""
    opens, closes = bars.ts_open[1:], bars.ts_close[:-1]
    parts = blocks(len(closes), bars.ts_open, bars.ts_close)
    return any(bool((opens[part] < closes[part]).any()) for part in parts)


def _signals(
    columns: Sequence[BarColumns], windows: Sequence[Window], strategies: Sequence[PlannedStrategy]
) -> tuple[list[SymbolSignals], list[str]]:
    signals: list[SymbolSignals] = []
    refusals: list[str] = []
    for number, one in enumerate(strategies):
        for symbol in one.symbols:
            bars = columns[symbol]
            start, _ = windows[symbol]
            is_table_only = type(one.strategy).on_bar is Strategy.on_bar
            first = start if is_table_only else max(start, one.strategy.warmup)
            try:
                table = one.strategy.signals(bars, start=start)
            except Exception as error:  # noqa: BLE001 (boundary: the strategy's code runs here)
                refusals.append(
                    f"signals() of strategy {one.id} failed: {type(error).__name__}: {error}"
                )
                continue
            if table is None:
                refusals.append(f"strategy {one.id} has no signals() for {bars.symbol}")
            else:
                signals.append(SymbolSignals(number, symbol, _from_bar(table, first)))
    return signals, refusals


def _table_refusals(request: KernelRequest) -> list[str]:
    refusals = []
    for one in request.signals:
        table, bars = one.table, request.columns[one.symbol]
        if not (table.has_only("cancel_tag", 0) and table.has_only("replace_tag", 0)):
            refusals.append(f"signals for {bars.symbol} cancel or replace orders by tag")
        if bool(np.any(table["bar"] >= len(bars))):
            refusals.append(f"signals for {bars.symbol} after its last bar")
    return refusals + list(_bounds(request))


def _bounds(request: KernelRequest) -> Iterator[str]:
    """Yield where a number may leave 62 bits; a run that grows into it stops and is repeated."""
    account = request.account
    cash = int(account.initial_cash.scaleb(account.money_precision))
    if cash * int(account.leverage) >= LARGEST // 256:
        yield "the cash times the leverage is near 2**62 atoms: lower money_precision (UNIT-7)"
    for one in request.signals:
        bars, table = request.columns[one.symbol], one.table
        most = safe_lots(request, bars)
        top = 4 * bars.highest
        kind = table["kind"]
        explicit = (kind == KindCode.TARGET_QTY) | (kind == KindCode.ORDER)
        if most < 1 or bool(np.any(np.abs(table["value"][explicit]) > most)):
            yield f"signals for {bars.symbol} ask for more than {most:,} lots (UNIT-7)"
        weights = kind == KindCode.TARGET_WEIGHT
        if bool(np.any(np.abs(table["value"][weights]) > _LARGEST_FACTOR * 10**9)):
            yield f"signals for {bars.symbol} have weights above {_LARGEST_FACTOR}"
        if any(_is_far(table, name, top) for name in _PRICES):
            yield f"signals for {bars.symbol} have prices beyond four times the highest (UNIT-7)"


def _is_far(table: SignalTable, name: str, top: int) -> bool:
    if table.has_only(name, NO_PRICE):
        return False
    values = table[name]
    given = values != NO_PRICE
    if name in ("sl", "tp"):
        given &= table["bracket_basis"] == BracketBasis.ABSOLUTE
    return bool(np.any(np.abs(values[given]) > top))


def _from_bar(table: SignalTable, first: int) -> SignalTable:
    """Return the rows of *table* from bar *first* on."""
    start = int(np.searchsorted(table["bar"], first))
    if not start:
        return table
    return SignalTable({name: column[start:] for name, column in table.columns.items()}, table.tags)
