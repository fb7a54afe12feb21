"""A clock that is stepped, a generator without luck, and a pool over a scripted transport."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest

from engine.scheduling.resource_pool import ResourcePool
from engine.scheduling.task_context import CURRENT_TASK
from engine.scheduling.task_priority import TaskPriority

Step = httpx2.Response | Exception | int | Callable[[httpx2.Request], Awaitable[httpx2.Response]]


SETTLING_ROUNDS = 40


async def settle() -> None:
    """Let everything run until it waits; nothing here waits for the outside world."""
    for _ in range(SETTLING_ROUNDS):
        await anyio.lowlevel.checkpoint()


class Timer:
    """A callback of the clock."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback

    def cancel(self) -> None:
        self.callback = lambda: None


class StepClock:
    """Time moves when a test says so; who sleeps is woken in order."""

    def __init__(self, now: float = 1000.0, wall: float = 1_700_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []
        self.bounds: list[float] = []
        self._wall_ahead = wall - now
        self._timers: list[tuple[float, int, Timer]] = []
        self._seq = itertools.count()

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self._wall_ahead

    async def sleep(self, seconds: float, /) -> None:
        self.slept.append(seconds)
        event = anyio.Event()
        self._call_at(self.now + seconds, event.set)
        await event.wait()

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        self.bounds.append(when - self.now)
        return self._call_at(when, callback)

    def _call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        timer = Timer(callback)
        heapq.heappush(self._timers, (when, next(self._seq), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Move at once; sleepers find out in order."""
        self.now += seconds
        while self._timers and self._timers[0][0] <= self.now:
            heapq.heappop(self._timers)[2].callback()

    async def run_for(self, seconds: float) -> None:
        """Move to each wake-up on the way, and let everything settle there."""
        end = self.now + seconds
        await settle()
        while self._timers and self._timers[0][0] <= end:
            self.now = max(self.now, self._timers[0][0])
            self.advance(0.0)
            await settle()
        self.now = end


class Luck:
    """Draws the middle, and remembers between what."""

    def __init__(self, share: float = 0.5) -> None:
        self.share = share
        self.drawn: list[tuple[float, float]] = []

    def uniform(self, a: float, b: float, /) -> float:
        self.drawn.append((a, b))
        return a + (b - a) * self.share


@dataclass
class Task:
    """Stands for the engine's running task."""

    deadline: float = float("inf")
    priority: TaskPriority = TaskPriority.NORMAL
    agent_id: str = "agent"
    task_id: str = "agent:cycle:1"


class Script:
    """A transport that plays one step for each request; the last one again and again."""

    def __init__(self) -> None:
        self.steps: list[Step] = [200]
        self.requests: list[httpx2.Request] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        step = self.steps[min(len(self.requests), len(self.steps)) - 1]
        if isinstance(step, Exception):
            raise step
        if isinstance(step, int):
            return httpx2.Response(step)
        if isinstance(step, httpx2.Response):
            return httpx2.Response(step.status_code, headers=step.headers, content=step.content)
        return await step(request)

    @property
    def sent(self) -> int:
        return len(self.requests)


MakePool = Callable[..., ResourcePool]


@pytest.fixture
def clock() -> StepClock:
    return StepClock()


@pytest.fixture
def luck() -> Luck:
    return Luck()


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def make_pool(
    anyio_backend: str, clock: StepClock, luck: Luck, script: Script
) -> AsyncIterator[MakePool]:
    async with AsyncExitStack() as stack:

        def make(**options: Any) -> ResourcePool:
            transport = httpx2.MockTransport(script)
            pool = ResourcePool(options, clock=clock, rng=luck, transport=transport)
            stack.push_async_callback(pool.close)
            return pool

        yield make


@contextmanager
def running_as(task: Task) -> Iterator[None]:
    """Make the caller look like *task* of the engine."""
    token = CURRENT_TASK.set(task)
    try:
        yield
    finally:
        CURRENT_TASK.reset(token)


async def outcome_of(
    clock: StepClock, work: Callable[[], Awaitable[Any]], *, seconds: float = 1000.0
) -> Any:
    """Run *work* while time goes by; return its value or the exception it raised."""
    results: list[Any] = []

    async def run() -> None:
        try:
            results.append(await work())
        except Exception as exc:  # noqa: BLE001 (the outcome is what is asked for)
            results.append(exc)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await clock.run_for(seconds)
        assert results, "still not done"
    return results[0]
