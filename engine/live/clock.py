"""The one place that reads the system's clocks."""

from __future__ import annotations

import time


class SystemClock:
    """Wall time for stamps, monotonic time for durations."""

    def now_ns(self) -> int:
        """Return wall time in nanoseconds since the epoch, UTC."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Return the monotonic clock in nanoseconds; only differences mean anything."""
        return time.monotonic_ns()
