"""The processor: takes events from its queue, asks for permission, and runs them."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable
from numbers import Number
from typing import ClassVar, Final, Protocol, Self
from uuid import UUID

from engine.flow.batch import Batch, Worker, cancel_pending, wake, wake_all
from engine.flow.element import Element, epoch_seconds, key_of, to_key
from engine.flow.errors import AccessError, NotFoundError, QueueFullError, ValidationError
from engine.flow.event import Event
from engine.flow.execution import is_retryable
from engine.flow.limits import check_limits
from engine.flow.pile import Pile
from engine.flow.queue import Entry, EventQueue, check_priority
from engine.flow.status import EventStatus

_log: Final = logging.getLogger(__name__)

_STEP: Final = 0.002
"""Seconds of work after which others get their turn on the loop."""

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
            event = self.pile.by_key.get(key)
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
            event = self.pile.by_key.get(event_id.int)
            if event is not None:
                return event
            self._denial_counts.pop(event_id, None)

    async def request_permission(self, **request: object) -> bool | float:  # noqa: ARG002 (for subclasses)
        """Return whether an event with this request may begin; for subclasses.

        True grants, a false value is a strike, and a number above 0 asks to be asked again in
        so many seconds. A number that is negative or not finite fails the event.
        """
        return True

    # --- batches on demand -----------------------------------------------------------------

    async def process(self) -> None:
        """Begin a batch of queued events by priority, and wait until they are terminal.

        Cancelling the call cancels the events that it runs.
        """
        batch = Batch(is_loop=False)
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
        before = self.workers()
        await self.process()
        for worker in {*before, *self.workers()}:
            if worker.sequence <= mark:
                await worker.wait_settled()

    async def _fill(self, batch: Batch) -> None:
        while self.available_capacity > 0 and not self.queue.empty() and not batch.is_closed:
            if batch.chainer is not None:
                await asyncio.sleep(0)
                continue
            await self._concurrency_sem.acquire()
            if not self._has_check():
                self._hire(batch)
                await asyncio.sleep(0)
            elif not await self._fill_one(batch):
                return

    async def _fill_one(self, batch: Batch) -> bool:
        entry = self.queue.take() if self.available_capacity > 0 else None
        if entry is None:
            self._concurrency_sem.release()
            return False
        # The unit is reserved while permission is asked, because calls may overlap.
        self.available_capacity -= 1
        began, resets = batch.began, self._capacity_resets
        try:
            return await self._offer(entry, batch)
        finally:
            if batch.began == began and resets == self._capacity_resets:
                self.available_capacity += 1

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
        batch = Batch(is_loop=True)
        # A batch on demand without a worker may be waiting for a slot: only it forgets itself.
        self._batches = {one for one in self._batches if one.workers or not one.is_loop}
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
            wake_all(ends)

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
        last_turn = clock()
        while not self._stopped:
            now = clock()
            delay = self._blocked_for(now)
            if delay is None or delay > 0:
                await self._wait_for_change(delay)
            elif batch.chainer is not None:
                await asyncio.sleep(0)
            elif not self._has_check():
                await self._concurrency_sem.acquire()  # does not wait: it was not locked
                self._hire(batch)
                await asyncio.sleep(0)
            else:
                await self._concurrency_sem.acquire()  # does not wait: it was not locked
                entry = self.queue.take_due(now)
                if entry is None:
                    self._concurrency_sem.release()
                else:
                    await self._offer(entry, batch)
                if now - last_turn > _STEP:
                    await asyncio.sleep(0)
                    last_turn = clock()

    def _blocked_for(self, now: float) -> float | None:
        """Return seconds until the loop may begin an event; None means until something changes."""
        due = None if self._concurrency_sem.locked() else self.queue.due_in(now)
        return None if due is None else max(due, self._closed_for(now))

    def _closed_for(self, now: float) -> float:
        """Return seconds for which the loop begins nothing: after a denial, or a full window."""
        begun, refresh = self._begun, self.capacity_refresh_time
        while begun and begun[0] + refresh <= now:
            begun.popleft()
        if len(begun) < self.queue_capacity:
            return self._pause_until - now
        return max(self._pause_until, begun[0] + refresh) - now

    async def _wait_for_change(self, delay: float | None) -> None:
        loop = asyncio.get_running_loop()
        waiter = self._wake = loop.create_future()
        timer = None if delay is None else loop.call_later(delay, wake, waiter)
        try:
            await waiter
        finally:
            self._wake = None
            if timer is not None:
                timer.cancel()

    # --- workers ---------------------------------------------------------------------------

    def _has_check(self) -> bool:
        """Return whether `request_permission` has been replaced."""
        known = getattr(self.request_permission, "__func__", None)
        return known is not Processor.request_permission

    def _hire(self, batch: Batch, event: Event | None = None, entry: Entry | None = None) -> None:
        """Start a worker, for one event or for what the batch takes; it has taken a slot."""
        worker = Worker()
        batch.workers.add(worker)
        if event is not None and entry is not None:
            self._assign(worker, event, entry, batch)
        worker.task = asyncio.get_running_loop().create_task(
            self._work(worker, batch), name="flow worker"
        )

    def _assign(self, worker: Worker, event: Event, entry: Entry, batch: Batch) -> None:
        worker.event = event
        worker.sequence = entry[1]
        batch.runs[entry[2]] = worker
        batch.began += 1

    async def _work(self, worker: Worker, batch: Batch) -> None:
        """Run the given event; or take events while the next may begin without a wait.

        One task for many events saves a third of their cost. A worker whose event does not end
        at once is busy, and the caller hires another.
        """
        try:
            if worker.event is not None:
                await self._run(worker, worker.event, batch)
            elif batch.is_loop:
                await self._chain(worker, batch, self._take_in_window)
            else:
                await self._chain(worker, batch, self._take_by_priority)
        finally:
            if batch.chainer is worker:
                batch.chainer = None
            self._concurrency_sem.release()
            batch.dismissed(worker)
            self._changed()

    async def _chain(
        self, worker: Worker, batch: Batch, take: Callable[[float], Entry | None]
    ) -> None:
        clock = asyncio.get_running_loop().time
        started = now = clock()
        while not batch.is_closed and (entry := take(now)) is not None:
            event = self._candidate(entry[2])
            if event is None:
                await self._drop(entry[2])
            else:
                if batch.is_loop:
                    self._begun.append(now)
                else:
                    self.available_capacity -= 1
                self._assign(worker, event, entry, batch)
                await self._run(worker, event, batch)
                if worker.is_cancelled:  # and the event swallowed it
                    return
            now = clock()
            if now - started > _STEP:
                if batch.chainer is not None or self._has_check():
                    return
                batch.chainer = worker
                await asyncio.sleep(0)
                batch.chainer = None
                started = now = clock()

    def _take_in_window(self, now: float) -> Entry | None:
        if self._stopped:
            return None
        # The exact answer costs more: only when the begins on record would fill the window.
        may_be_closed = len(self._begun) >= self.queue_capacity or now < self._pause_until
        if may_be_closed and self._closed_for(now) > 0:
            return None
        return self.queue.take_due(now)

    def _take_by_priority(self, _now: float) -> Entry | None:
        return self.queue.take() if self.available_capacity > 0 else None

    async def _run(self, worker: Worker, event: Event, batch: Batch) -> None:
        executor = self.executor
        try:
            if not event.execution.status.is_terminal:  # cancelled before its first step
                if executor is not None:
                    await executor._update_progression(event, _PROCESSING)  # noqa: SLF001 (its name is fixed)
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
            try:
                if executor is not None:
                    await executor._update_progression(event)  # noqa: SLF001 (its name is fixed)
            except BaseException as exc:  # noqa: BLE001 (see there)
                await self._settle(executor, event, exc)
            finally:
                del batch.runs[key_of(event)]
                worker.event = None
                if worker.waiters is not None:
                    worker.notify()

    async def _settle(
        self, executor: StatusListener | None, event: Event, fault: BaseException
    ) -> None:
        """Bring the index to the event's outcome although telling it was cancelled, or failed."""
        cancellation: asyncio.CancelledError | None = None
        while isinstance(fault, asyncio.CancelledError):
            cancellation = fault
            try:
                if executor is not None:
                    await executor._update_progression(event)  # noqa: SLF001 (its name is fixed)
                break
            except BaseException as exc:  # noqa: BLE001 (handled by the next round)
                fault = exc
        else:
            _log.error("the index did not follow %r", event, exc_info=fault)
        if cancellation is not None:
            raise cancellation

    # --- one event -------------------------------------------------------------------------

    async def _offer(self, entry: Entry, batch: Batch) -> bool:
        """Ask, and begin the event of a taken entry; return whether the batch goes on.

        The caller has taken a slot; the worker gives it back, or else this method.
        """
        has_begun = False
        self._in_hand.add(entry[2])
        try:
            event = self._candidate(entry[2])
            answer = _WITHDRAWN if event is None else await self._ask(event, entry, batch)
            if event is not None and answer is _WITHDRAWN:
                return False
            event = self._candidate(entry[2])
            if event is None:  # removed, or ended, maybe while permission was asked
                await self._drop(entry[2])
                return True
            wait = answer if isinstance(answer, float) else 0.0
            if wait or not answer:
                await self._deny(event, entry, wait, batch)
                return False
            has_begun = True
            if self._denial_counts:
                self._denial_counts.pop(event.id, None)
            if batch.is_loop:
                self._begun.append(asyncio.get_running_loop().time())
            self._hire(batch, event, entry)
            return True
        finally:
            self._in_hand.discard(entry[2])
            if not has_begun:
                self._concurrency_sem.release()
                self._changed()

    def _candidate(self, key: int) -> Event | None:
        event = self.pile.by_key.get(key)
        if event is None or event.execution.status.is_terminal:
            return None
        for batch in self._batches:  # queued twice, and running already
            if key in batch.runs:
                return None
        return event

    async def _drop(self, key: int) -> None:
        event = self.pile.by_key.get(key)
        if self._denial_counts:
            self._denial_counts.pop(UUID(int=key), None)
        if event is not None and event.status.is_terminal and self.executor is not None:
            await self._tell(self.executor, event)

    async def _ask(self, event: Event, entry: Entry, batch: Batch) -> object:
        """Return the answer as a bool or as seconds above 0.

        If it is `_WITHDRAWN`, the entry is back in the queue. If the check fails, or its answer
        means nothing, so does the event.
        """
        answer: object = False
        is_loop = batch.is_loop
        if is_loop:
            self._is_loop_asking = True
        try:
            answer = _read_answer(await self.request_permission(**event.request))
        except BaseException as exc:  # boundary: foreign code runs here
            if not (is_loop and self._is_interrupted):
                if _is_ours(exc):
                    self.queue.put_back(entry)
                    raise
                _log.warning("permission check of %r failed", event, exc_info=exc)
                if not event.status.is_terminal:  # cancelled or skipped while it was asked
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

    async def _deny(self, event: Event, entry: Entry, wait: float, batch: Batch) -> None:
        now = asyncio.get_running_loop().time()
        pause = self.capacity_refresh_time
        if wait:
            self.queue.park(entry, entry[0], now + wait)
            pause = min(pause, wait)
        else:
            strikes = self._strike(event.id)
            if strikes >= self.max_denials:
                await self._abort(event, strikes)
            else:
                self.queue.park(entry, entry[0] + strikes, now + strikes)
                pause = min(pause, strikes)
        if batch.is_loop:
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
        if self.executor is not None:
            await self._tell(self.executor, event)

    async def _tell(
        self, executor: StatusListener, event: Event, force_status: EventStatus | None = None
    ) -> None:
        try:
            await executor._update_progression(event, force_status)  # noqa: SLF001 (its name is fixed)
        except Exception:  # noqa: BLE001 (boundary: a fault of the index must not end the loop)
            _log.exception("the index did not follow %r", event)

    # --- who is waiting --------------------------------------------------------------------

    def workers(self) -> list[Worker]:
        """Return the workers of all callers."""
        return [worker for batch in self._batches for worker in batch]

    def find_run(self, key: int) -> Worker | None:
        """Return the worker that runs the event whose id has this integer form."""
        for batch in self._batches:
            if key in batch.runs:
                return batch.runs[key]
        return None

    def forget(self, keys: Iterable[int]) -> None:
        """Take events out of the queue and drop their denial counters."""
        for key in self.queue.waiting(keys):
            self.queue.discard(key)
        if self._denial_counts:
            for key in keys:
                self._denial_counts.pop(UUID(int=key), None)

    def _is_idle(self) -> bool:
        is_drained = self._stopped or self.queue.empty()
        return is_drained and not self._in_hand and not any(b.workers for b in self._batches)

    def _changed(self) -> None:
        if self._wake is not None:
            wake(self._wake)
        if self._idle_waiters and self._is_idle():
            waiters, self._idle_waiters = self._idle_waiters, []
            wake_all(waiters)


_WITHDRAWN: Final = object()


def _is_ours(exc: BaseException) -> bool:
    """Return whether *exc* ends the asking task itself, and not only the permission check."""
    if isinstance(exc, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(exc, GeneratorExit)


def _read_answer(answer: object) -> bool | float:
    """Return the seconds, above 0, that *answer* asks to wait; else whether it is true.

    Raises:
        ValidationError: a number that is negative or not finite; it must not grant.
    """
    if isinstance(answer, bool) or not isinstance(answer, Number):
        return bool(answer)
    try:
        seconds = float(answer)  # type: ignore[arg-type]  # refused below if it has no float
    except (ArithmeticError, TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0:
        raise ValidationError(
            f"the permission check answered {answer!r}; answer True, a false value, or a finite "
            "number of seconds above 0 to be asked again"
        )
    return seconds or False
