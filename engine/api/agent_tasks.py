"""Tasks of agents as tracked events: what the execution engine runs, in the state panels."""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Final

from engine import flow
from engine.api.command_event import PRIORITY_AGENT
from engine.scheduling.task_handle import TaskHandle
from engine.scheduling.task_state import TaskState

ENDED_KEPT: Final = 800
"""Fewer than what lets housekeeping drop all of them at once."""


class AgentTaskEvent(flow.Event):
    """One task of an agent. The execution engine runs it; the event follows."""

    agent_id: str = ""
    task_type: str = ""
    task_id: str = ""


class AgentTaskProcessor(flow.Processor):
    """Names the event type: nothing is processed here."""

    event_type: ClassVar[type[flow.Event]] = AgentTaskEvent


class AgentTaskExecutor(flow.Executor):
    """Counts the tasks of agents by status.

    It is never started: the events are moved as their tasks move, by ``catch_up``. Between two
    calls the newest state of each task is kept, and nothing else, so a burst costs little.
    """

    processor_type: ClassVar[type[flow.Processor]] = AgentTaskProcessor

    def __init__(self) -> None:
        super().__init__(name="agents")
        self._changed: Final[dict[TaskHandle, None]] = {}
        self._events: Final[dict[TaskHandle, AgentTaskEvent]] = {}
        self._ended: Final[deque[AgentTaskEvent]] = deque()

    def note(self, task: TaskHandle, old: TaskState | None, new: TaskState) -> None:
        """Take note that *task* has moved; called by the execution engine in its midst."""
        del old, new
        self._changed[task] = None

    async def catch_up(self) -> None:
        """Bring the events to where their tasks are."""
        changed = tuple(self._changed)
        self._changed.clear()
        for task in changed:
            await self._follow(task)
        while len(self._ended) > ENDED_KEPT:
            oldest = self._ended.popleft()
            if oldest in self:
                self.states.remove_item(oldest)

    async def _follow(self, task: TaskHandle) -> None:
        status = task.event_status
        event = self._events.get(task)
        if event is None:
            event = AgentTaskEvent(
                agent_id=task.agent_id, task_type=task.task_type, task_id=task.id
            )
            is_new = True
        else:
            is_new = False
        if status.is_terminal:
            is_done = status is flow.EventStatus.COMPLETED
            event.execution.close(
                status, task.error, retryable=not is_done, duration=task.run_time or 0.0
            )
            self._events.pop(task, None)
            self._ended.append(event)
        else:
            event.execution.status = status
            self._events[task] = event
        if is_new:
            await self.append(event, priority=PRIORITY_AGENT)
        if not is_new or status is flow.EventStatus.PROCESSING:
            await self._update_progression(event)
