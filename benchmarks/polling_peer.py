"""The reference of the engine: every executor looks at every quote."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.executors.snapshot import ExecutorSnapshot
from engine.model.instruments import ConnectorPair
from engine.model.orders import TradeType
from engine.model.quotes import QuoteTick


@dataclass(slots=True)
class PolledExecutor:
    """A position with the same barriers, checked as cheaply as a poll can be: two comparisons."""

    market: ConnectorPair
    is_buy: bool
    stop_loss: int
    take_profit: int
    end_ns: int

    def is_due(self, quote: QuoteTick) -> bool:
        """Whether *quote* closes the position."""
        if quote.market is not self.market:
            return False
        signed = quote.bid_ticks if self.is_buy else -quote.ask_ticks
        is_hit = signed <= self.stop_loss or signed >= self.take_profit
        return is_hit or quote.ts_ns >= self.end_ns


def polled(snapshots: Iterable[ExecutorSnapshot]) -> list[PolledExecutor]:
    """Return the peers of *snapshots*."""
    markets: dict[ConnectorPair, ConnectorPair] = {}
    return [
        PolledExecutor(
            markets.setdefault(snapshot.market, snapshot.market),
            snapshot.side is TradeType.BUY,
            snapshot.levels.stop_loss or 0,
            snapshot.levels.take_profit or 0,
            snapshot.end_ns or 0,
        )
        for snapshot in snapshots
    ]


def poll_all(executors: Iterable[PolledExecutor], quotes: Iterable[QuoteTick]) -> int:
    """Give every quote to every executor; return how many of them were due."""
    executors = list(executors)
    return sum(executor.is_due(quote) for quote in quotes for executor in executors)
