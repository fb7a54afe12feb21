"""What the risk manager needs to know of its container."""

from __future__ import annotations

from typing import Protocol

from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import QuoteTick


class MarketFacts(Protocol):
    """The markets."""

    def instrument(self, market: ConnectorPair) -> Instrument:
        """Return the instrument.

        Raises:
            KeyError: the session does not trade *market*.
        """
        ...

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        """Return the newest quote, None before the first."""
        ...


class AccountFacts(Protocol):
    """The account."""

    @property
    def equity_atoms(self) -> int:
        """Equity at the marks."""
        ...

    def net_lots(self, market: ConnectorPair) -> int:
        """Return the signed position."""
        ...

    def side_lots(self, market: ConnectorPair) -> tuple[int, int]:
        """Return how many lots are long and short; both only in a hedged market."""
        ...


class WorkingOrders(Protocol):
    """Open orders."""

    @property
    def open_count(self) -> int:
        """How many orders are open."""
        ...

    def working_lots(self, market: ConnectorPair) -> tuple[int, int]:
        """Return the lots that open (buy, sell) orders have yet to fill, reductions left out."""
        ...

    def exiting_lots(self, market: ConnectorPair) -> tuple[int, int]:
        """Return the lots of (buy, sell) market orders on their way that may only reduce."""
        ...
