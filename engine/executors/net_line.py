"""Net PnL and signed mark, turned into each other without loss."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from engine.executors.fill_ledger import LedgerTotals


@dataclass(frozen=True, slots=True)
class NetLine:
    """The net PnL fraction of what is open: ``(constant + slope * signed mark) / basis``.

    The signed mark is sign times ticks; the net PnL grows with it, for longs and shorts alike. It
    holds until the next fill.
    """

    basis: int
    constant: int
    slope: int

    @classmethod
    def of(cls, totals: LedgerTotals) -> Self | None:
        """Return the line of *totals*; None while nothing is open."""
        constant, slope = totals.net_line()
        basis = totals.scaled_basis
        return cls(basis, constant, slope) if slope > 0 and basis > 0 else None

    def net_at(self, signed_mark: int) -> Fraction:
        """Return the net PnL fraction at *signed_mark*."""
        return Fraction(self.constant + self.slope * signed_mark, self.basis)

    def at_or_below(self, net: Fraction) -> int:
        """Return the largest signed mark whose net PnL is at most *net*."""
        return self._steps(net) // (net.denominator * self.slope)

    def at_or_above(self, net: Fraction) -> int:
        """Return the least signed mark whose net PnL is at least *net*."""
        return -(-self._steps(net) // (net.denominator * self.slope))

    def above(self, net: Fraction) -> int:
        """Return the least signed mark whose net PnL is more than *net*."""
        return self.at_or_below(net) + 1

    def _steps(self, net: Fraction) -> int:
        return net.numerator * self.basis - net.denominator * self.constant
