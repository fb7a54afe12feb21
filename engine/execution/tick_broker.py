"""What a session's container needs of the broker that carries its orders out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.execution.reports import OrderReport
from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderRequest
from engine.model.quotes import QuoteTick


class TickBroker(Protocol):
    """Takes orders and reports what became of them; idempotent on the client order id."""

    def submit(self, request: OrderRequest, *, now_ns: int) -> Sequence[OrderReport]:
        """Take an order; what is known of it at once is returned, the rest comes later."""
        ...

    def cancel(self, client_order_id: str, *, now_ns: int) -> Sequence[OrderReport]:
        """Cancel what is left of an order."""
        ...

    def on_quote(self, quote: QuoteTick) -> Sequence[OrderReport]:
        """Take a quote; a broker whose venue matches by itself reports nothing."""
        ...

    def on_time(self, now_ns: int) -> Sequence[OrderReport]:
        """Return what is due at *now_ns* without a quote."""
        ...

    def open_orders(self) -> Sequence[OrderRequest]:
        """Return the requests of the orders that can still fill."""
        ...

    def net_lots(self, market: ConnectorPair) -> int:
        """Return the signed position that the fills of this broker made."""
        ...

    def take_over(self, market: ConnectorPair, lots: int) -> None:
        """Count a position of signed *lots* that exists without a fill of this broker."""
        ...

    def forget(self, client_order_id: str) -> None:
        """Drop a done order."""
        ...
