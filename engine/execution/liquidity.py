"""How much of a quote an order can take, and at which price (TICK-1, TICK-5)."""

from __future__ import annotations

from enum import StrEnum, unique


@unique
class Depth(StrEnum):
    """What lies behind the displayed size."""

    INFINITE = "infinite"
    SYNTHETIC = "synthetic"


class QuoteSide:
    """One side of the current quote of one market, consumable once until the next update.

    ``sign`` is that of the orders that take from it: +1 for the ask, -1 for the bid. With
    synthetic depth each further displayed size lies *extra_ticks* farther from the market. A
    displayed size of 0 means that the feed gives none: the depth is then infinite. Without
    *consume* an order does not take the size away from the next one. ``shown_lots`` is the size as
    the feed gives it.
    """

    __slots__ = (
        "_consumed",
        "_consumes",
        "_displayed",
        "_extra_ticks",
        "_is_synthetic",
        "shown_lots",
        "sign",
        "ticks",
    )

    def __init__(self, *, sign: int, depth: Depth, extra_ticks: int, consume: bool = True) -> None:
        self._consumes = consume
        self.shown_lots = 0
        self.sign = sign
        self.ticks = 0
        self._is_synthetic = depth is Depth.SYNTHETIC
        self._extra_ticks = extra_ticks
        self._displayed = 0
        self._consumed = 0

    def update(self, ticks: int, displayed_lots: int) -> None:
        """Take the next quote; its size is whole again."""
        self.ticks = ticks
        self.shown_lots = displayed_lots
        self._displayed = displayed_lots if self._is_synthetic else 0
        self._consumed = 0

    def is_reached(self, limit_ticks: int) -> bool:
        """Whether an order with *limit_ticks* can trade at this quote."""
        return self.sign * (limit_ticks - self.ticks) >= 0

    def take(self, lots: int, limit_ticks: int | None) -> tuple[int, int]:
        """Consume up to *lots* within the limit; return (lots, average price in ticks).

        The average is rounded against the taker (UNIT-5), which cannot pass the limit. (0, 0)
        means that nothing is left within the limit.
        """
        if not self._displayed:
            return lots, self.ticks
        lots = min(lots, self.within(limit_ticks, lots))
        if lots <= 0:
            return 0, 0
        # Away from the market counts as positive, so that rounding up is against either side.
        away = self._walked(self._consumed + lots) - self._walked(self._consumed)
        if self._consumes:
            self._consumed += lots
        return lots, max(1, self.ticks + self.sign * -(-away // lots))

    def within(self, limit_ticks: int | None, lots: int) -> int:
        """Return how much of *lots* can be had within the limit."""
        if not self._displayed or limit_ticks is None:
            return lots
        levels = self.sign * (limit_ticks - self.ticks) // self._extra_ticks + 1
        return min(lots, levels * self._displayed - self._consumed)

    def _walked(self, lots: int) -> int:
        """Return the sum over the first *lots* of their distance from the quote in ticks."""
        full, rest = divmod(lots, self._displayed)
        steps = self._displayed * (full * (full - 1) // 2) + rest * full
        return steps * self._extra_ticks
