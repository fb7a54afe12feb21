"""Slippage models: how much worse a taker fill is, in ticks.

A model tells an unsigned worsening; the broker alone knows which way that is (COST-2). Relative
impacts are parts per billion; those that need floats (shares of volume, volatility, square roots)
are computed in IEEE doubles in the written order and rounded half-even to parts per billion before
they touch a price (UNIT-8).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt
from typing import Final

from engine.model.draws import uniform
from engine.model.instruments import PPB, Instrument
from engine.model.rounding import ceil_div

_DRAW_STREAM: Final = 2
_BPS_PER_ONE: Final = 10_000
_UNKNOWN: Final = -(2**63)


class TakerFacts:
    """What a model may know of a taker fill; a broker keeps one and changes it.

    ``lots`` is the quantity of this fill, ``volume`` the bar's (-1 unknown), ``consumed`` what was
    filled before in this bar and symbol. ``closes`` and ``volumes`` are the symbol's columns of
    which the bars before ``bar`` are known. ``spread_ticks`` is the spread at the fill, or the
    smallest 64-bit integer without one.
    """

    __slots__ = (
        "bar",
        "closes",
        "consumed",
        "instrument",
        "lots",
        "order_seq",
        "seed",
        "side",
        "spread_ticks",
        "volume",
        "volumes",
    )

    def __init__(
        self,
        instrument: Instrument,
        *,
        seed: int = 0,
        closes: Sequence[int] = (),
        volumes: Sequence[int] = (),
    ) -> None:
        self.instrument = instrument
        self.seed = seed
        self.closes = closes
        self.volumes = volumes
        self.side = 1
        self.lots = 0
        self.order_seq = 0
        self.bar = 0
        self.volume = -1
        self.consumed = 0
        self.spread_ticks = _UNKNOWN

    def volatility(self, n: int, default: float) -> float:
        """Return the sample deviation of the last *n* close returns before the bar.

        Plain sums from the oldest to the newest; fewer than two returns give *default*.
        """
        closes = self.closes
        stop = min(self.bar, len(closes))
        returns = [
            closes[j] / closes[j - 1] - 1.0 for j in range(max(1, stop - n), stop) if closes[j - 1]
        ]
        count = len(returns)
        if count < 2:
            return default
        total = 0.0
        for one in returns:
            total += one
        mean = total / count
        squares = 0.0
        for one in returns:
            squares += (one - mean) * (one - mean)
        return sqrt(squares / (count - 1))

    def mean_volume(self, n: int) -> float:
        """Return the mean known volume of the last *n* bars before the bar, 0 without one."""
        volumes = self.volumes
        stop = min(self.bar, len(volumes))
        total = count = 0
        for j in range(max(0, stop - n), stop):
            if volumes[j] >= 0:
                total += volumes[j]
                count += 1
        return total / count if count else 0.0


def ppb_of(impact: float) -> int:
    """Return a relative *impact* in parts per billion, half to even, never below 0 (COST-1)."""
    return max(0, round(impact * 1e9))


class SlippageModel(ABC):
    """Tells by how many ticks a taker fill worsens; the broker knows which way that is (COST-2).

    ``depends_on_size`` says that the price changes with the quantity, ``volume_limit_ppb`` bounds
    the fills of a bar as a share of its volume, ``stateless`` allows sharing (CONT-14).
    """

    __slots__ = ()
    depends_on_size = False
    stateless = True

    @property
    def volume_limit_ppb(self) -> int | None:
        """Return the most of a bar's volume that may fill, None for no bound."""
        return None

    @abstractmethod
    def worsening_ticks(self, ticks: int, facts: TakerFacts | None = None) -> int:
        """Return the worsening of a raw price of *ticks*, rounded up, 0 or more (UNIT-5)."""

    @abstractmethod
    def worsened(
        self, numerator: int, denominator: int, facts: TakerFacts | None
    ) -> tuple[int, int]:
        """Return the worsened price of *numerator* / *denominator* ticks, exact (composite)."""


class NoSlippage(SlippageModel):
    """Fills at the raw price."""

    __slots__ = ()

    def worsening_ticks(self, ticks: int, facts: TakerFacts | None = None) -> int:  # noqa: ARG002
        """Return 0."""
        return 0

    def worsened(
        self,
        numerator: int,
        denominator: int,
        facts: TakerFacts | None,  # noqa: ARG002 (the family's signature)
    ) -> tuple[int, int]:
        """Return the price as it is."""
        return numerator, denominator

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NoSlippage)

    def __hash__(self) -> int:
        return 0


class _Absolute(SlippageModel):
    """Adds a price difference."""

    __slots__ = ()

    @abstractmethod
    def offset_ppb(self, facts: TakerFacts | None) -> int:
        """Return the difference in billionths of a tick."""

    def worsening_ticks(self, ticks: int, facts: TakerFacts | None = None) -> int:  # noqa: ARG002
        """Return the difference in ticks, rounded up."""
        return ceil_div(self.offset_ppb(facts), PPB)

    def worsened(
        self, numerator: int, denominator: int, facts: TakerFacts | None
    ) -> tuple[int, int]:
        """Return the price and the difference on the taker's side."""
        side = facts.side if facts is not None else 1
        offset = side * self.offset_ppb(facts)
        return numerator * PPB + offset * denominator, denominator * PPB


class _Relative(SlippageModel):
    """Multiplies the price."""

    __slots__ = ()

    @abstractmethod
    def impact_ppb(self, facts: TakerFacts | None) -> int:
        """Return the relative worsening in parts per billion."""

    def worsening_ticks(self, ticks: int, facts: TakerFacts | None = None) -> int:
        """Return the share of *ticks*, rounded up."""
        return ceil_div(abs(ticks) * self.impact_ppb(facts), PPB)

    def worsened(
        self, numerator: int, denominator: int, facts: TakerFacts | None
    ) -> tuple[int, int]:
        """Return the price times one plus or minus the impact."""
        side = facts.side if facts is not None else 1
        impact = side * self.impact_ppb(facts)
        return numerator * PPB + abs(numerator) * impact, denominator * PPB


@dataclass(frozen=True)
class FixedSlippage(_Absolute):
    """A fixed number of ticks, 0 or more."""

    ticks: int

    def offset_ppb(self, facts: TakerFacts | None) -> int:  # noqa: ARG002 (the family's signature)
        """Return the configured ticks."""
        return self.ticks * PPB


@dataclass(frozen=True)
class AmountSlippage(_Absolute):
    """A fixed price difference, 0 or more."""

    amount: Decimal

    def offset_ppb(self, facts: TakerFacts | None) -> int:
        """Return the difference on the instrument's grid; without an instrument there is none."""
        if facts is None:
            return 0
        return _ticks_ppb(self.amount, facts.instrument)


@dataclass(frozen=True)
class SpreadSlippage(_Absolute):
    """Half a spread: of so many ticks, of a price difference, or (None) of the bar's column."""

    ticks: int | None = None
    amount: Decimal | None = None

    def offset_ppb(self, facts: TakerFacts | None) -> int:
        """Return half the spread; a bar that does not know its spread has none."""
        if self.ticks is not None:
            return self.ticks * PPB // 2
        if facts is None:
            return 0
        if self.amount is not None:
            return ceil_div(_ticks_ppb(self.amount, facts.instrument), 2)
        return max(0, facts.spread_ticks) * PPB // 2


@dataclass(frozen=True)
class RelativeSlippage(_Relative):
    """A share of the price in parts per billion (`percent` and `bps`)."""

    rate_ppb: int

    def impact_ppb(self, facts: TakerFacts | None) -> int:  # noqa: ARG002 (the family's signature)
        """Return the configured share."""
        return self.rate_ppb


@dataclass(frozen=True)
class VolumeShareSlippage(_Relative):
    """k * min((c + q) / V, limit)^2; also bounds the fills of a bar at limit * V (COST-3).

    An unknown volume counts as the limit.
    """

    limit_ppb: int = 25_000_000
    k: float = 0.1
    depends_on_size = True

    @property
    def volume_limit_ppb(self) -> int | None:
        """Return the limit."""
        return self.limit_ppb

    def impact_ppb(self, facts: TakerFacts | None) -> int:
        """Return the impact of this fill after the others of its bar."""
        limit = self.limit_ppb / PPB
        share = limit
        if facts is not None and facts.volume > 0:
            share = min((facts.consumed + facts.lots) / facts.volume, limit)
        return ppb_of(self.k * (share * share))


@dataclass(frozen=True)
class VolatilitySlippage(_Relative):
    """k * sigma of the last n close returns."""

    n: int = 20
    k: float = 0.1
    default_vol: float = 0.01

    def impact_ppb(self, facts: TakerFacts | None) -> int:
        """Return the impact; `default_vol` with fewer than two returns."""
        sigma = facts.volatility(self.n, self.default_vol) if facts else self.default_vol
        return ppb_of(self.k * sigma)


@dataclass(frozen=True)
class SqrtImpactSlippage(_Relative):
    """Y * sigma * sqrt(q / ADV), ADV the mean volume of the last n bars.

    Without a known volume q / ADV counts as one.
    """

    n: int = 20
    y: float = 1.0
    default_vol: float = 0.01
    depends_on_size = True

    def impact_ppb(self, facts: TakerFacts | None) -> int:
        """Return the impact of this fill's quantity."""
        if facts is None:
            return ppb_of(self.y * self.default_vol)
        average = facts.mean_volume(self.n)
        ratio = facts.lots / average if average > 0.0 else 1.0
        return ppb_of(self.y * facts.volatility(self.n, self.default_vol) * sqrt(ratio))


@dataclass(frozen=True)
class VariableSlippage(_Relative):
    """base * (1 + q*size_impact/10000) * (1 + sigma*vol_impact) * (1 + r).

    q is in quantity units, r uniform in [-random, random], keyed by order and bar (D6).
    """

    base: float = 0.0005
    size_impact: float = 0.01
    vol_impact: float = 0.5
    random: float = 0.2
    n: int = 20
    default_vol: float = 0.01
    depends_on_size = True

    def impact_ppb(self, facts: TakerFacts | None) -> int:
        """Return the impact of this fill."""
        if facts is None:
            return ppb_of(self.base * (1.0 + self.default_vol * self.vol_impact))
        quantity = facts.lots * float(facts.instrument.lot)
        sigma = facts.volatility(self.n, self.default_vol)
        draw = uniform(facts.seed, _DRAW_STREAM, facts.order_seq, facts.bar)
        by_size = 1.0 + quantity * self.size_impact / _BPS_PER_ONE
        by_luck = 1.0 + (2.0 * draw - 1.0) * self.random
        return ppb_of(self.base * by_size * (1.0 + sigma * self.vol_impact) * by_luck)


@dataclass(frozen=True)
class CompositeSlippage(SlippageModel):
    """Models applied from left to right, each to the exact price that the one before left."""

    models: tuple[SlippageModel, ...]

    @property
    def depends_on_size(self) -> bool:  # type: ignore[override]  # a constant in the others
        """Whether one of the models depends on the quantity."""
        return any(model.depends_on_size for model in self.models)

    @property
    def volume_limit_ppb(self) -> int | None:
        """Return the narrowest bound of the models."""
        bounds = [
            model.volume_limit_ppb for model in self.models if model.volume_limit_ppb is not None
        ]
        return min(bounds) if bounds else None

    def worsening_ticks(self, ticks: int, facts: TakerFacts | None = None) -> int:
        """Return the difference of the last price from *ticks*, rounded up."""
        numerator, denominator = self.worsened(ticks, 1, facts)
        side = facts.side if facts is not None else 1
        return max(0, ceil_div(side * (numerator - ticks * denominator), denominator))

    def worsened(
        self, numerator: int, denominator: int, facts: TakerFacts | None
    ) -> tuple[int, int]:
        """Return the price that the last model leaves."""
        for model in self.models:
            numerator, denominator = model.worsened(numerator, denominator, facts)
        return numerator, denominator


def _ticks_ppb(amount: Decimal, instrument: Instrument) -> int:
    """Return *amount* in billionths of a tick, rounded up."""
    numerator, denominator = (amount / instrument.tick).as_integer_ratio()
    return ceil_div(numerator * PPB, denominator)
