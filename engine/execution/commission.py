"""Commission models: what a fill costs, in atoms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast

from engine.model.instruments import PPB, Instrument
from engine.model.rounding import ceil_div, fee_ppb

_DAY_NS: Final = 86_400_000_000_000
_TRAILING_DAYS: Final = 30


class Charged(Protocol):
    """What an order was charged for so far: fills, lots, notional and fees in atoms."""

    @property
    def fills(self) -> int:
        """Return the number of fills."""
        ...

    @property
    def filled_lots(self) -> int:
        """Return their lots."""
        ...

    @property
    def notional_atoms(self) -> int:
        """Return their notional, without sign."""
        ...

    @property
    def fee_atoms(self) -> int:
        """Return their fees by this model."""
        ...


@dataclass(frozen=True, slots=True)
class ChargedOrder:
    """A plain `Charged`."""

    fills: int = 0
    notional_atoms: int = 0
    fee_atoms: int = 0
    filled_lots: int = 0


class CommissionModel(ABC):
    """Charges fills; positive when we pay, negative for a rebate.

    ``stateless`` allows sharing (CONT-14). ``thresholds`` are the cumulative notionals at which
    the fee of an order may fall.
    """

    __slots__ = ()
    stateless = True

    @abstractmethod
    def fee_atoms(
        self,
        instrument: Instrument,
        order: Charged,
        notional_atoms: int,
        *,
        is_maker: bool,
        lots: int = 0,
    ) -> int:
        """Return the fee of the next fill of *order*: *lots* of *notional_atoms* (COST-4)."""

    def estimate_atoms(
        self, instrument: Instrument, notional_atoms: int, *, is_maker: bool, lots: int = 0
    ) -> int:
        """Return the fee of an order that fills at once with *notional_atoms*."""
        return self.fee_atoms(
            instrument, ChargedOrder(), notional_atoms, is_maker=is_maker, lots=lots
        )

    @property
    def thresholds(self) -> tuple[int, ...]:
        """Return the cumulative notionals in atoms at which the fee may fall, ascending."""
        return ()

    @property
    def parts(self) -> tuple[CommissionModel, ...]:
        """Return the models that this one adds up; by default itself."""
        return (self,)

    def memory(self) -> object:
        """Return what `restore` takes; models without a memory have none."""
        return None

    def restore(self, memory: object) -> None:  # noqa: B027 (most have no memory)
        """Go back to what `memory` returned."""

    def record(self, notional_atoms: int, ts_ns: int) -> None:  # noqa: B027 (most have no memory)
        """Take note of a fill's notional; models without a memory forget it."""

    def start_day(self, ts_ns: int) -> None:  # noqa: B027 (most have no memory)
        """Take note of the time of the next fill."""


@dataclass(frozen=True, slots=True)
class NoCommission(CommissionModel):
    """Charges nothing."""

    def fee_atoms(
        self,
        instrument: Instrument,  # noqa: ARG002 (the family's signature)
        order: Charged,  # noqa: ARG002 (the family's signature)
        notional_atoms: int,  # noqa: ARG002 (the family's signature)
        *,
        is_maker: bool,  # noqa: ARG002 (the family's signature)
        lots: int = 0,  # noqa: ARG002 (the family's signature)
    ) -> int:
        """Return 0."""
        return 0


@dataclass(frozen=True, slots=True)
class PerShareCommission(CommissionModel):
    """An amount for each unit of quantity, with a minimum and an optional maximum per order.

    ``rate_ppb`` is in billionths of the currency per unit.
    """

    rate_ppb: int
    min_atoms: int = 0
    max_atoms: int | None = None

    def fee_atoms(
        self,
        instrument: Instrument,
        order: Charged,
        notional_atoms: int,  # noqa: ARG002 (the family's signature)
        *,
        is_maker: bool,  # noqa: ARG002 (the family's signature)
        lots: int = 0,
    ) -> int:
        """Return the charge for the cumulative quantity, less what was charged (COST-4)."""
        per, units = instrument.lot.as_integer_ratio()
        scale = 10**instrument.money_precision
        quantity = (order.filled_lots + lots) * per
        charge = max(ceil_div(quantity * self.rate_ppb * scale, units * PPB), self.min_atoms)
        if self.max_atoms is not None:
            charge = min(charge, self.max_atoms)
        return max(0, charge - order.fee_atoms)


@dataclass(frozen=True, slots=True)
class PercentCommission(CommissionModel):
    """A share of an order's notional with a minimum and an optional maximum per order."""

    rate_ppb: int
    min_atoms: int = 0
    max_atoms: int | None = None

    def fee_atoms(
        self,
        instrument: Instrument,  # noqa: ARG002 (the family's signature)
        order: Charged,
        notional_atoms: int,
        *,
        is_maker: bool,  # noqa: ARG002 (the family's signature)
        lots: int = 0,  # noqa: ARG002 (the family's signature)
    ) -> int:
        """Return the charge for the cumulative notional, less what was charged (COST-4)."""
        cumulative = order.notional_atoms + abs(notional_atoms)
        charge = max(-(-cumulative * self.rate_ppb // PPB), self.min_atoms)
        if self.max_atoms is not None:
            charge = min(charge, self.max_atoms)
        return charge - order.fee_atoms


@dataclass(frozen=True, slots=True)
class PerTradeCommission(CommissionModel):
    """A flat amount on an order's first fill."""

    flat_atoms: int

    def fee_atoms(
        self,
        instrument: Instrument,  # noqa: ARG002 (the family's signature)
        order: Charged,
        notional_atoms: int,  # noqa: ARG002 (the family's signature)
        *,
        is_maker: bool,  # noqa: ARG002 (the family's signature)
        lots: int = 0,  # noqa: ARG002 (the family's signature)
    ) -> int:
        """Return the flat amount for the first fill, 0 for the others."""
        return 0 if order.fills else self.flat_atoms


@dataclass(frozen=True, slots=True)
class TieredCommission(CommissionModel):
    """The rate of the tier that contains an order's notional, on the whole of it, then a minimum.

    ``tiers`` are (from notional in atoms, rate in parts per billion), ascending, the first at 0.
    """

    tiers: tuple[tuple[int, int], ...]
    min_atoms: int = 0

    def fee_atoms(
        self,
        instrument: Instrument,  # noqa: ARG002 (the family's signature)
        order: Charged,
        notional_atoms: int,
        *,
        is_maker: bool,  # noqa: ARG002 (the family's signature)
        lots: int = 0,  # noqa: ARG002 (the family's signature)
    ) -> int:
        """Return the charge for the cumulative notional, less what was charged, at least 0."""
        cumulative = order.notional_atoms + abs(notional_atoms)
        rate = self.tiers[0][1]
        for start, tier_rate in self.tiers:
            if cumulative >= start:
                rate = tier_rate
        charge = max(ceil_div(cumulative * rate, PPB), self.min_atoms)
        return max(0, charge - order.fee_atoms)

    @property
    def thresholds(self) -> tuple[int, ...]:
        """Return where the tiers begin."""
        return tuple(start for start, _ in self.tiers[1:])


@dataclass(frozen=True, slots=True)
class MakerTakerCommission(CommissionModel):
    """A share of each fill's notional; a rate of None is the instrument's own."""

    maker_ppb: int | None = None
    taker_ppb: int | None = None

    def fee_atoms(
        self,
        instrument: Instrument,
        order: Charged,  # noqa: ARG002 (the family's signature)
        notional_atoms: int,
        *,
        is_maker: bool,
        lots: int = 0,  # noqa: ARG002 (the family's signature)
    ) -> int:
        """Return the fee: a cost is rounded up, a rebate toward zero (UNIT-5)."""
        rate = self.maker_ppb if is_maker else self.taker_ppb
        if rate is None:
            return instrument.fee_atoms(notional_atoms, is_maker=is_maker)
        return fee_ppb(abs(notional_atoms), rate)


class MakerTakerTieredCommission(CommissionModel):
    """As maker_taker, with rates by the notional of the 30 days before the day of the fill.

    Args:
        tiers: (from notional in atoms, maker rate, taker rate), ascending, the first at 0.
    """

    __slots__ = ("_by_day", "_day", "_maker_ppb", "_taker_ppb", "tiers")
    stateless = False

    def __init__(self, tiers: Sequence[tuple[int, int, int]]) -> None:
        self.tiers = tuple(tiers)
        self._by_day: dict[int, int] = {}
        self._day = -1
        self._maker_ppb = self.tiers[0][1]
        self._taker_ppb = self.tiers[0][2]

    def start_day(self, ts_ns: int) -> None:
        """Choose the rates of the day of *ts_ns*: by what was traded in the 30 days before it."""
        day = ts_ns // _DAY_NS
        if day == self._day:
            return
        self._day = day
        self._by_day = {
            at: atoms for at, atoms in self._by_day.items() if at >= day - _TRAILING_DAYS
        }
        traded = sum(atoms for at, atoms in self._by_day.items() if at < day)
        for start, maker, taker in self.tiers:
            if traded >= start:
                self._maker_ppb, self._taker_ppb = maker, taker

    def record(self, notional_atoms: int, ts_ns: int) -> None:
        """Add a fill's notional to its day."""
        day = ts_ns // _DAY_NS
        self._by_day[day] = self._by_day.get(day, 0) + abs(notional_atoms)

    def fee_atoms(
        self,
        instrument: Instrument,  # noqa: ARG002 (the family's signature)
        order: Charged,  # noqa: ARG002 (the family's signature)
        notional_atoms: int,
        *,
        is_maker: bool,
        lots: int = 0,  # noqa: ARG002 (the family's signature)
    ) -> int:
        """Return the fee at the day's rates."""
        return fee_ppb(abs(notional_atoms), self._maker_ppb if is_maker else self._taker_ppb)

    def memory(self) -> object:
        """Return what `restore` takes."""
        return dict(self._by_day), self._day, self._maker_ppb, self._taker_ppb

    def restore(self, memory: object) -> None:
        """Go back to what `memory` returned."""
        by_day, self._day, self._maker_ppb, self._taker_ppb = cast(
            "tuple[dict[int, int], int, int, int]",  # this model's own memory
            memory,
        )
        self._by_day = dict(by_day)


@dataclass(frozen=True, slots=True)
class CompositeCommission(CommissionModel):
    """The sum of models; each charges the difference of its own totals, at least 0 with a minimum.

    A part knows what it charged before from the order's lots and notional, not from the sum.
    """

    models: tuple[CommissionModel, ...]

    @property
    def stateless(self) -> bool:  # type: ignore[override]  # a constant in the others
        """Whether every model may be shared."""
        return all(model.stateless for model in self.models)

    @property
    def parts(self) -> tuple[CommissionModel, ...]:
        """Return the models, those of models within them too."""
        return tuple(part for model in self.models for part in model.parts)

    @property
    def thresholds(self) -> tuple[int, ...]:
        """Return the thresholds of all models."""
        return tuple(sorted({start for model in self.models for start in model.thresholds}))

    def fee_atoms(
        self,
        instrument: Instrument,
        order: Charged,
        notional_atoms: int,
        *,
        is_maker: bool,
        lots: int = 0,
    ) -> int:
        """Return the sum of the parts' charges."""
        total = 0
        for model in self.models:
            charged = 0
            if order.fills and not isinstance(
                model, MakerTakerCommission | MakerTakerTieredCommission | PerTradeCommission
            ):
                charged = model.fee_atoms(
                    instrument,
                    ChargedOrder(),
                    order.notional_atoms,
                    is_maker=is_maker,
                    lots=order.filled_lots,
                )
            part = ChargedOrder(order.fills, order.notional_atoms, charged, order.filled_lots)
            total += model.fee_atoms(instrument, part, notional_atoms, is_maker=is_maker, lots=lots)
        return total

    def record(self, notional_atoms: int, ts_ns: int) -> None:
        """Tell every model."""
        for model in self.models:
            model.record(notional_atoms, ts_ns)

    def start_day(self, ts_ns: int) -> None:
        """Tell every model."""
        for model in self.models:
            model.start_day(ts_ns)
