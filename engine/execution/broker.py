"""The interface of a broker (backtest.md 7.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.execution.reports import OrderReport
from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderRequest
from engine.model.quotes import QuoteTick


class Broker(Protocol):
    """Carries out orders; every call is idempotent on the client order id and returns facts."""

    def submit(self, request: OrderRequest, *, now_ns: int) -> Sequence[OrderReport]:
        """Take an order."""
        ...

    def cancel(self, client_order_id: str, *, now_ns: int) -> Sequence[OrderReport]:
        """Cancel what is left of an order."""
        ...

    def on_quote(self, quote: QuoteTick) -> Sequence[OrderReport]:
        """Take a quote."""
        ...

    def open_orders(self) -> tuple[OrderRequest, ...]:
        """Return the requests of the orders that can still fill."""
        ...

    def net_lots(self, market: ConnectorPair) -> int:
        """Return the signed position that the fills of this broker made."""
        ...

    def forget(self, client_order_id: str) -> None:
        """Drop a done order; its client id may then not be used again."""
        ...
