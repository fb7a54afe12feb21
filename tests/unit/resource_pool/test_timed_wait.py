"""Waits with a bound, on the system's clock and on any other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import httpx2
import pytest

from engine.scheduling.clock import Clock, SystemClock
from engine.scheduling.resource_pool import ResourcePool
from engine.scheduling.timed_wait import DeadlinePassed, wait_until_set, within
from tests.unit.resource_pool.conftest import StepClock, Timer, settle

pytestmark = pytest.mark.anyio


class HastyClock:
    """A clock of the simplest kind: whoever sleeps lets the time pass at once."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    async def sleep(self, seconds: float, /) -> None:
        self.now += seconds
        await anyio.lowlevel.checkpoint()


class DueClock(StepClock):
    """A clock with timers that is always ahead of them."""

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        timer = super().call_at(when, callback)
        asyncio.get_running_loop().call_soon(self.advance, 1.0)
        return timer


CLOCKS: list[Callable[[], Clock]] = [SystemClock, HastyClock, DueClock]
LONG = 3600.0


async def value() -> int:
    return 5


async def failing() -> int:
    raise LookupError("own")


async def never() -> int:
    await anyio.sleep_forever()
    raise AssertionError


async def stubborn() -> int:
    with contextlib.suppress(asyncio.CancelledError):
        await anyio.sleep_forever()
    return 5


async def failing_late() -> int:
    with contextlib.suppress(asyncio.CancelledError):
        await anyio.sleep_forever()
    raise LookupError("late")


async def timing_out_itself() -> int:
    raise TimeoutError("the venue's own")


@pytest.mark.parametrize("make_clock", [SystemClock, StepClock, HastyClock])
async def test_work_in_time_gives_its_value_or_its_error(make_clock: Callable[[], Clock]) -> None:
    clock = make_clock()
    assert await within(clock, LONG, value) == 5
    with pytest.raises(LookupError, match="own"):
        await within(clock, LONG, failing)
    with pytest.raises(TimeoutError, match="venue"):
        await within(clock, LONG, timing_out_itself)


@pytest.mark.parametrize("make_clock", CLOCKS)
@pytest.mark.parametrize("work", [never, stubborn, failing_late])
async def test_late_work_has_ended_when_the_deadline_is_told(
    make_clock: Callable[[], Clock], work: Callable[[], Awaitable[int]]
) -> None:
    with pytest.raises(DeadlinePassed) as caught:
        await within(make_clock(), 0.0, work)
    assert isinstance(caught.value.__cause__, LookupError) == (work is failing_late)


@pytest.mark.parametrize("make_clock", [SystemClock, StepClock, HastyClock])
async def test_a_cancellation_from_outside_is_no_deadline(make_clock: Callable[[], Clock]) -> None:
    clock = make_clock()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await within(clock, LONG, never)
    assert scope.cancelled_caught


async def test_waiting_ends_with_the_event_or_with_the_time() -> None:
    clock = StepClock()
    event = anyio.Event()
    done: list[str] = []

    async def wait(name: str, seconds: float) -> None:
        await wait_until_set(clock, seconds, event)
        done.append(name)

    async with anyio.create_task_group() as group:
        group.start_soon(wait, "short", 1.0)
        group.start_soon(wait, "long", 100.0)
        await settle()
        clock.advance(1.0)
        await settle()
        assert done == ["short"]
        event.set()
    assert done == ["short", "long"]


async def test_a_clock_that_only_sleeps_is_enough_for_a_whole_pool() -> None:
    statuses = iter([503, 503, 200, 200, 200])

    async def respond(request: httpx2.Request) -> httpx2.Response:
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        return httpx2.Response(next(statuses))

    clock = HastyClock()
    transport = httpx2.MockTransport(respond)
    async with ResourcePool(clock=clock, transport=transport) as pool:
        for _ in range(3):
            assert (await pool.http_request("GET", "https://venue.test/", "v", 2))[0] == 200
    assert clock.now == pytest.approx(120.0, abs=1.0)  # five attempts, two in a minute
