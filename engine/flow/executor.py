"""The executor: keeps events, and always knows how many of them are in which state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, Final

from engine.flow.batch import cancel_pending
from engine.flow.element import key_of
from engine.flow.errors import ConfigurationError, NotFoundError
from engine.flow.event import Event
from engine.flow.flow import Flow
from engine.flow.lock import AsyncLock
from engine.flow.pile import Id
from engine.flow.processor import Processor
from engine.flow.progression import Progression
from engine.flow.queue import check_priority
from engine.flow.status import STATUSES, EventStatus

_log: Final = logging.getLogger(__name__)

Callback = Callable[[Event, EventStatus, EventStatus], None]

_PENDING: Final = EventStatus.PENDING
_NOWHERE: Final = Progression()
"""Stands in the index for a status progression that the user removed."""
_SLACK: Final = 64
_CLEANED: Final = (EventStatus.COMPLETED, EventStatus.FAILED, EventStatus.ABORTED)
_GRACE_S: Final = 1.0
"""Seconds for a cancelled event to end, after which it is given up."""
_PER_STEP: Final = 500
"""So many events are handled before others get their turn on the loop."""


class Executor:
    """Tracks events through seven states and runs them by a processor; belongs to one loop.

    An event is in exactly one status progression of `states`; further progressions are left
    alone. Counting is O(7), and listing costs what is listed.

    Args:
        processor_config: keyword arguments of the processor; needed by `start()`.
        strict_event_type: admit the exact event type only.
        name: name of the flow.
    """

    processor_type: ClassVar[type[Processor]] = Processor
    background: ClassVar[bool] = True
    """Whether `start()` also runs the processor's loop."""

    def __init__(
        self,
        processor_config: Mapping[str, object] | None = None,
        strict_event_type: bool = False,  # noqa: FBT001, FBT002 (the specification's signature)
        name: str | None = None,
    ) -> None:
        self.processor_config: Mapping[str, object] = (
            {} if processor_config is None else processor_config
        )
        self.processor: Processor | None = None
        self.states: Flow[Event] = Flow(
            name="executor_states" if name is None else name,
            progressions=[Progression(name=str(status)) for status in STATUSES],
            item_type=self.event_type,
            strict_type=strict_event_type,
        )
        self._items = self.states.items
        self._progressions = self.states.progressions
        self._gate = self._progressions.async_lock
        self._index: tuple[Progression, ...] = ()
        self._index_revision = -1
        self._priorities: dict[int, float] = {}  # given to append() before there is a processor
        self._starting = AsyncLock()
        self._loop_task: asyncio.Task[None] | None = None
        self._subscribers: tuple[Callback, ...] = ()
        self._waiters: dict[int, list[asyncio.Future[None]]] = {}

    @property
    def event_type(self) -> type[Event]:
        """Type of the events, which the processor's type decides."""
        return self.processor_type.event_type

    @property
    def strict_event_type(self) -> bool:
        """Whether subclasses of the event type are refused."""
        return self.states.items.strict_type

    # --- coming in and going out -----------------------------------------------------------

    async def append(self, event: Event, priority: float | None = None) -> None:
        """Add an event, and queue it if there is a processor; all or nothing.

        One that is terminal already is listed under its own status, and not queued.

        Args:
            event: the event.
            priority: lower runs first; None means the time of creation.

        Raises:
            TypeError: not of the event type.
            ExistsError: it is here already.
            ValueError: *priority* is no finite number.
            QueueFullError: the processor's queue is at its limit.
        """
        processor = self.processor
        if priority is not None:
            priority = check_priority(priority)
        self.states.items.add(event)
        key = key_of(event)
        status = event.execution.status
        try:
            self._status_progression(status if status.is_terminal else _PENDING).append_key(key)
            if status.is_terminal:
                return
            if processor is not None:
                await processor.enqueue(event, priority)
            elif priority is not None:
                self._priorities[key] = priority
        except BaseException:
            self.states.drop_keys((key,))
            raise

    async def cleanup_events(
        self, statuses: Iterable[EventStatus | str] | EventStatus | str | None = None
    ) -> int:
        """Remove the events with these statuses; return how many.

        Others get their turn on the loop at least every 1000 removals. A running event that is
        removed finishes, but is not listed again.

        Args:
            statuses: default COMPLETED, FAILED and ABORTED.
        """
        if isinstance(statuses, str):
            statuses = (statuses,)
        wanted = _CLEANED if statuses is None else tuple(_known_status(one) for one in statuses)
        removed = 0
        for status in dict.fromkeys(wanted):
            progression = self._status_progression(status)
            keys = progression.keys()
            for start in range(0, len(keys), _PER_STEP):
                if start or removed:
                    await asyncio.sleep(0)
                async with self.states.items, self.states.progressions:
                    chunk = keys[start : start + _PER_STEP]
                    removed += self._remove([key for key in chunk if key in progression.members])
        return removed

    def _remove(self, keys: list[int]) -> int:
        removed = self.states.drop_keys(keys)
        with self.states.lock:
            for progression in self._present_index():
                progression.compact()
        if self._priorities:
            for key in keys:
                self._priorities.pop(key, None)
        processor = self.processor
        if processor is not None:
            processor.forget(keys)
        if self._waiters:
            for key in keys:
                if processor is None or processor.find_run(key) is None:
                    self._wake_waiters(key)
        return removed

    # --- running ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Create the processor once, queue pending events, and run the loop in the background.

        Raises:
            ConfigurationError: `queue_capacity` or `capacity_refresh_time` is not configured.
        """
        async with self._starting:
            if self.processor is None:
                await self._create_processor()
            processor = self.processor
            assert processor is not None  # noqa: S101 (narrows: it was just created)
            await self._backfill(processor)
            await processor.start()
            if self.background and (self._loop_task is None or self._loop_task.done()):
                processor.is_primed = True
                self._loop_task = asyncio.get_running_loop().create_task(
                    self._run_loop(processor), name=f"flow loop of {self.states.name}"
                )

    async def stop(self) -> None:
        """Stop the processor and wait for its loop to end; running events finish."""
        if self.processor is None:
            return
        await self.processor.stop()
        task = self._loop_task
        if task is not None and not task.done() and task is not asyncio.current_task():
            await asyncio.wait({task})

    async def forward(self) -> None:
        """Run one batch now, and wait for running events that were queued before the call."""
        if self.processor is not None:
            await self.processor.forward()

    async def shutdown(self, timeout: float = 5.0) -> int:  # noqa: ASYNC109 (the specification's signature)
        """Stop, give running events *timeout* seconds, cancel the rest; return how many.

        No task is left behind, except of an event that goes on for a second after it was
        cancelled: it is given up with a logged error, and counted as cancelled.
        """
        await self.stop()
        processor = self.processor
        if processor is None:
            return 0
        excluded = {asyncio.current_task()}
        if tasks := {worker.task for worker in processor.workers()} - excluded:
            await asyncio.wait(tasks, timeout=timeout)
        cancelled = 0
        while workers := [one for one in processor.workers() if one.task not in excluded]:
            runs = [(worker.task, worker.event) for worker in workers if worker.event is not None]
            for worker in workers:
                worker.cancel()
            _, stuck = await asyncio.wait({one.task for one in workers}, timeout=_GRACE_S)
            excluded |= stuck
            for task, event in runs:
                if task in stuck:
                    self._give_up(event)
                cancelled += task in stuck or event.status is EventStatus.CANCELLED
        return cancelled

    def _give_up(self, event: Event) -> None:
        _log.error(
            "%r of %s swallowed its cancellation and still runs after %s s; it is given up: "
            "let its work end when it is cancelled",
            event,
            self.states.name,
            _GRACE_S,
        )

    async def _create_processor(self) -> None:
        """Create the processor from the configuration."""
        for name in ("queue_capacity", "capacity_refresh_time"):
            if name not in self.processor_config:
                raise ConfigurationError(
                    f"the processor_config of {self.states.name} lacks {name}",
                    details={"missing": name},
                )
        self.processor = await self.processor_type.create(
            pile=self.states.items, executor=self, **self.processor_config
        )

    async def _backfill(self, processor: Processor) -> None:
        """Queue the pending events that are in no queue, without its limit."""
        keys = self._status_progression(EventStatus.PENDING).keys()
        for number, key in enumerate(keys, start=1):
            event = self.states.items.by_key.get(key)
            if event is not None and processor.is_unqueued(event):
                processor.admit(event, self._priorities.get(key))
            if number % _PER_STEP == 0:
                await asyncio.sleep(0)
        self._priorities.clear()

    async def _run_loop(self, processor: Processor) -> None:
        try:
            await processor.execute()
        except Exception:  # noqa: BLE001 (supervisor)
            _log.exception("the loop of %s ended by a fault", self.states.name)

    # --- one event -------------------------------------------------------------------------

    async def cancel(self, event: Id) -> bool:
        """Cancel an event that is pending, or running, and wait until it has ended.

        An event that goes on for a second after it was cancelled is left alone, with a logged
        error.

        Returns:
            Whether it had effect: the event is cancelled by this call.

        Raises:
            NotFoundError: the event is not here.
        """
        found = self.states.items.get(event)
        if found.status.is_terminal:
            return False
        key = key_of(found)
        run = None if self.processor is None else self.processor.find_run(key)
        if run is not None:
            run.cancel()
            try:
                async with asyncio.timeout(_GRACE_S):
                    await run.wait_settled()
            except TimeoutError:
                self._give_up(found)
                return False
            return found.status is EventStatus.CANCELLED or not found.status.is_terminal
        if found.status is not EventStatus.PENDING:  # invoked by hand: its task is not ours
            return False
        cancel_pending(found)
        await self._withdraw(found)
        return True

    async def skip(self, event: Id) -> bool:
        """Skip a pending event; return whether it had effect; NotFoundError if it is not here."""
        found = self.states.items.get(event)
        if found.status is not EventStatus.PENDING:
            return False
        found.status = EventStatus.SKIPPED
        await self._withdraw(found)
        return True

    async def wait(self, event: Id) -> Event:
        """Wait until the event is terminal and return it.

        Raises:
            NotFoundError: the event is not here, or was removed before it ended.
        """
        found = self.states.items.get(event)
        key = key_of(found)
        while not found.status.is_terminal:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.setdefault(key, []).append(waiter)
            await waiter
            if found not in self.states.items and not self._is_over(found):
                raise NotFoundError(f"event {found.id} not found: it was removed before it ended")
        run = None if self.processor is None else self.processor.find_run(key)
        if run is not None:
            await run.wait_settled()  # the index is about to follow the event
        return found

    def _is_over(self, event: Event) -> bool:
        return event.status.is_terminal

    async def _withdraw(self, event: Event) -> None:
        """Take an event that ended before it began out of the queue, and move the index."""
        key = key_of(event)
        self._priorities.pop(key, None)
        if self.processor is not None:
            self.processor.forget((key,))
        if self.processor is None or self.processor.find_run(key) is None:
            await self._update_progression(event)

    # --- the index -------------------------------------------------------------------------

    async def _update_progression(
        self, event: Event, force_status: EventStatus | None = None
    ) -> None:
        """Move the event's id to the progression of *force_status*, or of its own status.

        An event that was removed is not listed again. The event itself is not altered.

        Raises:
            ConfigurationError: that progression is missing.
        """
        # The move is one synchronous step: a free lock need not be taken for it.
        if not self._gate.is_held:
            self._move(event, force_status)
            return
        async with self.states.progressions:
            self._move(event, force_status)

    def _move(self, event: Event, force_status: EventStatus | None) -> None:
        key = key_of(event)
        status = event.execution.status if force_status is None else force_status
        index = self._index
        if self._index_revision != self._progressions.revision:
            index = self._read_index()
        target = index[status.position]
        if target is _NOWHERE:
            raise self._missing(status)
        old: Progression | None = None
        for progression in index:
            if key in progression.members and progression is not target:
                if progression.listed is None:
                    del progression.members[key]
                    progression.dead += 1
                else:
                    progression.drop_key(key)
                old = progression
        if key not in target.members:
            target.append_key(key)
        if (
            self._waiters
            or self._subscribers
            or key not in self._items.by_key
            or (old is not None and old.dead > _SLACK and old.dead > len(old.members))
        ):
            self._moved(event, key, old, target)

    def _moved(self, event: Event, key: int, old: Progression | None, new: Progression) -> None:
        """Do what follows a move: storage, removed events, subscribers, those who wait."""
        if old is not None and old.dead > len(old.members):
            with self.states.lock:
                old.compact()
        if key not in self._items.by_key:  # a removed event is not listed again
            new.drop_key(key)
        elif old is not None and self._subscribers:
            self._publish(event, STATUSES[self._index.index(old)], STATUSES[self._index.index(new)])
        if self._waiters and event.execution.status.is_terminal:
            self._wake_waiters(key)

    def _status_progression(self, status: EventStatus) -> Progression:
        index = self._index
        if self._index_revision != self._progressions.revision:
            index = self._read_index()
        found = index[status.position]
        if found is _NOWHERE:
            raise self._missing(status)
        return found

    def _present_index(self) -> tuple[Progression, ...]:
        is_known = self._index_revision == self._progressions.revision
        return self._index if is_known else self._read_index()

    def _read_index(self) -> tuple[Progression, ...]:
        """Find the status progressions again, after the user added or removed one."""
        states = self.states
        with states.lock:
            names = states._progression_names  # noqa: SLF001 (its name is fixed)
            found = [
                states.progressions.by_key.get(names[status].int) if status in names else None
                for status in STATUSES
            ]
            self._index = tuple(_NOWHERE if one is None else one for one in found)
            for progression in self._index:
                progression.is_shared = True
            self._index_revision = states.progressions.revision
        return self._index

    def _missing(self, status: EventStatus) -> ConfigurationError:
        available = ", ".join(sorted(self.states._progression_names))  # noqa: SLF001 (its name is fixed)
        return ConfigurationError(
            f"Progression '{status}' not found in {self.states.name}; available: {available}"
        )

    def _publish(self, event: Event, old: EventStatus, new: EventStatus) -> None:
        for callback in self._subscribers:
            try:
                callback(event, old, new)
            except Exception:  # noqa: BLE001 (boundary: foreign code runs here)
                _log.exception("a subscriber of %s failed", self.states.name)

    def _wake_waiters(self, key: int) -> None:
        for waiter in self._waiters.pop(key, ()):
            if not waiter.done():
                waiter.set_result(None)

    # --- looking ---------------------------------------------------------------------------

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call `callback(event, old, new)` after every status change; return what ends it.

        Callbacks run in order, on the loop, after the index has moved. What they raise is
        logged.
        """

        def observe(event: Event, old: EventStatus, new: EventStatus) -> None:
            callback(event, old, new)

        def unsubscribe() -> None:
            self._subscribers = tuple(one for one in self._subscribers if one is not observe)

        self._subscribers = (*self._subscribers, observe)
        return unsubscribe

    def get_events_by_status(self, status: EventStatus | str) -> list[Event]:
        """Return the events in this status, in order of arrival there; KeyError if unknown.

        Cost: O(result).
        """
        progression = self._status_progression(_known_status(status))
        return self.states.items.select_keys(progression.keys())

    @property
    def pending_events(self) -> list[Event]:
        """Events that have not begun."""
        return self.get_events_by_status(EventStatus.PENDING)

    @property
    def processing_events(self) -> list[Event]:
        """Events that are running."""
        return self.get_events_by_status(EventStatus.PROCESSING)

    @property
    def completed_events(self) -> list[Event]:
        """Events that returned."""
        return self.get_events_by_status(EventStatus.COMPLETED)

    @property
    def failed_events(self) -> list[Event]:
        """Events that raised an error."""
        return self.get_events_by_status(EventStatus.FAILED)

    def status_counts(self) -> dict[str, int]:
        """Return the number of events in each of the seven statuses, in their order."""
        return {
            status.value: len(progression)
            for status, progression in zip(STATUSES, self._present_index(), strict=True)
        }

    def inspect_state(self) -> str:
        """Return the counts as text, one line for each status below a title."""
        lines = [f"Executor State ({self.states.name}):"]
        for status, count in self.status_counts().items():
            lines.append(f"  {status}: {count} event{'' if count == 1 else 's'}")
        return "\n".join(lines)

    def __contains__(self, event: object) -> bool:
        return event in self.states.items

    def __repr__(self) -> str:
        counts = "".join(f", {status}={count}" for status, count in self.status_counts().items())
        return f"{type(self).__name__}(total={len(self.states.items)}{counts})"


def _known_status(status: EventStatus | str) -> EventStatus:
    try:
        return EventStatus(status)
    except ValueError:
        known = ", ".join(STATUSES)
        raise KeyError(f"unknown status {status!r}; known: {known}") from None
