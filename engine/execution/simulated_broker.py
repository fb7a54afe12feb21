"""The broker of a backtest or paper session: matches orders against quotes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal
from heapq import heappop, heappush
from typing import Final

from engine.execution.broker import BrokerHealth
from engine.execution.commission import CommissionModel
from engine.execution.liquidity import Depth
from engine.execution.live_order import LiveOrder
from engine.execution.market_book import MarketBook
from engine.execution.queue_model import QueueModel
from engine.execution.reasons import ReasonCode
from engine.execution.reports import (
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderReport,
)
from engine.execution.slippage import SlippageModel
from engine.execution.tick_filling import TickFilling
from engine.execution.trigger_book import TriggerBasis, TriggerBook
from engine.flow.errors import ExistsError
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Fill, OrderRequest, OrderType, TimeInForce, TriggerKind
from engine.model.quotes import BarPoint, QuoteTick, TradeTick

_NOTHING: Final[tuple[OrderReport, ...]] = ()
_TYPES: Final = (
    *("MARKET", "LIMIT", "LIMIT_MAKER"),
    *(f"{kind.name}_{name}" for kind in TriggerKind for name in ("MARKET", "LIMIT")),
)
"""Order types; one with a trigger is named after both, as STOP_MARKET."""


class SimulatedBroker(TickFilling):
    """Fills orders at quotes, exactly and deterministically; no clock, no luck, no I/O.

    With no latency an order that is submitted while a quote is handled trades with that quote at
    once. MARKET buys at the ask and sells at the bid. A LIMIT that reaches the opposite quote on
    arrival takes it; one that rests fills at its limit, as maker, when the opposite quote reaches
    it; at the open of a bar, to which the market may have jumped, it gets the quote if that is
    better. What arrives at the close of a bar waits for the next quote. Resting orders fill by
    price, then arrival; takers with something left come first, buys before sells.

    Args:
        instruments: the markets that can be traded.
        slippage: worsens taker fills, never beyond the order's limit (COST-1).
        commission: charges fills.
        depth: what lies behind the displayed size.
        extra_ticks: step of the synthetic depth, 1 or more.
        max_fill_lots: most that one order gets from one quote; None for no bound.
        latency_ns: from an order's creation to its arrival (TICK-4).
        consume: whether a displayed size can be had once only until the next quote (TICK-5).
        trigger: which price sets off stops; None: trades if there are any, else bid and ask.
        queue: what a trade at the price of a resting limit does (TICK-3).
    """

    def __init__(
        self,
        *,
        instruments: Mapping[ConnectorPair, Instrument],
        slippage: SlippageModel,
        commission: CommissionModel,
        depth: Depth = Depth.INFINITE,
        extra_ticks: int = 1,
        max_fill_lots: int | None = None,
        latency_ns: int = 0,
        consume: bool = True,
        trigger: TriggerBasis | None = None,
        queue: QueueModel | None = None,
    ) -> None:
        super().__init__(
            instruments=instruments,
            slippage=slippage,
            commission=commission,
            depth=depth,
            extra_ticks=extra_ticks,
            consume=consume,
            max_fill_lots=max_fill_lots,
            queue=queue or QueueModel(),
        )
        self._trigger_basis = trigger
        self._latency_ns = latency_ns
        self._orders: dict[str, LiveOrder] = {}
        self._travelling: list[tuple[int, int, LiveOrder]] = []
        self._ending: list[tuple[int, int, LiveOrder]] = []
        self._submitted = 0
        self._owed: list[OrderReport] = []
        """What a replaced order has led to, told with the next news."""

    def submit(self, request: OrderRequest, *, now_ns: int) -> Sequence[OrderReport]:
        """Take an order; the same request again does nothing.

        Raises:
            ExistsError: another order has the client id.
        """
        known = self._orders.get(request.client_order_id)
        if known is not None:
            if known.request == request:
                return _NOTHING
            raise ExistsError(f"the broker has another order {request.client_order_id!r}")
        self._submitted += 1
        order = LiveOrder(request, self._submitted)
        self._orders[request.client_order_id] = order
        if request.time_in_force is TimeInForce.GTD:
            heappush(self._ending, (request.expire_ns, self._submitted, order))
        if self._latency_ns:
            heappush(self._travelling, (now_ns + self._latency_ns, self._submitted, order))
            return _NOTHING
        reports: list[OrderReport] = []
        self._arrive(order, now_ns, reports)
        return reports

    def cancel(self, client_order_id: str, *, now_ns: int) -> Sequence[OrderReport]:
        """Cancel what is left of an order.

        An order that is cancelled already reports nothing; one that is unknown, filled or
        rejected reports a `CancelRejected`.
        """
        order = self._orders.get(client_order_id)
        if order is None:
            return (CancelRejected(client_order_id, now_ns, ReasonCode.UNKNOWN_ORDER),)
        if order.is_done:
            if order.is_cancelled:
                return _NOTHING
            return (CancelRejected(client_order_id, now_ns, ReasonCode.ORDER_DONE),)
        self._books[order.request.market].discard(order)
        order.end(is_cancelled=True)
        return (OrderCancelled(client_order_id, now_ns, ReasonCode.USER),)

    def replace(
        self, client_order_id: str, *, lots: int, limit_ticks: int | None, now_ns: int
    ) -> bool:
        """Change size and limit of an order (ORD-6); False: there is nothing to change.

        A new price, or a larger size, goes to the end of the queue; a smaller size keeps its place;
        one that has been filled already cancels the rest. What comes of it at once is told with
        the next quote, trade or time.

        Args:
            client_order_id: which order.
            lots: its new size, filled ones included.
            limit_ticks: its new limit; an order without one, or with a trigger, keeps what it has.
            now_ns: the time.
        """
        order = self._orders.get(client_order_id)
        if order is None or order.is_done:
            return False
        old = order.request
        is_moved = limit_ticks != old.limit_ticks
        if is_moved and (None in (limit_ticks, old.limit_ticks) or old.trigger is not None):
            return False
        book = self._books[old.market]
        filled = order.charged.filled_lots
        if lots <= filled:
            self._cancel(book, order, now_ns, ReasonCode.USER, self._owed)
            return True
        order.request = dataclasses.replace(old, lots=lots, limit_ticks=limit_ticks)
        order.left_lots = lots - filled
        is_resting = order.limit_ticks is not None and book.resting(order.sign).holds(
            order, order.limit_ticks
        )
        if is_resting and (is_moved or lots > old.lots):
            book.discard(order)
            self._submitted += 1
            order.number = self._submitted
            order.limit_ticks = limit_ticks
            self._start(book, order, now_ns, self._owed)
        elif is_moved:
            order.limit_ticks = limit_ticks
        return True

    def _take_owed(self) -> list[OrderReport]:
        if not self._owed:
            return []
        owed, self._owed = self._owed, []
        return owed

    def on_market(self, data: QuoteTick | TradeTick) -> Sequence[OrderReport]:
        """Take market data, whichever it is."""
        return self.on_trade(data) if isinstance(data, TradeTick) else self.on_quote(data)

    def positions(self) -> dict[ConnectorPair, int]:
        """Return the signed positions that the fills of this broker made, by market."""
        return {market: book.net_lots for market, book in self._books.items() if book.net_lots}

    def balances(self) -> dict[str, Decimal]:
        """Return the cash that the fills of this broker moved: notional and fees, by asset.

        Money itself is the portfolio's; a derivative's notional moves none there.
        """
        instrument = next(iter(self._books.values())).instrument
        return {asset: instrument.money(atoms) for asset, atoms in self._record.flows.items()}

    def fills(self, since: int = 0) -> tuple[Fill, ...]:
        """Return the fills from number *since* on; the last thousand are kept."""
        return self._record.since(since)

    def capabilities(self) -> dict[str, tuple[str, ...] | bool]:
        """Return types, times in force and features; brackets are the container's."""
        return {
            "types": _TYPES,
            "tifs": ("GTC", "IOC", "FOK", "GTD"),
            "brackets": False,
            "reduce_only": True,
            "replace": True,
        }

    def connect(self) -> None:
        """Do nothing: there is nothing outside to connect to."""

    def close(self) -> None:
        """Do nothing: there is nothing outside to disconnect from."""

    def health(self) -> BrokerHealth:
        """Return HEALTHY: it has no venue that could fail."""
        return BrokerHealth.HEALTHY

    def on_quote(self, quote: QuoteTick) -> Sequence[OrderReport]:
        """Take a quote; one that fills nothing costs O(1).

        Orders that arrived before it trade with the quote before; those that arrive at its very
        time come after it (TICK-4).

        Raises:
            KeyError: the market cannot be traded here.
        """
        book = self._books[quote.market]
        reports = self._take_owed()
        if self._travelling:
            self._land(quote.ts_ns - 1, reports)
        if self._ending:
            self._expire(quote.ts_ns, reports)
        book.is_quoted = True
        book.is_closed = False
        is_open = quote.bar_point is BarPoint.OPEN
        book.ask.update(quote.ask_ticks, quote.ask_lots)
        book.bid.update(quote.bid_ticks, quote.bid_lots)
        if book.takers:
            self._work_takers(book, quote.ts_ns, reports)
        if book.triggers is not None:
            self._pull(book, quote.ts_ns, reports)
        if book.buys.is_reached(quote.ask_ticks):
            self._fill_resting(book, book.buys, book.ask, quote.ts_ns, reports, is_open=is_open)
        if book.sells.is_reached(quote.bid_ticks):
            self._fill_resting(book, book.sells, book.bid, quote.ts_ns, reports, is_open=is_open)
        if quote.bar_point is BarPoint.CLOSE:
            book.is_closed = True
        if self._travelling:
            self._land(quote.ts_ns, reports)
        return reports

    def on_trade(self, trade: TradeTick) -> Sequence[OrderReport]:
        """Take a trade of the market: it triggers stops and reaches resting limits.

        Raises:
            KeyError: the market cannot be traded here.
        """
        book = self._books[trade.market]
        reports = self._take_owed()
        self._land(trade.ts_ns - 1, reports)
        self._expire(trade.ts_ns, reports)
        book.last_ticks = trade.ticks
        if book.triggers is not None:
            self._pull(book, trade.ts_ns, reports)
        if book.takers and not book.is_quoted:
            for order in tuple(book.takers.values()):
                self._take_trade(book, order, trade, reports)
        self._fill_printed(book, trade, reports)
        self._land(trade.ts_ns, reports)
        return reports

    def on_time(self, now_ns: int) -> Sequence[OrderReport]:
        """Let orders arrive, and end, that are due at *now_ns* without a quote."""
        reports = self._take_owed()
        self._land(now_ns, reports)
        self._expire(now_ns, reports)
        return reports

    def next_arrival_ns(self) -> int | None:
        """Return when the next order arrives or ends, None if no time is awaited."""
        due = []
        for waiting in (self._travelling, self._ending):
            while waiting and waiting[0][2].is_done:
                heappop(waiting)
            if waiting:
                due.append(waiting[0][0])
        return min(due, default=None)

    def resting_prices(self, market: ConnectorPair) -> tuple[int | None, int | None] | None:
        """Return the highest resting buy and the lowest resting sell of *market*.

        Only a quote that reaches one of them does anything here. None: any quote may.

        Raises:
            KeyError: the market cannot be traded here.
        """
        book = self._books[market]
        if book.takers or book.triggers or self._owed or self.next_arrival_ns() is not None:
            return None
        buys, sells = book.buys.keys, book.sells.keys
        return (buys[-1] if buys else None), (-sells[-1] if sells else None)

    def open_orders(self) -> tuple[OrderRequest, ...]:
        """Return the requests of the orders that can still fill, by arrival of the request."""
        return tuple(order.request for order in self._orders.values() if not order.is_done)

    def net_lots(self, market: ConnectorPair) -> int:
        """Return the signed position that the fills of this broker made.

        Raises:
            KeyError: the market cannot be traded here.
        """
        return self._books[market].net_lots

    def take_over(self, market: ConnectorPair, lots: int) -> None:
        """Count a position of signed *lots* that exists without a fill of this broker.

        Raises:
            KeyError: the market cannot be traded here.
        """
        self._books[market].add_lots(lots)

    def take_fill(self, fill: Fill) -> None:
        """Count a fill of an order here that was made elsewhere: as much less is left of it.

        Raises:
            KeyError: the market cannot be traded here.
        """
        book, order = self._books[fill.market], self._orders.get(fill.client_order_id)
        if order is None:
            return
        book.count_fill(order.request, fill.lots)
        if order.is_done:
            return
        order.accept_fill(
            lots=min(fill.lots, order.left_lots),
            notional_atoms=fill.notional_atoms,
            fee_atoms=fill.fee_atoms,
        )
        if order.is_done:
            book.discard(order)

    def forget(self, client_order_id: str) -> None:
        """Drop a done order; an open or unknown one is left alone."""
        order = self._orders.get(client_order_id)
        if order is not None and order.is_done:
            del self._orders[client_order_id]

    def _land(self, until_ns: int, reports: list[OrderReport]) -> None:
        while self._travelling and self._travelling[0][0] <= until_ns:
            arrival_ns, _, order = heappop(self._travelling)
            if not order.is_done:
                self._arrive(order, arrival_ns, reports)

    def _expire(self, until_ns: int, reports: list[OrderReport]) -> None:
        """End the GTD orders whose time is over."""
        while self._ending and self._ending[0][0] <= until_ns:
            expire_ns, _, order = heappop(self._ending)
            if order.is_done:
                continue
            book = self._books.get(order.request.market)
            if book is not None:
                book.discard(order)
            order.end(is_cancelled=True)
            client_order_id = order.request.client_order_id
            reports.append(OrderExpired(client_order_id, expire_ns, ReasonCode.GTD))

    def _arrive(self, order: LiveOrder, now_ns: int, reports: list[OrderReport]) -> None:
        request = order.request
        book = self._books.get(request.market)
        if book is None:
            text = f"{request.market} cannot be traded here"
            self._reject(order, now_ns, ReasonCode.UNKNOWN_SYMBOL, text, reports)
            return
        if request.trigger is not None:
            self._await_trigger(book, order, now_ns, reports)
            return
        if order.limit_ticks is None and not book.is_quoted and book.last_ticks is None:
            text = f"{request.market} has no quote yet; a MARKET order needs one"
            self._reject(order, now_ns, ReasonCode.NO_QUOTE, text, reports)
            return
        if not self._crosses_as_maker(book, order, now_ns, reports):
            reports.append(OrderAccepted(request.client_order_id, now_ns))
            self._start(book, order, now_ns, reports)

    def _crosses_as_maker(
        self, book: MarketBook, order: LiveOrder, now_ns: int, reports: list[OrderReport]
    ) -> bool:
        """Refuse a post-only order that would take; return whether it did."""
        limit = order.limit_ticks
        if order.request.order_type is not OrderType.LIMIT_MAKER or limit is None:
            return False
        opposite = book.opposite(order.sign)
        if not (book.is_quoted and opposite.is_reached(limit)):
            return False
        text = (
            f"{order.request.side.name} at {book.instrument.price(limit)} would take the quote at "
            f"{book.instrument.price(opposite.ticks)}"
        )
        self._reject(order, now_ns, ReasonCode.POST_ONLY_CROSSES, text, reports)
        return True

    def _start(
        self, book: MarketBook, order: LiveOrder, now_ns: int, reports: list[OrderReport]
    ) -> None:
        """Let an order act as its type says: take what it can, rest, or wait for a price."""
        limit = order.limit_ticks
        is_tradable = book.is_quoted and not book.is_closed
        if is_tradable and (limit is None or book.opposite(order.sign).is_reached(limit)):
            self._take(book, order, now_ns, reports)
        elif limit is None:
            book.takers[order.request.client_order_id] = order
        elif order.request.time_in_force is TimeInForce.IOC:
            self._cancel(book, order, now_ns, ReasonCode.IOC, reports)
        elif order.request.time_in_force is TimeInForce.FOK:
            self._cancel(book, order, now_ns, ReasonCode.FOK, reports)
        else:
            book.rest(order, limit)

    def _await_trigger(
        self, book: MarketBook, order: LiveOrder, now_ns: int, reports: list[OrderReport]
    ) -> None:
        """Accept an order that waits for a price, or acts at once if that is there already."""
        reports.append(OrderAccepted(order.request.client_order_id, now_ns))
        if book.triggers is None:
            book.triggers = TriggerBook()
        references = self._references(book)
        reference = None
        if references is not None:
            reference = references[0] if order.sign > 0 else references[1]
        book.triggers.add(order, reference)
        if references is not None:
            self._pull(book, now_ns, reports)

    def _references(self, book: MarketBook) -> tuple[int, int] | None:
        """Return what triggers of buys and of sells look at, in half ticks (TICK-2)."""
        basis = self._trigger_basis
        if basis is None:
            basis = TriggerBasis.BID_ASK if book.last_ticks is None else TriggerBasis.LAST
        if basis is TriggerBasis.LAST:
            return None if book.last_ticks is None else (2 * book.last_ticks, 2 * book.last_ticks)
        if not book.is_quoted:
            return None
        if basis is TriggerBasis.MID:
            mid = book.bid.ticks + book.ask.ticks
            return mid, mid
        return 2 * book.ask.ticks, 2 * book.bid.ticks

    def _pull(self, book: MarketBook, now_ns: int, reports: list[OrderReport]) -> None:
        """Set off the orders whose trigger is reached; the others follow the price."""
        references = self._references(book)
        triggers = book.triggers
        if references is None or triggers is None:
            return
        for order in triggers.reached(*references):
            triggers.discard(order)
            trigger = order.request.trigger
            if trigger is not None and trigger.limit_offset_ticks is not None:
                price = (references[0] if order.sign > 0 else references[1]) // 2
                order.limit_ticks = price + order.sign * trigger.limit_offset_ticks
            if not self._crosses_as_maker(book, order, now_ns, reports):
                self._start(book, order, now_ns, reports)
        triggers.follow(*references)
