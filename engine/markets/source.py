"""What a market looks like to a session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import QuoteTick


class MarketSource(Protocol):
    """A paper market: its instrument and its quotes."""

    @property
    def market(self) -> ConnectorPair:
        """Return the market."""
        ...

    @property
    def instrument(self) -> Instrument:
        """Return the market's grids, limits and fees."""
        ...

    def ticks(self, start_ns: int) -> Iterator[QuoteTick]:
        """Return the quotes of a session that starts at *start_ns*, the first one then.

        Lazy, without end or until the data end; the stamps rise strictly. Every call starts anew
        and gives the same quotes.
        """
        ...
