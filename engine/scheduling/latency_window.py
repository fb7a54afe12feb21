"""The newest 1024 durations and their percentiles."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

WINDOW: Final = 1024

LatencyStats = dict[str, float | int | None]


class LatencyWindow:
    """Durations in seconds, told in milliseconds."""

    __slots__ = ("add", "seconds")

    def __init__(self) -> None:
        self.seconds: deque[float] = deque(maxlen=WINDOW)
        self.add = self.seconds.append  # once for each task: no Python frame in between

    def stats(self) -> LatencyStats:
        """Return `count`, `p50`, `p95`, `p99` and `max`; any thread; values None at count 0."""
        ordered = sorted(self.seconds.copy())
        if not ordered:
            return {"count": 0, "p50": None, "p95": None, "p99": None, "max": None}
        return {
            "count": len(ordered),
            "p50": _nearest_rank(ordered, 0.5) * 1e3,
            "p95": _nearest_rank(ordered, 0.95) * 1e3,
            "p99": _nearest_rank(ordered, 0.99) * 1e3,
            "max": ordered[-1] * 1e3,
        }


def _nearest_rank(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
