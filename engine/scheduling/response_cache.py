"""The pool's cache: per-entry expiry on the monotonic clock, least recently used goes first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cachetools import Cache, TLRUCache

from engine.scheduling.option import as_number

MAX_KEY_LENGTH: Final = 512


@dataclass(frozen=True, slots=True)
class _Entry:
    value: Any
    expires: float


class _CountingCache(TLRUCache[str, _Entry]):
    """Counts what a full cache pushes out; entries that expire are not counted."""

    def __init__(self, maxsize: int, timer: Callable[[], float]) -> None:
        super().__init__(maxsize, ttu=lambda _key, entry, _now: entry.expires, timer=timer)
        self.evictions = 0

    def popitem(self) -> tuple[str, _Entry]:
        item = super().popitem()
        self.evictions += 1
        return item


class ResponseCache:
    """At most `max_size` values; set and get are O(log n), also when full.

    Values are kept by reference. At age `ttl` an entry is gone. One thread only, but for the
    counters and `size`.

    Args:
        max_size: entries kept; 0 switches the cache off.
        monotonic: seconds; only differences are used.
    """

    def __init__(self, max_size: int, monotonic: Callable[[], float]) -> None:
        self.hits = 0
        self.misses = 0
        self._monotonic = monotonic
        self._evicted_before = 0
        self._entries = _CountingCache(max_size, monotonic)

    @property
    def evictions(self) -> int:
        """How many live entries gave way to newer ones."""
        return self._evicted_before + self._entries.evictions

    @property
    def size(self) -> int:
        """Entries held, counting expired ones that no call has met yet. Any thread."""
        return Cache.__len__(self._entries)

    def live_size(self) -> int:
        """Drop what has expired and return how many entries are left."""
        return len(self._entries)

    def get(self, key: str, default: Any) -> Any:  # noqa: ANN401 (values are the caller's)
        """Return the value of *key*, or *default*; a stored None is a value."""
        try:
            entry = self._entries[key]
        except KeyError:
            self.misses += 1
            return default
        self.hits += 1
        return entry.value

    def set(self, key: str, value: Any, ttl: float) -> None:  # noqa: ANN401 (as above)
        """Keep *value* for *ttl* seconds; 0 drops the entry, infinity never expires."""
        if self._entries.maxsize == 0:
            return
        self._entries[key] = _Entry(value, self._monotonic() + ttl)

    def delete(self, key: str) -> bool:
        """Drop *key*; return whether it was there."""
        try:
            del self._entries[key]
        except KeyError:
            return False
        return True

    def invalidate(self, prefix: str) -> int:
        """Drop every key that begins with *prefix*; return how many. O(n)."""
        keys = [key for key in self._entries if key.startswith(prefix)]
        return sum(self.delete(key) for key in keys)

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()

    def resize(self, max_size: int) -> None:
        """Keep at most *max_size* entries from now on, the most recently used ones. O(n log n)."""
        old, new = self._entries, _CountingCache(max_size, self._monotonic)
        evicted = self.evictions
        for _ in range(len(old)):
            # Popped from the least recently used on, so that the order is the same again.
            key, entry = old.popitem()
            if max_size > 0:
                new[key] = entry
            else:
                evicted += 1
        self._evicted_before = evicted
        self._entries = new


def checked_key(key: object) -> str:
    """Return *key*.

    Raises:
        ValueError: it is no string of 1 to 512 characters.
    """
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY_LENGTH:
        raise ValueError(f"cache key must be a string of 1 to {MAX_KEY_LENGTH} characters: {key!r}")
    return key


def checked_ttl(ttl: object) -> float:
    """Return *ttl* as a float.

    Raises:
        ValueError: it is negative, NaN or no number.
    """
    seconds = as_number(ttl)
    if seconds is None or seconds < 0:
        raise ValueError(f"ttl must be a number of seconds of at least 0: {ttl!r}")
    return seconds
