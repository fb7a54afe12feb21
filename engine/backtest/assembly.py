"""Builds the container of one run: components by the registry, wired by name (CONT-9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.backtest.bar_run import BarRun
from engine.backtest.config import BacktestConfig, SimulatedBrokerSection, currency_problems
from engine.backtest.control import RunControl
from engine.backtest.event_recorder import EventRecorder
from engine.backtest.market_data import MarketData
from engine.backtest.run_hash import effective_config, run_hash
from engine.backtest.strategy_host import BarStrategyHost, SeatedStrategy
from engine.backtest.strategy_loading import build_strategy, find_strategy_type, source_hash
from engine.backtest.strategy_seat import SymbolFeed
from engine.containers.bus import ErrorPolicy
from engine.containers.component_registry import ComponentRegistry, ComponentType
from engine.containers.context import ContainerContext
from engine.containers.scoped_container import ScopedContainer
from engine.execution.bar_broker import BarBroker
from engine.execution.bar_settings import FillTiming, PriceGrid
from engine.execution.passthrough_broker import PassthroughBroker, PassthroughSettings
from engine.flow.errors import ConfigurationError
from engine.live.clock import SystemClock
from engine.markets.historical import HistoricalDataHandler
from engine.markets.timelines import timeline_of
from engine.markets.windows import WindowName
from engine.model.bar_columns import BarColumns
from engine.model.clock import SimulatedClock
from engine.model.market_events import CorporateAction
from engine.model.timeline import Timeline
from engine.portfolio.bar_account import BarAccount
from engine.portfolio.fx_account import FxAccount
from engine.risk.bar_risk_manager import BarRiskManager
from engine.strategies.catalogue import StrategyType
from engine.strategies.strategy import Strategy

_MODE_PREFIX: Final[Mapping[str, str]] = {
    "BACKTEST_SINGLE": "backtest",
    "BACKTEST_PARALLEL": "backtest",
    "OPTIMIZATION": "optimization",
}


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One run that is to be built: what, where its files are, on which window of the data."""

    config: BacktestConfig
    base_dir: Path
    data: MarketData
    window: WindowName = "full"
    strategies: Mapping[str, StrategyType] | None = None
    trial: str = ""
    only_strategy: int | None = None
    """With isolation full each of several strategies has a container of its own."""


@dataclass(slots=True)
class BuiltRun:
    """A container that is ready, its run, and what identifies it."""

    container: ScopedContainer
    pass_: BarRun | None
    handler: HistoricalDataHandler
    account: BarAccount
    broker: BarBroker
    risk: BarRiskManager
    host: BarStrategyHost
    run_hash: str
    effective: Mapping[str, Any]
    recorder: EventRecorder | None
    close_positions: bool
    feeds: tuple[SymbolFeed, ...]

    @property
    def columns(self) -> tuple[BarColumns, ...]:
        """Return the bars that were matched, by symbol."""
        return tuple(feed.run for feed in self.feeds)

    @property
    def run(self) -> BarRun:
        """Return the pass over the bars."""
        if self.pass_ is None:
            raise ValueError("the run is not wired yet")
        return self.pass_


def make_strategies(request: RunRequest) -> list[SeatedStrategy]:
    """Return new instances of the strategies of *request*, seated at their symbols.

    A strategy that wants one market at a time gets an instance for each.

    Raises:
        StrategyLoadError: one cannot be found or made.
    """
    config = request.config
    symbols = [entry.symbol for entry in config.data]
    seated: list[SeatedStrategy] = []
    for place, section in enumerate(config.components.all_strategies):
        if request.only_strategy is not None and place != request.only_strategy:
            continue
        kind = find_strategy_type(
            section,
            base_dir=request.base_dir,
            allow_imports=config.allow_imports,
            known=request.strategies,
        )
        name = section.id or (section.kind if place == 0 else f"{section.kind}-{place}")
        wanted = tuple(symbols.index(one) for one in section.symbols or symbols)
        first = build_strategy(kind, section.params)
        try:
            first.check_symbols([symbols[one] for one in wanted])
        except ValueError as error:
            raise ConfigurationError(f"strategy {name}: {error}", cause=error) from error
        if not type(first).per_market or len(wanted) == 1:
            seated.append(SeatedStrategy(name, first, wanted))
            continue
        for number, symbol in enumerate(wanted):
            made = first if number == 0 else build_strategy(kind, section.params)
            seated.append(SeatedStrategy(f"{name}-{symbols[symbol]}", made, (symbol,)))
    return seated


def data_handler_of(request: RunRequest, window: WindowName) -> HistoricalDataHandler:
    """Return a data handler of *window*.

    Raises:
        ConfigurationError: the split leaves nothing for train or test.
    """
    section = request.config.components.data_handler.params
    try:
        return HistoricalDataHandler(
            request.data.columns,
            cache_size=section.cache_size,
            enable_splits=section.enable_splits,
            split=section.split.settings(),
            window=window,
        )
    except ValueError as error:
        raise ConfigurationError(f"components.data_handler: {error}", cause=error) from error


def actions_of(config: BacktestConfig) -> dict[int, list[CorporateAction]]:
    """Return the corporate actions by symbol index."""
    precision = config.components.portfolio.params.money_precision
    return {index: one.action_events(precision) for index, one in enumerate(config.data)}


def fx_rates(config: BacktestConfig) -> dict[int, int]:
    """Return the index of the rate's symbol by the index of each symbol that needs one (UNIT-9).

    Raises:
        ConfigurationError: a currency has no rate.
    """
    for path, text in currency_problems(config):
        raise ConfigurationError(f"{'.'.join(map(str, path))}: {text}")
    symbols = [entry.symbol for entry in config.data]
    return {
        index: symbols.index(entry.fx_symbol)
        for index, entry in enumerate(config.data)
        if entry.fx_symbol is not None
    }


def registry(
    request: RunRequest, strategies: Sequence[SeatedStrategy], feeds: Sequence[SymbolFeed]
) -> ComponentRegistry:
    """Return the component types of a run; each takes what it needs from its container."""
    config, data = request.config, request.data

    def handler(params: Mapping[str, Any], _: ContainerContext) -> HistoricalDataHandler:
        return data_handler_of(request, params["window"])

    def account(_: Mapping[str, Any], __: ContainerContext) -> BarAccount:
        instruments = [one.instrument for one in data.columns]
        settings = config.components.portfolio.params
        rates = fx_rates(config)
        if rates:
            return FxAccount(instruments=instruments, settings=settings, rates=rates)
        return BarAccount(instruments=instruments, settings=settings)

    def broker(_: Mapping[str, Any], ctx: ContainerContext) -> BarBroker:
        section = config.components.broker
        data_handler = _resolve(ctx, "data_handler", HistoricalDataHandler)
        if not isinstance(section, SimulatedBrokerSection):
            price = section.params.default_price
            instrument = data.columns[0].instrument
            return PassthroughBroker(
                [feed.run for feed in feeds],
                account=_resolve(ctx, "portfolio", BarAccount),
                settings=PassthroughSettings(
                    commission_model=section.params.commission_model,
                    default_price_ticks=None if price is None else instrument.nearest_ticks(price),
                ),
                container_id=ctx.container_id,
            )
        return BarBroker(
            [feed.run for feed in feeds],
            account=_resolve(ctx, "portfolio", BarAccount),
            settings=section.params,
            seed=ctx.seed,
            container_id=ctx.container_id,
            first_bars=first_run_bars(feeds, data_handler),
            funding={index: one.funding_events() for index, one in enumerate(config.data)},
            actions=actions_of(config),
        )

    def risk(_: Mapping[str, Any], ctx: ContainerContext) -> BarRiskManager:
        return BarRiskManager(
            settings=config.components.risk_manager.params,
            columns=_resolve(ctx, "data_handler", HistoricalDataHandler).bars,
            account=_resolve(ctx, "portfolio", BarAccount),
            orders=_resolve(ctx, "broker", BarBroker),
        )

    def host(_: Mapping[str, Any], ctx: ContainerContext) -> BarStrategyHost:
        data_handler = _resolve(ctx, "data_handler", HistoricalDataHandler)
        return BarStrategyHost(
            strategies,
            feeds=feeds,
            account=_resolve(ctx, "portfolio", BarAccount),
            decision_bars=[window.decision_bar for window in data_handler.windows],
        )

    can_reuse = all(type(one.strategy).reusable for one in strategies)
    return ComponentRegistry(
        (
            ComponentType("HistoricalDataHandler", handler),
            ComponentType("Portfolio", account),
            ComponentType("SimulatedBroker", broker, ("data_handler", "portfolio")),
            ComponentType("RiskManager", risk, ("portfolio", "broker")),
            ComponentType("StrategyHost", host, ("risk_manager",), reusable=can_reuse),
            ComponentType("EventRecorder", lambda _, __: EventRecorder()),
        )
    )


def _resolve(ctx: ContainerContext, name: str, kind: Callable[..., Any]) -> Any:  # noqa: ANN401 (the component's own type)
    del kind  # names the type for the reader; the registry built it
    return ctx.resolve(name)


def build_run(request: RunRequest, control: RunControl) -> BuiltRun:
    """Return a container that is READY, with its run.

    Raises:
        EngineError: a component cannot be made or initialised; nothing is left open.
    """
    config = request.config
    strategies = make_strategies(request)
    values = effective_config(config)
    identity = run_hash(
        values,
        data_hash=f"{request.data.data_hash}:{request.window}",
        source_hash=source_hash([one.strategy for one in strategies]),
    )
    feeds = _feeds(request)
    clock = SystemClock()
    container = ScopedContainer(
        container_id=_name(request, identity),
        clock=SimulatedClock(),
        registry=registry(request, strategies, feeds),
        errors=ErrorPolicy(stop_on_error=config.stop_on_error, max_errors=config.max_errors),
        seed=config.seed,
        mode=config.mode.value,
        monotonic_ns=clock.monotonic_ns,
    )
    try:
        container.register_shared_service("market_data", request.data.columns)
        container.register_shared_service("config", values)
        return _wired(container, request, feeds, (identity, values), control)
    except BaseException:
        container.teardown_scope()
        raise


def run_name(built: BuiltRun, request: RunRequest) -> str:
    """Return the id of a container made for *request*; a pooled one has that of its first run."""
    return _name(request, built.run_hash)


def _name(request: RunRequest, identity: str) -> str:
    trial = f"_{request.trial}" if request.trial else ""
    return f"{_MODE_PREFIX[request.config.mode.value]}_{identity[:8]}{trial}"


def _feeds(request: RunRequest) -> list[SymbolFeed]:
    handler = data_handler_of(request, request.window)
    fine = request.data.execution or (None,) * len(handler.bars)
    return [
        SymbolFeed(index, columns, _until_end_of(columns, fine[index]))
        for index, columns in enumerate(handler.bars)
    ]


def _until_end_of(columns: BarColumns, fine: BarColumns | None) -> BarColumns | None:
    """Return the finer bars that end with the last of *columns*."""
    if fine is None or not len(columns):
        return None
    return fine.prefix(fine.closes_by(int(columns.ts_close[-1])))


def run_timeline(feeds: Sequence[SymbolFeed], handler: HistoricalDataHandler) -> Timeline:
    """Return the bars that are matched, in the order in which they become known."""
    if not any(feed.is_fine for feed in feeds):
        return handler.timeline
    starts = first_run_bars(feeds, handler)
    return timeline_of([feed.run for feed in feeds], starts=starts)


def first_run_bars(feeds: Sequence[SymbolFeed], handler: HistoricalDataHandler) -> list[int]:
    """Return the first bar of each symbol that is matched: where its window's decisions begin."""
    firsts = []
    for feed, window in zip(feeds, handler.windows, strict=True):
        first = window.decision_bar
        if feed.is_fine:
            start_ns = int(feed.columns.ts_open[first])
            first = int(np.searchsorted(feed.run.ts_open, start_ns))
        firsts.append(first)
    return firsts


def _wired(
    container: ScopedContainer,
    request: RunRequest,
    feeds: Sequence[SymbolFeed],
    identity: tuple[str, Mapping[str, Any]],
    control: RunControl,
) -> BuiltRun:
    config = request.config
    create = container.create_component
    handler: Any = create(
        {
            "name": "data_handler",
            "class": "HistoricalDataHandler",
            "params": {"window": request.window},
        }
    )
    account: Any = create({"name": "portfolio", "class": "Portfolio"})
    broker: Any = create({"name": "broker", "class": "SimulatedBroker"})
    risk: Any = create({"name": "risk_manager", "class": "RiskManager"})
    host: Any = create({"name": "strategy", "class": "StrategyHost"})
    recorder: Any = None
    if config.record_events:
        recorder = create({"name": "recorder", "class": "EventRecorder"})
    container.initialize_scope()
    built = BuiltRun(
        container,
        None,
        handler,
        account,
        broker,
        risk,
        host,
        identity[0],
        identity[1],
        recorder,
        config.close_positions_at_end,
        tuple(feeds),
    )
    return replace(built, pass_=new_run(built, request, control))


def new_run(built: BuiltRun, request: RunRequest, control: RunControl) -> BarRun:
    """Return a pass over the bars of a container that is READY."""
    section = request.config.components.broker
    settings = section.params if isinstance(section, SimulatedBrokerSection) else None
    return BarRun(
        container=built.container,
        feeds=built.feeds,
        timeline=run_timeline(built.feeds, built.handler),
        account=built.account,
        broker=built.broker,
        risk=built.risk,
        host=built.host,
        control=control,
        has_strict_grid=settings is not None and settings.price_grid is PriceGrid.STRICT,
        fills_this_close=settings is not None and settings.fill_timing is FillTiming.THIS_CLOSE,
    )


def class_state(strategies: Sequence[Strategy]) -> dict[str, str]:
    """Return the values kept in the classes of *strategies* as text, to be compared (ISO-8)."""
    state: dict[str, str] = {}
    for strategy in strategies:
        for cls in type(strategy).__mro__:
            if cls in (Strategy, object):
                continue
            for name, value in vars(cls).items():
                if not name.startswith("__") and not callable(value):
                    state[f"{cls.__qualname__}.{name}"] = repr(value)
    return state
