"""Looks at agents, tasks, loop and pool, and makes a report of it (10.1)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final, Protocol

from engine.scheduling.agent_book import AgentBook
from engine.scheduling.agent_cycles import settings_of
from engine.scheduling.cycle_work import is_running
from engine.scheduling.dispatcher import Dispatcher
from engine.scheduling.health import HealthReport, judge
from engine.scheduling.task_handle import AgentRecord

MIN_PATIENCE: Final = 60.0
"""Seconds that a ready task may wait at least before it counts as starved."""


class HealthLimits(Protocol):
    """From where on something is wrong; the engine's options of these names."""

    @property
    def aging_interval(self) -> float: ...
    @property
    def cancel_grace(self) -> float: ...
    @property
    def loop_lag_warn(self) -> float: ...
    @property
    def max_queue_size(self) -> int: ...
    @property
    def overdue_after(self) -> float: ...


class HealthCheck:
    """Makes one report after the other."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        book: AgentBook,
        pool: Any,  # noqa: ANN401 (a ResourcePool, or a stand-in)
        limits: HealthLimits,
    ) -> None:
        self._dispatcher: Final = dispatcher
        self._book: Final = book
        self._pool: Final = pool
        self._limits: Final = limits

    async def look(self) -> HealthReport:
        """Return how things are now; O(agents + slots)."""
        dispatcher, limits = self._dispatcher, self._limits
        dispatcher.sweep()
        pool = self._pool.health_check()
        if inspect.isawaitable(pool):
            pool = await pool
        now = dispatcher.now()
        depth = dispatcher.ready_count + dispatcher.delayed_count + dispatcher.parked_count
        overdue = tuple(record.agent_id for record in self._book if self._is_overdue(record, now))
        stuck = tuple(
            handle.id
            for handle in (*dispatcher.running, *dispatcher.abandoned)
            if now >= handle.deadline + limits.cancel_grace
        )
        patience = max(MIN_PATIENCE, 4 * limits.aging_interval)
        starved = {
            head.id: head.priority for head in dispatcher.ready.heads() if now - head.due > patience
        }
        return HealthReport(
            status=judge(
                overdue=overdue,
                stuck=stuck,
                starved=starved,
                is_lagging=dispatcher.lag.seconds > limits.loop_lag_warn,
                is_nearly_full=0 < limits.max_queue_size * 0.9 < depth,
            ),
            overdue=overdue,
            stuck=stuck,
            starved=tuple(starved),
            loop_lag_ms=dispatcher.lag.seconds * 1e3,
            queue_depth=depth,
            pool=pool if isinstance(pool, Mapping) else {},
        )

    def _is_overdue(self, record: AgentRecord, now: float) -> bool:
        if record.agent is None or record.cycles.running is not None:
            return False
        if not is_running(record.agent):
            return False
        queued = record.cycles.queued
        if queued is not None:
            return now - queued.due > self._limits.overdue_after
        try:
            return settings_of(record).repeat
        except ValueError:
            return True  # it runs, but its configuration lets no cycle start
