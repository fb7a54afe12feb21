"""Funding of perpetuals: what holders of positions pay each other."""

from __future__ import annotations

from dataclasses import dataclass

from engine.model.instruments import ConnectorPair


@dataclass(frozen=True, slots=True)
class FundingRate:
    """A funding payment falls due: longs pay a positive rate, in parts per billion of notional.

    ``ts_ns`` is when it is charged. ``due_ns`` is when it was due, if that was earlier: while
    nothing ran.
    """

    market: ConnectorPair
    ts_ns: int
    rate_ppb: int
    due_ns: int = 0

    @property
    def was_due_ns(self) -> int:
        """Return when it was due, late or not."""
        return self.due_ns or self.ts_ns
