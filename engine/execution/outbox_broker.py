"""The broker inside a container whose orders are carried out outside of it.

The container stays free of input and output: what it wants sent is taken from the outbox by the
shell, and what became of it comes back as reports to the container.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from engine.execution.reports import OrderReport
from engine.model.instruments import ConnectorPair
from engine.model.orders import CancelRequest, Fill, Order, OrderRequest
from engine.model.quotes import QuoteTick

Outgoing: TypeAlias = OrderRequest | CancelRequest

_NOTHING: Final[tuple[OrderReport, ...]] = ()


class OutboxBroker:
    """Collects orders and cancels in their order, and knows what is open and held by the reports.

    Idempotent on the client order id: an order that was taken once is never put out again.
    """

    def __init__(self, markets: Iterable[ConnectorPair]) -> None:
        self._outbox: list[Outgoing] = []
        self._known: dict[str, OrderRequest] = {}
        self._left: dict[str, int] = {}
        self._net = dict.fromkeys(markets, 0)

    def submit(self, request: OrderRequest, *, now_ns: int) -> Sequence[OrderReport]:
        """Put an order out; nothing is known of it until a report comes."""
        del now_ns
        if self.restore(request):
            self._outbox.append(request)
        return _NOTHING

    def cancel(self, client_order_id: str, *, now_ns: int) -> Sequence[OrderReport]:
        """Put a cancel out, if the order can still fill."""
        del now_ns
        request = self._known.get(client_order_id)
        if request is not None and client_order_id in self._left:
            wish = CancelRequest(client_order_id, request.market, request.owner_id)
            self._outbox.append(wish)
        return _NOTHING

    def take(self) -> list[Outgoing]:
        """Return what is to be sent, oldest first, and empty the outbox."""
        taken, self._outbox = self._outbox, []
        return taken

    def restore(self, request: OrderRequest) -> bool:
        """Know an order that was sent before; return whether it is new."""
        if request.client_order_id in self._known:
            return False
        self._known[request.client_order_id] = request
        self._left[request.client_order_id] = request.lots
        return True

    def note(self, order: Order) -> None:
        """Keep open orders up to what the book of record says."""
        client_order_id = order.request.client_order_id
        if client_order_id not in self._known:
            return
        self._known[client_order_id] = order.request
        if order.is_open:
            self._left[client_order_id] = order.remaining_lots
        else:
            self._left.pop(client_order_id, None)

    def note_fill(self, fill: Fill) -> None:
        """Count a fill that was booked."""
        self._net[fill.market] += fill.side.sign * fill.lots

    def on_quote(self, quote: QuoteTick) -> Sequence[OrderReport]:
        """Match nothing: whoever carries the orders out does."""
        del quote
        return _NOTHING

    def on_time(self, now_ns: int) -> Sequence[OrderReport]:
        """Know nothing of time."""
        del now_ns
        return _NOTHING

    def open_orders(self) -> tuple[OrderRequest, ...]:
        """Return the requests of the orders that can still fill."""
        return tuple(self._known[one] for one in self._left)

    def net_lots(self, market: ConnectorPair) -> int:
        """Return the signed position that the reported fills made.

        Raises:
            KeyError: the market cannot be traded here.
        """
        return self._net[market]

    def take_over(self, market: ConnectorPair, lots: int) -> None:
        """Count a position of signed *lots* that exists without a reported fill.

        Raises:
            KeyError: the market cannot be traded here.
        """
        self._net[market] += lots

    def forget(self, client_order_id: str) -> None:
        """Drop a done order; an open one is left alone."""
        if client_order_id not in self._left:
            self._known.pop(client_order_id, None)
