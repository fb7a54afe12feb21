"""Account of a backtest: netting positions, cash and equity in integer atoms.

The equity is kept up with every change, so that a mark costs one multiplication; the identity of
PF-5 is computed from other numbers (results and costs) and compared with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from engine.flow.errors import ConfigurationError, OperationError
from engine.model.instruments import PPB, Instrument, Settlement
from engine.model.rates import to_ppb
from engine.model.rounding import ceil_div, half_even_div
from engine.portfolio.account_settings import AccountKind, AccountSettings

_DISPLAY_STEP: Final = Decimal("1e-9")
_DAYS: Final = 365


class ConservationError(OperationError):
    """Equity differs from initial cash plus results less costs (PF-5)."""


class BarPosition:
    """One symbol's signed net position and what it brought and cost (PF-1). Money in atoms.

    ``cost`` is the absolute cost of the open quantity, ``mark`` the last mark in ticks, ``scale``
    the atoms of one tick times one lot. ``borrow`` and ``funding`` are positive when paid.
    """

    __slots__ = (
        "borrow",
        "cost",
        "dividends",
        "fees",
        "funding",
        "has_mark",
        "instrument",
        "is_derivative",
        "lots",
        "mark",
        "realised",
        "scale",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.scale = instrument.atoms_per_tick_lot
        self.is_derivative = instrument.settlement is Settlement.DERIVATIVE
        self.lots = 0
        self.cost = 0
        self.mark = 0
        self.has_mark = False
        self.realised = 0
        self.fees = 0
        self.funding = 0
        self.borrow = 0
        self.dividends = 0

    @property
    def unrealised(self) -> int:
        """Return qty * mark * mult - sign(qty) * cost, in atoms (PF-3)."""
        cost = self.cost if self.lots > 0 else -self.cost
        return self.lots * self.mark * self.scale - cost

    @property
    def value(self) -> int:
        """Return what the position adds to the cash for the equity (PF-4)."""
        if self.is_derivative:
            return self.unrealised
        return self.lots * self.mark * self.scale

    @property
    def has_rate(self) -> bool:
        """Whether what a fill moves can be told in the account's currency: always, here."""
        return True

    @property
    def rate(self) -> tuple[int, int]:
        """Return account currency for one unit of the instrument's currency, as a fraction."""
        return 1, 1

    def flow(self, side: int, lots: int, ticks: int) -> int:
        """Return the cash that a fill of *lots* at *ticks* moves, in atoms: paid is negative."""
        return -side * lots * ticks * self.scale

    def worth(self, lots: int, ticks: int) -> int:
        """Return what signed *lots* are worth at *ticks*, in atoms."""
        return lots * ticks * self.scale

    def burden(self, lots: int, ticks: int) -> int:
        """Return the absolute value of *lots* at *ticks*, in atoms."""
        return abs(lots * ticks) * self.scale

    @property
    def average_price(self) -> Decimal | None:
        """Return cost / (|qty| * mult) rounded half-even to 1e-9 for display; None when flat."""
        if not self.lots:
            return None
        ticks = Decimal(self.cost) / (abs(self.lots) * self.scale)
        return (ticks * self.instrument.tick).quantize(_DISPLAY_STEP, ROUND_HALF_EVEN)


class BarAccount:
    """Cash and positions of one container.

    Args:
        instruments: by symbol index; all with the account's money precision.
        settings: initial cash, kind of account, leverage, rates.

    Raises:
        ConfigurationError: an instrument counts money in other atoms.

    Attributes:
        cash: atoms. equity: atoms at the last marks. realised, fees, funding, borrow: sums in
        atoms, costs positive. dividends, interest: sums in atoms, positive when received.
    """

    __slots__ = (
        "_borrow_ppb",
        "_interest_ppb",
        "borrow",
        "cash",
        "dividends",
        "equity",
        "fees",
        "funding",
        "initial",
        "interest",
        "is_margin",
        "leverage_ppb",
        "maintenance_ppb",
        "positions",
        "realised",
        "settings",
    )

    def __init__(self, *, instruments: Sequence[Instrument], settings: AccountSettings) -> None:
        self.settings = settings
        for instrument in instruments:
            if instrument.money_precision != settings.money_precision:
                raise ConfigurationError(
                    f"{instrument.market}: money_precision {instrument.money_precision} is not "
                    f"the account's {settings.money_precision}"
                )
        self.initial = int(settings.initial_cash.scaleb(settings.money_precision))
        self.is_margin = settings.account is AccountKind.MARGIN
        self.leverage_ppb = to_ppb(settings.leverage)
        self.maintenance_ppb = to_ppb(settings.maintenance_ratio)
        self._borrow_ppb = to_ppb(settings.borrow_rate)
        self._interest_ppb = to_ppb(settings.interest_rate)
        self.positions = tuple(BarPosition(instrument) for instrument in instruments)
        self.reset()

    def reset(self) -> None:
        """Start again: the initial cash and nothing else."""
        self.cash = self.initial
        self.equity = self.initial
        self.realised = 0
        self.fees = 0
        self.funding = 0
        self.borrow = 0
        self.dividends = 0
        self.interest = 0
        for position in self.positions:
            position.lots = position.cost = position.mark = 0
            position.has_mark = False
            position.realised = position.fees = 0
            position.funding = position.borrow = position.dividends = 0

    def memory(self) -> tuple[int, ...]:
        """Return all numbers, for `restore`."""
        numbers = [self.cash, self.equity, self.realised, self.fees]
        for position in self.positions:
            numbers += (
                position.lots,
                position.cost,
                position.mark,
                position.has_mark,
                position.realised,
                position.fees,
            )
        return tuple(numbers)

    def restore(self, memory: tuple[int, ...]) -> None:
        """Go back to what `memory` returned; costs of days and funding are not part of it."""
        self.cash, self.equity, self.realised, self.fees = memory[:4]
        at = 4
        for position in self.positions:
            (
                position.lots,
                position.cost,
                position.mark,
                has_mark,
                position.realised,
                position.fees,
            ) = memory[at : at + 6]
            position.has_mark = bool(has_mark)
            at += 6

    @property
    def charges_days(self) -> bool:
        """Whether a day's end can cost something."""
        return bool(self._borrow_ppb or self._interest_ppb)

    @property
    def has_positions(self) -> bool:
        """Whether any symbol is held."""
        return any(position.lots for position in self.positions)

    def mark(self, symbol: int, ticks: int) -> None:
        """Take *ticks* as the symbol's mark (PF-6)."""
        position = self.positions[symbol]
        if position.lots:
            self.equity += position.lots * (ticks - position.mark) * position.scale
        position.mark = ticks
        position.has_mark = True

    def book_fill(self, symbol: int, side: int, lots: int, ticks: int, fee: int) -> int:
        """Book a fill (PF-2, PF-4); return what it realised.

        A position without a mark must be given one first.
        """
        position = self.positions[symbol]
        held = position.lots
        scale = position.scale
        notional = lots * ticks * scale
        realised = 0
        if held * side >= 0:
            position.cost += notional
        else:
            size = held if held > 0 else -held
            closed = min(size, lots)
            cost = position.cost
            removed = cost if closed == size else half_even_div(cost * closed, size)
            realised = side * (removed - closed * ticks * scale)
            position.cost = (lots - closed) * ticks * scale if lots >= size else cost - removed
            position.realised += realised
            self.realised += realised
        position.lots = held + side * lots
        position.fees += fee
        self.fees += fee
        if position.is_derivative:
            self.cash += realised - fee
        else:
            self.cash -= side * notional + fee
        self.equity += side * lots * (position.mark - ticks) * scale - fee
        return realised

    def check(self) -> None:
        """Compare equity, cash and results (PF-5).

        Raises:
            ConservationError: they do not agree.
        """
        value = unrealised = 0
        for position in self.positions:
            if position.lots or position.cost:
                value += position.value
                unrealised += position.unrealised
        expected = (
            self.initial
            + self.realised
            + unrealised
            - self.fees
            - self.borrow
            - self.funding
            + self.dividends
            + self.interest
        )
        if self.equity != expected or self.equity != self.cash + value:
            raise ConservationError(
                f"the equity is {self.equity} atoms; results and costs make {expected}, "
                f"cash and positions {self.cash + value} (PF-5)"
            )

    def used_notional(self) -> int:
        """Return the absolute value of all positions at their marks; times 1/L the used margin."""
        used = 0
        for position in self.positions:
            if position.lots:
                used += abs(position.lots * position.mark) * position.scale
        return used

    def free_scaled(self) -> int:
        """Return the free funds times the leverage in ppb, exact (FILL-28)."""
        if not self.is_margin:
            return self.cash * self.leverage_ppb
        return self.equity * self.leverage_ppb - self.used_notional() * PPB

    def free_atoms(self) -> int:
        """Return the free funds at the last marks, rounded down."""
        return self.free_scaled() // self.leverage_ppb

    def is_below_maintenance(self) -> bool:
        """Whether the equity is below the maintenance margin (PF-12, PF-13)."""
        return self.equity * self.leverage_ppb < self.used_notional() * self.maintenance_ppb

    def pay_funding(self, symbol: int, rate_ppb: int) -> int:
        """Pay (or receive) funding on the position; return what was paid (PF-9)."""
        position = self.positions[symbol]
        value = position.lots * position.mark * position.scale
        return self._charge_funding(position, value * rate_ppb, PPB)

    def _charge_funding(self, position: BarPosition, numerator: int, denominator: int) -> int:
        paid = ceil_div(numerator, denominator)
        position.funding += paid
        self.funding += paid
        self.cash -= paid
        self.equity -= paid
        return paid

    def end_days(self, days: int) -> None:
        """Charge *days* day boundaries: interest on negative cash, then borrow (PF-8, PF-11)."""
        for _ in range(days):
            if self.cash < 0 and self._interest_ppb:
                paid = ceil_div(-self.cash * self._interest_ppb, PPB * _DAYS)
                self.interest -= paid
                self.cash -= paid
                self.equity -= paid
            if not self._borrow_ppb:
                continue
            for position in self.positions:
                if position.lots < 0:
                    value = position.burden(position.lots, position.mark)
                    paid = ceil_div(value * self._borrow_ppb, PPB * _DAYS)
                    position.borrow += paid
                    self.borrow += paid
                    self.cash -= paid
                    self.equity -= paid

    def pay_dividend(self, symbol: int, amount_atoms: int) -> int:
        """Credit longs and debit shorts *amount_atoms* per unit; return what was received."""
        position = self.positions[symbol]
        numerator, denominator = position.instrument.lot.as_integer_ratio()
        received = position.lots * amount_atoms * numerator // denominator
        return self._credit_dividend(position, received)

    def _credit_dividend(self, position: BarPosition, received: int) -> int:
        position.dividends += received
        self.dividends += received
        self.cash += received
        self.equity += received
        return received

    def split(self, symbol: int, ratio_num: int, ratio_den: int) -> int:
        """Scale a position by a split; return the atoms of the fraction that was cashed (PF-10).

        The fraction of a lot is closed at the mark: received rounded down, paid rounded up.
        """
        position = self.positions[symbol]
        size = abs(position.lots)
        sign = 1 if position.lots > 0 else -1
        whole, rest = divmod(size * ratio_num, ratio_den)
        before = position.value
        cashed = 0
        if rest:
            numerator, denominator = position.rate
            share = sign * rest * position.mark * position.scale * numerator
            cashed = share // (ratio_num * denominator)
            removed = half_even_div(position.cost * rest, size * ratio_num)
            if not whole:
                removed = position.cost
            realised = cashed - sign * removed
            position.cost -= removed
            position.realised += realised
            self.realised += realised
            self.cash += realised if position.is_derivative else cashed
            self.equity += realised if position.is_derivative else cashed
        position.lots = sign * whole
        position.mark = half_even_div(position.mark * ratio_den, ratio_num)
        self.equity += position.value - before
        return cashed
