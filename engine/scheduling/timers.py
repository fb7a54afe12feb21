"""Timers on whatever clock the engine was given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Final, TypeAlias

from engine.scheduling.clock import Cancellable, Clock, SystemClock, TimerClock
from engine.scheduling.lag_probe import LagProbe

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None], str], asyncio.Future[None]]


class Timers:
    """Calls back at a second of the clock, on the engine's loop and in its context.

    On the system's clock these are timers of the loop. A clock with `call_at` does it itself; for
    one that can only sleep, a task sleeps.
    """

    def __init__(
        self,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        context: Context,
        *,
        spawn: Spawn,
        lag: LagProbe,
    ) -> None:
        self._clock: Final = clock
        self._loop: Final = loop
        self._context: Final = context
        self._spawn: Final = spawn
        self._lag: Final = lag

    def call_at(self, when: float, callback: Callable[[], object]) -> Cancellable:
        """Call *callback* when the clock reaches *when*, at once if it has already."""
        clock = self._clock
        # A subclass may tell another time than the loop: it is treated like any other clock.
        if type(clock) is SystemClock:
            delay = max(0.0, when - clock.monotonic())
            return self._loop.call_later(delay, self._fire, when, callback, context=self._context)
        if isinstance(clock, TimerClock):
            return clock.call_at(when, lambda: self._context.copy().run(self._fire, when, callback))
        return self._spawn(self._sleep_then(when, callback), "timer")

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call *callback* in the loop's next pass."""
        self._loop.call_soon(callback, context=self._context)

    def _fire(self, when: float, callback: Callable[[], object]) -> None:
        self._lag.record(max(0.0, self._clock.monotonic() - when))
        callback()

    async def _sleep_then(self, when: float, callback: Callable[[], object]) -> None:
        # How late such a clock wakes its sleepers says nothing of the loop: no lag is taken.
        while (left := when - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)
        callback()
