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
        self._underway: dict[str, OrderRequest] = {}

    @property
    def open_count(self) -> int:
        """How many orders are open or on their way."""
        return self._orders.open_count + len(self._underway)

    def working_lots(self, market: ConnectorPair) -> tuple[int, int]:
        """Return the lots that those (buy, sell) orders have yet to fill, reductions left out."""
        return self._with_underway(self._orders.working_lots(market), market, is_exit=False)

    def exiting_lots(self, market: ConnectorPair) -> tuple[int, int]:
        """Return the lots of (buy, sell) market orders among them that may only reduce."""
        return self._with_underway(self._orders.exiting_lots(market), market, is_exit=True)

    def add(self, request: OrderRequest, *, is_hedged: bool) -> None:
        """Count *request* from now on; one that closes in a hedged market opens nothing."""
        if not (is_hedged and request.is_closing and not request.reduce_only):
            self._underway[request.client_order_id] = request

    def _with_underway(
        self, lots: tuple[int, int], market: ConnectorPair, *, is_exit: bool
    ) -> tuple[int, int]:
        buy, sell = lots
        for request in self._underway.values():
            if request.market != market or request.reduce_only is not is_exit:
                continue
            if is_exit and not request.is_immediate:
                continue
            if request.side.sign > 0:
                buy += request.lots
            else:
                sell += request.lots
        return buy, sell

    def discard(self, client_order_id: str) -> None:
        """Leave an order to the book of record."""
        self._underway.pop(client_order_id, None)
