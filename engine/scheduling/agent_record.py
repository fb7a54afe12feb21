"""What the engine knows of one agent: its work and how it went."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeAlias, TypeVar

from engine.scheduling.run_record import RunRecord

HandleT = TypeVar("HandleT")
"""The handle of a task, which knows its record in turn."""

Work: TypeAlias = Callable[[Any], Awaitable[Any]]
"""Takes the resource pool, returns what is awaited as the task's body."""

HISTORY: Final = 100
"""Cycles kept for each agent."""


class LaneOf(Generic[HandleT]):
    """A kind of work of which at most one runs and at most one waits."""

    __slots__ = ("queued", "running")

    def __init__(self) -> None:
        self.queued: HandleT | None = None
        self.running: HandleT | None = None


class RecordOf(Generic[HandleT]):
    """One agent, or the id that custom tasks came in under.

    Attributes:
        agent_id: its id.
        agent: the agent itself; None when only custom tasks were seen.
        cycle_work: runs one cycle and lets its exceptions through.
        queued: everything of it that waits, in order of submission.
        cycles: the lane of its cycles.
        lanes: the lanes of its exclusive custom tasks, by type.
        abandoned: tasks of it that are still alive after they were given up.
        busy: running tasks.
    """

    __slots__ = (
        "abandoned",
        "agent",
        "agent_id",
        "busy",
        "coalesced",
        "cycle_work",
        "cycles",
        "errors",
        "failures",
        "history",
        "interval",
        "lanes",
        "last_ended",
        "last_error",
        "last_started",
        "queued",
        "run_seconds",
        "runs",
        "timeouts",
    )

    def __init__(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self.agent: Any = None  # foreign code: anything with run_cycle, status and config
        self.cycle_work: Work | None = None
        self.queued: dict[HandleT, None] = {}
        self.cycles: LaneOf[HandleT] = LaneOf()
        self.lanes: dict[str, LaneOf[HandleT]] = {}
        self.abandoned = 0
        self.busy = 0
        self.runs = 0
        self.failures = 0
        self.errors = 0
        self.timeouts = 0
        self.coalesced = 0
        self.run_seconds = 0.0
        self.last_started: float | None = None
        self.last_ended: float | None = None
        self.last_error: str | None = None
        self.interval: float | None = None
        self.history: deque[RunRecord] = deque(maxlen=HISTORY)

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it waits or runs."""
        return not self.queued and not self.busy and not self.abandoned

    def lane(self, task_type: str) -> LaneOf[HandleT]:
        """Return the lane of the exclusive tasks of *task_type*."""
        return self.lanes.setdefault(task_type, LaneOf())

    def is_blocked(self, lane: LaneOf[HandleT]) -> bool:
        """Return whether work of *lane* may not start now.

        An agent with abandoned work gets no cycle until that work has really ended.
        """
        return lane.running is not None or (lane is self.cycles and self.abandoned > 0)
