"""Orders that are silent during a shutdown: when to ask for them, when they are lost (6.4)."""

from __future__ import annotations

from typing import Final

from engine.executors.tracked_order import TrackedOrder
from engine.model.clock import SECOND_NS

SILENCE_NS: Final = 10 * SECOND_NS
"""A live order that was silent for so long is asked for."""
MOST_MISSES: Final = 3
"""An order that the venue does not know more often than this is lost."""


class OrderQueries:
    """When each silent order was asked for, and how often the venue did not know it."""

    def __init__(self) -> None:
        self._asked_ns: dict[str, int] = {}
        self._misses: dict[str, int] = {}

    def due_ns(self, order: TrackedOrder, silent_ns: int) -> int:
        """Return when *order*, silent since *silent_ns*, is to be asked for."""
        return max(silent_ns, self._asked_ns.get(order.order_id, 0)) + SILENCE_NS

    def ask(self, order: TrackedOrder, now_ns: int) -> int:
        """Note that the venue is asked for *order*; return when to ask again."""
        self._asked_ns[order.order_id] = now_ns
        return now_ns + SILENCE_NS

    def note_found(self, order_id: str) -> None:
        """Note that the venue knows an order."""
        self._misses.pop(order_id, None)

    def is_lost(self, order_id: str) -> bool:
        """Note that the venue does not know an order; return whether that was once too often."""
        self._misses[order_id] = misses = self._misses.get(order_id, 0) + 1
        return misses > MOST_MISSES


NO_QUERIES: Final = OrderQueries()
"""Of executors that have asked for nothing: never written to."""
