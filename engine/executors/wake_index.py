"""Index of wake conditions: a tick costs what it fires, not how many executors wait."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final

from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.model.instruments import ConnectorPair
from engine.model.quotes import QuoteTick

_COMPACT_ABOVE: Final = 64
_SLOTS: Final = 2 * len(PriceField)


@dataclass(slots=True, eq=False)
class _Entry:
    """One waiting level; ``owner`` is None once the owner no longer wants it."""

    key: int
    sequence: int
    owner: str | None

    def __lt__(self, other: _Entry) -> bool:
        return (self.key, self.sequence) < (other.key, other.sequence)


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
        self.bound = self._heap[0].key

    def withdraw(self, entry: _Entry) -> None:
        entry.owner = None
        self._dead += 1
        if self._dead > _COMPACT_ABOVE and 2 * self._dead > len(self._heap):
            self._heap = [kept for kept in self._heap if kept.owner is not None]
            heapify(self._heap)
            self._dead = 0

    def head(self) -> _Entry | None:
        heap = self._heap
        while heap and heap[0].owner is None:
            heappop(heap)
            self._dead -= 1
        return heap[0] if heap else None

    def pop_up_to(self, key: int) -> list[str]:
        """Remove and return the owners of all entries whose key is at most *key*."""
        owners: list[str] = []
        while (entry := self.head()) is not None and entry.key <= key:
            heappop(self._heap)
            if entry.owner is not None:
                owners.append(entry.owner)
            entry.owner = None
        self.bound = self._heap[0].key if self._heap else inf
        return owners


@dataclass(slots=True)
class _Registration:
    """What one owner waits for."""

    prices: dict[_Waiting, _Entry] = field(default_factory=dict)
    time: _Entry | None = None


class WakeIndex:
    """Wake conditions of many owners, indexed by market and price, and by time.

    A change costs O(log n); a quote that fires nothing costs six comparisons, whatever n is.
    """

    def __init__(self) -> None:
        self._owners: dict[str, _Registration] = {}
        self._markets: dict[ConnectorPair, tuple[_Waiting, ...]] = {}
        self._times = _Waiting()
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._owners)

    def update(self, owner: str, conditions: WakeConditions) -> None:
        """Let *owner* wait for *conditions* and for nothing else."""
        registration = self._owners.get(owner)
        if registration is None:
            registration = self._owners[owner] = _Registration()
        self._update_prices(owner, registration, conditions.prices)
        self._update_time(owner, registration, conditions.at_ns)

    def remove(self, owner: str) -> None:
        """Forget *owner*; one that is unknown is ignored."""
        registration = self._owners.pop(owner, None)
        if registration is None:
            return
        for waiting, entry in registration.prices.items():
            if entry.owner is not None:
                waiting.withdraw(entry)
        if registration.time is not None and registration.time.owner is not None:
            self._times.withdraw(registration.time)

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
        return None if head is None else head.key

    def _update_prices(
        self, owner: str, registration: _Registration, prices: tuple[PriceTrigger, ...]
    ) -> None:
        wanted = self._tightest(prices)
        entries = registration.prices
        for waiting in [waiting for waiting in entries if waiting not in wanted]:
            entry = entries.pop(waiting)
            if entry.owner is not None:
                waiting.withdraw(entry)
        for waiting, key in wanted.items():
            current = entries.get(waiting)
            if current is not None and current.owner is not None:
                if current.key == key:
                    continue
                waiting.withdraw(current)
            entries[waiting] = self._push(waiting, key, owner)

    def _update_time(self, owner: str, registration: _Registration, at_ns: int | None) -> None:
        current = registration.time
        if current is not None and current.owner is not None:
            if current.key == at_ns:
                return
            self._times.withdraw(current)
        registration.time = None if at_ns is None else self._push(self._times, at_ns, owner)

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

    def _push(self, waiting: _Waiting, key: int, owner: str) -> _Entry:
        self._sequence += 1
        entry = _Entry(key, self._sequence, owner)
        waiting.push(entry)
        return entry
