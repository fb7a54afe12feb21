"""The processor's queue: ids by priority, with waits for those that were denied."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush
from typing import Final
from uuid import UUID

from engine.flow.element import to_key

_SLACK: Final = 64


# One place in the queue: its priority; its sequence, which counts the entries of a queue; the id's
# integer form; and its age, the sequence of the event's first entry, which is kept when a denied
# event is queued again. Entries sort by priority, then in the order of queueing. A plain tuple,
# because every event makes one.
Entry = tuple[float, int, int, int]


class EventQueue:
    """Priority queue of event ids; lower numbers first, equal ones as they were queued.

    Entries can be parked: they count, and `take` finds them by priority, but `take_due` passes
    them over until their time. Removal by id is lazy, so that it is O(1) amortised.

    Args:
        on_change: called after every change; must be quick.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.sequence = 0
        self._on_change = on_change
        self._size = 0
        self._live: dict[int, int | tuple[int, ...]] = {}  # id to the sequences of its entries
        self._ready: list[Entry] = []
        self._parked: list[Entry] = []  # waiting or overdue, by priority
        self._waiting: list[tuple[float, Entry]] = []  # by the time when the wait is over
        self._overdue: list[tuple[int, Entry]] = []  # by age
        self._getters: deque[asyncio.Future[None]] = deque()

    # --- the public queue ------------------------------------------------------------------

    async def put(self, item: tuple[float, UUID]) -> None:
        """Queue `(priority, event id)`, without a limit."""
        priority, event_id = item
        self.push(check_priority(priority), to_key(event_id))

    async def get(self) -> tuple[float, UUID]:
        """Wait for, take out and return the first `(priority, event id)`."""
        while True:
            entry = self.take()
            if entry is not None:
                return entry[0], UUID(int=entry[2])
            await self._wait_for_entry()

    def qsize(self) -> int:
        """Return how many entries there are, parked ones included."""
        return self._size

    def empty(self) -> bool:
        """Return whether there is no entry, parked or not."""
        return not self._size

    def __contains__(self, key: object) -> bool:
        return key in self._live

    # --- for the processor -----------------------------------------------------------------

    def push(self, priority: float, key: int) -> None:
        """Queue the event whose id has this integer form."""
        sequence = self.sequence = self.sequence + 1
        if key in self._live:
            self._register((priority, sequence, key, sequence))
        else:
            self._live[key] = sequence
            self._size += 1
        heappush(self._ready, (priority, sequence, key, sequence))
        if self._getters:
            self._changed()
        else:
            self._on_change()

    def put_back(self, entry: Entry) -> None:
        """Queue an entry again that was taken but not used, at its old place."""
        if entry[1] != entry[3]:  # it was parked: what remembers its wait must not revive
            self._forget_wait(entry)
        heappush(self._ready, self._register(entry))
        self._changed()

    def park(self, entry: Entry, priority: float, until: float) -> None:
        """Queue a taken entry again with another priority; it is due at the time *until*."""
        sequence = self.sequence = self.sequence + 1
        parked = self._register((priority, sequence, entry[2], entry[3]))
        heappush(self._parked, parked)
        heappush(self._waiting, (until, parked))
        self._changed()

    def take(self) -> Entry | None:
        """Take out the first entry by priority, parked or not; None if there is none."""
        if self._parked:
            self._trim(self._parked)
        self._trim(self._ready)
        heap = self._ready
        if self._parked and not (heap and heap[0] < self._parked[0]):
            heap = self._parked
        if not heap:
            return None
        return self._taken(heappop(heap))

    def take_due(self, now: float) -> Entry | None:
        """Take out the oldest entry whose wait is over, else the first that never waited."""
        if self._parked:
            self._call_overdue(now)
            if self._overdue:
                return self._taken(heappop(self._overdue)[1])
        ready, live = self._ready, self._live
        while ready:
            entry = heappop(ready)
            if live.get(entry[2]) == entry[1]:
                del live[entry[2]]
                self._size -= 1
                if not self._size:
                    self._clear()
                return entry
            if self._is_live(entry):
                return self._taken(entry)
        return None

    def due_in(self, now: float) -> float | None:
        """Return seconds until `take_due` finds an entry: 0 for now, None if it is empty."""
        if not self._size:
            return None
        if self._parked:
            self._call_overdue(now)
            if self._overdue:
                return 0.0
        self._trim(self._ready)
        if self._ready:
            return 0.0
        return self._waiting[0][0] - now if self._waiting else None

    def waiting(self, keys: Iterable[int]) -> list[int]:
        """Return those of *keys* that have an entry."""
        live = self._live
        return [key for key in keys if key in live]

    def discard(self, key: int) -> bool:
        """Take out all entries of one id; return whether there was one."""
        live = self._live.pop(key, None)
        if live is None:
            return False
        self._size -= len(live) if isinstance(live, tuple) else 1
        if len(self._ready) + len(self._parked) > 2 * self._size + _SLACK:
            self._compact()
        self._changed()
        return True

    # --- internals -------------------------------------------------------------------------

    def _register(self, entry: Entry) -> Entry:
        known = self._live.get(entry[2])
        if known is None:
            self._live[entry[2]] = entry[1]
        else:
            others = known if isinstance(known, tuple) else (known,)
            self._live[entry[2]] = (*others, entry[1])
        self._size += 1
        return entry

    def _taken(self, entry: Entry) -> Entry:
        known = self._live.pop(entry[2])
        if isinstance(known, tuple):
            rest = tuple(sequence for sequence in known if sequence != entry[1])
            self._live[entry[2]] = rest if len(rest) > 1 else rest[0]
        self._size -= 1
        if not self._size:
            self._clear()
        return entry

    def _is_live(self, entry: Entry) -> bool:
        known = self._live.get(entry[2])
        return known == entry[1] or (isinstance(known, tuple) and entry[1] in known)

    def _trim(self, heap: list[Entry]) -> None:
        while heap and self._live.get(heap[0][2]) != heap[0][1]:
            if self._is_live(heap[0]):
                return
            heappop(heap)

    def _call_overdue(self, now: float) -> None:
        self._trim(self._parked)
        while self._waiting and (
            self._waiting[0][0] <= now or not self._is_live(self._waiting[0][1])
        ):
            entry = heappop(self._waiting)[1]
            heappush(self._overdue, (entry[3], entry))
        while self._overdue and not self._is_live(self._overdue[0][1]):
            heappop(self._overdue)

    def _forget_wait(self, entry: Entry) -> None:
        self._parked = [other for other in self._parked if other[1] != entry[1]]
        self._waiting = [pair for pair in self._waiting if pair[1][1] != entry[1]]
        self._overdue = [pair for pair in self._overdue if pair[1][1] != entry[1]]
        heapify(self._parked)
        heapify(self._waiting)
        heapify(self._overdue)

    def _compact(self) -> None:
        self._ready = [entry for entry in self._ready if self._is_live(entry)]
        self._parked = [entry for entry in self._parked if self._is_live(entry)]
        self._waiting = [pair for pair in self._waiting if self._is_live(pair[1])]
        self._overdue = [pair for pair in self._overdue if self._is_live(pair[1])]
        heapify(self._ready)
        heapify(self._parked)
        heapify(self._waiting)
        heapify(self._overdue)
        self._live = dict(self._live)

    def _clear(self) -> None:
        self._ready, self._parked, self._waiting, self._overdue = [], [], [], []
        self._live = {}

    def _changed(self) -> None:
        while self._getters and self._size:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                break
        self._on_change()

    async def _wait_for_entry(self) -> None:
        getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._getters.append(getter)
        try:
            await getter
        except asyncio.CancelledError:
            if not getter.cancelled():
                self._changed()  # the wake-up was meant for somebody who can use it
            raise


def check_priority(priority: object) -> float:
    """Return *priority* as a float.

    Raises:
        ValueError: no number, or not finite.
    """
    if type(priority) is float and math.isfinite(priority):
        return priority
    if isinstance(priority, (int, float)) and not isinstance(priority, bool):
        try:
            number = float(priority)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise ValueError(f"Priority must be finite and not NaN: {priority!r}")
