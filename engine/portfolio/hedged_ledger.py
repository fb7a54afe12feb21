"""Both positions of a market whose long and short are not netted."""

from __future__ import annotations

from engine.model.instruments import Instrument
from engine.model.orders import PositionSide
from engine.portfolio.ledger import MarketLedger


class HedgedLedger:
    """A long and a short position side by side, read as one: sums over both (HEDGE).

    What is summed is net where a sign is asked for (``net_lots``) and gross where collateral is:
    each position needs its own margin.
    """

    __slots__ = ("instrument", "is_spot", "long", "scale", "short")

    def __init__(self, instrument: Instrument) -> None:
        self.long = MarketLedger(instrument, PositionSide.LONG)
        self.short = MarketLedger(instrument, PositionSide.SHORT)
        self.instrument = instrument
        self.is_spot = False
        self.scale = self.long.scale

    @property
    def net_lots(self) -> int:
        """Return the long lots less the short ones."""
        return self.long.net_lots + self.short.net_lots

    @property
    def cost_atoms(self) -> int:
        """Return the cost of both positions."""
        return self.long.cost_atoms + self.short.cost_atoms

    @property
    def mark_twice(self) -> int:
        """Return the mark in half ticks, 0 before the first."""
        return self.long.mark_twice or self.short.mark_twice

    @property
    def realised_atoms(self) -> int:
        """Return the realised result of both before fees."""
        return self.long.realised_atoms + self.short.realised_atoms

    @property
    def fees_atoms(self) -> int:
        """Return the fees of both; positive when we paid."""
        return self.long.fees_atoms + self.short.fees_atoms

    @property
    def funding_atoms(self) -> int:
        """Return the funding of both; positive when more was received than paid."""
        return self.long.funding_atoms + self.short.funding_atoms

    @property
    def unrealised_twice(self) -> int:
        """Return the unrealised result of both in half atoms."""
        return self.long.unrealised_twice + self.short.unrealised_twice

    @property
    def initial_margin_atoms(self) -> int:
        """Return the initial margin of both positions."""
        return self.long.initial_margin_atoms + self.short.initial_margin_atoms
