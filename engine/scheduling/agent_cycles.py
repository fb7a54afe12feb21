"""The cycles of agents: one at a time, merged, repeated at the adaptive interval (5)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from engine.scheduling.agent_config import CycleSettings, read_cycle_settings
from engine.scheduling.agent_log import first_line
from engine.scheduling.agent_status import AgentStatus
from engine.scheduling.clock import Clock
from engine.scheduling.cycle_work import is_running
from engine.scheduling.dispatcher import Dispatcher
from engine.scheduling.run_record import RunRecord
from engine.scheduling.task_handle import AgentRecord, TaskHandle
from engine.scheduling.task_priority import TaskPriority
from engine.scheduling.task_state import TaskState

LOG: Final = logging.getLogger("engine.scheduling")
CYCLE: Final = "cycle"
"""Task type of an agent's cycles."""

_REPEATED: Final = frozenset({TaskState.DONE, TaskState.FAILED, TaskState.TIMED_OUT})


class AgentCycles:
    """Schedules cycles and decides what follows when one ends."""

    def __init__(self, dispatcher: Dispatcher, scheduler: Any, clock: Clock) -> None:  # noqa: ANN401 (AdaptiveScheduler, or a stand-in)
        self._dispatcher: Final = dispatcher
        self._scheduler: Final = scheduler
        self._clock: Final = clock

    def schedule(
        self, record: AgentRecord, priority: TaskPriority, *, now: float, due: float
    ) -> TaskHandle:
        """Queue a cycle, or merge with the one that is queued (5.2).

        Raises:
            AgentConfigError: the agent's configuration cannot be used.
        """
        queued = record.cycles.queued
        if queued is not None:
            merge(self._dispatcher, queued, priority, due)
            return queued
        return self._submit(record, settings_of(record), priority, now=now, due=due)

    def ended(self, handle: TaskHandle) -> None:
        """A cycle has ended: schedule the next one, unless there is one or none is wanted (5.3)."""
        record = handle.record
        record.interval = interval = self._repeat(handle)
        error = None if handle.error is None else first_line(handle.error)
        run_time = handle.ended - handle.started
        started = self._clock.wall() - (self._clock.monotonic() - handle.started)
        record.history.append(
            RunRecord(int(started * 1e9), run_time, handle.state, error, interval)
        )

    def _repeat(self, handle: TaskHandle) -> float | None:
        record = handle.record
        if handle.state not in _REPEATED or not self._dispatcher.is_repeating:
            return record.interval
        if record.cycles.queued is not None or not is_running(record.agent):
            return record.interval
        try:
            settings = settings_of(record)
            if not settings.repeat:
                return record.interval
            interval = self.interval(record, settings)
        except ValueError as error:
            fail_agent(record, f"its cycles cannot go on: {error}")
            return record.interval
        due = max(handle.started + interval, handle.ended + self._scheduler.min_interval)
        self._submit(record, settings, settings.priority, now=handle.ended, due=due)
        return interval

    def interval(self, record: AgentRecord, settings: CycleSettings) -> float:
        """Return the next interval of the agent, seconds."""
        base = settings.interval or self._scheduler.default_interval
        interval: float = self._scheduler.next_interval(record.agent_id, CYCLE, base)
        return interval

    def _submit(
        self,
        record: AgentRecord,
        settings: CycleSettings,
        priority: TaskPriority,
        *,
        now: float,
        due: float,
    ) -> TaskHandle:
        assert record.cycle_work is not None  # noqa: S101 (set when an agent is tracked)
        return self._dispatcher.submit(
            record,
            CYCLE,
            record.cycle_work,
            priority,
            now,
            due,
            settings.timeout,
            record.cycles,
        )


def merge(dispatcher: Dispatcher, queued: TaskHandle, priority: TaskPriority, due: float) -> None:
    """Let *queued* stand for one more submission: the earlier time and the stronger level win."""
    dispatcher.counters.coalesced += 1
    queued.record.coalesced += 1
    if priority < queued.priority:
        dispatcher.set_priority(queued, priority)
    if queued.state is TaskState.DELAYED and due < queued.due:
        dispatcher.advance(queued, due)


def settings_of(record: AgentRecord) -> CycleSettings:
    """Return how the cycles of the agent are scheduled.

    Raises:
        AgentConfigError: its configuration cannot be used.
    """
    config = getattr(record.agent, "config", None)
    plain = config if isinstance(config, Mapping) else {}
    return read_cycle_settings(plain, agent_id=record.agent_id)


def fail_agent(record: AgentRecord, reason: str) -> None:
    """Put the agent into `error`."""
    agent = record.agent
    record.last_error = reason[:200]
    try:
        if hasattr(agent, "mark_error"):
            agent.mark_error(reason)
        elif agent is not None:
            agent.status = AgentStatus.ERROR
            LOG.error("agent %s: %s", record.agent_id, reason)
    except Exception:
        LOG.exception("agent %s cannot be put into error", record.agent_id)
