"""Tasks that are not due yet: a heap by `(due, seq)`."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Final

from engine.scheduling.task_handle import TaskHandle
from engine.scheduling.task_state import TaskState

_DELAYED: Final = TaskState.DELAYED
_Entry = tuple[float, int, TaskHandle]


class DelayedQueue:
    """The delayed stage.

    An entry whose task was called off or has got another due time stays until it comes to the head,
    or until such entries are the larger half.
    """

    __slots__ = ("_dead", "heap")

    def __init__(self) -> None:
        self.heap: list[_Entry] = []
        self._dead = 0

    def push(self, handle: TaskHandle) -> None:
        """Add *handle* under its present due time."""
        heappush(self.heap, (handle.due, handle.seq, handle))

    def pop(self) -> TaskHandle:
        """Remove and return the first task; who has given it its new state calls `drop_dead`."""
        return heappop(self.heap)[2]

    def note_dead(self) -> None:
        """An entry went dead: its task was called off, or added again with an earlier due time."""
        self._dead += 1
        self.drop_dead()
        if self._dead > 64 and self._dead * 2 > len(self.heap):
            self.heap[:] = [entry for entry in self.heap if _is_live(entry)]
            heapify(self.heap)
            self._dead = 0

    def drop_dead(self) -> None:
        """Restore that the head is live."""
        heap = self.heap
        while heap and not _is_live(heap[0]):
            heappop(heap)
            self._dead -= 1


def _is_live(entry: _Entry) -> bool:
    handle = entry[2]
    return handle.state is _DELAYED and handle.due == entry[0]
