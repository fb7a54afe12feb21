"""One market as the simulated broker sees it."""

from __future__ import annotations

from engine.execution.liquidity import Depth, QuoteSide
from engine.execution.live_order import LiveOrder
from engine.execution.resting_side import RestingSide
from engine.model.instruments import Instrument


class MarketBook:
    """One market: the current quote, resting orders, and takers with something left."""

    __slots__ = ("ask", "bid", "buys", "instrument", "is_quoted", "net_lots", "sells", "takers")

    def __init__(self, instrument: Instrument, depth: Depth, extra_ticks: int) -> None:
        self.instrument = instrument
        self.is_quoted = False
        self.net_lots = 0
        self.ask = QuoteSide(sign=1, depth=depth, extra_ticks=extra_ticks)
        self.bid = QuoteSide(sign=-1, depth=depth, extra_ticks=extra_ticks)
        self.buys = RestingSide(1)
        self.sells = RestingSide(-1)
        self.takers: dict[str, LiveOrder] = {}

    def opposite(self, sign: int) -> QuoteSide:
        """Return the side of the quote that orders of *sign* trade with."""
        return self.ask if sign > 0 else self.bid

    def resting(self, sign: int) -> RestingSide:
        """Return the resting orders of *sign*."""
        return self.buys if sign > 0 else self.sells

    def discard(self, order: LiveOrder) -> None:
        """Take *order* out, wherever it is."""
        self.takers.pop(order.request.client_order_id, None)
        if order.request.limit_ticks is not None:
            self.resting(order.sign).discard(order, order.request.limit_ticks)
