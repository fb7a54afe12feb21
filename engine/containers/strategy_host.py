"""Runs the strategies of a session: bars in, signals to the risk manager out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from engine.containers.bracket_desk import BracketDesk
from engine.containers.bus import BusEvent, BusKind, EventBus
from engine.containers.context import ContainerContext
from engine.containers.data_handler import DataHandler
from engine.containers.paper_indicator import PaperIndicator
from engine.execution.order_manager import OrderManager
from engine.model.clock import Clock
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import (
    STRATEGY_OWNER,
    STRATEGY_ROLE,
    CancelRequest,
    Fill,
    Order,
    OrderRequest,
)
from engine.model.quotes import Bar, QuoteTick
from engine.portfolio.portfolio import Portfolio
from engine.risk.risk_manager import RiskManager, is_exit
from engine.risk.verdicts import DenialCode, Denied
from engine.strategies.indicators import find_indicator, indicator_types
from engine.strategies.signals import Signal
from engine.strategies.strategy import Strategy

StrategyGuard: TypeAlias = Callable[[str, Exception], None]
"""Takes the name of a strategy's hook and what it raised."""


class StrategyHost:
    """Binds strategies to the bus; each sees the bars, quotes and fills of its own market.

    A signal is published as a SIGNAL event, whose only consumer is the risk manager (RISK-1).
    With a *guard* what a strategy raises is given to it and the event is skipped; without one it
    goes through.
    """

    def __init__(
        self,
        *,
        strategies: Sequence[tuple[ConnectorPair, Strategy]],
        clock: Clock,
        data_handler: DataHandler,
        portfolio: Portfolio,
        risk_manager: RiskManager,
        order_manager: OrderManager,
        guard: StrategyGuard | None = None,
    ) -> None:
        self._guard = guard
        self._order_manager = order_manager
        self._barred = ""
        self._strategies = tuple(strategies)
        self._clock = clock
        self._data_handler = data_handler
        self._portfolio = portfolio
        self._risk_manager = risk_manager
        self._brackets = BracketDesk(
            data_handler=data_handler, portfolio=portfolio, risk_manager=risk_manager
        )
        self._bus: EventBus | None = None
        self._tags: dict[str, str] = {}
        self._bars_seen: dict[ConnectorPair, int] = {}
        self._is_stopped = False

    @property
    def markets(self) -> frozenset[ConnectorPair]:
        """Return the markets that strategies trade."""
        return frozenset(market for market, _ in self._strategies)

    def initialize(self, ctx: ContainerContext) -> None:
        """Subscribe to what strategies see."""
        bus = ctx.bus
        self._bus = bus
        if not self._strategies:
            return
        bus.subscribe(BusKind.BAR, self._on_bar)
        bus.subscribe(BusKind.QUOTE, self._on_quote, priority=200)
        bus.subscribe(BusKind.SIGNAL, self._on_signal)
        bus.subscribe(BusKind.FILL, self._on_fill, priority=200)
        bus.subscribe(BusKind.ORDER_UPDATE, self._on_order, priority=200)
        bus.subscribe(BusKind.TIMER, self._on_timer, priority=200)

    def start(self) -> None:
        """Bind the strategies and let them prepare."""
        for market, strategy in self._strategies:
            strategy.bind(StrategySeat(self, market, strategy))
            self._call(strategy.on_start)

    def stop(self) -> None:
        """Let the strategies clean up; they see nothing more."""
        if not self._is_stopped:
            self._is_stopped = True
            for _, strategy in self._strategies:
                self._call(strategy.on_stop)

    def bar(self, reason: str) -> None:
        """Refuse all signals because of *reason*; an empty one lets them pass again."""
        self._barred = reason

    @property
    def data_handler(self) -> DataHandler:
        """Return the markets."""
        return self._data_handler

    def bar_index(self, market: ConnectorPair) -> int:
        """Return the index of the newest bar of *market*, -1 before the first."""
        return self._bars_seen.get(market, 0) - 1

    def now_ns(self) -> int:
        """Return the session's time."""
        return self._clock.now_ns()

    def signal(self, signal: Signal) -> None:
        """Publish *signal*; it is handled after the hook that gave it."""
        if self._bus is not None and not self._is_stopped:
            self._bus.publish(BusKind.SIGNAL, signal, market=signal.market)

    def net_lots(self, market: ConnectorPair) -> int:
        """Return the signed position of *market*."""
        return self._portfolio.net_lots(market)

    def _call(self, hook: Callable[..., None], *arguments: object) -> None:
        if self._guard is None:
            hook(*arguments)
            return
        try:
            hook(*arguments)
        except Exception as error:  # noqa: BLE001 (boundary: the strategy's code runs here)
            self._guard(hook.__name__, error)

    def _of(self, market: ConnectorPair | None) -> tuple[Strategy, ...]:
        if self._is_stopped:
            return ()
        return tuple(strategy for key, strategy in self._strategies if key == market)

    def _on_bar(self, event: BusEvent) -> None:
        bar = event.payload
        if not isinstance(bar, Bar):
            return
        index = self._bars_seen.get(bar.market, 0)
        self._bars_seen[bar.market] = index + 1
        for strategy in self._of(event.market):
            if index >= strategy.warmup:
                self._call(strategy.on_bar, bar)

    def _on_quote(self, event: BusEvent) -> None:
        if isinstance(event.payload, QuoteTick):
            for strategy in self._of(event.market):
                self._call(strategy.on_quote, event.payload)

    def _on_timer(self, event: BusEvent) -> None:
        if not self._is_stopped:
            for _, strategy in self._strategies:
                self._call(strategy.on_timer, event.ts_ns)

    def _on_signal(self, event: BusEvent) -> None:
        signal, bus = event.payload, self._bus
        if not isinstance(signal, Signal) or bus is None:
            return
        if self._barred:
            text = f"signal denied: {self._barred}"
            bus.publish(
                BusKind.RISK_LIMIT, Denied(DenialCode.RISK_HALTED, text), market=signal.market
            )
            return
        if signal.cancel:
            self._cancel_tagged(bus, signal.market, signal.cancel)
            return
        answer = self._risk_manager.on_signal(
            signal, owner_id=STRATEGY_OWNER, now_ns=self._clock.now_ns()
        )
        if is_exit(signal):
            self._cancel_entries(bus, signal.market)
        if isinstance(answer, OrderRequest):
            if signal.tag:
                self._tags[answer.client_order_id] = signal.tag
            if signal.bracket is not None and not answer.reduce_only:
                self._brackets.begin(answer, signal.bracket)
            bus.publish(BusKind.ORDER, answer, market=signal.market)
        elif isinstance(answer, Denied):
            bus.publish(BusKind.RISK_LIMIT, answer, market=signal.market)

    def _cancel_tagged(self, bus: EventBus, market: ConnectorPair, tag: str) -> None:
        """Cancel the strategies' own working orders that carry *tag*."""
        for order in self._order_manager.open_orders(market=market, owner_id=STRATEGY_OWNER):
            client_order_id = order.request.client_order_id
            if self._tags.get(client_order_id) == tag:
                wish = CancelRequest(client_order_id, market, STRATEGY_OWNER)
                bus.publish(BusKind.CANCEL, wish, market=market)

    def _cancel_entries(self, bus: EventBus, market: ConnectorPair) -> None:
        """Cancel what would open a position again after an exit; the exits go on working."""
        net = self._portfolio.net_lots(market)
        for order in self._order_manager.open_orders(market=market, owner_id=STRATEGY_OWNER):
            request = order.request
            if not request.is_closing and request.side.sign * net >= 0:
                wish = CancelRequest(request.client_order_id, market, STRATEGY_OWNER)
                bus.publish(BusKind.CANCEL, wish, market=market)

    def _on_fill(self, event: BusEvent) -> None:
        if isinstance(event.payload, Fill) and self._bus is not None:
            self._brackets.on_fill(self._bus, event.payload, now_ns=event.ts_ns)
        if isinstance(event.payload, Fill) and event.payload.role == STRATEGY_ROLE:
            for strategy in self._of(event.market):
                self._call(strategy.on_fill, event.payload)

    def _on_order(self, event: BusEvent) -> None:
        if isinstance(event.payload, Order) and not event.payload.is_open:
            self._tags.pop(event.payload.request.client_order_id, None)
        if isinstance(event.payload, Order) and self._bus is not None:
            self._brackets.on_order(self._bus, event.payload, now_ns=event.ts_ns)
        if isinstance(event.payload, Order) and event.payload.request.role == STRATEGY_ROLE:
            for strategy in self._of(event.market):
                self._call(strategy.on_order, event.payload)


class StrategySeat:
    """What one strategy sees of its container: its own market first."""

    def __init__(self, host: StrategyHost, market: ConnectorPair, strategy: Strategy) -> None:
        self._host = host
        self._market = market
        self._types = {**indicator_types(), **strategy.indicators}

    @property
    def market(self) -> ConnectorPair:
        """Return the strategy's market."""
        return self._market

    @property
    def markets(self) -> tuple[ConnectorPair, ...]:
        """Return the markets whose bars the strategy sees."""
        return (self._market,)

    def now_ns(self) -> int:
        """Return the session's time."""
        return self._host.now_ns()

    def bar_index(self, market: ConnectorPair | None = None) -> int:
        """Return the index of the current bar, from 0."""
        return self._host.bar_index(market or self._market)

    def signal(self, signal: Signal) -> None:
        """Publish *signal*; it is handled after the hook that gave it."""
        self._host.signal(signal)

    def history(self, market: ConnectorPair | int, n: int | None = None) -> Sequence[Bar]:
        """Return at most the last *n* bars, oldest first."""
        if isinstance(market, int):
            return self._host.data_handler.history(self._market, market)
        return self._host.data_handler.history(market, 1 if n is None else n)

    def indicator(
        self,
        name: str,
        *,
        market: ConnectorPair | None = None,
        **params: Any,  # noqa: ANN401 (parameters of the indicator)
    ) -> PaperIndicator:
        """Return a registered indicator.

        Raises:
            ConfigurationError: it is not registered.
        """
        return PaperIndicator(
            find_indicator(self._types, name),
            params,
            data_handler=self._host.data_handler,
            market=market or self._market,
        )

    def instrument(self, market: ConnectorPair) -> Instrument:
        """Return the instrument of *market*."""
        return self._host.data_handler.instrument(market)

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        """Return the newest quote of *market*."""
        return self._host.data_handler.quote(market)

    def net_lots(self, market: ConnectorPair) -> int:
        """Return the signed position of *market*."""
        return self._host.net_lots(market)
