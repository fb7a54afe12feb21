"""Runs tasks within slots: what is due, by level and age, each in an `asyncio` task of its own.

The one place of the engine that makes tasks outside a task group: a group and a cancel scope for
each task would cost more than the task. It keeps a strong reference to each, watches its deadline,
and whoever stops it waits for them. State changes happen between awaits; there are no locks.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine
from types import CoroutineType
from typing import Any, Final, Protocol

from engine.scheduling.agent_record import Work
from engine.scheduling.clock import Cancellable, Clock
from engine.scheduling.deadline_watch import DeadlineWatch
from engine.scheduling.delayed_queue import DelayedQueue
from engine.scheduling.errors import EngineNotRunning, SchedulingError, StrayCancellation
from engine.scheduling.lag_probe import LagProbe
from engine.scheduling.latency_window import LatencyWindow
from engine.scheduling.loop_owner import LoopOwner
from engine.scheduling.ready_queue import ReadyQueue
from engine.scheduling.task_context import CURRENT_TASK
from engine.scheduling.task_counters import TaskCounters
from engine.scheduling.task_handle import AgentRecord, Lane, TaskHandle
from engine.scheduling.task_priority import LEVELS, TaskPriority
from engine.scheduling.task_state import TaskState
from engine.scheduling.timers import Timers

LOG: Final = logging.getLogger("engine.scheduling")
MOVED_AT_ONCE: Final = 64
"""Due tasks that are moved between two looks at the clock."""
SERVICE_GRACE: Final = 1.0
"""Seconds that cancelled services get; they only ever wait for short things."""

_FOR_THE_HOST: Final = (asyncio.CancelledError, KeyboardInterrupt, SystemExit)
"""What asyncio takes from a task; any other exception would only be told as never retrieved."""

_DELAYED, _READY, _PARKED = TaskState.DELAYED, TaskState.READY, TaskState.PARKED
_RUNNING, _DONE, _FAILED = TaskState.RUNNING, TaskState.DONE, TaskState.FAILED
_TIMED_OUT, _CANCELLED = TaskState.TIMED_OUT, TaskState.CANCELLED
_ABANDONED = TaskState.ABANDONED


class Conductor(Protocol):
    """Decides what the dispatcher does not: whether an agent may run, what follows an end."""

    def may_start(self, handle: TaskHandle) -> bool:
        """Return False when *handle* is a cycle of an agent that does not run."""
        ...

    def task_ended(self, handle: TaskHandle) -> None:
        """*handle*, which ran, has ended or was abandoned: its state, times and error are set."""
        ...

    def state_changed(self, handle: TaskHandle, old: TaskState | None) -> None:
        """*handle* moved from *old* to its present state; called only while `is_observed`."""
        ...


class Dispatcher:
    """Two stages of waiting tasks and the slots they run in.

    Belongs to one loop. Reacts to four events only: a submission, the end of a task, the timer of
    the earliest delayed task, a changed option.

    Attributes:
        limit: slots.
        reserve: slots of these for `CRITICAL` tasks only.
        multiplier: factor on every timeout, read when a task starts.
        cancel_grace: seconds a cancelled task gets to unwind.
        budget: seconds after which dispatching yields to the loop.
        is_observed: whether `Conductor.state_changed` is to be called.
        is_starting: whether ready tasks are started; off once a stop has begun.
        is_repeating: whether cycles are followed by others; off once a stop has begun.
    """

    def __init__(self, clock: Clock, conductor: Conductor, owner: LoopOwner) -> None:
        self.limit = 10
        self.reserve = 0
        self.multiplier = 1.2
        self.cancel_grace = 5.0
        self.budget = 0.002
        self.is_observed = False
        self.is_starting = self.is_repeating = False
        self.pool: Any = None  # the engine's; foreign code takes it as it is
        self.counters: Final = TaskCounters()
        self.lag: Final = LagProbe()
        self.ready: Final = ReadyQueue()
        self.delayed: Final = DelayedQueue()
        self.running: Final[dict[TaskHandle, None]] = {}
        self.abandoned: Final[dict[TaskHandle, None]] = {}
        self.queued_by_level: Final = [0] * len(LEVELS)
        self.ready_count = self.delayed_count = self.parked_count = 0
        self.dispatch_latency: Final = LatencyWindow()
        self.run_time: Final = LatencyWindow()
        self.now: Final = clock.monotonic
        self._clock: Final = clock
        self._conductor: Final = conductor
        self._owner: Final = owner
        self._loop: asyncio.AbstractEventLoop | None = None
        self._create_task: Any = None  # of the loop
        self._context = contextvars.Context()
        self._timers: Timers | None = None
        self._services: Final[set[asyncio.Future[None]]] = set()
        self._watch: Final = DeadlineWatch(
            running=self.running, expire=self._expire, now=clock.monotonic
        )
        self._seq = 0
        self._ordinary_running = 0
        self._is_dispatching = self._is_woken = False
        self._timer: Cancellable | None = None
        self._timer_at = math.inf
        self._calm: Callable[[], None] | None = None

    # --- life ------------------------------------------------------------------------------

    def open(self, loop: asyncio.AbstractEventLoop) -> Timers:
        """Work on *loop*, in the context of the caller, from now on; return its timers."""
        self._loop = loop
        self._create_task = loop.create_task
        self._context = contextvars.copy_context()
        # Nothing of a task leaks into the others when the engine is started from inside one.
        self._context.run(CURRENT_TASK.set, None)
        self._is_woken = self._is_dispatching = False
        self._timers = Timers(self._clock, loop, self._context, spawn=self.spawn, lag=self.lag)
        self._watch.open(self._timers)
        self.is_starting = self.is_repeating = True
        return self._timers

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Future[None]:
        """Run *work*, a service of the engine and no task in a slot, in the engine's context."""
        loop = self._loop
        if loop is None:
            work.close()
            raise EngineNotRunning("the execution engine is not running: start it first")
        service: asyncio.Future[None] = loop.create_task(
            work, name=f"engine:{name}", context=self._context.copy()
        )
        if not service.done():
            self._services.add(service)
            service.add_done_callback(self._services.discard)
        return service

    def serve(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run *work* as `spawn` does; `end_services` waits for it."""
        self.spawn(work, name).add_done_callback(_report_service)

    def rest(self) -> None:
        """Start nothing any more and have no timer; what runs goes on."""
        self.is_starting = self.is_repeating = False
        self._disarm()

    def forget_all(self) -> None:
        """The loop is closed: whatever waited or ran ends as cancelled."""
        self.rest()
        self._watch.rest()
        self._services.clear()
        for handle in [*self.running, *self.abandoned]:
            if handle.state is _RUNNING:
                handle.is_cancelling = True
            self._ended(handle, None, None)

    async def end_services(self) -> None:
        """Cancel all services but the caller and wait until they have ended."""
        own = asyncio.current_task()
        others = [service for service in self._services if service is not own]
        for service in others:
            service.cancel()
        if others:
            await asyncio.wait(others, timeout=SERVICE_GRACE)

    # --- queues ----------------------------------------------------------------------------

    def submit(
        self,
        record: AgentRecord,
        task_type: str,
        work: Work,
        priority: TaskPriority,
        now: float,
        due: float,
        timeout: float,
        lane: Lane | None,
    ) -> TaskHandle:
        """Take a task that starts at *due*, or at once when that is not later than *now*."""
        heap = self.delayed.heap
        if heap and heap[0][0] <= now:
            self._move_due(now)  # first, so that nearly all arrive in order
        self._seq = seq = self._seq + 1
        handle = TaskHandle(self, record, task_type, work, priority, due, timeout, lane, seq)
        self.queued_by_level[priority] += 1
        record.queued[handle] = None
        if lane is not None:
            lane.queued = handle
        if due > now:
            self._delay(handle)
        elif lane is None:
            self._put(handle)
        else:
            self._make_ready(handle)
        if self.is_observed:
            self._conductor.state_changed(handle, None)
        return handle

    def advance(self, handle: TaskHandle, due: float) -> None:
        """Let the delayed *handle* be due at *due*, which is earlier than it was."""
        now = self.now()
        handle.due = due
        if due > now:
            self.delayed.push(handle)
            self.delayed.note_dead()
            self._arm()
        else:
            self.delayed_count -= 1
            self._make_ready(handle)
            self.delayed.note_dead()
            if self.is_observed:
                self._conductor.state_changed(handle, _DELAYED)

    def set_priority(self, handle: TaskHandle, priority: TaskPriority) -> None:
        """Give the waiting *handle* another level; its place there is by `(due, seq)`."""
        old = handle.priority
        if priority is old:
            return
        self.queued_by_level[old] -= 1
        self.queued_by_level[priority] += 1
        handle.priority = priority
        if handle.state is _READY:
            self.ready.push(handle)
            self.ready.levels[old].drop_dead()
            self.wake()

    def cancel(self, handle: TaskHandle) -> bool:
        """Call *handle* off; see `TaskHandle.cancel`."""
        self._owner.check()
        state = handle.state
        if state is _RUNNING:
            return self._cancel_running(handle)
        if state not in (_DELAYED, _READY, _PARKED):
            return False
        self._leave_queue(handle)
        self._close_unrun(handle, "was cancelled", skipped=False)
        if state is _DELAYED:
            self.delayed_count -= 1
            self.delayed.note_dead()
            self._arm()
        elif state is _PARKED:
            self.parked_count -= 1
        else:
            self.ready_count -= 1
            self.ready.levels[handle.priority].drop_dead()
            self._check_calm()
        return True

    def check_caller(self) -> None:
        """Raise RuntimeError for a caller on a wrong thread or loop."""
        self._owner.check()

    def unblock(self, record: AgentRecord, lane: Lane) -> None:
        """Let the parked task of *lane* wait for a slot again if nothing blocks it now."""
        handle = lane.queued
        if handle is not None and handle.state is _PARKED and not record.is_blocked(lane):
            self.parked_count -= 1
            self._make_ready(handle)
            if self.is_observed:
                self._conductor.state_changed(handle, _PARKED)

    def _delay(self, handle: TaskHandle) -> None:
        handle.state = _DELAYED
        self.delayed_count += 1
        self.delayed.push(handle)
        self._arm()

    def _make_ready(self, handle: TaskHandle) -> None:
        lane = handle.lane
        if lane is not None and handle.record.is_blocked(lane):
            handle.state = _PARKED  # 3.4
            self.parked_count += 1
            return
        handle.state = _READY
        self._put(handle)

    def _put(self, handle: TaskHandle) -> None:
        """Queue the ready *handle* on its level."""
        self.ready_count += 1
        queue = self.ready.levels[handle.priority]
        fifo = queue.fifo
        if not fifo or fifo[-1].due < handle.due:  # as nearly always
            fifo.append(handle)
        else:
            queue.push(handle)
        if not self._is_woken:
            self.wake()

    def _move_due(self, now: float) -> bool:
        """Move what is due at *now* to the ready stage, in order; at most `MOVED_AT_ONCE` tasks.

        Returns:
            Whether that was all.
        """
        delayed = self.delayed
        heap = delayed.heap
        for _ in range(MOVED_AT_ONCE):
            if not heap or heap[0][0] > now:
                break
            handle = delayed.pop()
            self.delayed_count -= 1
            self._make_ready(handle)
            if self.is_observed:
                self._conductor.state_changed(handle, _DELAYED)
            delayed.drop_dead()
        if heap and heap[0][0] <= now:
            return False
        self._arm()
        return True

    def _leave_queue(self, handle: TaskHandle) -> None:
        self.queued_by_level[handle.priority] -= 1
        del handle.record.queued[handle]
        if handle.lane is not None:
            handle.lane.queued = None

    def _close_unrun(self, handle: TaskHandle, reason: str, *, skipped: bool) -> None:
        """End *handle*, which has left its queue and never runs."""
        old = handle.state
        handle.skipped = skipped
        if skipped:
            self.counters.skipped += 1
        else:
            self.counters.cancelled += 1
        handle.close(_CANCELLED, None, handle.cancelled_error(reason))
        if self.is_observed:
            self._conductor.state_changed(handle, old)

    # --- timer of the earliest delayed task ------------------------------------------------

    def _arm(self) -> None:
        heap = self.delayed.heap
        when = heap[0][0] if heap else math.inf
        if when == self._timer_at:
            return
        self._disarm()
        if when < math.inf and self._timers is not None and self.is_starting:
            self._timer_at = when
            self._timer = self._timers.call_at(when, self._on_timer)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = math.inf

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self._dispatch(self.now())
        self._arm()  # again, if the loop was early

    # --- slots -----------------------------------------------------------------------------

    def wake(self) -> None:
        """Dispatch in the loop's next pass, if there may be a slot and it is not under way."""
        if self._is_woken or self._is_dispatching or self._loop is None:
            return
        if len(self.running) >= self.limit:
            return
        self._is_woken = True
        self._loop.call_soon(self._on_wake, context=self._context)

    def _on_wake(self) -> None:
        self._is_woken = False
        self._dispatch(self.now())

    def _dispatch(self, now: float) -> None:
        """Start what may start at *now*, until the slots or the budget are used up."""
        if self._is_dispatching or not self.is_starting:
            return
        # An eager task factory runs bodies inside create_task: what these end or submit must not
        # dispatch from within, the loop below goes on with it.
        self._is_dispatching = True
        try:
            stop_at = now + self.budget
            heap, running = self.delayed.heap, self.running
            while now < stop_at:
                if heap and heap[0][0] <= now and not self._move_due(now):
                    now = self.now()
                    continue  # nothing starts before all that is due has its place
                if not self.ready_count or len(running) >= self.limit:
                    break
                queue = self.ready.choose(
                    now, critical_only=self._ordinary_running >= self.limit - self.reserve
                )
                if queue is None:
                    break
                handle = queue.take()
                self.ready_count -= 1
                self.queued_by_level[handle.priority] -= 1
                del handle.record.queued[handle]
                lane = handle.lane
                if lane is None or self._may_enter(handle, lane):
                    self._start(handle, now)
                if not self.ready_count or len(running) >= self.limit:
                    break  # without a look at the clock
                now = self.now()
        finally:
            self._is_dispatching = False
        if now >= stop_at:
            self.wake()
        if not running:
            self._watch.rest()

    def _may_enter(self, handle: TaskHandle, lane: Lane) -> bool:
        """Let *handle* run in its *lane*; or end it and return False if its agent does not run."""
        lane.queued = None
        if lane is not handle.record.cycles or self._conductor.may_start(handle):
            lane.running = handle
            return True
        handle.state = _READY
        self._close_unrun(handle, "was skipped: its agent is not running", skipped=True)
        self._check_calm()
        return False

    def _start(self, handle: TaskHandle, now: float) -> None:
        handle.record.busy += 1
        handle.started = now
        handle.deadline = deadline = now + handle.timeout * self.multiplier
        if handle.priority:
            self._ordinary_running += 1
        self.running[handle] = None
        self.dispatch_latency.add(now - handle.due)
        if deadline < self._watch.soonest:
            self._watch.start_watching(deadline)
        if self.is_observed:
            self._conductor.state_changed(handle, _READY)
        task = self._create_task(
            self._run(handle),
            name=f"{handle.agent_id}:{handle.task_type}:{handle.seq}",
            context=self._context.copy(),
        )
        if handle.state is _RUNNING:
            handle.asyncio_task = task
            if handle.is_cancelling:  # by itself, before there was anything to cancel
                self._interrupt(handle)

    async def _run(self, handle: TaskHandle) -> None:
        """Be the body of the task of *handle*."""
        CURRENT_TASK.set(handle)
        try:
            awaitable = handle.work(self.pool)
            if awaitable.__class__ is not CoroutineType:
                _check_awaitable(awaitable, handle.work)
            value = await awaitable
        except Exception as error:  # noqa: BLE001 (boundary: foreign code runs here)
            self._ended(handle, None, error)
        except BaseException as error:
            if isinstance(error, GeneratorExit) and not _is_inside(handle.asyncio_task):
                raise  # the coroutine is being destroyed after its loop: nothing can follow
            self._ended(handle, None, error)
            if isinstance(error, _FOR_THE_HOST):
                raise
        else:
            self._ended(handle, value, None)

    def _ended(self, handle: TaskHandle, value: object, error: BaseException | None) -> None:
        """The body of *handle* has ended: free its slot, record the outcome, start the next."""
        if handle.state is not _RUNNING:
            self._outlived(handle)
            return
        handle.ended = now = self.now()
        del self.running[handle]
        handle.record.busy -= 1
        if handle.priority:
            self._ordinary_running -= 1
        self.run_time.add(now - handle.started)
        if error is None and not handle.is_timed_out and not handle.is_cancelling:
            self.counters.completed += 1
            handle.state = _DONE
            handle.value = value
            if handle.waiters is not None:
                handle.close(_DONE, value, None)
        else:
            self._close_failed(handle, error)
        handle.asyncio_task = None  # its context knows the handle: work for the collector else
        if self.is_observed:
            self._conductor.state_changed(handle, _RUNNING)
        lane = handle.lane
        if lane is not None:
            lane.running = None
            self.unblock(handle.record, lane)
        self._conductor.task_ended(handle)
        if self.ready_count and not self._is_dispatching:
            self._dispatch(now)
        else:
            self._rest_if_idle()
        if self._calm is not None:
            self._calm()

    def _close_failed(self, handle: TaskHandle, error: BaseException | None) -> None:
        """Set the outcome of *handle*, which did not end as it should, and count it."""
        counters = self.counters
        if handle.is_timed_out:
            counters.timed_out += 1
            handle.close(_TIMED_OUT, None, handle.timeout_error())
        elif handle.is_cancelling or self._is_cancelled_from_outside(handle, error):
            counters.cancelled += 1
            handle.close(_CANCELLED, None, handle.cancelled_error())
        else:
            counters.failed += 1
            if isinstance(error, asyncio.CancelledError):
                text = f"task {handle.id} awaited something that was cancelled"
                error = StrayCancellation(text, cause=error)
            handle.close(_FAILED, None, error)

    def _rest_if_idle(self) -> None:
        if not self.running and not self._is_dispatching:
            self._watch.rest()

    def _is_cancelled_from_outside(self, handle: TaskHandle, error: BaseException | None) -> bool:
        """Return whether somebody cancelled the asyncio task itself, as a loop does that ends."""
        if not isinstance(error, asyncio.CancelledError):
            return False
        task = handle.asyncio_task
        # Without a request it is the task's own doing, say an awaited future that was cancelled.
        if isinstance(task, asyncio.Task) and not task.cancelling():
            return False
        if any(isinstance(one, asyncio.Task) and one.cancelling() for one in self._services):
            self.rest()  # the loop cancels all its tasks: new ones would be left behind
        return True

    # --- cancelling ------------------------------------------------------------------------

    def _expire(self, handle: TaskHandle, now: float) -> None:
        """The deadline of *handle* has passed, or the grace after its cancellation."""
        if handle.grace_until is not None:
            self._abandon(handle, now)
        else:
            handle.is_timed_out = True
            self._interrupt(handle)

    def _cancel_running(self, handle: TaskHandle) -> bool:
        if handle.is_cancelling or handle.is_timed_out:
            return False
        handle.is_cancelling = True
        if handle.asyncio_task is not None:
            self._interrupt(handle)
        return True

    def _interrupt(self, handle: TaskHandle) -> None:
        """Cancel the task of *handle* and watch that it unwinds."""
        task = handle.asyncio_task
        assert task is not None  # noqa: S101 (who asks has looked)
        handle.grace_until = self.now() + self.cancel_grace
        self._watch.watch_grace(handle)
        task.cancel()
        # A task that is cancelled before its first step never enters its body.
        task.add_done_callback(lambda _: self._sweep(handle), context=self._context)

    def _sweep(self, handle: TaskHandle) -> None:
        """The asyncio task of *handle* is over; record it if its body could not."""
        if handle.state is _RUNNING:
            self._ended(handle, None, asyncio.CancelledError())

    def sweep(self) -> None:
        """Record every running task that was cancelled from outside before its first step."""
        for handle in list(self.running):
            task = handle.asyncio_task
            if task is not None and task.done():
                self._sweep(handle)

    def _abandon(self, handle: TaskHandle, now: float) -> None:
        """Give *handle* up: free its slot, but know that it is still alive."""
        handle.ended = now
        del self.running[handle]
        record = handle.record
        record.busy -= 1
        record.abandoned += 1
        if handle.priority:
            self._ordinary_running -= 1
        self.abandoned[handle] = None
        counters = self.counters
        counters.abandoned += 1
        if handle.is_timed_out:
            counters.timed_out += 1
            error: SchedulingError = handle.timeout_error()
        else:
            counters.cancelled += 1
            counters.abandoned_cancelled += 1
            error = handle.cancelled_error("was abandoned: it ignores its cancellation")
        handle.close(_ABANDONED, None, error)
        if self.is_observed:
            self._conductor.state_changed(handle, _RUNNING)
        LOG.error("task %s ignores its cancellation and was abandoned", handle.id)
        self._conductor.task_ended(handle)
        self._dispatch(now)
        self._rest_if_idle()
        self._check_calm()

    def _outlived(self, handle: TaskHandle) -> None:
        """An abandoned task has really ended."""
        if handle not in self.abandoned:
            return
        del self.abandoned[handle]
        record = handle.record
        record.abandoned -= 1
        handle.asyncio_task = None
        LOG.warning("abandoned task %s has ended", handle.id)
        if handle.lane is not None:
            handle.lane.running = None
            self.unblock(record, handle.lane)
        self.unblock(record, record.cycles)

    # --- waiting for calm ------------------------------------------------------------------

    def when_calm(self, callback: Callable[[], None] | None) -> None:
        """Call *callback* after every change that may have left fewer tasks; None ends that."""
        self._calm = callback

    def _check_calm(self) -> None:
        if self._calm is not None:
            self._calm()


def _is_inside(task: asyncio.Future[None] | None) -> bool:
    """Return whether *task* is the one that runs now; None stands for one being created."""
    try:
        current = asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        return False
    return current is not None and task in {None, current}


def _report_service(service: asyncio.Future[None]) -> None:
    if not service.cancelled() and (error := service.exception()) is not None:
        LOG.error("a service of the engine failed", exc_info=error)


def _check_awaitable(awaitable: Awaitable[Any], work: Work) -> None:
    if not inspect.isawaitable(awaitable):
        name = getattr(work, "__qualname__", None) or repr(work)
        raise TypeError(f"{name} returned {type(awaitable).__name__}, which cannot be awaited")
