"""A clock that moves only when a test says so."""

from __future__ import annotations

from engine.live.clock import SystemClock


class ManualClock(SystemClock):
    """Stands for the system's clocks: wall and monotonic time advance together, by hand."""

    def __init__(self, wall_ns: int = 0, monotonic_ns: int = 0) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns

    def now_ns(self) -> int:
        """Return the wall time."""
        return self._wall_ns

    def monotonic_ns(self) -> int:
        """Return the monotonic time."""
        return self._monotonic_ns

    def advance(self, ns: int) -> None:
        """Let *ns* nanoseconds pass."""
        self._wall_ns += ns
        self._monotonic_ns += ns
