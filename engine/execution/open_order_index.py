"""Which orders are open, by market and by owner, and what they have yet to fill."""

from __future__ import annotations

from collections.abc import Iterable

from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderRequest, TradeType


class OpenOrderIndex:
    """Ids of open orders in the order in which they came; every change is O(1).

    Reduce-only orders can open nothing, so their lots are not counted as working.

    Args:
        hedged: markets with a long and a short position. There the same holds for orders that
            close one of them.
    """

    def __init__(self, hedged: Iterable[ConnectorPair] = ()) -> None:
        self._hedged = frozenset(hedged)
        self._all: dict[str, None] = {}
        self._by_market: dict[ConnectorPair, dict[str, None]] = {}
        self._by_owner: dict[str, dict[str, None]] = {}
        self._working: dict[ConnectorPair, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def ids(self, *, market: ConnectorPair | None, owner_id: str | None) -> Iterable[str]:
        """Return the smallest indexed group that holds all orders of *market* and *owner_id*."""
        if owner_id is not None:
            return self._by_owner.get(owner_id, ())
        if market is not None:
            return self._by_market.get(market, ())
        return self._all

    def count_of(self, market: ConnectorPair) -> int:
        """Return how many orders are open in *market*."""
        return len(self._by_market.get(market, ()))

    def working_lots(self, market: ConnectorPair) -> tuple[int, int]:
        """Return the lots that open (buy, sell) orders have yet to fill, reductions left out."""
        return self._working.get(market, (0, 0))

    def add(self, request: OrderRequest) -> None:
        """Take in a new order with all its lots."""
        client_order_id = request.client_order_id
        self._all[client_order_id] = None
        self._by_market.setdefault(request.market, {})[client_order_id] = None
        self._by_owner.setdefault(request.owner_id, {})[client_order_id] = None
        self.fill(request, -request.lots)

    def fill(self, request: OrderRequest, lots: int) -> None:
        """Take *lots* off what the order has yet to fill."""
        if request.reduce_only or (request.market in self._hedged and request.is_closing):
            return
        buy, sell = self._working.get(request.market, (0, 0))
        if request.side is TradeType.BUY:
            self._working[request.market] = (buy - lots, sell)
        else:
            self._working[request.market] = (buy, sell - lots)

    def discard(self, request: OrderRequest) -> None:
        """Drop an order that is done; its lots must have been taken off before."""
        client_order_id = request.client_order_id
        del self._all[client_order_id]
        del self._by_market[request.market][client_order_id]
        mine = self._by_owner[request.owner_id]
        del mine[client_order_id]
        if not mine:
            del self._by_owner[request.owner_id]
