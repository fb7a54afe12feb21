"""What the levels of a grid have to do, and where the market must be for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from engine.executors.activation import ALWAYS, ActivationWindow
from engine.executors.grid_level import GridLevel, GridLevelStates
from engine.executors.tracked_order import TrackedOrder
from engine.model.orders import TradeType

S = GridLevelStates


class GridWindows:
    """The mids at which the orders of a grid are placed and stay, by their price in ticks.

    All mids are in half ticks (bid plus ask). Without bounds every order is placed and stays.
    """

    def __init__(self, side: TradeType, bounds: Fraction | None) -> None:
        self._is_buy = side is TradeType.BUY
        self._bounds = None if bounds is None else bounds.as_integer_ratio()
        self._entry: dict[int, ActivationWindow] = {}
        self._exit: dict[int, ActivationWindow] = {}
        self._keep: dict[int, ActivationWindow] = {}

    @property
    def has_bounds(self) -> bool:
        """Whether orders are withdrawn when the market leaves them."""
        return self._bounds is not None

    def entry(self, ticks: int) -> ActivationWindow:
        """Return where a level at *ticks* is opened."""
        known = self._entry.get(ticks)
        if known is None:
            known = self._entry[ticks] = self._entry_window(2 * ticks)
        return known

    def exit(self, ticks: int) -> ActivationWindow:
        """Return where a level is closed at *ticks*: strictly nearer than the bounds."""
        known = self._exit.get(ticks)
        if known is None:
            known = self._exit[ticks] = self._exit_window(2 * ticks)
        return known

    def keep(self, ticks: int) -> ActivationWindow:
        """Return where an order at *ticks* stays."""
        known = self._keep.get(ticks)
        if known is None:
            known = self._keep[ticks] = self._keep_window(2 * ticks)
        return known

    def keep_all(self, orders: Iterable[TrackedOrder]) -> ActivationWindow:
        """Return where all of *orders* stay; both edges rise with the price of an order."""
        prices = [
            order.request.limit_ticks for order in orders if order.request.limit_ticks is not None
        ]
        if not prices:
            return ALWAYS
        return ActivationWindow(self.keep(max(prices)).low, self.keep(min(prices)).high)

    def entry_any(self, levels: Sequence[GridLevel]) -> ActivationWindow:
        """Return where one of *levels* (lowest price first) at least is opened: the nearest one.

        ALWAYS if there is none.
        """
        if not levels:
            return ALWAYS
        return self.entry(levels[-1 if self._is_buy else 0].plan.ticks)

    def _entry_window(self, twice: int) -> ActivationWindow:
        if self._bounds is None:
            return ALWAYS
        near, unit = self._bounds
        if not self._is_buy:
            return ActivationWindow(low=-(-twice * unit // (unit + near)))
        return ALWAYS if near >= unit else ActivationWindow(high=twice * unit // (unit - near))

    def _exit_window(self, twice: int) -> ActivationWindow:
        if self._bounds is None:
            return ALWAYS
        near, unit = self._bounds
        high = None if near >= unit else -(-twice * unit // (unit - near)) - 1
        return ActivationWindow(twice * unit // (unit + near) + 1, high)

    def _keep_window(self, twice: int) -> ActivationWindow:
        if self._bounds is None:
            return ALWAYS
        near, unit = self._bounds
        high = None if near >= unit else twice * unit // (unit - near)
        return ActivationWindow(-(-twice * unit // (unit + near)), high)


class GridWork(NamedTuple):
    """The levels by what is to be done with them; read again only when an order has changed.

    A tuple, because an order that is placed or filled makes a new one.
    """

    idle: tuple[GridLevel, ...] = ()
    """Nothing open and no order: an entry may be placed."""
    filled: tuple[GridLevel, ...] = ()
    """Something open and no order: an exit may be placed."""
    complete: tuple[GridLevel, ...] = ()
    """A finished round trip, to be booked."""
    entries: int = 0
    """Levels whose entry works."""
    orders: tuple[TrackedOrder, ...] = ()
    """The orders that work, entries first."""
    is_leaving: bool = False
    """Whether one of these orders is being withdrawn."""
    stay: ActivationWindow = ALWAYS
    """The mids at which all of these orders stay."""
    opens: ActivationWindow = ALWAYS
    """The mids at which one of the idle levels at least may be opened."""

    @classmethod
    def of(cls, levels: Iterable[GridLevel], windows: GridWindows) -> GridWork:
        """Return the work of *levels*."""
        idle: list[GridLevel] = []
        filled: list[GridLevel] = []
        complete: list[GridLevel] = []
        entries: list[TrackedOrder] = []
        exits: list[TrackedOrder] = []
        working = 0
        for level in levels:
            entry, leaving, state, _ = level.read()
            if state is S.NOT_ACTIVE:
                idle.append(level)
            elif state is S.OPEN_ORDER_FILLED:
                filled.append(level)
            elif state is S.COMPLETE:
                complete.append(level)
            elif state is S.OPEN_ORDER_PLACED:
                working += 1
            if entry is not None:
                entries.append(entry)
            if leaving is not None:
                exits.append(leaving)
        orders = (*entries, *exits)
        stay = opens = ALWAYS
        is_leaving = any(order.cancel_sent_ns is not None for order in orders)
        if windows.has_bounds:
            stay, opens = windows.keep_all(orders), windows.entry_any(idle)
        return cls(
            tuple(idle), tuple(filled), tuple(complete), working, orders, is_leaving, stay, opens
        )


@dataclass(slots=True)
class MidEdges:
    """The nearest mids below and above at which something changes, as levels to fall or rise to."""

    low: int | None = None
    high: int | None = None

    def fall_to(self, mid: int) -> None:
        """Watch for a mid of *mid* or less."""
        if self.low is None or mid > self.low:
            self.low = mid

    def rise_to(self, mid: int) -> None:
        """Watch for a mid of *mid* or more."""
        if self.high is None or mid < self.high:
            self.high = mid

    def leave(self, window: ActivationWindow) -> None:
        """Watch for the mid leaving *window*, in which it is."""
        if window.low is not None:
            self.fall_to(window.low - 1)
        if window.high is not None:
            self.rise_to(window.high + 1)

    def enter(self, window: ActivationWindow, mid: int) -> None:
        """Watch for the mid entering *window*, in which it is not."""
        if window.low is not None and mid < window.low:
            self.rise_to(window.low)
        elif window.high is not None and mid > window.high:
            self.fall_to(window.high)
