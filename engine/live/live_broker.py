"""The broker of a live strategy: its orders go to a venue through the order router.

It writes each intent down before it sends it, tags orders with their strategy, keeps the venue's
ids, and never invents a fill.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from engine.execution.broker import BrokerHealth
from engine.execution.reasons import ReasonCode
from engine.execution.reports import (
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderReport,
)
from engine.live.intent_log import CancelIntent, IntentLog, ReportRecord, SubmitIntent
from engine.live.order_router import (
    OrderRouter,
    UnknownOutcomeError,
    VenueError,
    VenueFill,
    VenueUpdate,
)
from engine.live.virtual_portfolio import INSIDE
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Fill, OrderRequest, PositionAction
from engine.model.quotes import QuoteTick

ACK_TIMEOUT_NS: Final = 10 * SECOND_NS
"""How long an order may stay without an answer before its outcome counts as unknown."""

_NOTHING: Final[tuple[OrderReport, ...]] = ()


class LiveBroker:
    """One strategy's orders at one venue; idempotent on the client order id.

    Args:
        strategy_id: whose orders they are.
        router: the connection.
        intents: where orders are written down before they are sent.
        instruments: the markets.
        ack_timeout_ns: how long an order may stay without an answer.
        is_alone: whether the account's position of a market is this strategy's alone.

    Attributes:
        needs_reconciliation: the outcome of a request is unknown.
    """

    def __init__(
        self,
        *,
        strategy_id: str,
        router: OrderRouter,
        intents: IntentLog,
        instruments: Mapping[ConnectorPair, Instrument],
        ack_timeout_ns: int = ACK_TIMEOUT_NS,
        is_alone: Callable[[ConnectorPair], bool] = lambda _: False,
    ) -> None:
        self.strategy_id = strategy_id
        self.router = router
        self.needs_reconciliation = False
        self._intents = intents
        self._instruments = instruments
        self._ack_timeout_ns = ack_timeout_ns
        self._is_alone = is_alone
        self._requests: dict[str, OrderRequest] = {}
        self._left: dict[str, int] = {}
        self._unanswered: dict[str, int] = {}
        self._net = dict.fromkeys(instruments, 0)
        self._sent: set[str] = set()
        self._inside: dict[str, int] = {}
        self._timeouts = 0
        self._fills: list[Fill] = []
        self._fill_ids: set[str] = set()
        self.venue_ids: dict[str, str] = {}
        self.last_sent_ns: dict[ConnectorPair, int] = {}

    def submit(self, request: OrderRequest, *, now_ns: int) -> Sequence[OrderReport]:
        """Write the order down and send it; the same order again does nothing.

        Raises:
            IntentLogError: it could not be written down; it was not sent.
        """
        client_order_id = request.client_order_id
        if client_order_id in self._sent:
            return _NOTHING
        problem = self._find_unsupported(request)
        if problem:
            return (OrderRejected(client_order_id, now_ns, ReasonCode.VENUE, problem),)
        if client_order_id not in self._requests:
            self._intents.append(SubmitIntent(request, now_ns))
            self._know(request)
        self._sent.add(client_order_id)
        self._unanswered[client_order_id] = now_ns
        self.last_sent_ns[request.market] = now_ns
        try:
            self.router.submit(self._as_sent(request), strategy_id=self.strategy_id, now_ns=now_ns)
        except VenueError as error:
            self._unanswered.pop(client_order_id, None)
            return self.record(
                (OrderRejected(client_order_id, now_ns, ReasonCode.VENUE, str(error)),),
                now_ns=now_ns,
            )
        except UnknownOutcomeError:
            self._count_timeout()
        return _NOTHING

    def cancel(self, client_order_id: str, *, now_ns: int) -> Sequence[OrderReport]:
        """Write the cancel down and send it."""
        request = self._requests.get(client_order_id)
        if request is None:
            return (CancelRejected(client_order_id, now_ns, ReasonCode.UNKNOWN_ORDER),)
        self._intents.append(CancelIntent(client_order_id, now_ns))
        self.last_sent_ns[request.market] = now_ns
        try:
            self.router.cancel(client_order_id, market=request.market, now_ns=now_ns)
        except VenueError:
            return (CancelRejected(client_order_id, now_ns, ReasonCode.VENUE),)
        except UnknownOutcomeError:
            self._count_timeout()
        return _NOTHING

    def replace(
        self, client_order_id: str, *, lots: int, limit_ticks: int | None, now_ns: int
    ) -> bool:
        """Change an order; False: no router can do it yet, cancel and place again."""
        del client_order_id, lots, limit_ticks, now_ns
        return False

    def on_quote(self, quote: QuoteTick) -> Sequence[OrderReport]:
        """Match nothing: the venue does."""
        del quote
        return _NOTHING

    def on_market(self, data: QuoteTick) -> Sequence[OrderReport]:
        """Match nothing: the venue does."""
        return self.on_quote(data)

    def on_time(self, now_ns: int) -> Sequence[OrderReport]:
        """Note which orders have had no answer for too long."""
        for client_order_id, sent_ns in list(self._unanswered.items()):
            if now_ns - sent_ns >= self._ack_timeout_ns:
                del self._unanswered[client_order_id]
                self._count_timeout()
        return _NOTHING

    def on_update(self, update: VenueUpdate, *, now_ns: int) -> Sequence[OrderReport]:
        """Return what an update means for an order of this strategy; written down first.

        A trade that was told before returns nothing.
        """
        client_order_id = update.client_order_id
        self._unanswered.pop(client_order_id, None)
        if not isinstance(update, VenueFill):
            return self.record((update,), now_ns=now_ns)
        if update.venue_order_id:
            self.venue_ids[client_order_id] = update.venue_order_id
        request = self._requests[client_order_id]
        if update.trade_id in self._fill_ids:
            return _NOTHING
        instrument = self._instruments[update.market]
        fill = update.to_fill(instrument, owner_id=request.owner_id, role=request.role)
        return self.record((OrderFilled(fill),), now_ns=now_ns)

    def record_inside(
        self, reports: Sequence[OrderReport], request: OrderRequest, *, now_ns: int
    ) -> Sequence[OrderReport]:
        """Write down what came about without the venue, as a crossing does."""
        if request.client_order_id not in self._requests:
            self._intents.append(SubmitIntent(request, now_ns))
            self._know(request)
        return self.record(reports, now_ns=now_ns)

    def record(self, reports: Sequence[OrderReport], *, now_ns: int) -> Sequence[OrderReport]:
        """Write down what became of orders and return it.

        Raises:
            IntentLogError: it could not be written down; nothing is known of it.
        """
        for report in reports:
            self._intents.append(ReportRecord(report, now_ns))
            self._note(report)
        return reports

    def restore(self, request: OrderRequest) -> None:
        """Know an order that was sent in an earlier life."""
        self._know(request)
        self._sent.add(request.client_order_id)

    def adopt(self, request: OrderRequest, *, now_ns: int) -> None:
        """Take over an order that the venue has and we had not written down."""
        self._intents.append(SubmitIntent(request, now_ns))
        self.restore(request)

    def take_timeouts(self) -> int:
        """Return how many requests had no answer since the last call."""
        count, self._timeouts = self._timeouts, 0
        return count

    def inside_lots(self, client_order_id: str) -> int:
        """Return the lots of an order that were filled without the venue."""
        return self._inside.get(client_order_id, 0)

    def restore_report(self, report: OrderReport) -> None:
        """Know what had become of an order in an earlier life."""
        self._note(report)

    def has_order(self, client_order_id: str) -> bool:
        """Whether the order was ever sent, or adopted."""
        return client_order_id in self._requests

    def has_fill(self, trade_id: str) -> bool:
        """Whether a trade was told before."""
        return trade_id in self._fill_ids

    @property
    def unanswered(self) -> int:
        """How many orders wait for their first answer."""
        return len(self._unanswered)

    def open_orders(self) -> tuple[OrderRequest, ...]:
        """Return the requests of the orders that can still fill, as far as is known."""
        return tuple(self._requests[one] for one in self._left)

    def net_lots(self, market: ConnectorPair) -> int:
        """Return the signed position that the told fills made."""
        return self._net[market]

    def positions(self) -> Mapping[ConnectorPair, int]:
        """Return the positions that the told fills made, by market."""
        return {market: lots for market, lots in self._net.items() if lots}

    def balances(self) -> Mapping[str, Decimal]:
        """Return the account's cash by asset, from the venue."""
        return self.router.balances()

    def fills(self, since: int = 0) -> tuple[Fill, ...]:
        """Return the told fills from number *since* on."""
        return tuple(self._fills[since:])

    def capabilities(self) -> Mapping[str, tuple[str, ...] | bool]:
        """Return what the venue can do."""
        return self.router.capabilities()

    def connect(self) -> None:
        """Connect the router."""
        self.router.connect()

    def close(self) -> None:
        """Do nothing: the router belongs to the account, not to the strategy."""

    def health(self) -> BrokerHealth:
        """Return whether the venue can be used."""
        return self.router.health()

    def take_over(self, market: ConnectorPair, lots: int) -> None:
        """Count a position of signed *lots* that exists without a fill of this broker."""
        self._net[market] += lots

    def forget(self, client_order_id: str) -> None:
        """Keep it: a late fill must find its order."""

    def _find_unsupported(self, request: OrderRequest) -> str:
        allowed = self.router.capabilities().get("types", ())
        name = request.order_type.name
        if request.trigger is not None:
            name = f"{request.trigger.kind.name}_{name}"
        if isinstance(allowed, tuple) and allowed and name not in allowed:
            return (
                f"{self.router.name} takes no {name} orders, allowed: {', '.join(allowed)}; they "
                "are not emulated here"
            )
        return ""

    def _as_sent(self, request: OrderRequest) -> OrderRequest:
        """Return *request* as the venue gets it.

        Reduce-only is about the strategy's own position, and the container has seen to it. The
        venue knows the account's only: where other strategies share that it would refuse exits,
        so it is told only of a position that is this strategy's alone.
        """
        if not request.is_closing:
            return replace(request, position_action=PositionAction.NIL)
        can_reduce = bool(self.router.capabilities().get("reduce_only", False))
        is_told = can_reduce and self._is_alone(request.market)
        return replace(request, reduce_only=is_told, position_action=PositionAction.NIL)

    def _know(self, request: OrderRequest) -> None:
        self._requests[request.client_order_id] = request
        self._left[request.client_order_id] = request.lots

    def _count_timeout(self) -> None:
        self.needs_reconciliation = True
        self._timeouts += 1

    def _note(self, report: OrderReport) -> None:
        match report:
            case OrderFilled(fill=fill):
                if fill.fill_id in self._fill_ids:
                    return
                self._fill_ids.add(fill.fill_id)
                self._fills.append(fill)
                self._net[fill.market] += fill.side.sign * fill.lots
                if fill.fill_id.startswith(INSIDE):
                    inside = self._inside.get(fill.client_order_id, 0)
                    self._inside[fill.client_order_id] = inside + fill.lots
                left = self._left.pop(fill.client_order_id, 0) - fill.lots
                if left > 0:
                    self._left[fill.client_order_id] = left
            case OrderCancelled() | OrderExpired() | OrderRejected():
                self._left.pop(report.client_order_id, None)
            case OrderAccepted() | CancelRejected():
                pass
