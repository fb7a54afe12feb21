"""What made an interval."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class IntervalFactors:
    """The figures behind one interval; a factor below 1 means more often.

    Attributes:
        performance: how the task does (7.2, P).
        market: how lively the market is (M).
        system: how busy the machine is (S).
        opportunity: what the market offers (O); reported only.
        reliability: share of outcomes that were no failures, as 7.2 counts (R).
        adjustment: weighted mean of the three factors (F).
        smoothed: the adjustment after smoothing (s).
        backoff: multiplier after failures in a row (m).
        interval: seconds.
    """

    performance: float
    market: float
    system: float
    opportunity: float
    reliability: float
    adjustment: float
    smoothed: float
    backoff: float
    interval: float

    def to_dict(self) -> dict[str, float]:
        """Return the figures by name."""
        return asdict(self)
