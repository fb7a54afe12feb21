"""The processor: takes events from its queue, asks for permission, and runs them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import ClassVar, Final, Protocol, Self
from uuid import UUID

from engine.flow.batch import Batch, Run, cancel_pending
from engine.flow.element import Element, epoch_seconds, key_of, to_key
from engine.flow.errors import AccessError, NotFoundError, QueueFullError
from engine.flow.event import Event
from engine.flow.execution import is_retryable
from engine.flow.limits import check_limits
from engine.flow.pile import Pile
from engine.flow.queue import Entry, EventQueue, check_priority
from engine.flow.status import EventStatus

_log: Final = logging.getLogger(__name__)

_BEGINS_PER_STEP: Final = 64
"""So many events begin before others get their turn on the loop."""

_PENDING: Final = EventStatus.PENDING
_PROCESSING: Final = EventStatus.PROCESSING


class StatusListener(Protocol):
    """What a processor needs of its executor."""

    async def _update_progression(
        self, event: Event, force_status: EventStatus | None = None
    ) -> None:
        """Move the event's id to the progression of its status, or of *force_status*."""


class Processor:
    """Runs queued events within limits; belongs to one event loop.

    Args:
        queue_capacity: most events begun in a batch, or in a window of the loop; 1 to 10000.
        capacity_refresh_time: seconds, the length of a window; 0.01 to 3600.
        pile: the events.
        executor: told before an event starts and after it has ended.
        concurrency_limit: most events running at once.
        max_queue_size: most events waiting before new ones are refused.
        max_denial_tracking: most denial counters kept; the oldest is dropped first.
        max_denials: denials before an event is aborted.

    Raises:
        ValueError: a setting is out of its range.
    """

    event_type: ClassVar[type[Event]] = Event

    def __init__(
        self,
        queue_capacity: int,
        capacity_refresh_time: float,
        pile: Pile[Event],
        executor: StatusListener | None = None,
        concurrency_limit: int = 100,
        max_queue_size: int = 1000,
        max_denial_tracking: int = 10_000,
        max_denials: int = 3,
    ) -> None:
        check_limits(
            queue_capacity=queue_capacity,
            capacity_refresh_time=capacity_refresh_time,
            concurrency_limit=concurrency_limit,
            max_queue_size=max_queue_size,
            max_denial_tracking=max_denial_tracking,
            max_denials=max_denials,
        )
        self.queue_capacity = queue_capacity
        self.capacity_refresh_time = capacity_refresh_time
        self.pile = pile
        self.executor = executor
        self.concurrency_limit = concurrency_limit
        self.max_queue_size = max_queue_size
        self.max_denial_tracking = max_denial_tracking
        self.max_denials = max_denials
        self.queue = EventQueue(self._changed)
        self.available_capacity = queue_capacity
        self.execution_mode = False
        self.is_primed = False
        """Set by whoever launches the loop as a task: `execute()` then keeps the stop signal."""
        self._capacity_resets = 0
        self._denial_counts: dict[UUID, int] = {}
        self._concurrency_sem = asyncio.Semaphore(concurrency_limit)
        self._stopped = False
        self._batches: set[Batch] = set()
        self._active = 0  # runs that have not settled their event
        self._in_hand: set[int] = set()  # taken from the queue, and not begun
        self._begun: deque[float] = deque()  # when the loop began its latest events
        self._pause_until = 0.0
        self._wake: asyncio.Future[None] | None = None
        self._loop_ends: list[asyncio.Future[None]] | None = None  # a list while a loop runs
        self._idle_waiters: list[asyncio.Future[None]] = []
        self._loop_task: asyncio.Task[object] | None = None
        self._is_loop_asking = False
        self._is_interrupted = False  # stop() cancelled the loop's question, not the loop

    @classmethod
    async def create(cls, *args: object, **settings: object) -> Self:
        """Return a new processor; takes the arguments of the class."""
        return cls(*args, **settings)  # type: ignore[arg-type]  # the constructor checks them

    # --- the queue -------------------------------------------------------------------------

    async def enqueue(self, event_id: UUID | str | Element, priority: float | None = None) -> None:
        """Queue an event; lower numbers run first, and the default is its time of creation.

        Raises:
            ValueError: *priority* is no finite number.
            QueueFullError: `max_queue_size` events are waiting.
            NotFoundError: there is no priority and the event is not in the pile.
        """
        if priority is not None:
            priority = check_priority(priority)
        self.require_room()
        key = to_key(event_id)
        if priority is None:
            event = self.pile.find_key(key)
            if event is None:
                raise NotFoundError(f"event {event_id} not found in the pile")
            priority = epoch_seconds(event)
        self.queue.push(priority, key)

    def admit(self, event: Event, priority: float | None) -> None:
        """Queue an event of the pile, without the limit of `enqueue()`."""
        self.queue.push(epoch_seconds(event) if priority is None else priority, key_of(event))

    def is_unqueued(self, event: Event) -> bool:
        """Return whether a pending event is neither queued, nor in hand, nor begun."""
        key = key_of(event)
        is_waiting = event.status is _PENDING and key not in self.queue
        return is_waiting and key not in self._in_hand and self.find_run(key) is None

    def require_room(self) -> None:
        """Raise QueueFullError if the queue is at its limit."""
        size, limit = self.queue.qsize(), self.max_queue_size
        if size >= limit:
            raise QueueFullError(
                f"Queue size ({size}) exceeds max ({limit})",
                details={"queue_size": size, "max_size": limit},
            )

    async def dequeue(self) -> Event:
        """Wait for, take out and return the next event that is still in the pile."""
        while True:
            _, event_id = await self.queue.get()
            event = self.pile.find_key(event_id.int)
            if event is not None:
                return event
            self._denial_counts.pop(event_id, None)

    async def request_permission(self, **request: object) -> bool | float:  # noqa: ARG002 (for subclasses)
        """Return whether an event with this request may begin; for subclasses.

        True grants, a false value is a strike, and a number above 0 asks to be asked again in
        so many seconds.
        """
        return True

    # --- batches on demand -----------------------------------------------------------------

    async def process(self) -> None:
        """Begin a batch of queued events by priority, and wait until they are terminal.

        Cancelling the call cancels the events that it runs.
        """
        batch = Batch()
        self._batches.add(batch)
        try:
            await self._fill(batch)
            await batch.wait()
        except asyncio.CancelledError:
            await batch.abandon()
            raise
        finally:
            self._batches.discard(batch)
            if batch.began:
                self._capacity_resets += 1
                self.available_capacity = self.queue_capacity

    async def forward(self) -> None:
        """Run `process()`, and wait too for running events that were queued before the call."""
        mark = self.queue.sequence
        before = self.runs()
        await self.process()
        tasks = {run.task for run in (*before, *self.runs()) if run.sequence <= mark}
        tasks = {task for task in tasks if not task.done()} - {asyncio.current_task()}
        if tasks:
            await asyncio.wait(tasks)

    async def _fill(self, batch: Batch) -> None:
        while self.available_capacity > 0 and not self.queue.empty():
            await self._concurrency_sem.acquire()
            entry = self.queue.take() if self.available_capacity > 0 else None
            if entry is None:
                self._concurrency_sem.release()
                return
            self.available_capacity -= 1
            resets = self._capacity_resets
            began = batch.began
            goes_on = await self._offer(entry, batch, is_loop=False)
            if batch.began == began and resets == self._capacity_resets:
                self.available_capacity += 1
            if not goes_on:
                return
            if batch.began % _BEGINS_PER_STEP == 0:
                await asyncio.sleep(0)

    # --- the loop --------------------------------------------------------------------------

    async def execute(self) -> None:
        """Begin events as they come, within the limits, until `stop()`.

        While a loop runs, a second call only waits for its end. Cancelling the call cancels the
        events that the loop began; after `stop()` they finish on their own.
        """
        if self._loop_ends is not None:
            end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._loop_ends.append(end)
            await end
            return
        if not self.is_primed:
            self._stopped = False
        self.is_primed = False
        self._loop_ends = []
        self._loop_task = asyncio.current_task()
        self.execution_mode = True
        batch = Batch()
        self._batches = {other for other in self._batches if other.runs}
        self._batches.add(batch)
        try:
            await self._run_loop(batch)
        except asyncio.CancelledError:
            await batch.abandon()
            raise
        finally:
            self.execution_mode = False
            self._loop_task = None
            ends, self._loop_ends = self._loop_ends, None
            _wake_all(ends)

    async def start(self) -> None:
        """Clear the stop signal."""
        self._stopped = False
        self._changed()

    async def stop(self) -> None:
        """End the loop; queued events stay queued, running ones finish."""
        self._stopped = True
        self._denial_counts.clear()
        # The loop must not wait for a slow permission check, unless the check itself calls this.
        task = self._loop_task
        if self._is_loop_asking and task is not None and task is not asyncio.current_task():
            self._is_interrupted = task.cancel() or self._is_interrupted
        self._changed()

    def is_stopped(self) -> bool:
        """Return whether the stop signal is set."""
        return self._stopped

    async def join(self) -> None:
        """Wait until the queue is empty and nothing is running; if stopped, only for the runs."""
        while not self._is_idle():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle_waiters.append(waiter)
            await waiter

    async def _run_loop(self, batch: Batch) -> None:
        clock = asyncio.get_running_loop().time
        steps = 0
        while not self._stopped:
            now = clock()
            delay = self._blocked_for(now)
            if delay is None or delay > 0:
                await self._wait_for_change(delay)
                continue
            entry = self.queue.take_due(now)
            if entry is None:
                continue
            await self._concurrency_sem.acquire()  # free: it was not locked
            await self._offer(entry, batch, is_loop=True)
            steps += 1
            if steps % _BEGINS_PER_STEP == 0:
                await asyncio.sleep(0)

    def _blocked_for(self, now: float) -> float | None:
        """Return seconds until the loop may begin an event; None means until something changes."""
        if self._concurrency_sem.locked():
            return None
        due = self.queue.due_in(now)
        if due is None:
            return None
        begun, refresh = self._begun, self.capacity_refresh_time
        while begun and begun[0] + refresh <= now:
            begun.popleft()
        is_full = len(begun) >= self.queue_capacity
        return max(due, self._pause_until - now, begun[0] + refresh - now if is_full else 0.0)

    async def _wait_for_change(self, delay: float | None) -> None:
        loop = asyncio.get_running_loop()
        wake = self._wake = loop.create_future()
        timer = None if delay is None else loop.call_later(delay, _set, wake)
        try:
            await wake
        finally:
            self._wake = None
            if timer is not None:
                timer.cancel()

    # --- one event -------------------------------------------------------------------------

    async def _offer(self, entry: Entry, batch: Batch, *, is_loop: bool) -> bool:
        """Begin the event of a taken entry if it may; return whether the batch goes on.

        The caller has taken a concurrency slot; the run gives it back, or else this method.
        """
        has_begun = False
        self._in_hand.add(entry.key)
        try:
            event = self._candidate(entry.key)
            if event is None:
                await self._drop(entry.key)
                return True
            answer = await self._ask(event, entry, is_loop=is_loop)
            if answer is _WITHDRAWN:
                return False
            if self._candidate(entry.key) is None:  # removed, ended or failed meanwhile
                await self._drop(entry.key)
                return True
            wait = _wait_asked_for(answer)
            if answer and not wait:
                self._begin(event, entry, batch, is_loop=is_loop)
                has_begun = True
                return True
            await self._deny(event, entry, wait, is_loop=is_loop)
            return False
        finally:
            self._in_hand.discard(entry.key)
            if not has_begun:
                self._concurrency_sem.release()
                self._changed()

    def _candidate(self, key: int) -> Event | None:
        event = self.pile.find_key(key)
        if event is None or event.execution.status.is_terminal:
            return None
        for batch in self._batches:
            if key in batch.runs:
                return None
        return event

    async def _drop(self, key: int) -> None:
        event = self.pile.find_key(key)
        self._denial_counts.pop(UUID(int=key), None)
        if event is not None and event.status.is_terminal:
            await self._tell(event)

    async def _ask(self, event: Event, entry: Entry, *, is_loop: bool) -> object:
        """Return the answer; or `_WITHDRAWN`, and the entry is back in the queue.

        If the check fails, so does the event.
        """
        answer: object = False
        if is_loop:
            self._is_loop_asking = True
        try:
            answer = await self.request_permission(**event.request)
        except BaseException as exc:  # boundary: foreign code runs here
            if not (is_loop and self._is_interrupted):
                if _is_ours(exc):
                    self.queue.put_back(entry)
                    raise
                _log.warning("permission check of %r failed", event, exc_info=exc)
                event.execution.close(EventStatus.FAILED, exc, retryable=is_retryable(exc))
        finally:
            if is_loop:
                self._is_loop_asking = False
        if is_loop and self._stopped:
            self.queue.put_back(entry)
            self._end_interruption()
            return _WITHDRAWN
        return answer

    def _end_interruption(self) -> None:
        """Take back the cancellation by `stop()`; raise if somebody else cancelled as well."""
        if self._is_interrupted:
            self._is_interrupted = False
            task = asyncio.current_task()
            if task is not None and task.uncancel() > 0:
                raise asyncio.CancelledError

    async def _deny(self, event: Event, entry: Entry, wait: float, *, is_loop: bool) -> None:
        now = asyncio.get_running_loop().time()
        pause = self.capacity_refresh_time
        if wait:
            self.queue.park(entry, entry.priority, now + wait)
            pause = min(pause, wait)
        else:
            strikes = self._strike(event.id)
            if strikes >= self.max_denials:
                await self._abort(event, strikes)
            else:
                self.queue.park(entry, entry.priority + strikes, now + strikes)
                pause = min(pause, strikes)
        if is_loop:
            self._pause_until = now + pause

    def _strike(self, event_id: UUID) -> int:
        counts = self._denial_counts
        if event_id not in counts and len(counts) >= self.max_denial_tracking:
            del counts[next(iter(counts))]
        strikes = counts[event_id] = counts.get(event_id, 0) + 1
        return strikes

    async def _abort(self, event: Event, strikes: int) -> None:
        self._denial_counts.pop(event.id, None)
        refusal = AccessError(
            f"permission for {event!r} was refused {strikes} times", details={"denials": strikes}
        )
        event.execution.close(EventStatus.ABORTED, refusal, retryable=False)
        await self._tell(event)

    def _begin(self, event: Event, entry: Entry, batch: Batch, *, is_loop: bool) -> None:
        loop = asyncio.get_running_loop()
        if self._denial_counts:
            self._denial_counts.pop(event.id, None)
        if is_loop:
            self._begun.append(loop.time())
        batch.began += 1
        self._active += 1
        task = loop.create_task(self._run(event, entry.key, batch), name="flow event")
        if not task.done():  # an eager task factory may have run it already
            batch.runs[entry.key] = Run(event, task, entry.sequence)

    async def _run(self, event: Event, key: int, batch: Batch) -> None:
        try:
            if not event.execution.status.is_terminal:  # cancelled before its first step
                await self._tell(event, _PROCESSING)
                await (event.consume_stream() if event.streaming else event.invoke())
        except asyncio.CancelledError:
            if event.execution.status is _PENDING:
                cancel_pending(event)
            raise
        except GeneratorExit:
            raise
        except BaseException:  # noqa: BLE001 (boundary: foreign code; the event has recorded it)
            # Raised in a task, SystemExit and KeyboardInterrupt would end the whole loop.
            _log.critical("%r ended by more than an error", event, exc_info=True)
        finally:
            await self._conclude(event, key, batch)

    async def _conclude(self, event: Event, key: int, batch: Batch) -> None:
        cancellation: asyncio.CancelledError | None = None
        while True:
            try:
                await self._tell(event)
                break
            except asyncio.CancelledError as exc:  # the index must follow the event all the same
                cancellation = exc
        self._active -= 1
        self._concurrency_sem.release()
        batch.ended(key)
        self._changed()
        if cancellation is not None:
            raise cancellation

    async def _tell(self, event: Event, force_status: EventStatus | None = None) -> None:
        executor = self.executor
        if executor is not None:
            try:
                await executor._update_progression(event, force_status)  # noqa: SLF001 (its name is fixed)
            except Exception:  # noqa: BLE001 (boundary: a fault of the index must not end the loop)
                _log.exception("the index did not follow %r", event)

    # --- who is waiting --------------------------------------------------------------------

    def runs(self) -> list[Run]:
        """Return the runs that have not settled their events."""
        return [run for batch in self._batches for run in batch]

    def find_run(self, key: int) -> Run | None:
        """Return the run of the event whose id has this integer form."""
        for batch in self._batches:
            if key in batch.runs:
                return batch.runs[key]
        return None

    def forget(self, key: int) -> None:
        """Take an event out of the queue and drop its denial counter."""
        self.queue.discard(key)
        if self._denial_counts:
            self._denial_counts.pop(UUID(int=key), None)

    def _is_idle(self) -> bool:
        is_drained = self._stopped or self.queue.empty()
        return is_drained and not self._active and not self._in_hand

    def _changed(self) -> None:
        wake = self._wake
        if wake is not None and not wake.done():
            wake.set_result(None)
        if self._idle_waiters and self._is_idle():
            waiters, self._idle_waiters = self._idle_waiters, []
            _wake_all(waiters)


_WITHDRAWN: Final = object()


def _is_ours(exc: BaseException) -> bool:
    """Return whether *exc* ends the asking task itself, and not only the permission check."""
    if isinstance(exc, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(exc, GeneratorExit)


def _wait_asked_for(answer: object) -> float:
    """Return the seconds that *answer* asks to wait; 0 for every other answer."""
    is_number = isinstance(answer, (int, float)) and not isinstance(answer, bool)
    return float(answer) if is_number and answer > 0 else 0.0  # type: ignore[arg-type, operator]  # is_number narrowed it


def _wake_all(waiters: list[asyncio.Future[None]] | None) -> None:
    for waiter in waiters or ():
        _set(waiter)


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
