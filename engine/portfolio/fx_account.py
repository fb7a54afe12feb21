"""Account with instruments that are quoted in another currency (UNIT-9).

Everything in the ledger is the account's currency. What a fill moves is converted at the last mark
of the symbol's rate, rounded against the account; so are marks. The result of the rate itself is
part of the position's result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.model.instruments import PPB, Instrument
from engine.model.rounding import ceil_div, half_even_div
from engine.portfolio.account_settings import AccountSettings
from engine.portfolio.bar_account import BarAccount, BarPosition


class FxPosition(BarPosition):
    """A position in another currency; ``rate_of`` holds the mark of one unit of that currency."""

    __slots__ = ("rate_of",)

    def __init__(self, instrument: Instrument, rate_of: BarPosition) -> None:
        super().__init__(instrument)
        self.rate_of = rate_of

    @property
    def has_rate(self) -> bool:
        """Whether the rate is known."""
        return self.rate_of.has_mark and self.rate_of.mark > 0

    @property
    def rate(self) -> tuple[int, int]:
        """Return the rate as a fraction: account currency for one unit; 0 while unknown."""
        numerator, denominator = self.rate_of.instrument.tick.as_integer_ratio()
        mark = self.rate_of.mark if self.has_rate else 0
        return mark * numerator, denominator

    def flow(self, side: int, lots: int, ticks: int) -> int:
        """Return the cash that a fill moves in atoms, rounded down: less received, more paid."""
        numerator, denominator = self.rate
        return -side * lots * ticks * self.scale * numerator // denominator

    def worth(self, lots: int, ticks: int) -> int:
        """Return what signed *lots* are worth at *ticks*, rounded down."""
        numerator, denominator = self.rate
        return lots * ticks * self.scale * numerator // denominator

    def burden(self, lots: int, ticks: int) -> int:
        """Return the absolute value of *lots* at *ticks*, rounded up."""
        numerator, denominator = self.rate
        return ceil_div(abs(lots * ticks) * self.scale * numerator, denominator)

    @property
    def unrealised(self) -> int:
        """Return the worth less the cost, in atoms (PF-3)."""
        return self.worth(self.lots, self.mark) - (self.cost if self.lots > 0 else -self.cost)

    @property
    def value(self) -> int:
        """Return what the position adds to the cash for the equity (PF-4)."""
        return self.unrealised if self.is_derivative else self.worth(self.lots, self.mark)


class FxAccount(BarAccount):
    """Cash and positions of one container, some of them in other currencies.

    Args:
        instruments: by symbol index.
        settings: see `BarAccount`.
        rates: the index of the rate's symbol by the index of the symbol that needs it.
    """

    __slots__ = ("_dependent", "_rates")

    def __init__(
        self,
        *,
        instruments: Sequence[Instrument],
        settings: AccountSettings,
        rates: Mapping[int, int],
    ) -> None:
        self._rates = dict(rates)
        self._dependent: dict[int, tuple[int, ...]] = {}
        super().__init__(instruments=instruments, settings=settings)
        plain = self.positions
        self.positions = tuple(
            FxPosition(one.instrument, plain[rates[index]]) if index in rates else one
            for index, one in enumerate(plain)
        )
        for index in range(len(instruments)):
            needs = tuple(symbol for symbol, rate in self._rates.items() if rate == index)
            self._dependent[index] = (index, *needs)
        self.reset()

    def mark(self, symbol: int, ticks: int) -> None:
        """Take *ticks* as the symbol's mark, and value all that depends on it anew (PF-6)."""
        affected = [self.positions[one] for one in self._dependent[symbol]]
        before = sum(one.value for one in affected if one.lots)
        position = self.positions[symbol]
        position.mark = ticks
        position.has_mark = True
        self.equity += sum(one.value for one in affected if one.lots) - before

    def book_fill(self, symbol: int, side: int, lots: int, ticks: int, fee: int) -> int:
        """Book a fill at the rate of now (PF-2, PF-4); return what it realised."""
        position = self.positions[symbol]
        if symbol not in self._rates:
            return super().book_fill(symbol, side, lots, ticks, fee)
        held, before = position.lots, position.value
        notional = -side * position.flow(side, lots, ticks)
        realised = 0
        if held * side >= 0:
            position.cost += notional
        else:
            size = abs(held)
            closed = min(size, lots)
            cost = position.cost
            removed = cost if closed == size else half_even_div(cost * closed, size)
            proceeds = notional if closed == lots else notional * closed // lots
            realised = side * (removed - proceeds)
            position.cost = notional - proceeds if lots >= size else cost - removed
            position.realised += realised
            self.realised += realised
        position.lots = held + side * lots
        position.fees += fee
        self.fees += fee
        moved = (realised if position.is_derivative else -side * notional) - fee
        self.cash += moved
        self.equity += moved + position.value - before
        return realised

    def used_notional(self) -> int:
        """Return the absolute value of all positions at their marks, rounded up."""
        return sum(one.burden(one.lots, one.mark) for one in self.positions if one.lots)

    def pay_funding(self, symbol: int, rate_ppb: int) -> int:
        """Pay (or receive) funding on the position; return what was paid (PF-9)."""
        position = self.positions[symbol]
        if not isinstance(position, FxPosition):
            return super().pay_funding(symbol, rate_ppb)
        numerator, denominator = position.rate
        value = position.lots * position.mark * position.scale
        return self._charge_funding(position, value * rate_ppb * numerator, PPB * denominator)

    def pay_dividend(self, symbol: int, amount_atoms: int) -> int:
        """Credit longs and debit shorts *amount_atoms* of the instrument's currency per unit."""
        position = self.positions[symbol]
        if not isinstance(position, FxPosition):
            return super().pay_dividend(symbol, amount_atoms)
        lot, per = position.instrument.lot.as_integer_ratio()
        numerator, denominator = position.rate
        received = position.lots * amount_atoms * lot * numerator // (per * denominator)
        return self._credit_dividend(position, received)
