"""Instruments and the grids of their prices, quantities and money."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import Enum, unique
from typing import Final

PPB: Final = 1_000_000_000
"""Rates are integers in parts per billion (UNIT-8)."""


class OffGridError(ValueError):
    """A value is not finite, or not on the grid of its instrument."""


class NonIntegralScaleError(ValueError):
    """One tick times one lot is not a whole number of money atoms (UNIT-4)."""


@unique
class Settlement(Enum):
    """How a fill settles: exchange of assets, or profit and loss only."""

    SPOT = "spot"
    DERIVATIVE = "derivative"


@dataclass(frozen=True, slots=True, order=True)
class ConnectorPair:
    """A market: a venue connector and one of its trading pairs, ``BASE-QUOTE``."""

    connector_name: str
    trading_pair: str
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Markets are the keys of most look-ups on the hot path.
        object.__setattr__(self, "_hash", hash((self.connector_name, self.trading_pair)))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type[ConnectorPair], tuple[str, str]]:
        # Another process hashes text differently: it must compute its own.
        return ConnectorPair, (self.connector_name, self.trading_pair)

    @property
    def base(self) -> str:
        """Return the base asset."""
        return self.trading_pair.partition("-")[0]

    @property
    def quote(self) -> str:
        """Return the quote asset."""
        return self.trading_pair.partition("-")[2]

    def __str__(self) -> str:
        return f"{self.connector_name}:{self.trading_pair}"


@dataclass(frozen=True, slots=True)
class Instrument:
    """A market with its grids and limits.

    ``tick`` is the price step, ``lot`` the quantity step in base, ``multiplier`` the currency per
    price unit per quantity unit. One atom of money is ``10 ** -money_precision``. ``maker_ppb`` and
    ``taker_ppb`` are fee rates of the notional in parts per billion. ``is_hedged`` says that a long
    and a short position of a perpetual exist side by side (`PositionMode.HEDGE`) instead of being
    netted.

    Raises:
        NonIntegralScaleError: ``tick * lot * multiplier`` is not a whole number of atoms.
        OffGridError: a step is not positive and finite.
        ValueError: a spot market is to be hedged.
    """

    market: ConnectorPair
    tick: Decimal
    lot: Decimal
    min_qty: Decimal = Decimal(0)
    max_qty: Decimal = Decimal("1e56")
    min_notional: Decimal = Decimal(0)
    multiplier: Decimal = Decimal(1)
    settlement: Settlement = Settlement.DERIVATIVE
    shortable: bool = True
    money_precision: int = 8
    maker_ppb: int = 0
    taker_ppb: int = 0
    is_hedged: bool = False
    atoms_per_tick_lot: int = field(init=False)
    """k, the atoms of one tick times one lot (UNIT-4)."""
    min_lots: int = field(init=False)
    """Least tradable quantity in lots, at least one."""
    min_notional_atoms: int = field(init=False)
    """Least notional in atoms, rounded up."""

    def __post_init__(self) -> None:
        if self.is_hedged and self.settlement is Settlement.SPOT:
            raise ValueError(
                f"{self.market}: a spot market holds assets, not a long and a short position"
            )
        for name, step in (("tick", self.tick), ("lot", self.lot), ("multiplier", self.multiplier)):
            if not step.is_finite() or step <= 0:
                raise OffGridError(f"{self.market}: {name} {step} must be a positive number")
        scale = self.tick * self.lot * self.multiplier * 10**self.money_precision
        if scale != scale.to_integral_value():
            raise NonIntegralScaleError(
                f"{self.market}: tick {self.tick} x lot {self.lot} x multiplier {self.multiplier} "
                f"is not a whole number of 1e-{self.money_precision}; raise money_precision"
            )
        least_lots = (self.min_qty / self.lot).to_integral_value(ROUND_CEILING)
        least_atoms = (self.min_notional * 10**self.money_precision).to_integral_value(
            ROUND_CEILING
        )
        object.__setattr__(self, "atoms_per_tick_lot", int(scale))
        object.__setattr__(self, "min_lots", max(1, int(least_lots)))
        object.__setattr__(self, "min_notional_atoms", int(least_atoms))

    @property
    def is_perpetual(self) -> bool:
        """Whether positions are opened and closed instead of assets exchanged."""
        return self.settlement is Settlement.DERIVATIVE

    def is_tradable(self, lots: int, ticks: int) -> bool:
        """Whether *lots* at *ticks* reach the minimum size and notional."""
        return lots >= self.min_lots and (
            abs(ticks) * lots * self.atoms_per_tick_lot >= self.min_notional_atoms
        )

    def to_ticks(self, price: Decimal) -> int:
        """Return *price* as a whole number of ticks.

        Raises:
            OffGridError: *price* is not finite, or not on the grid.
        """
        return _exact_steps(price, self.tick, f"{self.market}: price", "tick")

    def to_lots(self, qty: Decimal) -> int:
        """Return *qty* as a whole number of lots.

        Raises:
            OffGridError: *qty* is not finite, or not on the grid.
        """
        return _exact_steps(qty, self.lot, f"{self.market}: amount", "lot")

    def floor_lots(self, qty: Decimal) -> int:
        """Return *qty* in lots, rounded toward zero (UNIT-5)."""
        return int(
            (_finite(qty, f"{self.market}: amount") / self.lot).to_integral_value(ROUND_DOWN)
        )

    def passive_ticks(self, price: Decimal, *, is_buy: bool) -> int:
        """Return the tick nearest to *price* that is not more aggressive: buys down, sells up."""
        steps = _finite(price, f"{self.market}: price") / self.tick
        return int(steps.to_integral_value(ROUND_FLOOR if is_buy else ROUND_CEILING))

    def adverse_ticks(self, price: Decimal, *, is_buy: bool) -> int:
        """Return the tick nearest to *price* that is not better: buys up, sells down."""
        return self.passive_ticks(price, is_buy=not is_buy)

    def nearest_ticks(self, price: Decimal) -> int:
        """Return the tick nearest to *price*, half to even: for market data only."""
        steps = _finite(price, f"{self.market}: price") / self.tick
        return int(steps.to_integral_value(ROUND_HALF_EVEN))

    def price(self, ticks: int) -> Decimal:
        """Return *ticks* as a price, exact."""
        return self.tick * ticks

    def qty(self, lots: int) -> Decimal:
        """Return *lots* as a quantity in base, exact."""
        return self.lot * lots

    def money(self, atoms: int) -> Decimal:
        """Return *atoms* as money, exact."""
        return Decimal(atoms).scaleb(-self.money_precision)

    def to_atoms(self, money: Decimal) -> int:
        """Return *money* in atoms.

        Raises:
            OffGridError: *money* is not finite, or finer than one atom.
        """
        return _exact_steps(
            money, Decimal(1).scaleb(-self.money_precision), f"{self.market}: money", "atom"
        )

    def notional_atoms(self, ticks: int, lots: int) -> int:
        """Return the notional of *lots* at *ticks* in atoms, exact."""
        return ticks * lots * self.atoms_per_tick_lot

    def fee_atoms(self, notional_atoms: int, *, is_maker: bool) -> int:
        """Return the fee of a fill: a cost is rounded up, a rebate toward zero (UNIT-5)."""
        rate = self.maker_ppb if is_maker else self.taker_ppb
        return (
            -(-abs(notional_atoms) * rate // PPB)
            if rate >= 0
            else -(abs(notional_atoms) * -rate // PPB)
        )


def _finite(value: Decimal, what: str) -> Decimal:
    if not value.is_finite():
        raise OffGridError(f"{what} {value} is not a finite number")
    return value


def _exact_steps(value: Decimal, step: Decimal, what: str, unit: str) -> int:
    steps = _finite(value, what) / step
    whole = steps.to_integral_value(ROUND_DOWN)
    if whole * step != value:
        raise OffGridError(f"{what} {value} is not a multiple of the {unit} {step}")
    return int(whole)
