"""Quotes at the barriers that a bar's path passes: a watched stop fills at its own price."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from math import ceil, floor
from typing import Final

from engine.executors.grid_info import GridSnapshot
from engine.executors.orchestrator import ExecutorOrchestrator
from engine.executors.snapshot import ExecutorSnapshot
from engine.model.orders import TradeType
from engine.model.quotes import BarPoint, QuoteTick

_CLOSING: Final = frozenset({"stop_loss", "take_profit", "trailing_stop"})


class BarrierPoints:
    """Walks from one point of a bar's path to the next over the barriers between them.

    Inside a bar the price passes every level on its way, so a barrier there fires at its own
    price. At an open the market has jumped: nothing lies between, and the open is what it gets.
    """

    def __init__(self, orchestrator: ExecutorOrchestrator) -> None:
        self._orchestrator = orchestrator
        self._last: dict[str, QuoteTick] = {}

    def before(self, quote: QuoteTick) -> Iterator[QuoteTick]:
        """Yield the quotes on the way to *quote*; ask for each when the one before is taken."""
        name = str(quote.market)
        here = self._last.get(name)
        self._last[name] = quote
        if here is None or quote.bar_point is BarPoint.OPEN:
            return
        bid = here.bid_ticks
        spread = quote.ask_ticks - quote.bid_ticks
        while True:
            levels = [
                level
                for executor in self._orchestrator.executors()
                if executor.is_active
                for level in _bids(executor.snapshot(), quote, spread)
            ]
            if quote.bid_ticks < bid:
                passed = max((one for one in levels if quote.bid_ticks < one < bid), default=None)
            else:
                passed = min((one for one in levels if bid < one < quote.bid_ticks), default=None)
            if passed is None:
                return
            bid = passed
            yield replace(quote, bid_ticks=bid, ask_ticks=bid + spread, bar_point=BarPoint.INSIDE)


def _bids(snapshot: ExecutorSnapshot, quote: QuoteTick, spread: int) -> Iterator[int]:
    """Yield the bids at which a barrier of *snapshot* that closes is reached."""
    if snapshot.market != quote.market:
        return
    for barrier in snapshot.barriers(None):
        if barrier.kind not in _CLOSING or barrier.price is None or barrier.note.startswith("arms"):
            continue
        ticks = barrier.price / snapshot.instrument.tick
        if isinstance(snapshot, GridSnapshot):  # it looks at the mid
            is_falling = (barrier.kind == "take_profit") is (snapshot.side is TradeType.SELL)
            bid = ticks - Decimal(spread) / 2
            yield floor(bid) if is_falling else ceil(bid)
        elif snapshot.side is TradeType.BUY:
            yield int(ticks)
        else:
            yield int(ticks) - spread
