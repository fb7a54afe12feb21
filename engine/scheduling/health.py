"""Whether the engine and its agents are well (10.1)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any, Final

from engine.scheduling.task_priority import TaskPriority

LOG: Final = logging.getLogger("engine.scheduling")


@unique
class HealthStatus(StrEnum):
    """The verdict of one health check."""

    OK = "ok"
    DEGRADED = "degraded"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Outcome of one health check.

    Attributes:
        status: the verdict.
        overdue: running agents whose cycle is late or missing.
        stuck: tasks that run longer than their limit and the grace after it.
        starved: ready tasks that have waited for too long, at most one for each level.
        loop_lag_ms: lag of the event loop.
        queue_depth: tasks that wait.
        pool: what the resource pool says of itself.
    """

    status: HealthStatus = HealthStatus.OK
    overdue: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()
    starved: tuple[str, ...] = ()
    loop_lag_ms: float = 0.0
    queue_depth: int = 0
    pool: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> tuple[object, ...]:
        """What a change is a change of: figures that always move are not in it."""
        return self.status, self.overdue, self.stuck, self.starved

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON takes."""
        return {
            "status": self.status.value,
            "overdue": list(self.overdue),
            "stuck": list(self.stuck),
            "starved": list(self.starved),
            "loop_lag_ms": self.loop_lag_ms,
            "queue_depth": self.queue_depth,
            "pool": dict(self.pool),
        }


def judge(
    *,
    overdue: tuple[str, ...],
    stuck: tuple[str, ...],
    starved: Mapping[str, TaskPriority],
    is_lagging: bool,
    is_nearly_full: bool,
) -> HealthStatus:
    """Return the verdict on what was found; *starved* holds levels by task id."""
    if stuck or TaskPriority.CRITICAL in starved.values():
        return HealthStatus.CRITICAL
    if overdue or starved or is_lagging or is_nearly_full:
        return HealthStatus.DEGRADED
    return HealthStatus.OK


class HealthNews:
    """Tells listeners when the verdict changes; the first well report is no change."""

    def __init__(self) -> None:
        self.report = HealthReport()
        self._listeners: Final[list[Callable[[HealthReport], object]]] = []

    def add(self, listener: Callable[[HealthReport], object]) -> None:
        """Call *listener* with every report that differs from the one before."""
        self._listeners.append(listener)

    def remove(self, listener: Callable[[HealthReport], object]) -> None:
        """Do not call *listener* any more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def publish(self, report: HealthReport) -> None:
        """Keep *report* and tell it if it is news."""
        is_news = report.verdict != self.report.verdict
        self.report = report
        if not is_news:
            return
        for listener in tuple(self._listeners):
            try:
                listener(report)
            except Exception:
                LOG.exception("a health listener failed")
