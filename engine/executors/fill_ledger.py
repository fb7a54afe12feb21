"""Exact profit and loss of a directional executor, in atoms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from engine.executors.tracked_order import TrackedOrder
from engine.model.orders import TradeType


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """Sums over the fills of an executor's entries and exits, with the formulas of 8.1.

    All amounts are integers on the instrument's grid, so that every comparison is exact. Q is
    what was opened, net of the entry fees that the venue took in base. ``residual_lots`` is dust
    that was given to the position store at the end, valued at its entry cost ``residual_atoms``.
    Times ``entry_lots`` turns the average entry price into an integer: hence "scaled" below.
    """

    sign: int
    atoms_per_tick_lot: int
    entry_lots: int = 0
    entry_atoms: int = 0
    entry_fee_lots: int = 0
    exit_lots: int = 0
    exit_atoms: int = 0
    fee_atoms: int = 0
    residual_lots: int = 0
    residual_atoms: int = 0

    @property
    def opened_lots(self) -> int:
        """Return Q in lots."""
        return self.entry_lots - self.entry_fee_lots

    @property
    def remaining_lots(self) -> int:
        """Return what is still open: opened less all exits (DEV-04) and the residual."""
        return self.opened_lots - self.exit_lots - self.residual_lots

    @property
    def entry_ticks(self) -> Fraction | None:
        """Return E, the average entry price in ticks, exact; None before the first fill."""
        if not self.entry_lots:
            return None
        return Fraction(self.entry_atoms, self.entry_lots * self.atoms_per_tick_lot)

    @property
    def scaled_basis(self) -> int:
        """Return Q*E in atoms, times ``entry_lots``."""
        return self.opened_lots * self.entry_atoms

    def scaled_trade_pnl(self, mark_ticks: int) -> int:
        """Return the trade PnL before fees in atoms, times ``entry_lots``."""
        value = (
            self.exit_atoms
            + self.remaining_lots * mark_ticks * self.atoms_per_tick_lot
            + self.residual_atoms
        )
        return self.sign * (self.entry_lots * value - self.scaled_basis)

    def net_pnl_ratio(self, mark_ticks: int) -> tuple[int, int]:
        """Return the net PnL over the entry notional as numerator and denominator, exact."""
        basis = self.scaled_basis
        if not basis:
            return 0, 1
        return self.scaled_trade_pnl(mark_ticks) - self.fee_atoms * self.entry_lots, basis

    def net_pnl_pct(self, mark_ticks: int) -> Fraction:
        """Return the net PnL as a fraction of the entry notional, exact; 0 when it is 0."""
        return Fraction(*self.net_pnl_ratio(mark_ticks))

    def trade_pnl_pct(self, mark_ticks: int) -> Fraction:
        """Return the PnL before fees as a fraction of the entry notional, exact."""
        basis = self.scaled_basis
        return Fraction(self.scaled_trade_pnl(mark_ticks), basis) if basis else Fraction(0)

    def trade_pnl_atoms(self, mark_ticks: int) -> int:
        """Return the PnL before fees in atoms, for reports.

        It is exact unless entry fees were taken in base; then it is rounded half to even.
        """
        lots = self.entry_lots
        if not lots:
            return 0
        if self.entry_fee_lots:
            return half_even(self.scaled_trade_pnl(mark_ticks), lots)
        # The same with `lots` cancelled: most executors, asked most often.
        remaining = lots - self.exit_lots - self.residual_lots
        value = self.exit_atoms + self.residual_atoms
        value += remaining * mark_ticks * self.atoms_per_tick_lot
        return self.sign * (value - self.entry_atoms)

    def net_pnl_atoms(self, mark_ticks: int) -> int:
        """Return the net PnL in atoms, for reports; rounded as ``trade_pnl_atoms``."""
        return self.trade_pnl_atoms(mark_ticks) - self.fee_atoms

    @property
    def filled_atoms(self) -> int:
        """Return the traded volume Q*E plus all exits, in atoms."""
        entry = half_even(self.scaled_basis, self.entry_lots) if self.entry_lots else 0
        return entry + self.exit_atoms

    def net_line(self) -> tuple[int, int]:
        """Return (a, b): the scaled net PnL is a + b * (sign * mark), while the fills stay.

        b is 0 or less when nothing is open.
        """
        constant = self.entry_lots * (self.exit_atoms + self.residual_atoms)
        fees = self.fee_atoms * self.entry_lots
        slope = self.entry_lots * self.remaining_lots * self.atoms_per_tick_lot
        return self.sign * (constant - self.scaled_basis) - fees, slope

    def cost_of(self, lots: int) -> int:
        """Return the entry cost of *lots* in atoms, rounded half to even."""
        return half_even(lots * self.entry_atoms, self.entry_lots) if self.entry_lots else 0


def ledger_totals(
    side: TradeType,
    atoms_per_tick_lot: int,
    entries: Iterable[TrackedOrder],
    exits: Iterable[TrackedOrder],
) -> LedgerTotals:
    """Return the sums over *entries* and *exits*; each order must be given once."""
    entry_lots = entry_atoms = entry_fee_lots = exit_lots = exit_atoms = fee_atoms = 0
    for order in entries:
        entry_lots += order.executed_lots
        entry_atoms += order.executed_atoms
        fee_atoms += order.fee_atoms
        if side is TradeType.BUY:
            entry_fee_lots += order.fee_base_lots
    for order in exits:
        exit_lots += order.executed_lots
        exit_atoms += order.executed_atoms
        fee_atoms += order.fee_atoms
    return LedgerTotals(
        side.sign,
        atoms_per_tick_lot,
        entry_lots,
        entry_atoms,
        entry_fee_lots,
        exit_lots,
        exit_atoms,
        fee_atoms,
    )


def half_even(numerator: int, denominator: int) -> int:
    """Return the quotient rounded to the nearest integer, ties to even; denominator above 0."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient % 2):
        return quotient + 1
    return quotient


def to_decimal(value: Fraction) -> Decimal:
    """Return *value* as a Decimal in the context's precision, for reports only."""
    return Decimal(value.numerator) / Decimal(value.denominator)
