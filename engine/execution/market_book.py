"""One market as the simulated broker sees it."""

from __future__ import annotations

from engine.execution.liquidity import Depth, QuoteSide
from engine.execution.live_order import LiveOrder
from engine.execution.resting_side import RestingSide
from engine.execution.trigger_book import TriggerBook
from engine.model.instruments import Instrument
from engine.model.orders import OrderRequest


class MarketBook:
    """One market: the current quote, the last trade, resting orders, triggers, open takers."""

    __slots__ = (
        "ask",
        "bid",
        "buys",
        "instrument",
        "is_closed",
        "is_quoted",
        "last_ticks",
        "long_lots",
        "sells",
        "short_lots",
        "takers",
        "triggers",
    )

    def __init__(
        self, instrument: Instrument, depth: Depth, extra_ticks: int, *, consume: bool = True
    ) -> None:
        self.instrument = instrument
        self.is_quoted = False
        self.is_closed = False
        """Whether the newest quote is a bar's close: what arrives now trades from the next on."""
        self.last_ticks: int | None = None
        self.long_lots = 0
        """Of a hedged market what is long; else the net position, signed."""
        self.short_lots = 0
        """Of a hedged market what is short, not signed."""
        self.ask = QuoteSide(sign=1, depth=depth, extra_ticks=extra_ticks, consume=consume)
        self.bid = QuoteSide(sign=-1, depth=depth, extra_ticks=extra_ticks, consume=consume)
        self.buys = RestingSide(1)
        self.sells = RestingSide(-1)
        self.takers: dict[str, LiveOrder] = {}
        self.triggers: TriggerBook | None = None

    @property
    def net_lots(self) -> int:
        """Return the signed net position."""
        return self.long_lots - self.short_lots

    def add_lots(self, lots: int) -> None:
        """Open a position of signed *lots* without an order."""
        if lots < 0 and self.instrument.is_hedged:
            self.short_lots -= lots
        else:
            self.long_lots += lots

    def count_fill(self, request: OrderRequest, lots: int) -> None:
        """Count *lots* that *request* has filled."""
        sign = request.side.sign
        if not self.instrument.is_hedged or (sign > 0) is not request.is_closing:
            self.long_lots += sign * lots
        else:
            self.short_lots -= sign * lots

    def may_only_reduce(self, request: OrderRequest) -> bool:
        """Whether *request* may fill no more than there is to close."""
        return request.reduce_only or (request.is_closing and self.instrument.is_perpetual)

    def reducible_lots(self, request: OrderRequest) -> int:
        """Return how much there is that *request* can close."""
        sign = request.side.sign
        if not self.instrument.is_hedged:
            return max(0, -sign * self.net_lots)
        return self.short_lots if sign > 0 else self.long_lots

    def opposite(self, sign: int) -> QuoteSide:
        """Return the side of the quote that orders of *sign* trade with."""
        return self.ask if sign > 0 else self.bid

    def resting(self, sign: int) -> RestingSide:
        """Return the resting orders of *sign*."""
        return self.buys if sign > 0 else self.sells

    def rest(self, order: LiveOrder, limit_ticks: int) -> None:
        """Let *order* rest at its limit, behind what is displayed there."""
        own = self.bid if order.sign > 0 else self.ask
        is_inside = not self.is_quoted or order.sign * (limit_ticks - own.ticks) > 0
        order.ahead_lots = 0 if is_inside else own.shown_lots
        self.resting(order.sign).add(order, limit_ticks)

    def discard(self, order: LiveOrder) -> None:
        """Take *order* out, wherever it is."""
        self.takers.pop(order.request.client_order_id, None)
        if self.triggers is not None:
            self.triggers.discard(order)
        if order.limit_ticks is not None:
            self.resting(order.sign).discard(order, order.limit_ticks)
