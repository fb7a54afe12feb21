"""The broker of a backtest or paper session: matches orders against quotes (backtest.md 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import Final

from engine.execution.commission import CommissionModel
from engine.execution.liquidity import Depth, QuoteSide
from engine.execution.live_order import LiveOrder
from engine.execution.market_book import MarketBook
from engine.execution.reasons import ReasonCode
from engine.execution.reports import (
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    OrderReport,
)
from engine.execution.resting_side import RestingSide
from engine.execution.slippage import SlippageModel
from engine.flow.errors import ExistsError
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Fill, OrderRequest, OrderType
from engine.model.quotes import QuoteTick

_NOTHING: Final[tuple[OrderReport, ...]] = ()


class SimulatedBroker:
    """Fills orders at quotes, exactly and deterministically; no clock, no luck, no I/O.

    With no latency an order that is submitted while a quote is handled trades with that quote at
    once. MARKET buys at the ask and sells at the bid. A LIMIT that reaches the opposite quote on
    arrival takes it; one that rests fills at its limit, as maker, when the opposite quote reaches
    it. Resting orders fill by price, then arrival; takers with something left come first, buys
    before sells.

    Args:
        instruments: the markets that can be traded.
        slippage: worsens taker fills, never beyond the order's limit (COST-1).
        commission: charges fills.
        depth: what lies behind the displayed size.
        extra_ticks: step of the synthetic depth, 1 or more.
        max_fill_lots: most that one order gets from one quote; None for no bound.
        latency_ns: from an order's creation to its arrival (TICK-4).
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
    ) -> None:
        self._books = {
            market: MarketBook(instrument, depth, extra_ticks)
            for market, instrument in instruments.items()
        }
        self._slippage = slippage
        self._commission = commission
        self._max_fill_lots = max_fill_lots
        self._latency_ns = latency_ns
        self._orders: dict[str, LiveOrder] = {}
        self._travelling: list[tuple[int, int, LiveOrder]] = []
        self._submitted = 0

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
        order = LiveOrder(request)
        self._orders[request.client_order_id] = order
        self._submitted += 1
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

    def on_quote(self, quote: QuoteTick) -> Sequence[OrderReport]:
        """Take a quote; one that fills nothing costs O(1).

        Orders that arrived before it trade with the quote before; those that arrive at its very
        time come after it (TICK-4).

        Raises:
            KeyError: the market cannot be traded here.
        """
        book = self._books[quote.market]
        reports: list[OrderReport] = []
        if self._travelling:
            self._land(quote.ts_ns - 1, reports)
        book.is_quoted = True
        book.ask.update(quote.ask_ticks, quote.ask_lots)
        book.bid.update(quote.bid_ticks, quote.bid_lots)
        if book.takers:
            self._work_takers(book, quote.ts_ns, reports)
        if book.buys.is_reached(quote.ask_ticks):
            self._fill_resting(book, book.buys, book.ask, quote.ts_ns, reports)
        if book.sells.is_reached(quote.bid_ticks):
            self._fill_resting(book, book.sells, book.bid, quote.ts_ns, reports)
        if self._travelling:
            self._land(quote.ts_ns, reports)
        return reports

    def on_time(self, now_ns: int) -> Sequence[OrderReport]:
        """Let orders arrive that are due at *now_ns* without a quote."""
        reports: list[OrderReport] = []
        self._land(now_ns, reports)
        return reports

    def next_arrival_ns(self) -> int | None:
        """Return when the next travelling order arrives, None if none travels."""
        while self._travelling and self._travelling[0][2].is_done:
            heappop(self._travelling)
        return self._travelling[0][0] if self._travelling else None

    def open_orders(self) -> tuple[OrderRequest, ...]:
        """Return the requests of the orders that can still fill, by arrival of the request."""
        return tuple(order.request for order in self._orders.values() if not order.is_done)

    def net_lots(self, market: ConnectorPair) -> int:
        """Return the signed position that the fills of this broker made.

        Raises:
            KeyError: the market cannot be traded here.
        """
        return self._books[market].net_lots

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

    def _arrive(self, order: LiveOrder, now_ns: int, reports: list[OrderReport]) -> None:
        request = order.request
        book = self._books.get(request.market)
        if book is None:
            text = f"{request.market} cannot be traded here"
            self._reject(order, now_ns, ReasonCode.UNKNOWN_SYMBOL, text, reports)
            return
        limit = request.limit_ticks
        crosses = book.is_quoted and (limit is None or book.opposite(order.sign).is_reached(limit))
        if limit is None and not crosses:
            text = f"{request.market} has no quote yet; a MARKET order needs one"
            self._reject(order, now_ns, ReasonCode.NO_QUOTE, text, reports)
            return
        if request.order_type is OrderType.LIMIT_MAKER and limit is not None and crosses:
            opposite = book.opposite(order.sign).ticks
            text = (
                f"{request.side.name} at {book.instrument.price(limit)} would take the quote at "
                f"{book.instrument.price(opposite)}"
            )
            self._reject(order, now_ns, ReasonCode.POST_ONLY_CROSSES, text, reports)
            return
        reports.append(OrderAccepted(request.client_order_id, now_ns))
        if limit is None or crosses:
            self._take(book, order, now_ns, reports)
        else:
            book.resting(order.sign).add(order, limit)

    def _reject(
        self,
        order: LiveOrder,
        now_ns: int,
        code: ReasonCode,
        text: str,
        reports: list[OrderReport],
    ) -> None:
        order.end(is_cancelled=False)
        reports.append(OrderRejected(order.request.client_order_id, now_ns, code, text))

    def _work_takers(self, book: MarketBook, now_ns: int, reports: list[OrderReport]) -> None:
        for order in tuple(book.takers.values()):
            del book.takers[order.request.client_order_id]
            limit = order.request.limit_ticks
            if limit is None or book.opposite(order.sign).is_reached(limit):
                self._take(book, order, now_ns, reports)
            else:
                book.resting(order.sign).add(order, limit)

    def _take(
        self, book: MarketBook, order: LiveOrder, now_ns: int, reports: list[OrderReport]
    ) -> None:
        """Fill *order* as taker; what a bound holds back goes on, what depth lacks rests."""
        limit = order.request.limit_ticks
        wanted = self._wanted(book, order, now_ns, reports)
        if not wanted:
            return
        lots, raw = book.opposite(order.sign).take(wanted, limit)
        if lots:
            worse = raw + order.sign * self._slippage.worsening_ticks(raw)
            if limit is not None:
                worse = min(worse, limit) if order.sign > 0 else max(worse, limit)
            self._fill(book, order, lots, max(1, worse), now_ns, reports, is_maker=False)
        if order.is_done:
            return
        if limit is None or lots == wanted:
            book.takers[order.request.client_order_id] = order
        else:
            book.resting(order.sign).add(order, limit)

    def _fill_resting(
        self,
        book: MarketBook,
        side: RestingSide,
        quote: QuoteSide,
        now_ns: int,
        reports: list[OrderReport],
    ) -> None:
        for order, limit in side.reached(quote.ticks):
            wanted = self._wanted(book, order, now_ns, reports)
            if not wanted:
                continue
            lots, _ = quote.take(wanted, limit)
            if not lots:
                return
            self._fill(book, order, lots, limit, now_ns, reports, is_maker=True)

    def _wanted(
        self, book: MarketBook, order: LiveOrder, now_ns: int, reports: list[OrderReport]
    ) -> int:
        """Return the lots to fill now; a reduce-only order without a position ends (ORD-3)."""
        wanted = order.left_lots
        if order.request.reduce_only:
            wanted = min(wanted, max(0, -order.sign * book.net_lots))
            if not wanted:
                self._end_reduce_only(book, order, now_ns, reports)
        if self._max_fill_lots is not None:
            return min(wanted, self._max_fill_lots)
        return wanted

    def _end_reduce_only(
        self, book: MarketBook, order: LiveOrder, now_ns: int, reports: list[OrderReport]
    ) -> None:
        book.discard(order)
        order.end(is_cancelled=True)
        client_order_id = order.request.client_order_id
        reports.append(OrderCancelled(client_order_id, now_ns, ReasonCode.REDUCE_ONLY))

    def _fill(
        self,
        book: MarketBook,
        order: LiveOrder,
        lots: int,
        ticks: int,
        now_ns: int,
        reports: list[OrderReport],
        *,
        is_maker: bool,
    ) -> None:
        request = order.request
        notional = book.instrument.notional_atoms(ticks, lots)
        fee = self._commission.fee_atoms(
            book.instrument, order.charged, notional, is_maker=is_maker, lots=lots
        )
        order.accept_fill(lots=lots, notional_atoms=notional, fee_atoms=fee)
        book.net_lots += order.sign * lots
        fill = Fill(
            fill_id=f"{request.client_order_id}-F{order.charged.fills}",
            client_order_id=request.client_order_id,
            owner_id=request.owner_id,
            role=request.role,
            market=request.market,
            side=request.side,
            lots=lots,
            ticks=ticks,
            notional_atoms=notional,
            fee_atoms=fee,
            is_maker=is_maker,
            ts_ns=now_ns,
        )
        reports.append(OrderFilled(fill))
        if order.is_done:
            book.discard(order)
        elif request.reduce_only and order.sign * book.net_lots >= 0:
            self._end_reduce_only(book, order, now_ns, reports)
