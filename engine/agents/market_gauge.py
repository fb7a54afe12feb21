"""How lively the markets are compared with how they usually are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from engine.agents.picture import MarketFacts

_RECENT: Final = 30
"""Seconds that count as now."""
_SLOWNESS: Final = 0.05
"""Share of the newest value in what is usual."""


@dataclass(frozen=True, slots=True)
class Liveliness:
    """Each 0 to 1, the trend -1 to 1; 0.5 is as usual."""

    volatility: float
    trading_volume: float
    trend: float
    liquidity: float


class MarketGauge:
    """Compares the markets with their own past; the first look is the measure of all others."""

    def __init__(self) -> None:
        self._usual: dict[str, float] = {}
        self._inputs: tuple[int, float] | None = None

    def look(self, markets: Iterable[MarketFacts], *, inputs: int, at_s: float) -> Liveliness:
        """Return how lively it is.

        Args:
            markets: the markets now.
            inputs: how many inputs the session has had.
            at_s: when, in seconds on any clock that does not go back.
        """
        volatility: list[float] = []
        liquidity: list[float] = []
        trend: list[float] = []
        for market in markets:
            name = f"{market.connector_name}:{market.trading_pair}"
            move, direction = moves(market.trend[-_RECENT:])
            if move:
                volatility.append(self._compared(f"{name} move", move))
                trend.append(direction)
            spread = _spread(market)
            if spread:
                liquidity.append(1 - self._compared(f"{name} spread", spread))
        before, self._inputs = self._inputs, (inputs, at_s)
        activity = 0.5
        if before is not None and at_s > before[1] and inputs > before[0]:
            activity = self._compared("inputs", (inputs - before[0]) / (at_s - before[1]))
        return Liveliness(
            _mean(volatility, 0.5), activity, _mean(trend, 0.0), _mean(liquidity, 0.5)
        )

    def _compared(self, name: str, value: float) -> float:
        """Return *value* against what is usual: 0.5 if equal, towards 1 if it is more."""
        usual = self._usual.get(name, value)
        self._usual[name] = usual + _SLOWNESS * (value - usual)
        return value / (value + usual)


def moves(mids: tuple[float, ...]) -> tuple[float, float]:
    """Return the root mean square of the returns, and how one-sided they are, -1 to 1."""
    returns = [(after - before) / before for before, after in pairwise(mids) if before]
    if not returns:
        return 0.0, 0.0
    size = math.sqrt(math.fsum(one * one for one in returns) / len(returns))
    if not size:
        return 0.0, 0.0
    drift = math.fsum(returns) / (size * math.sqrt(len(returns)))
    return size, max(-1.0, min(1.0, drift / 2))


def _spread(market: MarketFacts) -> float:
    if market.bid is None or market.ask is None or market.mid is None or not market.mid:
        return 0.0
    return float((market.ask - market.bid) / market.mid)


def _mean(values: list[float], otherwise: float) -> float:
    return math.fsum(values) / len(values) if values else otherwise
