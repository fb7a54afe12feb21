"""A venue and an account for tests of executors: every answer is scripted, nothing is random."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from engine.executors.orchestrator import ExecutorOrchestrator
from engine.executors.step import Intent
from engine.model.clock import SimulatedClock
from engine.model.draws import mix
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import (
    CancelRequest,
    Fill,
    Order,
    OrderQuery,
    OrderRequest,
    OrderStatus,
    TradeType,
)
from engine.model.quotes import QuoteTick


class ScriptedVenue:
    """The ``ExecutorStrategy`` of a test, and the venue that answers to its orders.

    With ``is_matching`` orders fill by the newest quote: MARKET at the touch, limits at their own
    price once the quote reaches them, at most ``fill_cap_lots`` for each order and quote. Without
    it the test calls ``fill``, ``cancel`` and ``reject``. ``rejections`` refuses that many of the
    next orders; ``is_deaf`` swallows cancels.
    """

    def __init__(self, instruments: Iterable[Instrument], *, seed: int = 1) -> None:
        self.clock = SimulatedClock(1_000 * 1_000_000_000)
        self.instruments = {item.market: item for item in instruments}
        self.quotes: dict[ConnectorPair, QuoteTick] = {}
        self.orders: dict[str, Order] = {}
        self.fills: list[Fill] = []
        self.cancels: list[CancelRequest] = []
        self.queries: list[OrderQuery] = []
        self.events: deque[Order | Fill] = deque()
        self.is_matching = True
        self.is_deaf = False
        self.is_funded = True
        self.rejections = 0
        self.fill_cap_lots: int | None = None
        self._seed = seed
        self._draws = 0

    def now_ns(self) -> int:
        """Return the scripted time."""
        return self.clock.now_ns()

    def instrument(self, market: ConnectorPair) -> Instrument:
        """Return the instrument of *market*, KeyError if there is none."""
        return self.instruments[market]

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        """Return the newest quote."""
        return self.quotes.get(market)

    def is_affordable(self, request: OrderRequest, reference_ticks: int) -> bool:
        """Return ``is_funded``."""
        del request, reference_ticks
        return self.is_funded

    def next_order_id(self) -> str:
        """Return O-1, O-2, ..."""
        self._draws += 1
        return f"O-{self._draws}"

    def random_bits(self) -> int:
        """Return 64 bits that depend on the seed and on how many were drawn."""
        self._draws += 1
        return mix(mix(self._seed) ^ self._draws)

    def set_quote(self, market: ConnectorPair, bid_ticks: int, ask_ticks: int) -> QuoteTick:
        """Make a new quote the newest one and let resting orders meet it."""
        quote = QuoteTick(market, self.now_ns(), bid_ticks, ask_ticks, 10**9, 10**9)
        self.quotes[market] = quote
        if self.is_matching:
            for order in tuple(self.orders.values()):
                if order.is_open and order.request.market == market:
                    self._match(order)
        return quote

    def carry_out(self, intent: Intent) -> None:
        """Do what an executor wants."""
        if isinstance(intent, CancelRequest):
            self.cancels.append(intent)
            if not self.is_deaf:
                self.cancel(intent.client_order_id)
            return
        if isinstance(intent, OrderQuery):
            self.queries.append(intent)
            return
        order = Order(
            intent, len(self.orders) + 1, OrderStatus.ROUTED, self.now_ns(), self.now_ns()
        )
        self.orders[intent.client_order_id] = order
        if self.rejections:
            self.rejections -= 1
            self.reject(intent.client_order_id)
            return
        self.events.append(order)
        if self.is_matching:
            self._match(order)

    def live(self) -> list[Order]:
        """Return the orders that can still fill."""
        return [order for order in self.orders.values() if order.is_open]

    def last(self, role: str) -> Order:
        """Return the newest order of *role*; IndexError if there is none."""
        return [order for order in self.orders.values() if order.request.role == role][-1]

    def fill(
        self,
        order_id: str,
        lots: int,
        ticks: int,
        *,
        fee_atoms: int = 0,
        fee_base_lots: int = 0,
    ) -> Fill:
        """Fill *lots* of an order at *ticks*, also of one that is cancelled already."""
        order = self.orders[order_id]
        request = order.request
        notional = self.instruments[request.market].notional_atoms(ticks, lots)
        fill = Fill(
            f"F-{len(self.fills) + 1}",
            order_id,
            request.owner_id,
            request.role,
            request.market,
            request.side,
            lots,
            ticks,
            notional,
            fee_atoms,
            is_maker=request.order_type.is_limit_type,
            ts_ns=self.now_ns(),
            fee_base_lots=fee_base_lots,
        )
        filled = order.filled_lots + lots
        status = OrderStatus.FILLED if filled >= request.lots else OrderStatus.PARTIAL
        self._change(
            replace(
                order,
                status=order.status if order.status.is_terminal else status,
                filled_lots=filled,
                filled_atoms=order.filled_atoms + notional,
                fee_atoms=order.fee_atoms + fee_atoms,
            )
        )
        self.fills.append(fill)
        self.events.append(fill)
        return fill

    def cancel(self, order_id: str, reason: str = "cancelled") -> None:
        """Cancel what is left of an order; one that has ended stays as it is."""
        order = self.orders[order_id]
        if order.is_open:
            self._change(replace(order, status=OrderStatus.CANCELLED, reason=reason))

    def reject(self, order_id: str, reason: str = "no margin") -> None:
        """Refuse an order."""
        self._change(replace(self.orders[order_id], status=OrderStatus.REJECTED, reason=reason))

    def _change(self, order: Order) -> None:
        order = replace(order, updated_ns=self.now_ns())
        self.orders[order.request.client_order_id] = order
        self.events.append(order)

    def _match(self, order: Order) -> None:
        request = order.request
        quote = self.quotes.get(request.market)
        if quote is None:
            return
        is_buy = request.side is TradeType.BUY
        touch = quote.ask_ticks if is_buy else quote.bid_ticks
        limit = request.limit_ticks
        if limit is not None and (touch > limit if is_buy else touch < limit):
            return
        ticks = touch if limit is None else limit
        lots = order.remaining_lots
        if self.fill_cap_lots is not None:
            lots = min(lots, self.fill_cap_lots)
        instrument = self.instruments[request.market]
        fee = instrument.fee_atoms(
            instrument.notional_atoms(ticks, lots), is_maker=limit is not None
        )
        self.fill(request.client_order_id, lots, ticks, fee_atoms=fee)


class Desk:
    """An orchestrator at a scripted venue, driven by quotes and by the clock."""

    def __init__(self, venue: ScriptedVenue, orchestrator: ExecutorOrchestrator) -> None:
        self.venue = venue
        self.orchestrator = orchestrator

    def pump(self) -> None:
        """Carry out intents and deliver the venue's events until nothing moves."""
        while True:
            intents = self.orchestrator.take_intents()
            for intent in intents:
                self.venue.carry_out(intent)
            if not self.venue.events and not intents:
                return
            while self.venue.events:
                self.deliver(self.venue.events.popleft())

    def deliver(self, event: Order | Fill) -> None:
        """Give one event of the venue to the orchestrator."""
        if isinstance(event, Fill):
            self.orchestrator.on_fill(event)
        else:
            self.orchestrator.on_order_update(event)

    def quote(self, market: ConnectorPair, bid_ticks: int, ask_ticks: int | None = None) -> None:
        """Publish a quote (ask = bid if omitted) and let everything settle."""
        quote = self.venue.set_quote(
            market, bid_ticks, bid_ticks if ask_ticks is None else ask_ticks
        )
        self.pump()
        self.orchestrator.on_quote(quote)
        self.pump()

    def advance(self, seconds: float) -> None:
        """Move the clock, stopping at every instant that the orchestrator waits for."""
        end_ns = self.venue.now_ns() + int(seconds * 1_000_000_000)
        while True:
            due_ns = self.orchestrator.next_wake_ns()
            if due_ns is None or due_ns > end_ns:
                break
            self.venue.clock.advance_to(due_ns)
            self.orchestrator.on_time(self.venue.now_ns())
            self.pump()
        self.venue.clock.advance_to(end_ns)
        self.orchestrator.on_time(end_ns)
        self.pump()
