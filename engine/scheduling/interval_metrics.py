"""How one kind of task of one agent did lately."""

from __future__ import annotations

from collections import deque
from enum import IntEnum, unique
from typing import Final

from engine.scheduling.interval_factors import IntervalFactors

OUTCOMES: Final = 20
RUN_TIMES: Final = 10


@unique
class Outcome(IntEnum):
    """How a run ended."""

    SUCCESS = 0
    TIMEOUT = 1
    ERROR = 2


class IntervalMetrics:
    """The newest outcomes and run times, and what smoothing and back-off remember."""

    __slots__ = (
        "factors",
        "failures",
        "last_error",
        "outcomes",
        "run_times",
        "smoothed",
    )

    def __init__(self) -> None:
        self.outcomes: deque[Outcome] = deque(maxlen=OUTCOMES)
        self.run_times: deque[float] = deque(maxlen=RUN_TIMES)
        self.failures = 0  # in a row
        self.smoothed: float | None = None
        self.last_error: str | None = None
        self.factors: IntervalFactors | None = None

    def failed(self, outcome: Outcome) -> None:
        """A run timed out or failed."""
        self.outcomes.append(outcome)
        self.failures += 1

    @property
    def reliability(self) -> float:
        """R of 7.2."""
        timeouts = self.outcomes.count(Outcome.TIMEOUT)
        errors = self.outcomes.count(Outcome.ERROR)
        return max(0.0, 1 - min(0.1 * timeouts, 0.5) - min(0.1 * errors, 0.5))

    @property
    def performance(self) -> float:
        """P of 7.2."""
        if not self.outcomes:
            return 1.0
        unreliability = 1 - self.reliability
        if not self.run_times:
            return 1.0 + unreliability / 2
        mean = sum(self.run_times) / len(self.run_times)
        return ((0.5 + min(mean / 10, 1)) + (0.5 + unreliability)) / 2
