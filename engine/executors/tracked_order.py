"""Orders that an executor follows, whatever order their events arrive in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.model.orders import Fill, Order, OrderRequest, OrderState, OrderStatus

_FEW: Final = 4
"""So many things are found without an index; most executors and orders have no more."""


class TrackedOrder:
    """One order of an executor: the request, its last known status and every fill.

    Repeated fills, which have the same id, change nothing. The order's own cumulative figures
    count when they are ahead of the fills seen so far (complete before last fill); fills count
    when they are ahead (fill before created, fill after cancel).
    """

    __slots__ = (
        "_fees",
        "_fill_ids",
        "_is_over",
        "_lots",
        "_notional",
        "_reported_fees",
        "_reported_lots",
        "_reported_notional",
        "cancel_sent_ns",
        "fee_base_lots",
        "fills",
        "placed_ns",
        "reason",
        "request",
        "status",
        "updated_ns",
    )

    def __init__(self, request: OrderRequest, placed_ns: int) -> None:
        self.request = request
        self.placed_ns = placed_ns
        self.updated_ns = placed_ns
        self.status = OrderStatus.RECEIVED
        self._is_over = False
        self.reason = ""
        self.fills: tuple[Fill, ...] = ()
        self._fill_ids: set[str] | None = None
        self.fee_base_lots = 0
        self.cancel_sent_ns: int | None = None
        self._lots = self._notional = self._fees = 0
        self._reported_lots = self._reported_notional = self._reported_fees = 0

    @property
    def order_id(self) -> str:
        """Return the client order id."""
        return self.request.client_order_id

    @property
    def executed_lots(self) -> int:
        """Return the lots executed so far."""
        return max(self._lots, self._reported_lots)

    @property
    def executed_atoms(self) -> int:
        """Return the notional executed so far."""
        return self._reported_notional if self._reported_lots > self._lots else self._notional

    @property
    def fee_atoms(self) -> int:
        """Return the fees paid so far; positive when we pay."""
        return self._reported_fees if self._reported_lots > self._lots else self._fees

    @property
    def figures(self) -> tuple[int, int, int, int]:
        """Return executed lots, notional, fees and fees in base: what the ledger counts."""
        return self.executed_lots, self.executed_atoms, self.fee_atoms, self.fee_base_lots

    @property
    def is_complete(self) -> bool:
        """Whether everything that was asked is executed."""
        wanted = self.request.lots
        return self._lots >= wanted or self._reported_lots >= wanted

    @property
    def is_live(self) -> bool:
        """Whether it may still fill: no terminal state is confirmed and something is left."""
        wanted = self.request.lots
        return not (self._is_over or self._lots >= wanted or self._reported_lots >= wanted)

    @property
    def is_failed(self) -> bool:
        """Whether it was denied or rejected."""
        return self.status is OrderStatus.REJECTED

    @property
    def pending_lots(self) -> int:
        """Return what may still execute."""
        return self.request.lots - self.executed_lots if self.is_live else 0

    @property
    def state(self) -> OrderState:
        """Return the state in the executors' vocabulary."""
        if self.is_complete:
            return OrderState.FILLED
        if self.is_live and self.cancel_sent_ns is not None:
            return OrderState.PENDING_CANCEL
        if self.is_failed:
            return OrderState.FAILED
        if self._is_over:
            return OrderState.CANCELED
        if self.executed_lots:
            return OrderState.PARTIALLY_FILLED
        is_new = self.status in {OrderStatus.RECEIVED, OrderStatus.VALIDATED}
        return OrderState.PENDING_CREATE if is_new else OrderState.OPEN

    def apply_order(self, order: Order) -> bool:
        """Take an order update; return whether anything changed. Old updates change nothing."""
        changed = self.apply_status(order)
        if order.filled_lots > self._reported_lots:
            self._reported_lots = order.filled_lots
            self._reported_notional = order.filled_atoms
            self._reported_fees = order.fee_atoms
            self.updated_ns = max(self.updated_ns, order.updated_ns)
            changed = True
        return changed

    def apply_status(self, order: Order) -> bool:
        """Take only the status of an update; return whether it changed."""
        if self._is_over or order.status.value <= self.status.value:
            return False
        self.status = order.status
        self._is_over = order.status.is_terminal
        self.reason = order.reason
        self.updated_ns = max(self.updated_ns, order.updated_ns)
        return True

    def apply_fill(self, fill: Fill) -> bool:
        """Take a fill; return False for one that is known already."""
        if self._is_known(fill.fill_id):
            return False
        self.fills += (fill,)
        self._lots += fill.lots
        # An only fill's numbers are kept as they are: a sum with 0 would be a copy of them.
        self._notional = (
            self._notional + fill.notional_atoms if self._notional else (fill.notional_atoms)
        )
        self._fees = self._fees + fill.fee_atoms if self._fees else fill.fee_atoms
        self.fee_base_lots += fill.fee_base_lots
        self.updated_ns = max(self.updated_ns, fill.ts_ns)
        return True

    def mark_lost(self, now_ns: int) -> None:
        """End an order that the venue does not know: what it executed so far is all (6.4)."""
        self.status = OrderStatus.EXPIRED
        self._is_over = True
        self.reason = "lost: the venue does not know it"
        self.updated_ns = now_ns

    def add_fee(self, atoms: int) -> None:
        """Count a fee that has been converted into the quote asset."""
        self._fees += atoms

    def _is_known(self, fill_id: str) -> bool:
        """Whether there was such a fill; note it if there are many."""
        if self._fill_ids is None:
            if len(self.fills) < _FEW:
                return any(known.fill_id == fill_id for known in self.fills)
            self._fill_ids = {known.fill_id for known in self.fills}
        is_known = fill_id in self._fill_ids
        self._fill_ids.add(fill_id)
        return is_known


class TrackedOrders:
    """The orders of one executor, by client id, in the order of their placement.

    Most executors have one or two: those are looked through; more of them are indexed.
    """

    __slots__ = ("_by_id", "_few")

    def __init__(self) -> None:
        self._few: tuple[TrackedOrder, ...] = ()
        self._by_id: dict[str, TrackedOrder] | None = None

    def __iter__(self) -> Iterator[TrackedOrder]:
        return iter(self._few if self._by_id is None else self._by_id.values())

    def __len__(self) -> int:
        return len(self._few) if self._by_id is None else len(self._by_id)

    @property
    def newest_id(self) -> str:
        """Return the id of the order that was placed last, empty if there is none."""
        if self._by_id is not None:
            return next(reversed(self._by_id), "")
        return self._few[-1].request.client_order_id if self._few else ""

    def add(self, order: TrackedOrder) -> None:
        """Follow *order*."""
        if self._by_id is None and len(self._few) < _FEW:
            self._few += (order,)
            return
        if self._by_id is None:
            self._by_id = {known.order_id: known for known in self._few}
            self._few = ()
        self._by_id[order.order_id] = order

    def forget(self, order_id: str) -> None:
        """Follow an order no more; its further events are those of a stranger."""
        if self._by_id is not None:
            self._by_id.pop(order_id, None)
        else:
            self._few = tuple(order for order in self._few if order.order_id != order_id)

    def find(self, order_id: str) -> TrackedOrder | None:
        """Return the order with *order_id*, or None: events of foreign orders are ignored."""
        if self._by_id is not None:
            return self._by_id.get(order_id)
        for order in self._few:
            if order.request.client_order_id == order_id:
                return order
        return None

    def live(self) -> list[TrackedOrder]:
        """Return the orders that may still fill."""
        return [order for order in self if order.is_live]

    def executed(self) -> list[TrackedOrder]:
        """Return the orders with fills."""
        return [order for order in self if order.executed_lots]
