"""Resting limit orders of one side of one market, indexed by price."""

from __future__ import annotations

from bisect import bisect_left, insort

from engine.execution.live_order import LiveOrder


class RestingSide:
    """Price levels, best last, each in order of arrival.

    A quote that reaches nothing costs one comparison; one that reaches n orders costs O(n).
    Adding and removing cost a binary search and, for a new price, one shift of the price list.
    """

    __slots__ = ("_levels", "keys", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self._levels: dict[int, dict[str, LiveOrder]] = {}

    def is_reached(self, opposite_ticks: int) -> bool:
        """Whether the best order can trade with an opposite quote at *opposite_ticks*."""
        return bool(self.keys) and self.keys[-1] >= self.sign * opposite_ticks

    def reached(self, opposite_ticks: int) -> list[tuple[LiveOrder, int]]:
        """Return (order, limit) of what is reached, best price first, then by arrival."""
        first = bisect_left(self.keys, self.sign * opposite_ticks)
        return [
            (order, self.sign * key)
            for key in reversed(self.keys[first:])
            for order in self._levels[key].values()
        ]

    def holds(self, order: LiveOrder, limit_ticks: int) -> bool:
        """Whether *order* rests at its limit."""
        level = self._levels.get(self.sign * limit_ticks, {})
        return order.request.client_order_id in level

    def add(self, order: LiveOrder, limit_ticks: int) -> None:
        """Queue *order* behind the others at its limit."""
        key = self.sign * limit_ticks
        level = self._levels.get(key)
        if level is None:
            level = self._levels[key] = {}
            insort(self.keys, key)
        level[order.request.client_order_id] = order

    def discard(self, order: LiveOrder, limit_ticks: int) -> None:
        """Take *order* out, if it is there."""
        key = self.sign * limit_ticks
        level = self._levels.get(key)
        if level is None or level.pop(order.request.client_order_id, None) is None:
            return
        if not level:
            del self._levels[key]
            del self.keys[bisect_left(self.keys, key)]
