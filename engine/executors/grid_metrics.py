"""Profit and loss of a grid, in its open and its realized part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from engine.executors.fill_ledger import LedgerTotals, half_even
from engine.executors.grid_level import GridLevel
from engine.executors.net_line import NetLine


@dataclass(frozen=True, slots=True)
class OpenPart:
    """What the levels have open: lots, their cost and their entry fees in atoms."""

    lots: int = 0
    cost_atoms: Fraction = Fraction(0)
    fee_atoms: Fraction = Fraction(0)

    @classmethod
    def of(cls, levels: Iterable[GridLevel], closed_lots: int) -> OpenPart:
        """Return the open part of *levels* less what the grid's closing orders executed."""
        lots, cost, fees = 0, Fraction(0), Fraction(0)
        for level in levels:
            if level.net_lots > 0:
                lots += level.net_lots
                cost += level.cost_atoms
                fees += level.fee_atoms
        left = lots - closed_lots
        if left <= 0:
            return cls()
        return cls(left, cost * left / lots, fees)

    def line(self, sign: int, atoms_per_tick_lot: int) -> NetLine | None:
        """Return the position PnL fraction by the signed mid in half ticks; None if flat."""
        if not self.lots or not self.cost_atoms:
            return None
        cost, fees = self.cost_atoms, self.fee_atoms
        scale = cost.denominator * fees.denominator
        return NetLine(
            basis=int(2 * cost * scale),
            constant=int(-2 * (sign * cost + fees) * scale),
            slope=self.lots * atoms_per_tick_lot * scale,
        )

    def pnl_atoms(self, mid_half_ticks: int, sign: int, atoms_per_tick_lot: int) -> Fraction:
        """Return the PnL of the open part at bid plus ask, fees of its entries off."""
        worth = Fraction(self.lots * atoms_per_tick_lot * mid_half_ticks, 2)
        return sign * (worth - self.cost_atoms) - self.fee_atoms


@dataclass(frozen=True, slots=True)
class GridFigures:
    """All sums of a grid; amounts in atoms of money."""

    totals: LedgerTotals
    part: OpenPart

    def net_atoms(self, mid_half_ticks: int | None) -> int:
        """Return open plus realized PnL at bid plus ask; None values what is open at cost."""
        totals = self.totals
        if not totals.entry_lots:
            return 0
        worth = 2 * totals.cost_of(totals.remaining_lots)
        if mid_half_ticks is not None:
            worth = totals.remaining_lots * mid_half_ticks * totals.atoms_per_tick_lot
        value = 2 * (totals.exit_atoms + totals.residual_atoms) + worth
        scaled = totals.sign * (totals.entry_lots * value - 2 * totals.scaled_basis)
        return half_even(scaled, 2 * totals.entry_lots) - totals.fee_atoms

    @property
    def opened_atoms(self) -> Fraction:
        """Return the notional of all entries, less fees in base."""
        totals = self.totals
        return (
            Fraction(totals.scaled_basis, totals.entry_lots) if totals.entry_lots else Fraction(0)
        )

    @property
    def realized_entry_atoms(self) -> Fraction:
        """Return the entry notional of what was closed."""
        return self.opened_atoms - self.part.cost_atoms

    @property
    def realized_fee_atoms(self) -> Fraction:
        """Return the fees that do not belong to the open part."""
        return self.totals.fee_atoms - self.part.fee_atoms

    @property
    def realized_atoms(self) -> Fraction:
        """Return the PnL of what was closed, fees off."""
        closed = self.totals.exit_atoms - self.realized_entry_atoms
        return self.totals.sign * closed - self.realized_fee_atoms
