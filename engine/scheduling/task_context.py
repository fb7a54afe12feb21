"""What a running task, and whatever it calls, can know about itself."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final, Protocol

from engine.scheduling.task_priority import TaskPriority


class RunningTask(Protocol):
    """The running task as its callees see it."""

    @property
    def agent_id(self) -> str:
        """The agent it works for."""
        ...

    @property
    def task_id(self) -> str:
        """``agent_id:task_type:seq``."""
        ...

    @property
    def priority(self) -> TaskPriority:
        """Its own level."""
        ...

    @property
    def deadline(self) -> float:
        """Second of the engine's monotonic clock at which it is timed out; inf when never."""
        ...


CURRENT_TASK: Final[ContextVar[RunningTask | None]] = ContextVar("engine_task", default=None)
"""The task that runs in this context; None outside the engine's tasks."""


def current_task() -> RunningTask | None:
    """Return the engine's task that the caller runs in, or None."""
    return CURRENT_TASK.get()
