"""How the simulated broker fills orders at quotes and trades."""

from __future__ import annotations

from collections.abc import Mapping

from engine.execution.commission import CommissionModel
from engine.execution.fill_record import FillRecord
from engine.execution.liquidity import Depth, QuoteSide
from engine.execution.live_order import LiveOrder
from engine.execution.market_book import MarketBook
from engine.execution.queue_model import QueueModel
from engine.execution.reasons import ReasonCode
from engine.execution.reports import (
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    OrderReport,
)
from engine.execution.resting_side import RestingSide
from engine.execution.slippage import NoSlippage, SlippageModel, TakerFacts
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Fill, TimeInForce
from engine.model.quotes import TradeTick


class TickFilling:
    """Books of the markets, and what one order does at one price."""

    def __init__(
        self,
        *,
        instruments: Mapping[ConnectorPair, Instrument],
        slippage: SlippageModel,
        commission: CommissionModel,
        depth: Depth,
        extra_ticks: int,
        consume: bool,
        max_fill_lots: int | None,
        queue: QueueModel,
    ) -> None:
        self._books = {
            market: MarketBook(instrument, depth, extra_ticks, consume=consume)
            for market, instrument in instruments.items()
        }
        self._slippage = slippage
        self._slips = not isinstance(slippage, NoSlippage)
        self._commission = commission
        self._has_sizes = depth is Depth.SYNTHETIC
        self._record = FillRecord()
        self._max_fill_lots = max_fill_lots
        self._queue = queue

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
            limit = order.limit_ticks
            if limit is None or book.opposite(order.sign).is_reached(limit):
                self._take(book, order, now_ns, reports)
            else:
                book.rest(order, limit)

    def _take(
        self, book: MarketBook, order: LiveOrder, now_ns: int, reports: list[OrderReport]
    ) -> None:
        """Fill *order* as taker; what a bound holds back goes on, what depth lacks rests."""
        limit = order.limit_ticks
        wanted = self._wanted(book, order, now_ns, reports)
        if not wanted:
            return
        opposite = book.opposite(order.sign)
        if order.request.time_in_force is TimeInForce.FOK and (
            opposite.within(limit, wanted) < order.left_lots
        ):
            self._cancel(book, order, now_ns, ReasonCode.FOK, reports)
            return
        lots, raw = opposite.take(wanted, limit)
        if lots:
            ticks = self._taker_ticks(book, order, raw, lots)
            self._fill(book, order, lots, ticks, now_ns, reports, is_maker=False)
        if order.is_done:
            return
        if order.request.time_in_force is TimeInForce.IOC:
            self._cancel(book, order, now_ns, ReasonCode.IOC, reports)
        elif limit is None or lots == wanted:
            book.takers[order.request.client_order_id] = order
        else:
            book.rest(order, limit)

    def _taker_ticks(self, book: MarketBook, order: LiveOrder, raw: int, lots: int) -> int:
        """Return the price of a taker fill: worse than *raw*, within the limit (COST-1)."""
        if not self._slips:
            return raw
        facts = TakerFacts(book.instrument)
        facts.side, facts.lots, facts.order_seq = order.sign, lots, order.number
        if book.is_quoted:
            facts.spread_ticks = book.ask.ticks - book.bid.ticks
        worse = raw + order.sign * self._slippage.worsening_ticks(raw, facts)
        limit = order.limit_ticks
        if limit is not None:
            worse = min(worse, limit) if order.sign > 0 else max(worse, limit)
        return max(1, worse)

    def _take_trade(
        self, book: MarketBook, order: LiveOrder, trade: TradeTick, reports: list[OrderReport]
    ) -> None:
        """Fill a taker of a market without quotes at a trade."""
        wanted = self._wanted(book, order, trade.ts_ns, reports)
        if not wanted:
            return
        lots = min(wanted, trade.lots) if self._has_sizes else wanted
        ticks = self._taker_ticks(book, order, trade.ticks, lots)
        self._fill(book, order, lots, ticks, trade.ts_ns, reports, is_maker=False)

    def _fill_printed(self, book: MarketBook, trade: TradeTick, reports: list[OrderReport]) -> None:
        """Fill resting limits that *trade* goes through, or reaches in their queue (TICK-3)."""
        left = trade.lots
        for side in (book.buys, book.sells):
            if not side.is_reached(trade.ticks):
                continue
            for order, limit in side.reached(trade.ticks):
                if self._has_sizes and left <= 0:
                    return
                at_price = limit == trade.ticks
                if at_price and not self._queue.is_reached(order, trade):
                    continue
                wanted = self._wanted(book, order, trade.ts_ns, reports)
                if not wanted:
                    continue
                lots = min(wanted, left) if self._has_sizes else wanted
                left -= lots
                self._fill(book, order, lots, limit, trade.ts_ns, reports, is_maker=True)

    def _cancel(
        self,
        book: MarketBook,
        order: LiveOrder,
        now_ns: int,
        code: ReasonCode,
        reports: list[OrderReport],
    ) -> None:
        """End what is left of *order*."""
        book.discard(order)
        order.end(is_cancelled=True)
        reports.append(OrderCancelled(order.request.client_order_id, now_ns, code))

    def _fill_resting(
        self,
        book: MarketBook,
        side: RestingSide,
        quote: QuoteSide,
        now_ns: int,
        reports: list[OrderReport],
        *,
        is_open: bool,
    ) -> None:
        for order, limit in side.reached(quote.ticks):
            wanted = self._wanted(book, order, now_ns, reports)
            if not wanted:
                continue
            lots, _ = quote.take(wanted, limit)
            if not lots:
                return
            ticks = quote.ticks if is_open else limit
            self._fill(book, order, lots, ticks, now_ns, reports, is_maker=True)

    def _wanted(
        self, book: MarketBook, order: LiveOrder, now_ns: int, reports: list[OrderReport]
    ) -> int:
        """Return the lots to fill now; a reduce-only order without a position ends (ORD-3)."""
        wanted = order.left_lots
        if book.may_only_reduce(order.request):
            wanted = min(wanted, book.reducible_lots(order.request))
            if not wanted:
                self._cancel(book, order, now_ns, ReasonCode.REDUCE_ONLY, reports)
        if self._max_fill_lots is not None:
            return min(wanted, self._max_fill_lots)
        return wanted

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
        book.count_fill(request, lots)
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
        self._record.add(fill)
        reports.append(OrderFilled(fill))
        if order.is_done:
            book.discard(order)
        elif book.may_only_reduce(request) and not book.reducible_lots(request):
            self._cancel(book, order, now_ns, ReasonCode.REDUCE_ONLY, reports)
