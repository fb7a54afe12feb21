"""Equity over a whole session in bounded memory."""

from __future__ import annotations

from typing import Final

CAPACITY: Final = 1024


class EquityCurve:
    """Keeps samples over the whole session; when it is full, every second one is dropped.

    So the spacing doubles and the memory stays: a session of weeks has the same number of points.
    """

    def __init__(self, *, interval_ns: int, capacity: int = CAPACITY) -> None:
        self._interval_ns = interval_ns
        self._capacity = capacity
        self._samples: list[tuple[int, float]] = []

    def add(self, ts_ns: int, value: float) -> bool:
        """Take a sample unless the last one is too fresh; return whether it was taken."""
        if self._samples and ts_ns - self._samples[-1][0] < self._interval_ns:
            return False
        self._samples.append((ts_ns, value))
        if len(self._samples) >= self._capacity:
            self._samples = self._samples[::2]
            self._interval_ns *= 2
        return True

    def samples(self) -> tuple[tuple[int, float], ...]:
        """Return (ts_ns, equity), oldest first."""
        return tuple(self._samples)
