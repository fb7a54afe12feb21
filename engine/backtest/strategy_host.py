"""Runs the strategies of a backtest: binds them, calls their hooks, collects their signals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from engine.backtest.strategy_seat import StrategySeat, SymbolFeed
from engine.containers.bus import ComponentFailedError, EventBus
from engine.containers.context import ContainerContext
from engine.execution.bar_broker import BarBroker
from engine.execution.bar_order import BarFill, BarOrder, OrderNews
from engine.model.bar_view import BarView
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import (
    STRATEGY_ROLE,
    Fill,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    PositionAction,
    TradeType,
)
from engine.portfolio.bar_account import BarAccount
from engine.strategies.signal_rows import SignalRow, rows_of
from engine.strategies.signals import Signal
from engine.strategies.strategy import Strategy

NEVER: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class SeatedStrategy:
    """A strategy with its id and the indexes of the symbols that it sees."""

    id: str
    strategy: Strategy
    symbols: tuple[int, ...]


class Caller:
    """How one strategy is called for the bars of one symbol."""

    __slots__ = ("feed", "first", "number", "on_bar", "rows", "strategy")

    def __init__(self, number: int, seated: SeatedStrategy, feed: SymbolFeed, first: int) -> None:
        self.number = number
        self.strategy = seated.strategy
        self.feed = feed
        self.first = first
        self.on_bar: Callable[[Any], None] = seated.strategy.on_bar
        self.rows: Mapping[int, list[tuple[SignalRow, str]]] | None = None


class BarStrategyHost:
    """Component ``strategy``: binds strategies to the feeds and gives their signals to the run."""

    def __init__(
        self,
        seated: Sequence[SeatedStrategy],
        *,
        feeds: Sequence[SymbolFeed],
        account: BarAccount,
        decision_bars: Sequence[int],
    ) -> None:
        self.seated = tuple(seated)
        self._feeds = tuple(feeds)
        self._account = account
        self._decision_bars = tuple(decision_bars)
        self.outbox: list[tuple[int, Signal]] = []
        self.callers: tuple[tuple[Caller, ...], ...] = ()
        self.hears_fills: tuple[int, ...] = ()
        self.hears_orders: tuple[int, ...] = ()
        self.sees_slices: tuple[int, ...] = ()
        self._is_started = False
        self._container_id = ""
        self._bus: EventBus | None = None

    @property
    def reusable(self) -> bool:
        """Whether every strategy can be used again."""
        return all(type(one.strategy).reusable for one in self.seated)

    def initialize(self, ctx: ContainerContext) -> None:
        """Bind the strategies to their symbols."""
        self._container_id, self._bus = ctx.container_id, ctx.bus
        self._bind(ctx)

    def start(self) -> None:
        """Let the strategies prepare, and arrange who is called for which bar."""
        for one in self.seated:
            self._call(one, "on_start")
        self._is_started = True
        by_symbol: list[list[Caller]] = [[] for _ in self._feeds]
        for number, one in enumerate(self.seated):
            for symbol in one.symbols:
                by_symbol[symbol].append(self._caller(number, one, symbol))
        self.callers = tuple(tuple(callers) for callers in by_symbol)
        self.hears_fills = self._overriding("on_fill")
        self.hears_orders = self._overriding("on_order")
        self.sees_slices = self._overriding("on_slice")

    def stop(self) -> None:
        """Let the strategies clean up, once."""
        if self._is_started:
            self._is_started = False
            for one in self.seated:
                self._call(one, "on_stop")

    def reset(self) -> None:
        """Forget the run; `start` brings the strategies to their first state."""
        self.outbox.clear()
        self._is_started = False
        for feed in self._feeds:
            feed.cursor.index = -1
            feed.lines.clear()

    def teardown(self) -> None:
        """Let go of strategies and data."""
        self.callers = ()
        self.outbox.clear()
        for one in self.seated:
            one.strategy._context = None  # noqa: SLF001 (the host bound it)
        for feed in self._feeds:
            feed.lines.clear()
        self._bus = None
        self.seated = ()
        self._feeds = ()

    def reseat(self, seated: Sequence[SeatedStrategy], ctx: ContainerContext) -> None:
        """Put new strategies in the place of those of the run before, and bind them."""
        self.seated = tuple(seated)
        self._bind(ctx)

    def _call(self, one: SeatedStrategy, hook: str) -> None:
        """Call a hook of the strategy's beginning or end.

        Raises:
            ComponentFailedError: it raised; the message names the hook (EVT-6).
        """
        try:
            getattr(one.strategy, hook)()
        except (Exception, SystemExit) as error:
            seq = 0 if self._bus is None else self._bus.events_published - 1
            component = f"strategy.{hook}"
            raise ComponentFailedError(
                f"{component} of container {self._container_id} failed at event {seq}: "
                f"{type(error).__name__}: {error}",
                details={
                    "container_id": self._container_id,
                    "seq": seq,
                    "component": component,
                },
                cause=error,
            ) from error

    def _bind(self, ctx: ContainerContext) -> None:
        for number, one in enumerate(self.seated):
            seat = StrategySeat(
                one.strategy,
                [self._feeds[symbol] for symbol in one.symbols],
                account=self._account,
                rng=lambda: ctx.rng,
                outbox=self.outbox,
                number=number,
            )
            one.strategy.bind(seat)

    def _caller(self, number: int, one: SeatedStrategy, symbol: int) -> Caller:
        strategy, feed = one.strategy, self._feeds[symbol]
        start = self._decision_bars[symbol]
        caller = Caller(number, one, feed, max(start, strategy.warmup))
        if type(strategy).on_bar is Strategy.on_bar:
            table = strategy.signals(feed.columns, start=start)
            caller.first = NEVER
            if table is not None:
                rows: dict[int, list[tuple[SignalRow, str]]] = {}
                for row in rows_of(table):
                    rows.setdefault(row.bar, []).append((row, table.tags[row.tag]))
                caller.rows = rows
                caller.first = min(rows, default=NEVER)
        return caller

    def _overriding(self, hook: str) -> tuple[int, ...]:
        base = getattr(Strategy, hook)
        return tuple(
            number
            for number, one in enumerate(self.seated)
            if getattr(type(one.strategy), hook) is not base
        )

    # --- hooks that are rare -----------------------------------------------------------------

    def give_fill(self, fill: BarFill) -> None:
        """Let the strategy that owns a fill see it."""
        number = self._owner(fill.order)
        if number in self.hears_fills:
            instrument = self._feeds[fill.symbol].columns.instrument
            self.seated[number].strategy.on_fill(_fill_of(fill, instrument))

    def give_order(self, news: OrderNews) -> None:
        """Let the strategy that owns an order see its change."""
        number = self._owner(news.order)
        if number in self.hears_orders:
            market = self._feeds[news.order.symbol].market
            self.seated[number].strategy.on_order(_order_of(news.order, market))

    def give_slice(self, bars: Mapping[int, BarView]) -> None:
        """Let strategies see the bars of one instant together (TIME-2)."""
        for number in self.sees_slices:
            one = self.seated[number]
            seen = {
                self._feeds[symbol].market: bar
                for symbol, bar in bars.items()
                if symbol in one.symbols
            }
            if seen:
                one.strategy.on_slice(MappingProxyType(seen))

    def _owner(self, order: BarOrder) -> int:
        owner = order if order.parent is None else order.parent
        for number, one in enumerate(self.seated):
            if one.id == owner.owner:
                return number
        return -1


def own_orders(broker: BarBroker, symbol: int, owner: str, tag: str) -> list[BarOrder]:
    """Return the working orders of *owner* with *tag*, oldest first."""
    return [
        order
        for order in list(broker.books[symbol].orders)
        if order.owner == owner and order.tag == tag and order.is_open
    ]


def _request_of(order: BarOrder, market: ConnectorPair) -> OrderRequest:
    return OrderRequest(
        client_order_id=order.client_id,
        market=market,
        side=TradeType.BUY if order.side > 0 else TradeType.SELL,
        order_type=OrderType.MARKET if order.limit is None else OrderType.LIMIT,
        lots=order.lots,
        limit_ticks=order.limit,
        position_action=PositionAction.NIL,
        leverage=1,
        owner_id=order.owner,
        role=STRATEGY_ROLE,
        reduce_only=order.reduce_only,
    )


def _order_of(order: BarOrder, market: ConnectorPair) -> Order:
    return Order(
        _request_of(order, market),
        order.seq,
        OrderStatus(order.state),
        order.ts_created,
        order.ts_updated,
        order.reason,
        order.filled_lots,
        order.notional_atoms,
        order.fee_atoms,
    )


def _fill_of(fill: BarFill, instrument: Instrument) -> Fill:
    order = fill.order
    return Fill(
        fill_id=str(fill.number),
        client_order_id=order.client_id,
        owner_id=order.owner,
        role=STRATEGY_ROLE,
        market=instrument.market,
        side=TradeType.BUY if fill.side > 0 else TradeType.SELL,
        lots=fill.lots,
        ticks=fill.ticks,
        notional_atoms=instrument.notional_atoms(fill.ticks, fill.lots),
        fee_atoms=fill.fee_atoms,
        is_maker=fill.is_maker,
        ts_ns=fill.ts,
    )
