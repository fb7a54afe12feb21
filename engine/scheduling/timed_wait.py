"""Waits with a bound on the injected clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from engine.scheduling.clock import Cancellable, Clock, TimerClock

T = TypeVar("T")


class DeadlinePassed(Exception):  # noqa: N818 (internal: says what happened, never seen outside)
    """The time given to `within` was up first."""


async def wait_until_set(clock: Clock, seconds: float, event: anyio.Event) -> None:
    """Return when *event* is set or *seconds* have passed, whichever is first."""
    async with anyio.create_task_group() as group:

        async def give_up() -> None:
            await clock.sleep(seconds)
            group.cancel_scope.cancel()

        group.start_soon(give_up, name="bound of a wait")
        await event.wait()
        group.cancel_scope.cancel()


async def within(clock: Clock, seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    """Return what *work* returns, if that is within *seconds* of real work with the outside.

    The time is the clock's if the clock has timers of its own, else the event loop's: a clock
    that can only sleep may let its sleepers pass at once, and a peer does not get faster by that.

    Raises:
        DeadlinePassed: *seconds* passed first; *work* was cancelled and has ended. Also when it
            swallowed the cancellation.
    """
    with anyio.CancelScope() as scope:
        timer = _timer(clock, seconds, scope.cancel)
        try:
            result = await work()
        except Exception as failure:
            if scope.cancel_called:
                raise DeadlinePassed from failure
            raise
        finally:
            timer.cancel()
        if not scope.cancel_called:
            return result
    raise DeadlinePassed


def _timer(clock: Clock, seconds: float, callback: Callable[[], object]) -> Cancellable:
    if seconds > 0 and isinstance(clock, TimerClock):
        return clock.call_at(clock.monotonic() + seconds, callback)
    return asyncio.get_running_loop().call_later(seconds, callback)
