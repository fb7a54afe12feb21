"""Funding of perpetuals: what holders of positions pay each other."""

from __future__ import annotations

from dataclasses import dataclass

from engine.model.instruments import ConnectorPair


@dataclass(frozen=True, slots=True)
class FundingRate:
    """A funding payment falls due: longs pay a positive rate, in parts per billion of notional."""

    market: ConnectorPair
    ts_ns: int
    rate_ppb: int
