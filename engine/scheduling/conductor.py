"""Books what tasks did: per agent, with the adaptive scheduler, with who listens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from engine.scheduling.adaptive_scheduler import AdaptiveScheduler
from engine.scheduling.agent_cycles import AgentCycles, fail_agent
from engine.scheduling.agent_log import first_line
from engine.scheduling.cycle_work import is_running
from engine.scheduling.errors import StrayCancellation
from engine.scheduling.task_handle import TaskHandle
from engine.scheduling.task_state import TaskState

LOG: Final = logging.getLogger("engine.scheduling")
_DONE: Final = TaskState.DONE  # a member is found faster by a global name than in its class

TaskListener = Callable[[TaskHandle, TaskState | None, TaskState], object]
"""Gets a task, the state it left (None for a new one) and the state it is in."""


class TaskConductor:
    """What the dispatcher asks and tells; see `dispatcher.Conductor`."""

    def __init__(self, scheduler: Any) -> None:  # noqa: ANN401 (AdaptiveScheduler, or a stand-in)
        self.cycles: AgentCycles | None = None
        self.listeners: Final[list[TaskListener]] = []
        self._scheduler: Final = scheduler
        # A scheduler of another kind is told by the public method; ours without its checks.
        self._book_success: Final[Callable[[str, str, float], object]] = (
            scheduler.book_success
            if type(scheduler) is AdaptiveScheduler
            else scheduler.update_execution_time
        )

    def may_start(self, handle: TaskHandle) -> bool:
        """Return whether the agent of the cycle *handle* runs."""
        try:
            return is_running(handle.record.agent)
        except Exception:
            LOG.exception("agent %s does not tell its status", handle.agent_id)
            return False

    def task_ended(self, handle: TaskHandle) -> None:
        """Book the end of *handle*, and schedule what follows it."""
        record = handle.record
        record.last_started = started = handle.started
        record.last_ended = ended = handle.ended
        run_time = ended - started
        record.runs += 1
        record.run_seconds += run_time
        try:
            if handle.state is _DONE:
                record.failures = 0
                self._book_success(handle.agent_id, handle.task_type, run_time)
            else:
                self._book_failure(handle, run_time)
        except Exception:
            LOG.exception("the end of task %s could not be booked", handle.id)
        if handle.lane is record.cycles and self.cycles is not None:
            self._follow_cycle(handle, self.cycles)

    def _follow_cycle(self, handle: TaskHandle, cycles: AgentCycles) -> None:
        try:
            cycles.ended(handle)
        except Exception as error:
            LOG.exception("no cycle could follow task %s", handle.id)
            fail_agent(handle.record, f"its cycles cannot go on: {first_line(error)}")

    def state_changed(self, handle: TaskHandle, old: TaskState | None) -> None:
        """Tell the listeners that *handle* has moved."""
        for listener in tuple(self.listeners):
            try:
                listener(handle, old, handle.state)
            except Exception:
                LOG.exception("a task listener failed")

    def _book_failure(self, handle: TaskHandle, run_time: float) -> None:
        record, error = handle.record, handle.error
        if error is not None:
            record.last_error = first_line(error)
        if handle.is_timed_out:
            record.failures += 1
            record.timeouts += 1
            self._scheduler.update_timeout(handle.agent_id, handle.task_type)
            self._note_failed_cycle(handle, error, run_time)
        elif handle.state is TaskState.FAILED and error is not None:
            record.failures += 1
            record.errors += 1
            # An agent counts its own exceptions; these passed it, or it took one for its own end.
            if isinstance(error, StrayCancellation) or not isinstance(error, Exception):
                self._note_failed_cycle(handle, error, run_time)
            log = getattr(record.agent, "logger", None) or LOG
            log.error("task %s failed", handle.id, exc_info=error)
            self._scheduler.update_error(handle.agent_id, handle.task_type, str(error))
        if handle.state is TaskState.ABANDONED:
            fail_agent(record, f"task {handle.id} ignores its cancellation and was abandoned")

    @staticmethod
    def _note_failed_cycle(
        handle: TaskHandle, error: BaseException | None, run_time: float
    ) -> None:
        """Let the agent count a failure that did not pass through its own code."""
        agent = handle.record.agent
        if handle.lane is handle.record.cycles and hasattr(agent, "note_failure"):
            agent.note_failure(error, run_time)
