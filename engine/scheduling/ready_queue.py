"""Tasks that are due: one queue for each level, and the choice between their heads."""

from __future__ import annotations

import math
from collections import deque
from heapq import heappop, heappush
from typing import Final

from engine.scheduling.task_handle import TaskHandle
from engine.scheduling.task_priority import LEVELS, TaskPriority
from engine.scheduling.task_state import TaskState

_READY, _RUNNING = TaskState.READY, TaskState.RUNNING


class LevelQueue:
    """Ready tasks of one level, by `(due, seq)`.

    Nearly all arrive in that order, because due tasks are moved before a new one is taken; these
    stand in `fifo`. One that comes back to its old place (3.4) goes to the heap `late`. A task that
    left otherwise than by its turn stays in place until it comes to the head, where it is dropped.
    """

    __slots__ = ("fifo", "late", "level")

    def __init__(self, level: TaskPriority) -> None:
        self.level = level
        self.fifo: deque[TaskHandle] = deque()
        self.late: list[tuple[float, int, TaskHandle]] = []

    def push(self, handle: TaskHandle) -> None:
        """Add *handle* at its place; O(1), or O(log n) when it is late."""
        fifo = self.fifo
        if fifo:
            last = fifo[-1]
            due = handle.due
            if due < last.due or (due == last.due and handle.seq < last.seq):
                heappush(self.late, (due, handle.seq, handle))
                return
        fifo.append(handle)

    def head(self) -> TaskHandle | None:
        """Return the first task, which is always a live one."""
        if not self.late:
            return self.fifo[0] if self.fifo else None
        late = self.late[0][2]
        if not self.fifo:
            return late
        first = self.fifo[0]
        return late if (late.due, late.seq) < (first.due, first.seq) else first

    def take(self) -> TaskHandle:
        """Remove the first task, which runs from now on, and return it; there must be one."""
        fifo = self.fifo
        if self.late:
            handle = self._take_first()
        else:
            handle = fifo.popleft()
            handle.state = _RUNNING
        if fifo and (fifo[0].state is not _READY or fifo[0].priority is not self.level):
            self.drop_dead()
        return handle

    def _take_first(self) -> TaskHandle:
        handle = self.head()
        assert handle is not None  # noqa: S101 (the caller has looked)
        handle.state = _RUNNING
        self.drop_dead()
        return handle

    def drop_dead(self) -> None:
        """Restore that heads are live: drop those that are not ready on this level any more."""
        fifo, late, level = self.fifo, self.late, self.level
        while fifo and (fifo[0].state is not _READY or fifo[0].priority is not level):
            fifo.popleft()
        while late and (late[0][2].state is not _READY or late[0][2].priority is not level):
            heappop(late)


class ReadyQueue:
    """The ready stage: five queues and ageing between them (3.2)."""

    def __init__(self) -> None:
        self.levels: Final = tuple(LevelQueue(level) for level in LEVELS)
        self.aging_interval = math.inf

    def push(self, handle: TaskHandle) -> None:
        """Add *handle* to the queue of its level."""
        self.levels[handle.priority].push(handle)

    def choose(self, now: float, *, critical_only: bool) -> LevelQueue | None:
        """Return the queue whose head runs next, the smallest `(rank, due, seq)`; None if none.

        Args:
            now: second of the monotonic clock that ages are taken at.
            critical_only: whether the other levels have no slot left.
        """
        if critical_only:
            critical = self.levels[0]
            return critical if critical.fifo or critical.late else None
        best: LevelQueue | None = None
        for queue in self.levels:
            if not (queue.fifo or queue.late):
                continue
            if best is None or self._precedes(queue.head(), best.head(), now):
                best = queue
        return best

    def _precedes(self, head: TaskHandle | None, best: TaskHandle | None, now: float) -> bool:
        assert head is not None  # noqa: S101 (its queue is not empty)
        assert best is not None  # noqa: S101 (as above)
        own = (self._rank(head, now), head.due, head.seq)
        return own < (self._rank(best, now), best.due, best.seq)

    def _rank(self, handle: TaskHandle, now: float) -> int:
        return max(0, handle.priority - math.floor((now - handle.due) / self.aging_interval))

    def oldest(self) -> float | None:
        """Return when the task that waits longest became due; None when none waits."""
        return min((head.due for head in self.heads()), default=None)

    def heads(self) -> list[TaskHandle]:
        """Return the first task of each level that has one; may be called from any thread."""
        found = []
        for queue in self.levels:
            try:
                head = queue.head()
            except IndexError:  # another thread took the last one just now
                continue
            if head is not None:
                found.append(head)
        return found
