"""Index of wake conditions: a tick costs what it fires, not how many executors wait."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import Final

from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.model.instruments import ConnectorPair
from engine.model.quotes import QuoteTick

_COMPACT_ABOVE: Final = 64
_SLOTS: Final = 2 * len(PriceField)


class _Registration:
    """What one owner waits for: ``entries[i]`` stands in the heap ``heaps[i]``, None once fired."""

    __slots__ = ("entries", "heaps", "owner")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.entries: tuple[_Entry | None, ...] = ()
        self.heaps: tuple[_Waiting, ...] = ()

    def __lt__(self, other: _Registration) -> bool:
        """Equal levels fire together: which of them comes first in a heap does not matter."""
        return False

    def wants(self, entry: _Entry) -> bool:
        """Whether *entry* is neither fired nor withdrawn."""
        for kept in self.entries:  # noqa: SIM110 (every fired and withdrawn entry passes here)
            if kept is entry:  # equal entries of two heaps are different ones
                return True
        return False

    def forget(self, entry: _Entry) -> None:
        """Note that *entry* has fired."""
        self.entries = tuple([None if kept is entry else kept for kept in self.entries])


_Entry = tuple[int, _Registration]
"""A level and who waits for it. Tuples, because a heap compares them without calling Python."""


class _Waiting:
    """Heap of entries, least key first, that forgets withdrawn entries lazily.

    No waiting key is below ``bound``: most quotes are done with one comparison.
    """

    __slots__ = ("_dead", "_heap", "bound")

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        self._dead = 0
        self.bound: float = inf

    def push(self, entry: _Entry) -> None:
        heappush(self._heap, entry)
        self.bound = self._heap[0][0]

    def note_withdrawn(self) -> None:
        """Take account of an entry that its registration does not want any more."""
        self._dead += 1
        if self._dead > _COMPACT_ABOVE and 2 * self._dead > len(self._heap):
            self._heap = [kept for kept in self._heap if kept[1].wants(kept)]
            heapify(self._heap)
            self._dead = 0

    def head(self) -> _Entry | None:
        heap = self._heap
        while heap and not heap[0][1].wants(heap[0]):
            heappop(heap)
            self._dead -= 1
        return heap[0] if heap else None

    def pop_up_to(self, key: int) -> list[str]:
        """Remove and return the owners of all entries whose key is at most *key*."""
        owners: list[str] = []
        while (entry := self.head()) is not None and entry[0] <= key:
            heappop(self._heap)
            registration = entry[1]
            registration.forget(entry)
            owners.append(registration.owner)
        self.bound = self._heap[0][0] if self._heap else inf
        return owners


class WakeIndex:
    """Wake conditions of many owners, indexed by market and price, and by time.

    A change costs O(log n); a quote that fires nothing costs six comparisons, whatever n is.
    """

    def __init__(self) -> None:
        self._owners: dict[str, _Registration] = {}
        self._markets: dict[ConnectorPair, tuple[_Waiting, ...]] = {}
        self._times = _Waiting()
        self._heap_tuples: dict[tuple[_Waiting, ...], tuple[_Waiting, ...]] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def update(self, owner: str, conditions: WakeConditions) -> None:
        """Let *owner* wait for *conditions* and for nothing else."""
        registration = self._owners.get(owner)
        if registration is None:
            registration = self._owners[owner] = _Registration(owner)
        wanted = self._tightest(conditions.prices)
        if conditions.at_ns is not None:
            wanted[self._times] = conditions.at_ns
        before = zip(registration.heaps, registration.entries, strict=True)
        kept: dict[_Waiting, _Entry] = {}
        gone: list[_Waiting] = []
        for waiting, entry in before:
            if entry is None:
                continue
            if wanted.get(waiting) == entry[0]:
                kept[waiting] = entry
            else:
                gone.append(waiting)
        entries = tuple(
            [kept.get(waiting) or (key, registration) for waiting, key in wanted.items()]
        )
        heaps = tuple(wanted)
        registration.entries = entries
        registration.heaps = self._heap_tuples.setdefault(heaps, heaps)
        for waiting in gone:
            waiting.note_withdrawn()
        for waiting, entry in zip(heaps, entries, strict=True):
            if waiting not in kept:
                waiting.push(entry)

    def remove(self, owner: str) -> None:
        """Forget *owner*; one that is unknown is ignored."""
        registration = self._owners.pop(owner, None)
        if registration is None:
            return
        before = zip(registration.heaps, registration.entries, strict=True)
        registration.entries = registration.heaps = ()
        for waiting, entry in before:
            if entry is not None:
                waiting.note_withdrawn()

    def fire_quote(self, quote: QuoteTick) -> list[str]:
        """Return the owners that *quote* wakes, each once; what fired waits no more."""
        waiting = self._markets.get(quote.market)
        if waiting is None:
            return []
        bid, ask = quote.bid_ticks, quote.ask_ticks
        owners: list[str] = []
        values = (-bid, bid, -ask, ask, -bid - ask, bid + ask)
        for levels, value in zip(waiting, values, strict=True):
            if levels.bound <= value:
                owners += levels.pop_up_to(value)
        return list(dict.fromkeys(owners)) if len(owners) > 1 else owners

    def fire_time(self, now_ns: int) -> list[str]:
        """Return the owners whose instant is not after *now_ns*; what fired waits no more."""
        return self._times.pop_up_to(now_ns)

    def next_time_ns(self) -> int | None:
        """Return the earliest instant that an owner waits for."""
        head = self._times.head()
        return None if head is None else head[0]

    def _tightest(self, prices: tuple[PriceTrigger, ...]) -> dict[_Waiting, int]:
        """Return the least key for each heap; the key of a level to fall to is its negative."""
        wanted: dict[_Waiting, int] = {}
        market: ConnectorPair | None = None
        heaps: tuple[_Waiting, ...] = ()
        for trigger in prices:
            if trigger.market is not market:
                market = trigger.market
                heaps = self._heaps(market)
            waiting = heaps[2 * trigger.field + trigger.is_above]
            key = trigger.level if trigger.is_above else -trigger.level
            known = wanted.get(waiting)
            wanted[waiting] = key if known is None else min(known, key)
        return wanted

    def _heaps(self, market: ConnectorPair) -> tuple[_Waiting, ...]:
        if market not in self._markets:
            self._markets[market] = tuple(_Waiting() for _ in range(_SLOTS))
        return self._markets[market]
