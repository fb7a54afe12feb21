"""One price level of a DCA executor, with its orders and its activation."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor

from engine.executors.activation import ALWAYS, ActivationWindow
from engine.executors.dca_config import DCAMode
from engine.executors.tracked_order import TrackedOrder
from engine.model.instruments import Instrument
from engine.model.orders import TradeType


class DCALevel:
    """A level is worked by one order at a time, until what is missing is too little to trade.

    ``ticks`` is the limit on the grid, ``lots`` what it buys for its amount, rounded down.
    """

    __slots__ = ("cancels", "index", "instrument", "lots", "not_before_ns", "orders", "ticks",
                 "window")  # fmt: skip

    def __init__(
        self, index: int, instrument: Instrument, lots: int, ticks: int, window: ActivationWindow
    ) -> None:
        self.index = index
        self.instrument = instrument
        self.lots = lots
        self.ticks = ticks
        self.window = window
        self.orders: list[TrackedOrder] = []
        self.not_before_ns = 0
        self.cancels = 0

    @property
    def missing_lots(self) -> int:
        """Return what is not filled yet."""
        return self.lots - sum(order.executed_lots for order in self.orders)

    @property
    def is_live(self) -> bool:
        """Whether an order of the level may still fill."""
        return bool(self.orders) and self.orders[-1].is_live  # one at a time

    @property
    def is_wanting(self) -> bool:
        """Whether it needs an order."""
        return not self.is_live and self.instrument.is_tradable(self.missing_lots, self.ticks)

    @property
    def is_done(self) -> bool:
        """Whether it is filled as far as it can be."""
        return not self.is_live and not self.is_wanting

    @property
    def is_reopened(self) -> bool:
        """Whether its newest order was cancelled: later levels need not wait for it."""
        return bool(self.orders) and not self.orders[-1].is_failed


def level_window(
    price_ticks: Fraction, side: TradeType, mode: DCAMode, bounds: Sequence[Fraction] | None
) -> ActivationWindow:
    """Return the mids at which a level is worked; all comparisons are strict (7.3)."""
    if not bounds:
        return ALWAYS
    near, twice = bounds[0], 2 * price_ticks
    is_buy = side is TradeType.BUY
    if mode is DCAMode.TAKER:
        below, above = (near, bounds[1]) if is_buy else (bounds[1], near)
        return ActivationWindow(
            floor(twice * (1 - below)) + 1,
            ceil(twice * (1 + above)) - 1,
        )
    if not is_buy:
        return ActivationWindow(low=floor(twice / (1 + near)) + 1)
    if near >= 1:
        return ALWAYS
    return ActivationWindow(high=ceil(twice / (1 - near)) - 1)
