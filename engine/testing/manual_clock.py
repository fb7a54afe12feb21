"""A clock that moves only when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

from engine.live.clock import SystemClock

_SECOND_NS: Final = 1_000_000_000
_PASSES: Final = 10_000
"""Loop passes after which code that never settles is reported."""


class ManualTimer:
    """A callback at an instant of a `ManualClock`."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Do not call."""
        self.callback = None


class ManualClock(SystemClock):
    """Stands for the system's clocks: wall and monotonic time advance together, by hand.

    It tells nanoseconds, as the sessions' clock does, and float seconds with timers and sleep, as
    the scheduler's does.

    Attributes:
        fired: timers that were called so far.
    """

    def __init__(self, wall_ns: int = 0, monotonic_ns: int = 0) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._timers: list[tuple[float, int, ManualTimer]] = []
        self._serial = 0
        self.fired = 0

    def now_ns(self) -> int:
        """Return the wall time."""
        return self._wall_ns

    def monotonic_ns(self) -> int:
        """Return the monotonic time."""
        return self._monotonic_ns

    def advance(self, ns: int) -> None:
        """Let *ns* nanoseconds pass; timers that become due are not called."""
        self._wall_ns += ns
        self._monotonic_ns += ns

    def monotonic(self) -> float:
        """Return the monotonic time in seconds."""
        return self._monotonic_ns / _SECOND_NS

    def wall(self) -> float:
        """Return the wall time in seconds since the epoch."""
        return self._wall_ns / _SECOND_NS

    def step_wall(self, seconds: float) -> None:
        """Set the wall time forward or back, as an operator or a time server does."""
        self._wall_ns += round(seconds * _SECOND_NS)

    def block(self, seconds: float) -> None:
        """Let time pass while nothing else runs: what a call does that holds the loop."""
        self.advance(round(seconds * _SECOND_NS))

    def call_at(self, when: float, callback: Callable[[], object], /) -> ManualTimer:
        """Call *callback* when the monotonic time reaches *when*; only `run_for` does it."""
        timer = ManualTimer(callback)
        self._serial += 1
        heappush(self._timers, (when, self._serial, timer))
        return timer

    async def sleep(self, seconds: float, /) -> None:
        """Return when *seconds* have passed."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_at(
            self.monotonic() + seconds, lambda: None if over.done() else over.set_result(None)
        )
        try:
            await over
        finally:
            timer.cancel()

    @property
    def pending_timers(self) -> int:
        """Timers that wait."""
        return sum(entry[2].callback is not None for entry in self._timers)

    async def run_for(self, seconds: float) -> None:
        """Let *seconds* pass: timers are called in order, and what they start runs in between.

        Raises:
            RuntimeError: the loop does not come to rest.
        """
        until_ns = self._monotonic_ns + round(seconds * _SECOND_NS)
        await self.settle()
        while (when := self._next_timer()) is not None and _ceil_ns(when) <= until_ns:
            self._move_to(max(self._monotonic_ns, _ceil_ns(when)))
            self._fire()
            await self.settle()
        self._move_to(max(self._monotonic_ns, until_ns))

    async def settle(self) -> None:
        """Return when nothing on the running loop can go on without time passing.

        Raises:
            RuntimeError: the loop does not come to rest.
        """
        loop = asyncio.get_running_loop()
        for _ in range(_PASSES):
            await asyncio.sleep(0)
            if not loop._ready:  # type: ignore[attr-defined]  # noqa: SLF001 (no public way to ask)
                return
        raise RuntimeError(f"the loop did not come to rest within {_PASSES} passes")

    def _next_timer(self) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _fire(self) -> None:
        """Call the timers that are due now, not those that they make."""
        due = []
        now = self.monotonic()
        while (when := self._next_timer()) is not None and when <= now:
            due.append(heappop(self._timers)[2])
        for timer in due:
            callback, timer.callback = timer.callback, None
            if callback is not None:
                self.fired += 1
                callback()

    def _move_to(self, monotonic_ns: int) -> None:
        self.advance(monotonic_ns - self._monotonic_ns)


def _ceil_ns(seconds: float) -> int:
    """Return the first nanosecond whose second is not before *seconds*."""
    ns = round(seconds * _SECOND_NS)
    while ns / _SECOND_NS < seconds:
        ns += 1
    return ns
