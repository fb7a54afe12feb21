"""Commission models (backtest.md section 10): what a fill costs, in atoms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from engine.model.instruments import PPB, Instrument


@dataclass(frozen=True, slots=True)
class ChargedOrder:
    """What an order was charged for so far: fills, their notional and their fees in atoms."""

    fills: int = 0
    notional_atoms: int = 0
    fee_atoms: int = 0


class CommissionModel(ABC):
    """Charges fills; positive when we pay, negative for a rebate."""

    __slots__ = ()

    @abstractmethod
    def fee_atoms(
        self, instrument: Instrument, order: ChargedOrder, notional_atoms: int, *, is_maker: bool
    ) -> int:
        """Return the fee of the next fill of *order*, of *notional_atoms* (COST-4)."""

    def estimate_atoms(self, instrument: Instrument, notional_atoms: int, *, is_maker: bool) -> int:
        """Return the fee of an order that fills at once with *notional_atoms*."""
        return self.fee_atoms(instrument, ChargedOrder(), notional_atoms, is_maker=is_maker)


@dataclass(frozen=True, slots=True)
class NoCommission(CommissionModel):
    """Charges nothing."""

    def fee_atoms(
        self,
        instrument: Instrument,  # noqa: ARG002 (the family's signature)
        order: ChargedOrder,  # noqa: ARG002 (the family's signature)
        notional_atoms: int,  # noqa: ARG002 (the family's signature)
        *,
        is_maker: bool,  # noqa: ARG002 (the family's signature)
    ) -> int:
        """Return 0."""
        return 0


@dataclass(frozen=True, slots=True)
class PercentCommission(CommissionModel):
    """A share of an order's notional with a minimum and an optional maximum per order."""

    rate_ppb: int
    min_atoms: int = 0
    max_atoms: int | None = None

    def fee_atoms(
        self,
        instrument: Instrument,  # noqa: ARG002 (the family's signature)
        order: ChargedOrder,
        notional_atoms: int,
        *,
        is_maker: bool,  # noqa: ARG002 (the family's signature)
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
        order: ChargedOrder,
        notional_atoms: int,  # noqa: ARG002 (the family's signature)
        *,
        is_maker: bool,  # noqa: ARG002 (the family's signature)
    ) -> int:
        """Return the flat amount for the first fill, 0 for the others."""
        return 0 if order.fills else self.flat_atoms


@dataclass(frozen=True, slots=True)
class MakerTakerCommission(CommissionModel):
    """A share of each fill's notional; a rate of None is the instrument's own."""

    maker_ppb: int | None = None
    taker_ppb: int | None = None

    def fee_atoms(
        self,
        instrument: Instrument,
        order: ChargedOrder,  # noqa: ARG002 (the family's signature)
        notional_atoms: int,
        *,
        is_maker: bool,
    ) -> int:
        """Return the fee: a cost is rounded up, a rebate toward zero (UNIT-5)."""
        rate = self.maker_ppb if is_maker else self.taker_ppb
        if rate is None:
            return instrument.fee_atoms(notional_atoms, is_maker=is_maker)
        return -(-abs(notional_atoms) * rate // PPB)
