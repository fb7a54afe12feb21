"""Net PnL and signed mark, turned into each other without loss."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Self

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

    def net_pnl_pct(self, signed_mark: int) -> Fraction:
        """Return the net PnL fraction at *signed_mark*."""
        return Fraction(self.constant + self.slope * signed_mark, self.basis)

    def ratio_at(self, signed_mark: int) -> tuple[int, int]:
        """Return the net PnL at *signed_mark* as numerator and denominator."""
        return self.constant + self.slope * signed_mark, self.basis

    def at_or_below(self, net: Fraction) -> int:
        """Return the largest signed mark whose net PnL is at most *net*."""
        return self.floor_of(net.as_integer_ratio())

    def at_or_above(self, net: Fraction) -> int:
        """Return the least signed mark whose net PnL is at least *net*."""
        return self.ceil_of(net.as_integer_ratio())

    def above(self, net: Fraction) -> int:
        """Return the least signed mark whose net PnL is more than *net*."""
        return self.at_or_below(net) + 1

    def reach(self, delta: Fraction) -> int:
        """Return how far below any signed mark the net PnL is more than *delta* less."""
        numerator, denominator = delta.as_integer_ratio()
        return numerator * self.basis // (denominator * self.slope) + 1

    def floor_of(self, net: tuple[int, int]) -> int:
        """Return ``at_or_below`` of a fraction given as numerator and denominator."""
        numerator, denominator = net
        steps = numerator * self.basis - denominator * self.constant
        return steps // (denominator * self.slope)

    def ceil_of(self, net: tuple[int, int]) -> int:
        """Return ``at_or_above`` of a fraction given as numerator and denominator."""
        numerator, denominator = net
        steps = numerator * self.basis - denominator * self.constant
        return -(-steps // (denominator * self.slope))

    def moving(self, base: Fraction, per_ns: Fraction) -> MovingLevel:
        """Return the largest signed mark whose net PnL is at most ``base + per_ns * time``."""
        numerator, denominator = base.as_integer_ratio()
        grown, per = per_ns.as_integer_ratio()
        return MovingLevel(
            grown * denominator * self.basis,
            per * (numerator * self.basis - denominator * self.constant),
            per * denominator * self.slope,
        )


class MovingLevel(NamedTuple):
    """A signed mark that grows with time: ``(growth * elapsed + start) // unit``."""

    growth: int
    start: int
    unit: int

    def at(self, elapsed_ns: int) -> int:
        """Return the level *elapsed_ns* after the beginning."""
        return (self.growth * elapsed_ns + self.start) // self.unit

    def reaches(self, signed_mark: int) -> int:
        """Return when the level is at *signed_mark* first, in ns; it must be growing."""
        return -((self.start - self.unit * signed_mark) // self.growth)
