"""Orders that have passed the risk manager and are not in the book of record yet."""

from __future__ import annotations

from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderRequest
from engine.risk.facts import WorkingOrders


class UnderwayOrders:
    """The open orders, with those that are on their way to becoming open (RISK-5).

    An order is published when it is approved and taken in when its turn on the bus comes. What is
    decided in between, at the same instant, must see it: two wishes for the same position are
    otherwise ordered twice.

    Args:
        orders: the open orders.
    """

    def __init__(self, orders: WorkingOrders) -> None:
        self._orders = orders
        self._underway: dict[str, tuple[ConnectorPair, int]] = {}

    @property
    def open_count(self) -> int:
        """How many orders are open or on their way."""
        return self._orders.open_count + len(self._underway)

    def working_lots(self, market: ConnectorPair) -> tuple[int, int]:
        """Return the lots that those (buy, sell) orders have yet to fill."""
        buy, sell = self._orders.working_lots(market)
        for other, lots in self._underway.values():
            if other == market:
                buy, sell = buy + max(0, lots), sell + max(0, -lots)
        return buy, sell

    def add(self, request: OrderRequest, *, is_hedged: bool) -> None:
        """Count *request* from now on; one that closes in a hedged market opens nothing."""
        lots = 0 if is_hedged and request.is_closing else request.side.sign * request.lots
        self._underway[request.client_order_id] = (request.market, lots)

    def discard(self, client_order_id: str) -> None:
        """Leave an order to the book of record."""
        self._underway.pop(client_order_id, None)
