"""How session time follows wall time."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Protocol

from engine.model.clock import SECOND_NS

END_OF_TIME_NS: Final = 2**63 - 1


class MonotonicClock(Protocol):
    """A clock whose differences are durations."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds; only differences mean anything."""
        ...


class Pace:
    """Maps wall time to session time: ``speed`` session seconds pass in each second of wall time.

    ``speed=None`` is the simulated clock: everything is due at once, nothing ever waits.
    """

    def __init__(self, *, clock: MonotonicClock, start_ns: int, speed: Decimal | None) -> None:
        self._clock = clock
        self._start_ns = start_ns
        self._started_at = clock.monotonic_ns()
        self._ratio = None if speed is None else speed.as_integer_ratio()

    @property
    def is_simulated(self) -> bool:
        """Whether session time runs free of wall time."""
        return self._ratio is None

    def now_ns(self) -> int:
        """Return the session time of this instant; the end of time when it is simulated."""
        if self._ratio is None:
            return END_OF_TIME_NS
        numerator, denominator = self._ratio
        elapsed = self._clock.monotonic_ns() - self._started_at
        return self._start_ns + elapsed * numerator // denominator

    def seconds_until(self, session_ns: int) -> float:
        """Return how many seconds of wall time pass until *session_ns*; 0 if it is due."""
        if self._ratio is None:
            return 0.0
        numerator, denominator = self._ratio
        return max(0, session_ns - self.now_ns()) * denominator / numerator / SECOND_NS
