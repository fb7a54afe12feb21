"""Waits that end by the injected clock: the event loop's own timers know only real time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from engine.scheduling.clock import Clock, SystemClock

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
    """Return what *work* returns.

    Raises:
        DeadlinePassed: *seconds* passed first; *work* was cancelled and has ended. Also when it
            swallowed the cancellation.
    """
    # A subclass may tell another time than the loop: it is treated like any other clock.
    if type(clock) is SystemClock:
        return await _within_loop_time(seconds, work)
    return await _within_clock_time(clock, seconds, work)


async def _within_loop_time(seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    with anyio.CancelScope(deadline=anyio.current_time() + seconds) as scope:
        try:
            result = await work()
        except Exception as failure:
            if scope.cancel_called:
                raise DeadlinePassed from failure
            raise
        if not scope.cancel_called:
            return result
    raise DeadlinePassed


async def _within_clock_time(clock: Clock, seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    expired = False
    results: list[T] = []
    failure: Exception | None = None
    async with anyio.create_task_group() as group:

        async def give_up() -> None:
            nonlocal expired
            await clock.sleep(seconds)
            expired = True
            group.cancel_scope.cancel()

        group.start_soon(give_up, name="bound of an attempt")
        try:
            results.append(await work())
        except Exception as exc:  # noqa: BLE001 (the group would wrap it; raised again below)
            failure = exc
        group.cancel_scope.cancel()
    if expired:
        raise DeadlinePassed from failure
    if failure is not None:
        raise failure
    return results[0]
