"""What wakes an executor: a price beyond a level, or an instant."""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Final, NamedTuple

from engine.model.instruments import ConnectorPair


@unique
class PriceField(IntEnum):
    """Which price of a market is watched. MID is counted in half ticks: bid plus ask."""

    BID = 0
    ASK = 1
    MID = 2


class PriceTrigger(NamedTuple):
    """Wake when the price is at or above (``is_above``), or at or below, *level*.

    ``level`` is in ticks, for MID in half ticks (bid + ask), so that every level is exact.
    A tuple, because every woken executor makes two or three of them.
    """

    market: ConnectorPair
    field: PriceField
    is_above: bool
    level: int


class WakeConditions(NamedTuple):
    """Any of *prices*, or the instant ``at_ns``, wakes the executor."""

    prices: tuple[PriceTrigger, ...] = ()
    at_ns: int | None = None


NEVER: Final = WakeConditions()
"""Only its own order events wake the executor."""
