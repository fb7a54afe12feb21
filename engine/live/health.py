"""Health of a live strategy by thresholds (LIVE-9); pure, figures are passed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from engine.model.clock import SECOND_NS

LAG_LIMIT_NS: Final = 2 * SECOND_NS
LATENCIES_KEPT: Final = 1000


@unique
class HealthLevel(StrEnum):
    """How a strategy is doing."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class HealthFigures:
    """What one check looks at; ages in ns, None is not known."""

    heartbeat_age_ns: int | None
    data_age_ns: int | None
    expected_data_ns: int
    queue_depth: int = 0
    lag_ns: int = 0
    error_rate: float = 0.0
    reject_rate: float = 0.0
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    rss_bytes: int | None = None
    reconciliation_age_ns: int | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The outcome of one check, with the reasons."""

    ts_ns: int
    level: HealthLevel
    reasons: tuple[str, ...]
    figures: HealthFigures


class HealthMonitor:
    """Judges figures every ``interval_ns``; two unhealthy checks in a row trip the breaker."""

    def __init__(self, *, interval_ns: int = 60 * SECOND_NS) -> None:
        self.interval_ns = interval_ns
        self.last: HealthCheck | None = None
        self._unhealthy_in_a_row = 0
        self._latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def add_latency(self, ms: float) -> None:
        """Take the time from an order to its acknowledgement."""
        self._latencies.append(ms)

    def latency_percentiles(self) -> tuple[float | None, float | None]:
        """Return (p50, p99) of the latencies, None before the first."""
        return percentile(self._latencies, 50), percentile(self._latencies, 99)

    def check(self, figures: HealthFigures, now_ns: int) -> HealthCheck:
        """Judge *figures*."""
        level, reasons = HealthLevel.HEALTHY, []
        age = figures.data_age_ns
        if age is not None and age > 3 * figures.expected_data_ns:
            level = HealthLevel.DEGRADED
            reasons.append(f"data are {age / SECOND_NS:.1f} s old")
        if figures.lag_ns > LAG_LIMIT_NS:
            level = HealthLevel.DEGRADED
            reasons.append(f"the loop lags {figures.lag_ns / SECOND_NS:.1f} s")
        beat = figures.heartbeat_age_ns
        if beat is not None and beat > 2 * self.interval_ns:
            level = HealthLevel.UNHEALTHY
            reasons.append(f"no heartbeat for {beat / SECOND_NS:.0f} s")
        is_bad = level is HealthLevel.UNHEALTHY
        self._unhealthy_in_a_row = self._unhealthy_in_a_row + 1 if is_bad else 0
        self.last = HealthCheck(now_ns, level, tuple(reasons), figures)
        return self.last

    @property
    def trips_breaker(self) -> bool:
        """Whether the last two checks were unhealthy."""
        return self._unhealthy_in_a_row >= 2


def percentile(values: Iterable[float], share: int) -> float | None:
    """Return the nearest-rank percentile of *values*, None if there are none."""
    ordered = sorted(values)
    if not ordered:
        return None
    place = max(0, -(-share * len(ordered) // 100) - 1)
    return ordered[place]
