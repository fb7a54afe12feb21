"""What the market is like, as far as the pace of agents depends on it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from engine.scheduling.readings import check_finite, clamp_fields

_RANGES: Final = {"trend": (-1.0, 1.0)}


@dataclass(frozen=True, slots=True)
class MarketCondition:
    """Volatility, volume and liquidity from 0 to 1, trend from -1 to 1.

    Values outside are forced into range when the condition is given to a scheduler.

    Raises:
        ValueError: a value is no finite number.
    """

    volatility: float = 0.5
    trading_volume: float = 0.5
    trend: float = 0.0
    liquidity: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            check_finite(getattr(self, field.name), f"market condition: {field.name}")

    @property
    def activity(self) -> float:
        """Mean of volatility and volume."""
        return (self.volatility + self.trading_volume) / 2

    @property
    def opportunity(self) -> float:
        """Mean of volatility, liquidity and strength of the trend; reported only."""
        return (self.volatility + self.liquidity + abs(self.trend)) / 3

    def clamped(self) -> tuple[MarketCondition, int]:
        """Return the condition forced into range, and how many values that changed."""
        return clamp_fields(self, _RANGES)

    def to_dict(self) -> dict[str, float]:
        """Return the four values by name."""
        return {field.name: float(getattr(self, field.name)) for field in fields(self)}
