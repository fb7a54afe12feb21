"""One side of a trade on two venues: its market, its orders, what they executed."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import floor, gcd, lcm

from engine.executors.fill_ledger import half_even, to_decimal
from engine.executors.held_order import HeldOrder
from engine.executors.tracked_order import TrackedOrder
from engine.model.instruments import Instrument
from engine.model.orders import OrderState, TradeType


class VenueLeg:
    """The orders that an executor has on one venue, all on one side.

    ``wanted_lots`` is what the leg is to trade in the end; ``not_before_ns`` is when the next
    order may go out.
    """

    __slots__ = ("instrument", "not_before_ns", "orders", "side", "wanted_lots")

    def __init__(self, instrument: Instrument, side: TradeType, wanted_lots: int) -> None:
        self.instrument = instrument
        self.side = side
        self.wanted_lots = wanted_lots
        self.orders: list[TrackedOrder] = []
        self.not_before_ns = 0

    @property
    def executed_lots(self) -> int:
        """Return what all orders executed."""
        return sum(order.executed_lots for order in self.orders)

    @property
    def executed_atoms(self) -> int:
        """Return the notional of what all orders executed."""
        return sum(order.executed_atoms for order in self.orders)

    @property
    def fee_atoms(self) -> int:
        """Return the fees of all orders; positive when we pay."""
        return sum(order.fee_atoms for order in self.orders)

    @property
    def pending_lots(self) -> int:
        """Return what orders may still execute."""
        return sum(order.pending_lots for order in self.orders)

    @property
    def remaining_lots(self) -> int:
        """Return what is wanted and not executed."""
        return self.wanted_lots - self.executed_lots

    def live(self) -> list[TrackedOrder]:
        """Return the orders that may still fill."""
        return [order for order in self.orders if order.is_live]

    def base(self, lots: int) -> Fraction:
        """Return *lots* in base, exact."""
        return lots * Fraction(self.instrument.lot)

    def lots(self, base: Fraction) -> int:
        """Return *base* in lots, rounded down."""
        return floor(base / Fraction(self.instrument.lot))

    def average_ticks(self) -> Fraction | None:
        """Return the average price in ticks, exact; None before the first fill."""
        lots = self.executed_lots
        if not lots:
            return None
        return Fraction(self.executed_atoms, lots * self.instrument.atoms_per_tick_lot)

    def average_price(self) -> Decimal | None:
        """Return the average price in quote, for reports; None before the first fill."""
        ticks = self.average_ticks()
        return None if ticks is None else self.instrument.tick * to_decimal(ticks)

    def cost_of(self, lots: int) -> int:
        """Return what *lots* cost at the average price in atoms, rounded half to even."""
        executed = self.executed_lots
        return half_even(lots * self.executed_atoms, executed) if executed else 0

    def is_tradable(self, lots: int, ticks: Fraction | None) -> bool:
        """Whether *lots* reach the least amount, and at *ticks*, if known, the least notional."""
        instrument = self.instrument
        if lots < instrument.min_lots:
            return False
        price = self.average_ticks() if ticks is None else ticks
        if price is None:
            return True
        return price * lots * instrument.atoms_per_tick_lot >= instrument.min_notional_atoms

    def dust(self, executor_id: str, lots: int, now_ns: int) -> HeldOrder:
        """Return *lots* of what was executed as a record for the position store (9.4)."""
        return HeldOrder(
            f"{executor_id}:dust",
            self.instrument.market,
            self.side,
            lots,
            self.cost_of(lots),
            0,
            amount_lots=lots,
            state=OrderState.FILLED,
            created_ns=now_ns,
            updated_ns=now_ns,
        )


def common_base(amount: Fraction, first: Instrument, second: Instrument) -> Fraction:
    """Return the largest amount up to *amount* that is whole lots on both venues."""
    one, other = Fraction(first.lot), Fraction(second.lot)
    step = Fraction(lcm(one.numerator, other.numerator), gcd(one.denominator, other.denominator))
    return amount // step * step
