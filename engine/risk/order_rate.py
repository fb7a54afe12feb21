"""How many orders passed within the last minute."""

from __future__ import annotations

from collections import deque


class OrderRate:
    """A sliding window over the times of orders; amortised O(1)."""

    def __init__(self, *, window_ns: int) -> None:
        self._window_ns = window_ns
        self._times: deque[int] = deque()

    def record(self, now_ns: int) -> None:
        """Count an order at *now_ns*."""
        self._times.append(now_ns)
        self.count(now_ns)

    def count(self, now_ns: int) -> int:
        """Return how many orders lie in ``(now - window, now]``."""
        first = now_ns - self._window_ns
        while self._times and self._times[0] <= first:
            self._times.popleft()
        return len(self._times)
