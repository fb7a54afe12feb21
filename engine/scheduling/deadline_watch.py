"""Watches the deadlines of running tasks with one timer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush
from typing import Final

from engine.scheduling.clock import Cancellable
from engine.scheduling.task_handle import TaskHandle
from engine.scheduling.task_state import TaskState
from engine.scheduling.timers import Timers

_RUNNING: Final = TaskState.RUNNING
_Entry = tuple[float, int, bool, TaskHandle]


class DeadlineWatch:
    """Calls `expire` for a running task whose deadline, or whose grace after it, has passed.

    Most tasks end long before their deadline, so starting one costs a comparison: `soonest` is the
    earliest deadline of those that are not in the heap. Only when it passes are the running ones
    put into the heap, each at most once.
    """

    def __init__(
        self,
        *,
        running: Iterable[TaskHandle],
        expire: Callable[[TaskHandle, float], None],
        now: Callable[[], float],
    ) -> None:
        self.soonest = math.inf
        self._timers: Timers | None = None
        self._running: Final = running
        self._expire: Final = expire
        self._now: Final = now
        self._heap: list[_Entry] = []
        self._timer: Cancellable | None = None
        self._armed = math.inf
        self._is_arming = False

    def open(self, timers: Timers) -> None:
        """Use *timers* from now on; what was watched before is forgotten."""
        self.rest()
        self._timers = timers
        self._is_arming = False

    def start_watching(self, deadline: float) -> None:
        """A task started whose *deadline* is before `soonest`.

        The timer is made in the loop's next pass: a task that has ended by then needs none.
        """
        self.soonest = deadline
        if not self._is_arming and self._timers is not None:
            self._is_arming = True
            self._timers.call_soon(self._arm_soonest)

    def watch_grace(self, handle: TaskHandle) -> None:
        """Watch the grace of *handle* too, which is being cancelled."""
        if handle.grace_until is not None:
            heappush(self._heap, _entry(handle))
            self._arm(handle.grace_until)

    def rest(self) -> None:
        """Nothing runs: have no timer, so that an idle engine is not woken."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed = self.soonest = math.inf
        self._heap.clear()

    def _arm_soonest(self) -> None:
        self._is_arming = False
        self._arm(self.soonest)

    def _arm(self, when: float) -> None:
        if when < self._armed and self._timers is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._armed = when
            self._timer = self._timers.call_at(when, self._look)

    def _look(self) -> None:
        self._timer = None
        self._armed = math.inf
        now = self._now()
        heap = self._heap
        if self.soonest <= now:
            self.soonest = math.inf
            heap[:] = [_entry(handle) for handle in self._running]
            heapify(heap)
        passed = []
        while heap and heap[0][0] <= now:
            passed.append(heappop(heap))
        for entry in passed:
            handle = entry[3]
            if handle.state is _RUNNING and entry == _entry(handle):
                self._expire(handle, now)
        while heap and heap[0][3].state is not _RUNNING:
            heappop(heap)
        next_look = min(self.soonest, heap[0][0] if heap else math.inf)
        if next_look < math.inf:
            self._arm(next_look)


def _entry(handle: TaskHandle) -> _Entry:
    """Return when to look at *handle* next: at its deadline, or after the grace that follows."""
    if handle.grace_until is None:
        return handle.deadline, handle.seq, False, handle
    return handle.grace_until, handle.seq, True, handle
