"""Where a task stands, and how the state panels count it."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final

from engine import flow


@unique
class TaskState(StrEnum):
    """State of a task; `delayed`, `ready` and `parked` ones wait, all after `running` are final."""

    DELAYED = "delayed"
    READY = "ready"
    PARKED = "parked"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"


QUEUED: Final = frozenset({TaskState.DELAYED, TaskState.READY, TaskState.PARKED})
FINAL: Final = frozenset(TaskState) - QUEUED - {TaskState.RUNNING}

_EVENT_STATUS: Final = {
    TaskState.DELAYED: flow.EventStatus.PENDING,
    TaskState.READY: flow.EventStatus.PENDING,
    TaskState.PARKED: flow.EventStatus.PENDING,
    TaskState.RUNNING: flow.EventStatus.PROCESSING,
    TaskState.DONE: flow.EventStatus.COMPLETED,
    TaskState.FAILED: flow.EventStatus.FAILED,
    TaskState.TIMED_OUT: flow.EventStatus.FAILED,
    TaskState.CANCELLED: flow.EventStatus.CANCELLED,
    TaskState.ABANDONED: flow.EventStatus.ABORTED,
}


def to_event_status(state: TaskState, *, skipped: bool = False) -> flow.EventStatus:
    """Return the status under which the state panels count a task.

    Args:
        state: where the task stands.
        skipped: whether it was not run because its agent did not run.
    """
    return flow.EventStatus.SKIPPED if skipped else _EVENT_STATUS[state]
