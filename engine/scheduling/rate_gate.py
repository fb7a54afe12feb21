"""The gate in front of one API: an exact sliding window, waiters by priority, closing."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Final

import anyio
from pyrate_limiter import InMemoryBucket, Rate, RateItem

from engine.scheduling.clock import Clock
from engine.scheduling.pool_errors import RateLimitTimeout
from engine.scheduling.task_priority import LEVELS
from engine.scheduling.timed_wait import wait_until_set

TICKS_PER_SECOND: Final = 1_000_000
_SPARE_ITEMS: Final = 64


@dataclass(slots=True, eq=False)
class _Waiter:
    priority: int
    seq: int
    deadline: float
    changed: anyio.Event = field(default_factory=anyio.Event)
    error: RateLimitTimeout | None = None


class RateGate:
    """Lets at most `limit` starts pass in any interval of `window_s` seconds.

    The log of starts is pyrate-limiter's (exact, a start counts for the closed interval); order
    of the waiters, closing and deadlines are decided here. A permit counts from the moment it is
    taken and is never returned. Not thread-safe: `starts_in_window` alone may be called from
    other threads.

    Args:
        name: the API, for messages.
        clock: monotonic time and sleep.
        window_s: length of the window in seconds.
    """

    def __init__(self, name: str, clock: Clock, window_s: float) -> None:
        self.name = name
        self.wait_total_s = 0.0
        self._clock = clock
        self._window_s = window_s
        self._bucket: InMemoryBucket | None = None
        self._limit: int | None = None
        self._closed_until = -math.inf
        self._queues: tuple[OrderedDict[int, _Waiter], ...] = tuple(OrderedDict() for _ in LEVELS)
        self._seq = count()

    @property
    def limit(self) -> int | None:
        """Starts allowed in one window; None before the first limit."""
        return self._limit

    @property
    def waiting(self) -> int:
        """How many callers wait for a permit."""
        return sum(len(queue) for queue in self._queues)

    @property
    def closed_for_s(self) -> float:
        """Seconds until the gate opens again, 0.0 when it is open."""
        return max(0.0, self._closed_until - self._clock.monotonic())

    def set_limit(self, limit: int) -> bool:
        """Allow *limit* starts in a window from now on; the history stays.

        Returns:
            Whether this replaced a different limit.
        """
        replaced = self._limit is not None and self._limit != limit
        if self._limit != limit:
            self._limit = limit
            self._set_rate()
        return replaced

    def set_window(self, window_s: float) -> None:
        """Measure in windows of *window_s* seconds from now on."""
        self._window_s = window_s
        if self._limit is not None:
            self._set_rate()

    def close_for(self, seconds: float) -> None:
        """Let nobody pass for *seconds*; a closing that lasts longer already stays.

        Waiters whose deadline now lies before their turn fail at once.
        """
        self._closed_until = max(self._closed_until, self._clock.monotonic() + seconds)
        now = self._clock.monotonic()
        for rank, waiter in enumerate(self._in_order()):
            if now + self.expected_wait_s(rank) > waiter.deadline:
                waiter.error = self._too_late(self.expected_wait_s(rank), waiter.deadline - now)
            waiter.changed.set()

    def expected_wait_s(self, rank: int = 0) -> float:
        """Return the seconds until the caller with *rank* others before it may start. O(1)."""
        now = self._now_ticks()
        opens = max(now, self._opening_tick())
        if self._bucket is None or self._limit is None:
            return (opens - now) / TICKS_PER_SECOND
        rounds, place = divmod(rank, self._limit)
        items = self._bucket.items
        index = len(items) + place - self._limit
        span = self._span_ticks()
        turn = max(opens, items[index].timestamp + span) if index >= 0 else opens
        return (turn + rounds * span - now) / TICKS_PER_SECOND

    async def pass_unlimited(self, deadline: float) -> None:
        """Return when the gate is open; takes no permit.

        Raises:
            RateLimitTimeout: it stays closed beyond *deadline* (monotonic seconds).
        """
        started = self._clock.monotonic()
        try:
            while (wait := self.closed_for_s) > 0:
                self._refuse_if_late(wait, deadline)
                await self._clock.sleep(wait)
        finally:
            self.wait_total_s += self._clock.monotonic() - started

    async def take(self, priority: int, deadline: float) -> None:
        """Return with a permit for one start, taken at the moment of returning.

        Args:
            priority: 0 is served first; equal ones in order of arrival.
            deadline: monotonic seconds the caller must be through by; may be infinite.

        Raises:
            RateLimitTimeout: the turn is known to come after *deadline*. Nothing is taken then,
                nor when the caller is cancelled.
        """
        if self.waiting == 0 and self._try_take():
            return
        rank = sum(len(queue) for queue in self._queues[: priority + 1])
        self._refuse_if_late(self.expected_wait_s(rank), deadline)
        waiter = _Waiter(priority, next(self._seq), deadline)
        self._queues[priority][waiter.seq] = waiter
        started = self._clock.monotonic()
        try:
            await self._wait_for_turn(waiter)
        finally:
            self.wait_total_s += self._clock.monotonic() - started
            del self._queues[priority][waiter.seq]
            self._wake_head()

    def starts_in_window(self) -> int:
        """Return the starts that count now. Any thread; O(n) in the kept starts."""
        if self._bucket is None:
            return 0
        bound = self._now_ticks() - self._span_ticks()
        stamps = [item.timestamp for item in self._bucket.items[:]]
        return len(stamps) - bisect_right(stamps, bound)

    def prune(self) -> None:
        """Forget starts that no window contains any more."""
        if self._bucket is not None:
            self._bucket.leak(self._now_ticks())

    async def _wait_for_turn(self, waiter: _Waiter) -> None:
        while True:
            if waiter.error is not None:
                raise waiter.error
            if self._head() is not waiter:
                await waiter.changed.wait()
            elif self._try_take():
                return
            else:
                wait = self.expected_wait_s()
                self._refuse_if_late(wait, waiter.deadline)
                # Half a tick more: the sum must not round to just before the turn.
                await wait_until_set(self._clock, wait + 0.5 / TICKS_PER_SECOND, waiter.changed)
            if waiter.changed.is_set():
                waiter.changed = anyio.Event()

    def _try_take(self) -> bool:
        now = self._now_ticks()
        if now < self._opening_tick() or self._bucket is None or self._limit is None:
            return False
        if len(self._bucket.items) > 2 * self._limit + _SPARE_ITEMS:
            self.prune()  # also when nobody asks for the health
        return self._bucket.put(RateItem(self.name, now))

    def _set_rate(self) -> None:
        if self._limit is None:
            return
        rates = [Rate(self._limit, math.ceil(self._window_s * TICKS_PER_SECOND))]
        if self._bucket is None:
            # The bare bucket: a limiter or a bucket factory would add a thread and a wait of
            # its own, in order of arrival only.
            self._bucket = InMemoryBucket(rates)
        else:
            self._bucket.rates = rates
        self._wake_head()

    def _wake_head(self) -> None:
        head = self._head()
        if head is not None:
            head.changed.set()

    def _head(self) -> _Waiter | None:
        return next(self._in_order(), None)

    def _in_order(self) -> Iterator[_Waiter]:
        return chain.from_iterable(queue.values() for queue in self._queues)

    def _refuse_if_late(self, wait: float, deadline: float) -> None:
        left = deadline - self._clock.monotonic()
        if wait > left:
            raise self._too_late(wait, left)

    def _too_late(self, wait: float, left: float) -> RateLimitTimeout:
        return RateLimitTimeout(
            f"rate gate of {self.name}: the turn comes in {wait:.3f} s, "
            f"the task has {max(0.0, left):.3f} s left",
            details={"api": self.name, "wait_s": wait},
        )

    def _now_ticks(self) -> int:
        return math.floor(self._clock.monotonic() * TICKS_PER_SECOND)

    def _opening_tick(self) -> int:
        if self._closed_until == -math.inf:
            return -(2**63)
        return math.ceil(self._closed_until * TICKS_PER_SECOND)

    def _span_ticks(self) -> int:
        # One more than the window: both ends of an interval belong to it.
        return math.ceil(self._window_s * TICKS_PER_SECOND) + 1
