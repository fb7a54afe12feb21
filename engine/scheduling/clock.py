"""The clock of the scheduler: monotonic seconds for every decision, wall time to show."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import anyio


class Clock(Protocol):
    """What the scheduler needs to know of time; anything with these three will do.

    A clock may also have `call_at` (see `TimerClock`), which spares a task for each timer.
    """

    def monotonic(self) -> float:
        """Return seconds that never go back; only differences mean anything."""
        ...

    def wall(self) -> float:
        """Return seconds since the epoch, UTC: to be shown, never compared."""
        ...

    async def sleep(self, seconds: float, /) -> None:
        """Return when *seconds* have passed on the monotonic clock."""
        ...


class Cancellable(Protocol):
    """A timer that can be called off."""

    def cancel(self) -> object:
        """Do not call; harmless when it was called already."""
        ...


@runtime_checkable
class TimerClock(Protocol):
    """A clock that calls back by itself."""

    def call_at(self, when: float, callback: Callable[[], object], /) -> Cancellable:
        """Call *callback* on the running loop when `monotonic()` reaches *when*."""
        ...


class SystemClock:
    """The system's clocks."""

    # Bound to the class as they are: a call costs what the C function costs.
    monotonic = staticmethod(time.monotonic)  # noqa: TID251 (the scheduler's one reader of the clock)
    wall = staticmethod(time.time)  # noqa: TID251 (as above)

    async def sleep(self, seconds: float, /) -> None:
        """Return when *seconds* have passed."""
        await anyio.sleep(seconds)
