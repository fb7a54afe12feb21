"""One level of a grid: its orders, its state, where its orders go."""

from __future__ import annotations

from enum import Enum, unique
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from engine.executors.grid_plan import PlannedLevel
from engine.executors.tracked_order import TrackedOrder
from engine.model.instruments import Instrument
from engine.model.orders import TradeType
from engine.model.quotes import QuoteTick


@unique
class GridLevelStates(Enum):
    """Where a level is in its round trip."""

    NOT_ACTIVE = "NOT_ACTIVE"
    OPEN_ORDER_PLACED = "OPEN_ORDER_PLACED"
    OPEN_ORDER_FILLED = "OPEN_ORDER_FILLED"
    CLOSE_ORDER_PLACED = "CLOSE_ORDER_PLACED"
    COMPLETE = "COMPLETE"


class LevelNow(NamedTuple):
    """What a level's orders say; read again only when one of them changes."""

    entry: TrackedOrder | None
    exit: TrackedOrder | None
    state: GridLevelStates
    target_ticks: int


class GridLevel:
    """A level opens and closes the same lots again and again.

    The orders of one round trip are kept until it is booked. What is too little to trade stays
    with the level and is closed together with its next round trip.
    """

    __slots__ = (
        "_now",
        "_plan_target",
        "_ticks_times_lots",
        "cancels",
        "deducts_base_fees",
        "entries",
        "entry_not_before_ns",
        "exit_not_before_ns",
        "exits",
        "index",
        "instrument",
        "plan",
        "side",
    )

    def __init__(
        self,
        index: int,
        plan: PlannedLevel,
        instrument: Instrument,
        side: TradeType,
        *,
        deducts_base_fees: bool,
    ) -> None:
        self.index = index
        self.plan = plan
        self.instrument = instrument
        self.side = side
        self.deducts_base_fees = deducts_base_fees
        self.entries: list[TrackedOrder] = []
        self.exits: list[TrackedOrder] = []
        self.entry_not_before_ns = 0
        self.exit_not_before_ns = 0
        self.cancels = 0
        self._now: LevelNow | None = None
        unit = Fraction(instrument.tick) * Fraction(instrument.lot)
        self._ticks_times_lots = (plan.quote / unit).as_integer_ratio()
        """What the level may cost, in ticks times lots."""
        self._plan_target = self._target_from(Fraction(plan.ticks))

    @property
    def entry(self) -> TrackedOrder | None:
        """Return the entry that may still fill."""
        return self.read().entry

    @property
    def exit(self) -> TrackedOrder | None:
        """Return the exit that may still fill."""
        return self.read().exit

    @property
    def state(self) -> GridLevelStates:
        """Return where the level is, from its orders alone."""
        return self.read().state

    @property
    def target_ticks(self) -> int:
        """Return the take profit, from the actual fill price if the entry went elsewhere."""
        return self.read().target_ticks

    def follow(self, order: TrackedOrder, *, is_entry: bool) -> None:
        """Count *order* among the orders of the level."""
        (self.entries if is_entry else self.exits).append(order)
        self._now = None

    def refresh(self) -> None:
        """Read the orders again: one of them has changed."""
        self._now = None

    def take_orders(self) -> tuple[TrackedOrder, ...]:
        """Give away all orders; the level begins anew."""
        orders = (*self.entries, *self.exits)
        self.entries.clear()
        self.exits.clear()
        self.cancels = 0
        self._now = None
        return orders

    def read(self) -> LevelNow:
        """Return what the orders of the level say together."""
        if self._now is None:
            self._now = LevelNow(
                next((order for order in self.entries if order.is_live), None),
                next((order for order in self.exits if order.is_live), None),
                self._state(),
                self._target_ticks(),
            )
        return self._now

    @property
    def executed_lots(self) -> int:
        """Return what entries executed, fees in base included."""
        return sum(order.executed_lots for order in self.entries)

    @property
    def has_all_fills(self) -> bool:
        """Whether every executed lot came with its fill: before that, fees in base are unknown."""
        return all(
            sum(fill.lots for fill in order.fills) >= order.executed_lots for order in self.entries
        )

    @property
    def net_lots(self) -> int:
        """Return what is open, less fees that the venue took in base."""
        return self._open_lots(deducts_base_fees=True)

    @property
    def open_lots(self) -> int:
        """Return what is to be closed."""
        return self._open_lots(deducts_base_fees=self.deducts_base_fees)

    def _open_lots(self, *, deducts_base_fees: bool) -> int:
        lots = self.executed_lots - sum(order.executed_lots for order in self.exits)
        if deducts_base_fees and self.side is TradeType.BUY:
            lots -= sum(order.fee_base_lots for order in self.entries)
        return lots

    def _state(self) -> GridLevelStates:
        if any(order.is_live for order in self.exits):
            return GridLevelStates.CLOSE_ORDER_PLACED
        if any(order.is_live for order in self.entries):
            return GridLevelStates.OPEN_ORDER_PLACED
        open_lots = self.open_lots
        if open_lots > 0 and self.instrument.is_tradable(open_lots, self.plan.ticks):
            return GridLevelStates.OPEN_ORDER_FILLED
        if open_lots <= 0 and self.executed_lots:
            return GridLevelStates.COMPLETE
        return GridLevelStates.NOT_ACTIVE

    @property
    def cost_atoms(self) -> Fraction:
        """Return what is open at the average price of the entries, in atoms."""
        executed = self.executed_lots
        if not executed or self.net_lots <= 0:
            return Fraction(0)
        atoms = sum(order.executed_atoms for order in self.entries)
        return Fraction(atoms * self.net_lots, executed)

    @property
    def fee_atoms(self) -> Fraction:
        """Return the entry fees of what is open, in atoms."""
        executed = self.executed_lots
        if not executed or self.net_lots <= 0:
            return Fraction(0)
        fees = sum(order.fee_atoms for order in self.entries)
        base_fees = sum(order.fee_base_lots for order in self.entries)
        return Fraction(fees * self.net_lots, max(executed - base_fees, 1))

    def entry_ticks(self, quote: QuoteTick, extra_spread: tuple[int, int]) -> int:
        """Return where an entry goes now, never through the best price of its own side.

        *extra_spread* is the fraction beyond that price, as numerator and denominator.
        """
        ticks = self.plan.ticks
        if self.side is TradeType.BUY:
            if ticks < quote.bid_ticks:
                return ticks
            return _below(quote.bid_ticks, extra_spread)
        return ticks if ticks > quote.ask_ticks else _above(quote.ask_ticks, extra_spread)

    def entry_lots(self, ticks: int | None) -> int:
        """Return the size of an entry at *ticks*: what the level may cost, rounded down.

        If that is too little to trade, it is the size that was planned at the mid.
        """
        price_ticks = self.plan.ticks if ticks is None else ticks
        numerator, denominator = self._ticks_times_lots
        lots = numerator // (denominator * price_ticks)
        is_enough = self.instrument.is_tradable(lots, price_ticks)
        return lots if is_enough else self.plan.lots

    def _target_ticks(self) -> int:
        executed = self.executed_lots
        if not executed or all(
            order.request.limit_ticks == self.plan.ticks
            for order in self.entries
            if order.executed_lots
        ):
            return self._plan_target
        atoms = sum(order.executed_atoms for order in self.entries)
        return self._target_from(Fraction(atoms, executed * self.instrument.atoms_per_tick_lot))

    def _target_from(self, reference: Fraction) -> int:
        """Return the take profit of an entry at *reference* ticks, never a worse one."""
        if self.side is TradeType.BUY:
            return ceil(reference * (1 + self.plan.take_profit))
        return max(1, floor(reference * (1 - self.plan.take_profit)))

    def exit_ticks(self, quote: QuoteTick, extra_spread: tuple[int, int]) -> int:
        """Return where a resting exit goes now, never through the best price of its own side."""
        target = self.target_ticks
        if self.side is TradeType.BUY:
            if target > quote.ask_ticks:
                return target
            return _above(quote.ask_ticks, extra_spread)
        if target < quote.bid_ticks:
            return target
        return _below(quote.bid_ticks, extra_spread)


def _below(ticks: int, spread: tuple[int, int]) -> int:
    """Return *ticks* less a *spread* given as numerator and denominator, rounded down."""
    numerator, denominator = spread
    return max(1, ticks * (denominator - numerator) // denominator)


def _above(ticks: int, spread: tuple[int, int]) -> int:
    """Return *ticks* plus a *spread* given as numerator and denominator, rounded up."""
    numerator, denominator = spread
    return -(-ticks * (denominator + numerator) // denominator)
