"""A submitted task: what its submitter holds and the dispatcher moves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

from engine import flow
from engine.scheduling.agent_record import LaneOf, RecordOf, Work
from engine.scheduling.errors import TaskCancelled, TaskTimeout
from engine.scheduling.task_priority import TaskPriority
from engine.scheduling.task_snapshot import TaskSnapshot
from engine.scheduling.task_state import FINAL, TaskState, to_event_status

LOG: Final = logging.getLogger("engine.scheduling")


class TaskHost(Protocol):
    """Who moves the task: the dispatcher."""

    @property
    def now(self) -> Callable[[], float]:
        """Returns the second of the monotonic clock."""
        ...

    def cancel(self, handle: TaskHandle) -> bool:
        """Call *handle* off; return whether that was news."""
        ...

    def check_caller(self) -> None:
        """Raise RuntimeError for a caller on a wrong thread or loop."""
        ...


class TaskHandle:
    """One task, from its submission to its end; made by the engine.

    Everything here belongs to the engine's loop. Nobody has to await a handle: a failure that
    is not asked for prints nothing.

    Attributes:
        agent_id: the agent it works for.
        task_type: what kind of work it is.
        priority: its own level, which ageing does not change.
        state: where it stands.
        due: second of the engine's monotonic clock before which it does not start.
        deadline: second at which it is timed out; inf before it starts, or when it has no limit.
        error: what it raised, or `TaskTimeout` or `TaskCancelled`; None before its end.
        value: what it returned; None before its end.
        skipped: whether it did not run because its agent did not.
    """

    # One object for each queued task, a hundred thousand of them: slots, nothing computed early.
    __slots__ = (
        "_host",
        "agent_id",
        "asyncio_task",
        "deadline",
        "due",
        "ended",
        "error",
        "grace_until",
        "is_cancelling",
        "is_timed_out",
        "lane",
        "priority",
        "record",
        "seq",
        "skipped",
        "started",
        "state",
        "task_type",
        "timeout",
        "value",
        "waiters",
        "work",
    )

    def __init__(
        self,
        host: TaskHost,
        record: AgentRecord,
        task_type: str,
        work: Work,
        priority: TaskPriority,
        due: float,
        timeout: float,
        lane: Lane | None,
        seq: int,
    ) -> None:
        self._host = host
        self.record = record
        self.agent_id = record.agent_id
        self.task_type = task_type
        self.work = work
        self.priority = priority
        self.due = due
        self.timeout = timeout
        self.lane = lane
        self.seq = seq
        self.state: TaskState = _READY
        self.deadline = _NEVER
        self.started = self.ended = _NEVER
        self.grace_until: float | None = None
        self.is_cancelling = self.is_timed_out = self.skipped = False
        self.asyncio_task: asyncio.Future[None] | None = None
        self.error: BaseException | None = None
        self.value: Any = None
        self.waiters: list[Callable[[], object]] | None = None

    def __repr__(self) -> str:
        return f"<TaskHandle {self.id} {self.state}>"

    @property
    def id(self) -> str:
        """``agent_id:task_type:seq``."""
        return f"{self.agent_id}:{self.task_type}:{self.seq}"

    @property
    def task_id(self) -> str:
        """The same as `id`."""
        return self.id

    @property
    def due_in(self) -> float:
        """Seconds until it may start; 0 when it is due, runs or has ended."""
        if self.state is not TaskState.DELAYED:
            return 0.0
        return max(0.0, self.due - self._host.now())

    @property
    def is_final(self) -> bool:
        """Whether it has ended, or was abandoned."""
        return self.state in FINAL

    @property
    def run_time(self) -> float | None:
        """Seconds from its start to its end, or to now; None before it started."""
        if self.started == _NEVER:
            return None
        return (self._host.now() if self.ended == _NEVER else self.ended) - self.started

    @property
    def event_status(self) -> flow.EventStatus:
        """The status under which the state panels count it."""
        return to_event_status(self.state, skipped=self.skipped)

    def snapshot(self) -> TaskSnapshot:
        """Return what can be told of it now."""
        return TaskSnapshot(
            self.id, self.agent_id, self.task_type, self.priority, self.state, self.due_in
        )

    def cancel(self) -> bool:
        """Call the task off; return whether that was news.

        A waiting task is `cancelled` at once. A running one is cancelled and gets `cancel_grace`
        to unwind. False for one that has ended or is being cancelled already.
        """
        return self._host.cancel(self)

    async def result(self) -> Any:  # noqa: ANN401 (whatever the task returns)
        """Return what the task returned, as soon as it has ended.

        Raises:
            TaskTimeout: its deadline passed.
            TaskCancelled: it was called off, skipped or abandoned.
            BaseException: what the task itself raised.
        """
        await self.ended_or_abandoned()
        if self.error is not None:
            raise self.error
        return self.value

    async def ended_or_abandoned(self) -> None:
        """Wait until the task has ended or was abandoned."""
        if not self.is_final:
            self._host.check_caller()
            ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.when_ended(partial(_settle, ended))
            await ended

    def when_ended(self, callback: Callable[[], object]) -> None:
        """Call *callback* as soon as the task has ended or was abandoned; not if it has already."""
        if self.waiters is None:
            self.waiters = []
        self.waiters.append(callback)

    def close(self, state: TaskState, value: object, error: BaseException | None) -> None:
        """Set the outcome and tell who waits; for the dispatcher."""
        self.state = state
        self.value = value
        self.error = error
        if self.waiters is not None:
            waiters, self.waiters = self.waiters, None
            for callback in waiters:
                try:
                    callback()
                except Exception:
                    LOG.exception("who waited for task %s failed", self.id)

    def timeout_error(self) -> TaskTimeout:
        """Return the error of a deadline that passed."""
        limit = self.deadline - self.started
        return TaskTimeout(
            f"task {self.id} did not end within {limit:g} s", details={"limit_s": limit}
        )

    def cancelled_error(self, reason: str = "was cancelled") -> TaskCancelled:
        """Return the error of a task that was called off."""
        return TaskCancelled(f"task {self.id} {reason}")


AgentRecord: TypeAlias = RecordOf[TaskHandle]
"""What is known of the agent of a task."""

Lane: TypeAlias = LaneOf[TaskHandle]
"""A kind of work of which at most one runs and at most one waits."""

_NEVER: Final = float("inf")
_READY: Final = TaskState.READY  # found faster by a global name than in its class


def _settle(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
