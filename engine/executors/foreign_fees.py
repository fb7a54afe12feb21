"""Fees that a venue took in another asset than the quote (DEV-22)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from engine.executors.fill_ledger import half_even
from engine.executors.rates import unwrapped
from engine.executors.tracked_order import TrackedOrder
from engine.model.instruments import Instrument
from engine.model.orders import Fill

RateOf = Callable[[str, str], Fraction | None]
"""Returns how many of the second asset one of the first is; None while it is unknown."""


class ForeignFees:
    """Keeps each fee in its own asset until there is a rate for it; then it is the order's fee."""

    def __init__(self) -> None:
        self._waiting: list[tuple[TrackedOrder, Fill]] = []

    @property
    def is_waiting(self) -> bool:
        """Whether a fee is not converted yet."""
        return bool(self._waiting)

    @property
    def unconverted(self) -> dict[str, Decimal]:
        """Return what is not converted yet, by asset."""
        sums: dict[str, Decimal] = {}
        for _, fill in self._waiting:
            if fill.fee_in is not None:
                asset, amount = fill.fee_in
                sums[asset] = sums.get(asset, Decimal(0)) + amount
        return sums

    def add(self, order: TrackedOrder, fill: Fill) -> None:
        """Keep the fee of a *fill* of *order*."""
        self._waiting.append((order, fill))

    def convert(
        self, instrument_of: Callable[[TrackedOrder], Instrument], rate_of: RateOf
    ) -> list[TrackedOrder]:
        """Count the fees that have a rate now; return the orders whose fees have grown.

        A fee in base is worth the fill's own price; one in the quote asset counts as it is.
        """
        waiting, self._waiting = self._waiting, []
        changed: dict[str, TrackedOrder] = {}
        for order, fill in waiting:
            atoms = foreign_fee_atoms(fill, instrument_of(order), rate_of)
            if atoms is None:
                self._waiting.append((order, fill))
            else:
                order.add_fee(atoms)
                changed[order.order_id] = order
        return list(changed.values())


def foreign_fee_atoms(fill: Fill, instrument: Instrument, rate_of: RateOf) -> int | None:
    """Return what the fee of *fill* in another asset is worth now, in atoms of its quote.

    It is rounded half to even; None while there is no rate, 0 if there is no such fee.
    """
    if fill.fee_in is None:
        return 0
    asset, amount = fill.fee_in
    quote = fill.market.quote
    if unwrapped(asset) == unwrapped(quote):
        rate: Fraction | None = Fraction(1)
    elif unwrapped(asset) == unwrapped(fill.market.base):
        rate = Fraction(instrument.tick) * fill.ticks
    else:
        rate = rate_of(asset, quote)
    if rate is None:
        return None
    exact = Fraction(amount) * rate * 10**instrument.money_precision
    return half_even(exact.numerator, exact.denominator)
