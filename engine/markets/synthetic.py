"""A seeded market: irregular quotes, volatility in clusters, fat tails, a living spread.

Only ``+ - * /`` and square roots touch the draws, all of them exact in IEEE 754, so that a seed
gives the same quotes on every machine.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import QuoteTick

_YEAR_S: Final = 365.25 * 24 * 3600
_TAIL_SHARE: Final = 0.04
_TAIL_SCALE: Final = 3.0
_CORE_SCALE: Final = 1.0 / math.sqrt(1.0 - _TAIL_SHARE + _TAIL_SHARE * _TAIL_SCALE**2)
_LONGEST_INTERVAL: Final = 6.0
"""Longest interval between quotes as a multiple of the mean one."""
_LARGEST_MOVE: Final = 0.05
_PRICE_RANGE: Final = 1000.0
_SPREAD_PULL: Final = 0.1
_SPREAD_NOISE: Final = 0.12
_WIDEST_SPREAD: Final = 20.0
_BASIS_LASTS_NS: Final = 4.0 * SECOND_NS
"""How long a market strays from the price that it shares, on average."""


class SyntheticConfig(BaseModel):
    """A market that a seeded generator makes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["synthetic"] = "synthetic"
    start_price: Decimal = Field(
        default=Decimal(64_000), gt=0, le=Decimal("1e9"), description="first price, in quote"
    )
    intensity_per_s: Decimal = Field(
        default=Decimal(4),
        ge=Decimal("0.01"),
        le=Decimal(1000),
        description="quotes per second of session time, on average",
    )
    volatility_annual_pct: Decimal = Field(
        default=Decimal("0.6"),
        ge=Decimal("0.001"),
        le=Decimal(20),
        description="standard deviation of a year's returns as a fraction, 0.6 = 60 %",
    )
    shock_weight: Decimal = Field(
        default=Decimal("0.02"),
        ge=0,
        le=Decimal("0.1"),
        description="share of the newest squared return in the variance (alpha of GARCH)",
    )
    persistence: Decimal = Field(
        default=Decimal("0.998"),
        ge=0,
        le=Decimal("0.9999"),
        description="share of the variance's deviation that lasts to the next quote (alpha + beta)",
    )
    spread_bps: Decimal = Field(
        default=Decimal("0.3"),
        gt=0,
        le=Decimal(500),
        description="spread that the market returns to, in hundredths of a percent of the price",
    )
    depth_quote: Decimal = Field(
        default=Decimal(50_000),
        gt=0,
        le=Decimal("1e12"),
        description="mean value of the size shown on each side, in quote",
    )
    seed: int | None = Field(
        default=None, ge=0, description="seed of this market; without it the session's is used"
    )
    basis_bps: Decimal = Field(
        default=Decimal(0),
        ge=0,
        le=Decimal(1000),
        description="above 0, markets with the same seed and settings follow one price, and this "
        "market strays from it by about this much, in hundredths of a percent",
    )


class SyntheticSource:
    """A paper market whose quotes follow from its seed; they never end."""

    def __init__(self, *, instrument: Instrument, config: SyntheticConfig, seed: int) -> None:
        self.market: ConnectorPair = instrument.market
        self.instrument = instrument
        self._config = config
        self._own_seed = f"{seed}/{instrument.market}"
        self._walk_seed = f"{seed}" if config.basis_bps else self._own_seed

    def ticks(self, start_ns: int) -> Iterator[QuoteTick]:
        """Return the quotes of a session that starts at *start_ns*, the first one then."""
        config = self._config
        draws = random.Random(self._walk_seed)
        own = random.Random(self._own_seed) if config.basis_bps else draws
        basis = _Basis(own, float(config.basis_bps) / 10_000)
        market = self.market
        mean_interval_ns = SECOND_NS / float(config.intensity_per_s)
        walk = _Walk(
            draws,
            start_ticks=float(config.start_price / self.instrument.tick),
            spread_pct=float(config.spread_bps) / 10_000,
            variance_per_ns=float(config.volatility_annual_pct) ** 2 / (_YEAR_S * SECOND_NS),
            shock_weight=float(config.shock_weight),
            persistence=float(config.persistence),
        )
        depth = float(
            config.depth_quote
            / (self.instrument.tick * self.instrument.lot * self.instrument.multiplier)
        )
        ts_ns = start_ns
        while True:
            bid, ask = walk.bid_and_ask(basis.factor)
            yield QuoteTick(
                market, ts_ns, bid, ask, _size(own, depth / bid), _size(own, depth / ask)
            )
            interval_ns = max(
                1, int(min(_exponential(draws), _LONGEST_INTERVAL) * mean_interval_ns)
            )
            ts_ns += interval_ns
            walk.move(interval_ns)
            basis.move(interval_ns)


class _Basis:
    """How far a market is from the price that it shares: it strays and comes back."""

    def __init__(self, draws: random.Random, deviation: float) -> None:
        self._draws = draws
        self._deviation = deviation
        self._offset = deviation * _bell(draws) if deviation else 0.0

    @property
    def factor(self) -> float:
        """Return this market's price per shared price."""
        return 1.0 + self._offset

    def move(self, interval_ns: int) -> None:
        """Let *interval_ns* pass; without a deviation nothing is drawn."""
        if not self._deviation:
            return
        kept = 1.0 / (1.0 + interval_ns / _BASIS_LASTS_NS)
        noise = self._deviation * math.sqrt(1.0 - kept * kept) * _bell(self._draws)
        self._offset = self._offset * kept + noise


class _Walk:
    """Mid price, variance and spread, in ticks; the variance is relative to its long-run mean."""

    def __init__(
        self,
        draws: random.Random,
        *,
        start_ticks: float,
        spread_pct: float,
        variance_per_ns: float,
        shock_weight: float,
        persistence: float,
    ) -> None:
        self._draws = draws
        self._mid = start_ticks
        self._lowest = max(2.0, start_ticks / _PRICE_RANGE)
        self._highest = max(2.0, start_ticks * _PRICE_RANGE)
        self._spread_pct = spread_pct
        self._widening = 1.0
        self._variance_per_ns = variance_per_ns
        self._variance = 1.0
        self._shock = min(shock_weight, persistence)
        self._persistence = persistence

    def bid_and_ask(self, factor: float) -> tuple[int, int]:
        """Return this instant's prices, *factor* times the walk's, in ticks: 1 <= bid < ask."""
        mid = self._mid * factor
        spread = max(1, int(mid * self._spread_pct * self._widening + 0.5))
        bid = max(1, int(mid - spread / 2 + 0.5))
        return bid, bid + spread

    def move(self, interval_ns: int) -> None:
        """Let *interval_ns* pass."""
        shock = _fat_tailed(self._draws)
        step = math.sqrt(self._variance * self._variance_per_ns * interval_ns) * shock
        step = min(_LARGEST_MOVE, max(-_LARGEST_MOVE, step))
        self._mid = min(self._highest, max(self._lowest, self._mid * (1.0 + step)))
        # GARCH(1,1) around a mean of 1: omega = 1 - alpha - beta, persistence = alpha + beta.
        self._variance = (
            1.0
            - self._persistence
            + self._variance * (self._persistence + self._shock * (shock * shock - 1.0))
        )
        target = math.sqrt(self._variance)
        noise = _SPREAD_NOISE * (2.0 * self._draws.random() - 1.0)
        widening = self._widening + _SPREAD_PULL * (target - self._widening)
        self._widening = min(_WIDEST_SPREAD, widening * (1.0 + noise))


def _fat_tailed(draws: random.Random) -> float:
    """Return a draw with mean 0, variance 1 and kurtosis about 6.5.

    Four uniforms make a bell; a small share of the bells is three times as wide.
    """
    return _bell(draws) * (_CORE_SCALE * (_TAIL_SCALE if draws.random() < _TAIL_SHARE else 1.0))


def _bell(draws: random.Random) -> float:
    """Return a draw with mean 0 and variance 1, never beyond 3.5."""
    total = draws.random() + draws.random() + draws.random() + draws.random()
    return (total - 2.0) * math.sqrt(3)


def _exponential(draws: random.Random) -> float:
    """Return an exponential draw with mean 1, by comparisons only.

    Source:
        von Neumann (1951), "Various techniques used in connection with random digits", NBS
        Applied Mathematics Series 12.
    """
    whole = 0
    while True:
        first = last = draws.random()
        is_odd = True
        while (following := draws.random()) < last:
            last = following
            is_odd = not is_odd
        if is_odd:
            return whole + first
        whole += 1


def _size(draws: random.Random, mean_lots: float) -> int:
    return max(1, int(mean_lots * (0.25 + 0.75 * _exponential(draws))))
