"""Market data records."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, unique

from engine.model.instruments import ConnectorPair


@unique
class PriceType(Enum):
    """Kinds of reference prices; a quote has the first three."""

    MidPrice = 1
    BestBid = 2
    BestAsk = 3
    LastTrade = 4
    LastOwnTrade = 5
    InventoryCost = 6
    Custom = 7


@unique
class BarPoint(IntEnum):
    """Where a quote lies on the path of the bar that it was made of."""

    INSIDE = 0
    """Between open and close, or of no bar."""
    OPEN = 1
    """The market may have jumped to it: a resting limit gets it if it is better."""
    CLOSE = 2
    """Nothing that is asked at it can trade before the next bar."""


@dataclass(frozen=True, slots=True)
class QuoteTick:
    """Best bid and ask of one market at one instant of the session.

    ``source_ns`` is the stamp in the source file for replayed data, 0 for a synthetic market.
    """

    market: ConnectorPair
    ts_ns: int
    bid_ticks: int
    ask_ticks: int
    bid_lots: int
    ask_lots: int
    source_ns: int = 0
    bar_point: BarPoint = BarPoint.INSIDE

    def half_ticks(self, price_type: PriceType) -> int | None:
        """Return a price in half ticks, so that the mid is exact; None if a quote has none."""
        match price_type:
            case PriceType.MidPrice:
                return self.bid_ticks + self.ask_ticks
            case PriceType.BestBid:
                return 2 * self.bid_ticks
            case PriceType.BestAsk:
                return 2 * self.ask_ticks
            case _:
                return None


@dataclass(frozen=True, slots=True)
class TradeTick:
    """One trade of the market; ``aggressor`` is +1 for a buyer, -1 for a seller, 0 unknown."""

    market: ConnectorPair
    ts_ns: int
    ticks: int
    lots: int
    aggressor: int = 0
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar over ``[ts_open_ns, ts_close_ns)``; its event time is ``ts_close_ns`` (DATA-1).

    ``volume_lots`` is -1 when it is unknown.
    """

    market: ConnectorPair
    ts_open_ns: int
    ts_close_ns: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume_lots: int = -1
