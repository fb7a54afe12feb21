"""The order manager: one container's book of record of its orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, assert_never

from engine.execution.open_order_index import OpenOrderIndex
from engine.execution.order_validator import OrderContext, OrderProblem, OrderValidator
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
from engine.flow.errors import ExistsError, NotFoundError, OperationError
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import (
    STRATEGY_OWNER,
    TRANSITIONS,
    Fill,
    Order,
    OrderRequest,
    OrderStatus,
)

_DISPLAY_STEP: Final = Decimal("1e-9")


class IllegalTransition(OperationError):  # noqa: N818 (the specified name)
    """An order was to make a step that its life cycle does not know (ORD-1)."""


class OverFillError(OperationError):
    """A fill is larger than what its order has left."""


class OrderManager:
    """Owns every order of a container: its sequence, life cycle and indexes.

    An order enters by `admit`, which validates it; every report of the broker goes through
    `apply`. Done orders stay until `forget`. All look-ups and moves are O(1).

    Args:
        instruments: the markets.
        is_live: reports come from a venue: repeated, late and out of order. A fill is then never
            discarded: one of an order that is over is booked with the flag ``late_fill``, one
            that is too large with the flag ``overfill`` (ORD-5).
    """

    def __init__(
        self, *, instruments: Mapping[ConnectorPair, Instrument], is_live: bool = False
    ) -> None:
        self._instruments = instruments
        self._is_live = is_live
        self._orders: dict[str, Order] = {}
        self._fill_ids: dict[str, set[str]] = {}
        self._open = OpenOrderIndex(
            market for market, instrument in instruments.items() if instrument.is_hedged
        )
        self._endings: dict[tuple[OrderStatus, str], int] = {}
        self._next_seq = 0
        self._is_stopped = False
        self.duplicate_fills = 0

    @property
    def open_count(self) -> int:
        """Return how many orders are open."""
        return len(self._open)

    @property
    def total_count(self) -> int:
        """Return how many orders were ever admitted."""
        return self._next_seq

    @property
    def endings(self) -> Mapping[tuple[OrderStatus, str], int]:
        """Return how many orders ended in each (status, reason); FILLED has no reason (ORD-7)."""
        return self._endings

    def get_order(self, client_order_id: str) -> Order:
        """Return the order.

        Raises:
            NotFoundError: no order has this client id.
        """
        order = self._orders.get(client_order_id)
        if order is None:
            raise NotFoundError(f"there is no order {client_order_id!r}")
        return order

    def find_order(self, client_order_id: str) -> Order | None:
        """Return the order, or None."""
        return self._orders.get(client_order_id)

    def orders(self) -> tuple[Order, ...]:
        """Return all orders that were not forgotten, by sequence."""
        return tuple(self._orders.values())

    def open_orders(
        self, *, market: ConnectorPair | None = None, owner_id: str | None = None
    ) -> tuple[Order, ...]:
        """Return the open orders of a market, of an owner, of both, or all; by sequence."""
        ids = self._open.ids(market=market, owner_id=owner_id)
        found = (self._orders[client_order_id] for client_order_id in ids)
        return tuple(item for item in found if market is None or item.request.market == market)

    def open_count_of(self, market: ConnectorPair) -> int:
        """Return how many orders are open in *market*."""
        return self._open.count_of(market)

    def working_lots(self, market: ConnectorPair) -> tuple[int, int]:
        """Return the lots that open (buy, sell) orders have yet to fill, reductions left out."""
        return self._open.working_lots(market)

    def exiting_lots(self, market: ConnectorPair) -> tuple[int, int]:
        """Return the lots of open (buy, sell) market orders that may only reduce."""
        buy = sell = 0
        for order in self.open_orders(market=market, owner_id=STRATEGY_OWNER):
            request = order.request
            if request.reduce_only and request.is_immediate:
                left = request.lots - order.filled_lots
                buy, sell = (buy + left, sell) if request.side.sign > 0 else (buy, sell + left)
        return buy, sell

    def admit(
        self,
        request: OrderRequest,
        *,
        now_ns: int,
        net_lots: int = 0,
        mark_twice: int = 0,
        is_margin_account: bool = False,
    ) -> Order:
        """Take an order in: VALIDATED if it may be routed, else REJECTED with its reason.

        The same request again returns the order as it stands, so admitting is idempotent.

        Args:
            request: what is wanted.
            now_ns: the container's time.
            net_lots: the signed position of the market.
            mark_twice: the market's last mark in half ticks, 0 if there is none.
            is_margin_account: whether spot sells may go short.

        Raises:
            ExistsError: another order has the client id.
        """
        known = self._orders.get(request.client_order_id)
        if known is not None:
            if known.request == request:
                return known
            raise ExistsError(
                f"order {request.client_order_id!r} exists and asks for something else; client "
                "ids are never used twice",
                details={"code": ReasonCode.DUPLICATE_CLIENT_ID.value},
            )
        order = Order(request, self._next_seq, OrderStatus.RECEIVED, now_ns, now_ns)
        self._next_seq += 1
        problem = OrderValidator.validate(
            request,
            OrderContext(
                instrument=self._instruments.get(request.market),
                net_lots=net_lots,
                working_sell_lots=self.working_lots(request.market)[1],
                mark_twice=mark_twice,
                is_margin_account=is_margin_account,
                is_stopped=self._is_stopped,
                now_ns=now_ns,
            ),
        )
        self._enter(order)
        if problem is not None:
            return self._end(order, OrderStatus.REJECTED, _reason(problem), now_ns)
        return self._move(order, OrderStatus.VALIDATED, now_ns=now_ns)

    def deny(self, client_order_id: str, *, reason: str, now_ns: int) -> Order:
        """Reject a VALIDATED order that is not to be routed: our risk manager said no.

        Raises:
            NotFoundError: no order has this client id.
            IllegalTransition: the order is past that.
        """
        order = self.get_order(client_order_id)
        return self._end(order, OrderStatus.REJECTED, reason, now_ns)

    def request_cancel(self, client_order_id: str, *, now_ns: int) -> Order | None:
        """Mark an open order as about to be cancelled; None if it is unknown or done."""
        order = self._orders.get(client_order_id)
        if order is None or not order.is_open:
            return None
        return self._keep(replace(order, is_cancel_requested=True, updated_ns=now_ns))

    def apply(self, report: OrderReport) -> Order | None:
        """Apply a broker's report; return the changed order, None if nothing changed.

        A repeated fill id and a repeated acceptance change nothing, and the fill is counted. In
        live a step that the order is past changes nothing either.

        Raises:
            NotFoundError: the report is about an order that was never admitted.
            IllegalTransition: the order cannot make that step; it is unchanged.
            OverFillError: a fill is larger than what is left; the order is unchanged.
        """
        if self._is_live and self._is_past(report):
            return None
        match report:
            case OrderFilled():
                return self._fill(report.fill)
            case OrderAccepted():
                order = self.get_order(report.client_order_id)
                if order.status is OrderStatus.ROUTED:
                    return None
                return self._move(order, OrderStatus.ROUTED, now_ns=report.ts_ns)
            case OrderRejected():
                order = self.get_order(report.client_order_id)
                reason = f"{report.code}: {report.text}"
                return self._end(order, OrderStatus.REJECTED, reason, report.ts_ns)
            case OrderCancelled():
                order = self.get_order(report.client_order_id)
                return self._end(order, OrderStatus.CANCELLED, report.code.value, report.ts_ns)
            case OrderExpired():
                order = self.get_order(report.client_order_id)
                return self._end(order, OrderStatus.EXPIRED, report.code.value, report.ts_ns)
            case CancelRejected():
                return self._forget_cancel(report)
            case _:
                assert_never(report)

    def adopt(self, request: OrderRequest, *, now_ns: int) -> Order:
        """Take in an order that a venue has already: it is ROUTED, nothing of it is validated.

        The same request again returns the order as it stands.

        Raises:
            ExistsError: another order has the client id.
        """
        known = self._orders.get(request.client_order_id)
        if known is not None:
            if known.request == request:
                return known
            raise ExistsError(f"order {request.client_order_id!r} exists and is another one")
        order = Order(request, self._next_seq, OrderStatus.ROUTED, now_ns, now_ns)
        self._next_seq += 1
        self._enter(order)
        return self._keep(order)

    def amend(
        self, client_order_id: str, *, lots: int, limit_ticks: int | None, now_ns: int
    ) -> Order:
        """Take over the size and the price that the venue says an open order has.

        Raises:
            NotFoundError: no order has this client id.
            IllegalTransition: the order is over.
        """
        order = self.get_order(client_order_id)
        if not order.is_open:
            raise IllegalTransition(
                f"order {client_order_id} is {order.status.name} and cannot be amended"
            )
        request = replace(order.request, lots=lots, limit_ticks=limit_ticks)
        self._open.fill(order.request, order.remaining_lots)
        self._open.discard(order.request)
        self._open.add(request)
        self._open.fill(request, order.filled_lots)
        amended = replace(order, request=request, updated_ns=now_ns)
        if amended.remaining_lots > 0:
            return self._keep(amended)
        self._open.fill(request, amended.remaining_lots)
        filled = replace(amended, status=OrderStatus.FILLED)
        self._leave(filled)
        return self._keep(filled)

    def stop(self) -> None:
        """Refuse further orders with CONTAINER_STOPPED; open ones can still fill and end."""
        self._is_stopped = True

    def forget(self, client_order_id: str) -> None:
        """Drop a done order, so that a long session does not grow; unknown ids are ignored.

        Raises:
            IllegalTransition: the order is open.
        """
        order = self._orders.get(client_order_id)
        if order is None:
            return
        if order.is_open:
            raise IllegalTransition(
                f"order {client_order_id} is {order.status.name} and cannot be forgotten yet"
            )
        del self._orders[client_order_id]
        del self._fill_ids[client_order_id]

    def average_price(self, order: Order) -> Decimal | None:
        """Return the average fill price to 1e-9, half-even, for display; None without a fill."""
        if not order.filled_lots:
            return None
        instrument = self._instruments[order.request.market]
        notional = instrument.money(order.filled_atoms) / instrument.multiplier
        average = notional / instrument.qty(order.filled_lots)
        return average.quantize(_DISPLAY_STEP, ROUND_HALF_EVEN)

    def _fill(self, fill: Fill) -> Order | None:
        order = self.get_order(fill.client_order_id)
        seen = self._fill_ids[fill.client_order_id]
        if fill.fill_id in seen:
            self.duplicate_fills += 1
            return None
        left = order.remaining_lots - fill.lots
        if self._is_live and (left < 0 or not order.is_open):
            return self._fill_beyond(order, fill)
        if left < 0:
            raise OverFillError(
                f"fill {fill.fill_id} of {fill.lots} lots exceeds the {order.remaining_lots} lots "
                f"that order {fill.client_order_id} has left"
            )
        status = OrderStatus.PARTIAL if left else OrderStatus.FILLED
        self._check(order, status)
        seen.add(fill.fill_id)
        self._open.fill(order.request, fill.lots)
        filled = replace(
            order,
            status=status,
            updated_ns=fill.ts_ns,
            filled_lots=order.filled_lots + fill.lots,
            filled_atoms=order.filled_atoms + fill.notional_atoms,
            fee_atoms=order.fee_atoms + fill.fee_atoms,
        )
        if not left:
            self._leave(filled)
        return self._keep(filled)

    def _fill_beyond(self, order: Order, fill: Fill) -> Order:
        """Book a fill that its order should not have had (ORD-5): flagged, never discarded."""
        self._fill_ids[fill.client_order_id].add(fill.fill_id)
        filled_lots = order.filled_lots + fill.lots
        is_full = filled_lots >= order.request.lots
        filled = replace(
            order,
            status=OrderStatus.FILLED if is_full else order.status,
            updated_ns=fill.ts_ns,
            filled_lots=filled_lots,
            filled_atoms=order.filled_atoms + fill.notional_atoms,
            fee_atoms=order.fee_atoms + fill.fee_atoms,
            late_fill=order.late_fill or not order.is_open,
            overfill=order.overfill or filled_lots > order.request.lots,
        )
        if order.is_open:
            self._open.fill(order.request, order.remaining_lots)
            self._leave(filled)
        elif filled.status is not order.status:
            self._count_ending(order, -1)
            self._count_ending(filled, 1)
        return self._keep(filled)

    def _is_past(self, report: OrderReport) -> bool:
        """Bring an order to where *report* finds it; whether it is past that already."""
        order = self._orders.get(report.client_order_id)
        if order is None:
            return False
        if order.status is OrderStatus.VALIDATED and not isinstance(
            report, OrderAccepted | OrderRejected | CancelRejected
        ):
            # The acknowledgement was lost or overtaken: what it says follows from the report.
            self._move(order, OrderStatus.ROUTED, now_ns=report.ts_ns)
            return False
        match report:
            case OrderAccepted():
                return order.status is not OrderStatus.VALIDATED
            case OrderRejected():
                return not order.is_open or order.filled_lots > 0
            case OrderCancelled() | OrderExpired():
                return not order.is_open
            case _:
                return False

    def _forget_cancel(self, report: CancelRejected) -> Order | None:
        order = self._orders.get(report.client_order_id)
        if order is None or not order.is_open or not order.is_cancel_requested:
            return None
        return self._keep(replace(order, is_cancel_requested=False, updated_ns=report.ts_ns))

    def _move(self, order: Order, status: OrderStatus, *, now_ns: int) -> Order:
        self._check(order, status)
        return self._keep(replace(order, status=status, updated_ns=now_ns))

    def _end(self, order: Order, status: OrderStatus, reason: str, now_ns: int) -> Order:
        self._check(order, status)
        ended = replace(order, status=status, reason=reason, updated_ns=now_ns)
        self._open.fill(order.request, order.remaining_lots)
        self._leave(ended)
        return self._keep(ended)

    def _check(self, order: Order, status: OrderStatus) -> None:
        if status not in TRANSITIONS[order.status]:
            raise IllegalTransition(
                f"order {order.request.client_order_id} is {order.status.name} and cannot become "
                f"{status.name}"
            )

    def _keep(self, order: Order) -> Order:
        self._orders[order.request.client_order_id] = order
        return order

    def _enter(self, order: Order) -> None:
        request = order.request
        self._fill_ids[request.client_order_id] = set()
        self._open.add(request)

    def _leave(self, order: Order) -> None:
        self._open.discard(order.request)
        self._count_ending(order, 1)

    def _count_ending(self, order: Order, change: int) -> None:
        key = (order.status, order.reason.partition(":")[0])
        count = self._endings.get(key, 0) + change
        if count:
            self._endings[key] = count
        else:
            self._endings.pop(key, None)


def _reason(problem: OrderProblem) -> str:
    return f"{problem.code}: {problem.text}"
