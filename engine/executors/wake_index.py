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
    """What one owner waits for: ``keys[i]`` in ``places[i]``, None once it has fired."""

    __slots__ = ("keys", "owner", "places")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.keys: tuple[int | None, ...] = ()
        self.places: tuple[_Waiting, ...] = ()

    def note_fired(self, place: _Waiting) -> None:
        """Note that the key in *place* has fired."""
        index = self.places.index(place)
        self.keys = (*self.keys[:index], None, *self.keys[index + 1 :])


class _Waiting:
    """Who waits for which key, least key first.

    The heap holds each key once, as a bare integer: so it is ordered without calling Python, and
    any number of owners with one key (a crowd of trailing stops that follow the same best price)
    cost one entry. A key that is withdrawn is forgotten by the heap later. No waiting key is below
    ``bound``: most quotes are done with one comparison.
    """

    __slots__ = ("_at", "_dead", "_heap", "bound")

    def __init__(self) -> None:
        self._at: dict[int, _Registration | dict[_Registration, None]] = {}
        self._heap: list[int] = []
        self._dead = 0
        self.bound: float = inf

    def push(self, key: int, registration: _Registration) -> None:
        """Let *registration* wait for *key*."""
        there = self._at.get(key)
        if there is None:
            self._at[key] = registration
            heappush(self._heap, key)
            if key < self.bound:
                self.bound = key
        elif isinstance(there, _Registration):
            self._at[key] = {there: None, registration: None}
        else:
            there[registration] = None

    def withdraw(self, key: int, registration: _Registration) -> None:
        """Let *registration* wait for *key* no more."""
        there = self._at[key]
        if isinstance(there, dict):
            del there[registration]
            if there:
                return
        del self._at[key]
        self._dead += 1
        if self._dead > _COMPACT_ABOVE and 2 * self._dead > len(self._heap):
            self._heap = list(self._at)
            heapify(self._heap)
            self._dead = 0

    def holds(self, key: int, registration: _Registration) -> bool:
        """Whether *registration* is woken when *key* is reached."""
        there = self._at.get(key)
        if isinstance(there, dict):
            return registration in there
        return there is registration

    def head(self) -> int | None:
        """Return the least key that is waited for."""
        heap = self._heap
        while heap and heap[0] not in self._at:
            heappop(heap)
            self._dead -= 1
        return heap[0] if heap else None

    def pop_up_to(self, value: int) -> list[str]:
        """Remove and return the owners of all keys that are at most *value*."""
        owners: list[str] = []
        heap = self._heap
        while heap and heap[0] <= value:
            there = self._at.pop(heappop(heap), None)
            if there is None:
                self._dead -= 1
                continue
            for registration in (there,) if isinstance(there, _Registration) else there:
                registration.note_fired(self)
                owners.append(registration.owner)
        self.bound = heap[0] if heap else inf
        return owners


class WakeIndex:
    """Wake conditions of many owners, indexed by market and price, and by time.

    A change costs O(log n); a quote that fires nothing costs six comparisons, whatever n is.
    """

    def __init__(self) -> None:
        self._owners: dict[str, _Registration] = {}
        self._markets: dict[ConnectorPair, tuple[_Waiting, ...]] = {}
        self._times = _Waiting()
        self._known_places: dict[tuple[_Waiting, ...], tuple[_Waiting, ...]] = {}

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
        places = tuple(wanted)
        if places == registration.places:  # most often: other levels of the same kinds
            for known, (place, key) in zip(registration.keys, wanted.items(), strict=True):
                if known != key:
                    if known is not None:
                        place.withdraw(known, registration)
                    place.push(key, registration)
            registration.keys = tuple(wanted.values())
            return
        self._withdraw(registration)
        registration.places = self._known_places.setdefault(places, places)
        registration.keys = tuple(wanted.values())
        for place, key in wanted.items():
            place.push(key, registration)

    def remove(self, owner: str) -> None:
        """Forget *owner*; one that is unknown is ignored."""
        registration = self._owners.pop(owner, None)
        if registration is not None:
            self._withdraw(registration)

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

    def least_keys(self, market: ConnectorPair) -> tuple[float, ...]:
        """Return the least -bid, bid, -ask, ask, -mid and mid that may wake anybody, in this order.

        Mids are bid plus ask. A quote whose values are all below fires nothing; infinity where
        nobody waits.
        """
        waiting = self._markets.get(market)
        return (inf,) * _SLOTS if waiting is None else tuple(one.bound for one in waiting)

    def fire_time(self, now_ns: int) -> list[str]:
        """Return the owners whose instant is not after *now_ns*; what fired waits no more."""
        return self._times.pop_up_to(now_ns) if self._times.bound <= now_ns else []

    def is_watched(self, owner: str, trigger: PriceTrigger) -> bool:
        """Whether *owner* is woken by the first quote that meets *trigger*, if not before."""
        registration = self._owners.get(owner)
        if registration is None:
            return False
        wanted = trigger.level if trigger.is_above else -trigger.level
        place = self._places(trigger.market)[2 * trigger.field + trigger.is_above]
        return any(
            known is place and key is not None and key <= wanted and place.holds(key, registration)
            for known, key in zip(registration.places, registration.keys, strict=True)
        )

    def next_time_ns(self) -> int | None:
        """Return the earliest instant that an owner waits for."""
        return self._times.head()

    def _withdraw(self, registration: _Registration) -> None:
        for place, key in zip(registration.places, registration.keys, strict=True):
            if key is not None:
                place.withdraw(key, registration)

    def _tightest(self, prices: tuple[PriceTrigger, ...]) -> dict[_Waiting, int]:
        """Return the least key for each place; the key of a level to fall to is its negative."""
        wanted: dict[_Waiting, int] = {}
        market: ConnectorPair | None = None
        places: tuple[_Waiting, ...] = ()
        for where, field, is_above, level in prices:
            if where is not market:
                market = where
                places = self._places(market)
            place = places[2 * field + is_above]
            key = level if is_above else -level
            known = wanted.get(place)
            if known is None or key < known:
                wanted[place] = key
        return wanted

    def _places(self, market: ConnectorPair) -> tuple[_Waiting, ...]:
        if market not in self._markets:
            self._markets[market] = tuple(_Waiting() for _ in range(_SLOTS))
        return self._markets[market]
