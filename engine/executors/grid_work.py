"""What the levels of a grid have to do, and where the market must be for it (executors.md 7.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from engine.executors.activation import ALWAYS, ActivationWindow
from engine.executors.grid_level import GridLevel, GridLevelStates
from engine.executors.tracked_order import TrackedOrder
from engine.model.orders import TradeType

S = GridLevelStates


@dataclass(frozen=True, slots=True)
class GridWork:
    """The levels by what is to be done with them; read again only when an order has changed."""

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

    @classmethod
    def of(cls, levels: Iterable[GridLevel]) -> GridWork:
        """Return the work of *levels*."""
        by_state: dict[S, list[GridLevel]] = {state: [] for state in S}
        entries: list[TrackedOrder] = []
        exits: list[TrackedOrder] = []
        for level in levels:
            by_state[level.state].append(level)
            if level.entry is not None:
                entries.append(level.entry)
            if level.exit is not None:
                exits.append(level.exit)
        return cls(
            tuple(by_state[S.NOT_ACTIVE]),
            tuple(by_state[S.OPEN_ORDER_FILLED]),
            tuple(by_state[S.COMPLETE]),
            len(by_state[S.OPEN_ORDER_PLACED]),
            (*entries, *exits),
        )


class GridWindows:
    """The mids at which the orders of a grid are placed and stay, by their price in ticks.

    All mids are in half ticks (bid plus ask). Without bounds every order is placed and stays.
    """

    def __init__(self, side: TradeType, bounds: Fraction | None) -> None:
        self._is_buy = side is TradeType.BUY
        self._bounds = bounds
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

    def _entry_window(self, twice: int) -> ActivationWindow:
        x = self._bounds
        if x is None:
            return ALWAYS
        if not self._is_buy:
            return ActivationWindow(low=ceil(twice / (1 + x)))
        return ALWAYS if x >= 1 else ActivationWindow(high=floor(twice / (1 - x)))

    def _exit_window(self, twice: int) -> ActivationWindow:
        x = self._bounds
        if x is None:
            return ALWAYS
        high = None if x >= 1 else ceil(twice / (1 - x)) - 1
        return ActivationWindow(floor(twice / (1 + x)) + 1, high)

    def _keep_window(self, twice: int) -> ActivationWindow:
        x = self._bounds
        if x is None:
            return ALWAYS
        high = None if x >= 1 else floor(twice / (1 - x))
        return ActivationWindow(ceil(twice / (1 + x)), high)


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
