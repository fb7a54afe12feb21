"""Immutable views of positions and account; safe to read on any thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import PositionSide

_DISPLAY_STEP: Final = Decimal("1e-9")


def money_of_twice(twice: int, money_precision: int) -> Decimal:
    """Return *twice* half atoms as money, exact."""
    if twice & 1:
        return Decimal(twice * 5).scaleb(-money_precision - 1)
    return Decimal(twice // 2).scaleb(-money_precision)


@dataclass(frozen=True, slots=True)
class PositionSnapshot:
    """One position at one instant; ``mark_twice`` is 0 while there is no mark.

    It is a market's net position, or the LONG or SHORT one of a hedged market.
    """

    instrument: Instrument
    net_lots: int
    cost_atoms: int
    realised_atoms: int
    fees_atoms: int
    mark_twice: int
    unrealised_twice: int
    funding_atoms: int = 0
    """Positive when more was received than paid."""
    side: PositionSide = PositionSide.BOTH

    @property
    def market(self) -> ConnectorPair:
        """Return the market."""
        return self.instrument.market

    @property
    def amount(self) -> Decimal:
        """Return the signed amount in base, exact."""
        return self.instrument.qty(self.net_lots)

    @property
    def entry_price(self) -> Decimal | None:
        """Return cost / quantity rounded half-even to 1e-9 for display; None when flat."""
        if not self.net_lots:
            return None
        instrument = self.instrument
        notional = instrument.money(self.cost_atoms) / instrument.multiplier
        average = notional / instrument.qty(abs(self.net_lots))
        return average.quantize(_DISPLAY_STEP, ROUND_HALF_EVEN)

    @property
    def mark_price(self) -> Decimal | None:
        """Return the mark, exact; None before the first."""
        return self.instrument.tick * self.mark_twice / 2 if self.mark_twice else None

    @property
    def unrealised(self) -> Decimal:
        """Return the unrealised result, exact, before fees."""
        return money_of_twice(self.unrealised_twice, self.instrument.money_precision)

    @property
    def realised(self) -> Decimal:
        """Return the realised result, exact, before fees."""
        return self.instrument.money(self.realised_atoms)

    @property
    def fees(self) -> Decimal:
        """Return the fees paid, exact; positive when we paid."""
        return self.instrument.money(self.fees_atoms)

    @property
    def funding(self) -> Decimal:
        """Return the funding, exact; positive when more was received than paid."""
        return self.instrument.money(self.funding_atoms)


@dataclass(frozen=True, slots=True)
class FreeFunds:
    """What new orders may lock, beside what is held and what open orders lock already."""

    margin: Decimal
    """In the account's currency, for derivatives and as a bound of everything else."""
    cash: Mapping[str, Decimal]
    """By quote asset."""
    base: Mapping[str, Decimal]
    """By base asset."""


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """The whole account at one instant; money in atoms, ``_twice`` in half atoms."""

    currency: str
    money_precision: int
    initial_atoms: int
    cash_atoms: tuple[tuple[str, int], ...]
    """(quote asset, atoms), sorted by asset."""
    equity_twice: int
    unrealised_twice: int
    realised_atoms: int
    fees_atoms: int
    margin_used_atoms: int
    positions: tuple[PositionSnapshot, ...]
    """In the order of the configured markets, flat ones included; two of a hedged market."""
    funding_atoms: int = 0

    @property
    def initial_equity(self) -> Decimal:
        """Return what the account started with."""
        return Decimal(self.initial_atoms).scaleb(-self.money_precision)

    @property
    def equity(self) -> Decimal:
        """Return the equity at the marks, exact."""
        return money_of_twice(self.equity_twice, self.money_precision)

    @property
    def unrealised(self) -> Decimal:
        """Return the unrealised result at the marks, exact, before fees."""
        return money_of_twice(self.unrealised_twice, self.money_precision)

    @property
    def realised(self) -> Decimal:
        """Return the realised result, exact, before fees."""
        return Decimal(self.realised_atoms).scaleb(-self.money_precision)

    @property
    def fees(self) -> Decimal:
        """Return the fees paid; positive when we paid."""
        return Decimal(self.fees_atoms).scaleb(-self.money_precision)

    @property
    def funding(self) -> Decimal:
        """Return the funding of perpetuals; positive when more was received than paid."""
        return Decimal(self.funding_atoms).scaleb(-self.money_precision)

    @property
    def margin_used(self) -> Decimal:
        """Return the initial margin of the derivative positions."""
        return Decimal(self.margin_used_atoms).scaleb(-self.money_precision)

    @property
    def cash(self) -> dict[str, Decimal]:
        """Return cash by quote asset."""
        return {
            asset: Decimal(atoms).scaleb(-self.money_precision) for asset, atoms in self.cash_atoms
        }
