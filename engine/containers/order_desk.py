"""The way of an order through the container: risk manager, order manager, broker, portfolio."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from engine.containers.bus import BusEvent, BusKind, EventBus
from engine.containers.context import ContainerContext
from engine.containers.data_handler import DataHandler
from engine.execution.order_manager import OrderManager
from engine.execution.reasons import ReasonCode
from engine.execution.reports import OrderFilled, OrderReport
from engine.execution.tick_broker import TickBroker
from engine.model.clock import Clock
from engine.model.orders import STRATEGY_ROLE, CancelRequest, Order, OrderRequest
from engine.model.quotes import QuoteTick
from engine.portfolio.budget import Budget
from engine.portfolio.portfolio import Portfolio
from engine.risk.risk_manager import RiskManager
from engine.risk.verdicts import Approved, Denied


class OrderDesk:
    """Carries ORDER and CANCEL events out and publishes what became of them.

    An ORDER has passed the risk manager before it is published (EVT-1); a denied one is recorded
    as a rejected order with the reason, so that nothing is dropped silently (ORD-7).
    """

    def __init__(
        self,
        *,
        clock: Clock,
        data_handler: DataHandler,
        risk_manager: RiskManager,
        order_manager: OrderManager,
        broker: TickBroker,
        portfolio: Portfolio,
        budget: Budget,
    ) -> None:
        self._clock = clock
        self._data_handler = data_handler
        self._risk_manager = risk_manager
        self._order_manager = order_manager
        self._broker = broker
        self._portfolio = portfolio
        self._budget = budget
        self._bus: EventBus | None = None

    def initialize(self, ctx: ContainerContext) -> None:
        """Subscribe to ORDER and CANCEL."""
        bus = ctx.bus
        self._bus = bus
        bus.subscribe(BusKind.ORDER, self._on_order, component="order_desk")
        bus.subscribe(BusKind.CANCEL, self._on_cancel)

    def send(self, bus: EventBus, intent: OrderRequest | CancelRequest) -> None:
        """Let an executor's wish through the risk manager and onto the bus."""
        if isinstance(intent, CancelRequest):
            bus.publish(BusKind.CANCEL, intent, market=intent.market)
            return
        verdict = self._risk_manager.review(intent, now_ns=self._clock.now_ns())
        match verdict:
            case Approved():
                if verdict.note:
                    bus.publish(BusKind.RISK_LIMIT, verdict, market=intent.market)
                bus.publish(BusKind.ORDER, verdict.request, market=intent.market)
            case Denied():
                self._record_denial(bus, intent, verdict)

    def match(self, bus: EventBus, quote: QuoteTick) -> None:
        """Let resting orders meet a new quote (EVT-4 b)."""
        self._publish(bus, self._broker.on_quote(quote))

    def land(self, bus: EventBus, now_ns: int) -> None:
        """Let orders arrive whose latency is over."""
        self._publish(bus, self._broker.on_time(now_ns))

    def take_reports(self, bus: EventBus, reports: Iterable[OrderReport]) -> None:
        """Take what became of orders that are carried out outside."""
        self._publish(bus, reports)

    def teardown(self) -> None:
        """Take no further orders."""
        self._order_manager.stop()

    def _record_denial(self, bus: EventBus, request: OrderRequest, denial: Denied) -> None:
        now_ns = self._clock.now_ns()
        order = self._admit(request)
        if order.is_open:
            order = self._order_manager.deny(
                request.client_order_id, reason=f"{denial.code}: {denial.reason}", now_ns=now_ns
            )
        bus.publish(BusKind.RISK_LIMIT, denial, market=request.market)
        bus.publish(BusKind.ORDER_UPDATE, order, market=request.market)

    def _on_order(self, event: BusEvent) -> None:
        request, bus = event.payload, self._bus
        if not isinstance(request, OrderRequest) or bus is None:
            raise TypeError(f"ORDER carries {type(request).__name__}, an OrderRequest is needed")
        self._risk_manager.on_arrival(request.client_order_id)
        shortage = self._find_shortage(request)
        reducing = self._reducing_lots(request) if shortage else 0
        if reducing:
            # What only reduces is always carried out; what would open beyond it is not.
            request = replace(request, lots=reducing, reduce_only=True)
            note = f"order {request.client_order_id} only closes: {shortage}"
            bus.publish(BusKind.RISK_LIMIT, Approved(request, note), market=request.market)
            shortage = ""
        order = self._admit(request)
        if order.is_open and shortage:
            order = self._order_manager.deny(
                request.client_order_id,
                reason=f"{ReasonCode.INSUFFICIENT_FUNDS}: {shortage}",
                now_ns=self._clock.now_ns(),
            )
        bus.publish(BusKind.ORDER_UPDATE, order, market=request.market)
        if order.is_open:
            self._budget.reserve(request, self._reference_ticks(request))
            reports = self._broker.submit(request, now_ns=self._clock.now_ns())
            self._publish(bus, reports)

    def _on_cancel(self, event: BusEvent) -> None:
        request, bus = event.payload, self._bus
        if not isinstance(request, CancelRequest) or bus is None:
            raise TypeError(f"CANCEL carries {type(request).__name__}, a CancelRequest is needed")
        now_ns = self._clock.now_ns()
        order = self._order_manager.request_cancel(request.client_order_id, now_ns=now_ns)
        if order is not None:
            bus.publish(BusKind.ORDER_UPDATE, order, market=request.market)
        self._publish(bus, self._broker.cancel(request.client_order_id, now_ns=now_ns))

    def _publish(self, bus: EventBus, reports: Iterable[OrderReport]) -> None:
        for report in reports:
            order = self._order_manager.apply(report)
            if order is None:
                continue
            market = order.request.market
            if isinstance(report, OrderFilled):
                self._budget.consume(report.client_order_id, report.fill.lots)
                self._portfolio.apply_fill(
                    report.fill,
                    leverage=order.request.leverage,
                    is_closing=order.request.is_closing,
                )
                bus.publish(BusKind.FILL, report.fill, market=market)
            if not order.is_open:
                self._budget.release(report.client_order_id)
            bus.publish(BusKind.ORDER_UPDATE, order, market=market)

    def _admit(self, request: OrderRequest) -> Order:
        quote = self._data_handler.quote(request.market)
        is_known = request.market in self._portfolio.ledgers
        return self._order_manager.admit(
            request,
            now_ns=self._clock.now_ns(),
            net_lots=self._portfolio.lots_facing(request) if is_known else 0,
            mark_twice=0 if quote is None else quote.bid_ticks + quote.ask_ticks,
        )

    def _find_shortage(self, request: OrderRequest) -> str:
        """Return what an order of a strategy lacks to open what it would, empty if nothing.

        Executors look before they order: what they lack is their own business (FILL-28).
        """
        is_known = request.market in self._portfolio.ledgers
        if request.role != STRATEGY_ROLE or request.is_closing or not is_known:
            return ""
        if self._budget.is_affordable(request, self._reference_ticks(request)):
            return ""
        instrument = self._data_handler.instrument(request.market)
        required = self._budget.requirement(request, self._reference_ticks(request))
        if required.base_lots:
            free = self._budget.free_base(
                request.market.base, connector_name=request.market.connector_name
            )
            return f"{instrument.qty(required.base_lots)} {request.market.base} of {free} free"
        margin = instrument.money(max(0, self._budget.free_margin_atoms()))
        return f"it needs {instrument.money(required.cash_atoms)}, {margin} is free"

    def _reducing_lots(self, request: OrderRequest) -> int:
        held = -request.side.sign * self._portfolio.net_lots(request.market)
        return min(request.lots, max(0, held))

    def _reference_ticks(self, request: OrderRequest) -> int:
        if request.limit_ticks is not None:
            return request.limit_ticks
        quote = self._data_handler.quote(request.market)
        if quote is None:
            return 0
        return quote.ask_ticks if request.side.sign > 0 else quote.bid_ticks
