"""Scheduling 4: the limit holds in bursts and with eager task factories; tests 4 and 12."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import weakref
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator
from typing import Any

import pytest

from engine.scheduling import TaskState
from engine.testing.agent_bench import Gate, quiet_engine
from engine.testing.manual_clock import ManualClock

pytestmark = pytest.mark.anyio


class Begun(Coroutine[Any, Any, Any]):
    """A coroutine whose first step has been done already."""

    def __init__(self, coro: Coroutine[Any, Any, Any]) -> None:
        self.coro = coro
        self.is_waiting = True
        self.value: Any = None
        self.first: Any = None
        try:
            self.first = coro.send(None)
        except StopIteration as stop:
            self.is_waiting, self.value = False, stop.value
        self.is_fresh = True

    def send(self, value: Any) -> Any:
        if not self.is_waiting:
            raise StopIteration(self.value)
        if self.is_fresh:
            self.is_fresh = False
            return self.first
        return self.coro.send(value)

    def throw(self, *error: Any) -> Any:
        if not self.is_waiting:
            raise error[0]
        self.is_fresh = False
        return self.coro.throw(*error)

    def close(self) -> None:
        self.coro.close()

    def __await__(self) -> Any:
        raise NotImplementedError


def eager_factory(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, Any],
    *,
    name: str | None = None,
    context: contextvars.Context | None = None,
) -> asyncio.Future[Any]:
    """Run the first step of *coro* inside `create_task`, as 3.12's eager factory does."""
    own = context or contextvars.copy_context()
    return asyncio.Task(own.run(Begun, coro), loop=loop, context=own, name=name)


@contextlib.asynccontextmanager
async def using(factory: Any) -> AsyncIterator[None]:
    with task_factory(factory):
        yield


@contextlib.contextmanager
def task_factory(factory: Any) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        yield
    finally:
        loop.set_task_factory(None)


@pytest.fixture(params=["ordinary", "eager"])
def factory(request: pytest.FixtureRequest) -> Any:
    return eager_factory if request.param == "eager" else None


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_the_eager_factory_of_these_tests_is_eager() -> None:
    ran: list[int] = []

    async def body() -> int:
        ran.append(1)
        await asyncio.sleep(0)
        ran.append(2)
        return 3

    with task_factory(eager_factory):
        task = asyncio.get_running_loop().create_task(body())
        assert ran == [1]
        assert await task == 3


async def test_a_burst_of_a_thousand_suspending_tasks_never_exceeds_the_limit(
    clock: ManualClock, factory: Any
) -> None:
    running = peak = 0

    async def work(pool: Any) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0)
        running -= 1

    async with using(factory), quiet_engine(clock, max_concurrent_tasks=10) as engine:
        for _ in range(1000):
            await engine.schedule_task("a", "t", work)
        await clock.settle()
        stats = engine.get_stats()
    assert peak == 10
    assert stats["completed_total"] == 1000
    assert stats["running_tasks"] == stats["queued_tasks"] == 0


async def test_bodies_that_never_suspend_run_one_after_another(
    clock: ManualClock, factory: Any
) -> None:
    order: list[int] = []

    def task(number: int) -> Any:
        async def work(pool: Any) -> None:
            order.append(number)

        return work

    async with using(factory), quiet_engine(clock, max_concurrent_tasks=1) as engine:
        for number in range(300):
            await engine.schedule_task("a", "t", task(number))
        await clock.settle()
    assert order == list(range(300))


async def test_submitting_from_inside_a_task_neither_deadlocks_nor_nests(
    clock: ManualClock, factory: Any
) -> None:
    depth = deepest = 0
    ended: list[int] = []

    async with using(factory), quiet_engine(clock, max_concurrent_tasks=1) as engine:

        def task(number: int) -> Any:
            async def work(pool: Any) -> None:
                nonlocal depth, deepest
                depth += 1
                deepest = max(deepest, depth)
                if number < 200:
                    await engine.schedule_task("a", "t", task(number + 1))
                depth -= 1
                ended.append(number)

            return work

        await engine.schedule_task("a", "t", task(0))
        await clock.settle()
    assert ended == list(range(201))
    assert deepest == 1


async def test_a_task_that_cancels_itself_is_cancelled(clock: ManualClock, factory: Any) -> None:
    async with using(factory), quiet_engine(clock) as engine:
        submitted = asyncio.Event()
        handle: Any = None

        async def work(pool: Any) -> None:
            await submitted.wait()
            handle.cancel()
            await asyncio.sleep(0)
            pytest.fail("went on after its cancellation")

        handle = await engine.schedule_task("a", "t", work)
        submitted.set()
        await clock.settle()
        assert handle.state is TaskState.CANCELLED


async def test_a_stop_with_full_slots_ends_everything(clock: ManualClock, factory: Any) -> None:
    gate = Gate()
    async with using(factory):
        engine = quiet_engine(clock, max_concurrent_tasks=5, stop_grace=0)
        await engine.start()
        for number in range(20):
            await engine.schedule_task("a", "t", gate.task(str(number)))
        await clock.settle()
        report = await engine.stop()
    assert (report.cancelled, len(report.pending), gate.running) == (5, 15, 0)


def _not_awaitable(pool: Any) -> Awaitable[None]:
    return 3  # type: ignore[return-value]  # what is tested


def _generator(pool: Any) -> Any:
    yield 1


async def _raises(pool: Any) -> None:
    raise ValueError("broken as told")


async def _raises_group(pool: Any) -> None:
    raise ExceptionGroup("both", [ValueError("one"), TypeError("two")])


def _raises_at_once(pool: Any) -> Awaitable[None]:
    raise KeyError("before it returned anything")


@pytest.mark.parametrize(
    ("work", "error", "text"),
    [
        (_raises, ValueError, "broken"),
        (_raises_group, ExceptionGroup, "both"),
        (_raises_at_once, KeyError, "before"),
        (_not_awaitable, TypeError, "_not_awaitable returned int"),
        (_generator, TypeError, "_generator returned generator"),
    ],
    ids=["exception", "group", "at once", "not awaitable", "generator"],
)
async def test_a_failing_task_ends_only_itself(
    clock: ManualClock, factory: Any, work: Any, error: type[Exception], text: str, caplog: Any
) -> None:
    gate = Gate()
    async with using(factory), quiet_engine(clock) as engine:
        await engine.schedule_task("a", "t", gate.task("other"))
        with caplog.at_level(logging.ERROR):
            handle = await engine.schedule_task("a", "bad", work)
            await clock.settle()
        assert handle.state is TaskState.FAILED
        with pytest.raises(error, match=text):
            await handle.result()
        assert gate.running == 1
        gate.release("other")
        await clock.settle()
        stats = engine.get_stats()
        assert (stats["failed_total"], stats["completed_total"]) == (1, 1)
        assert stats["running_tasks"] == 0
        lines = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(lines) == 1  # logged once, with its traceback
        assert lines[0].exc_info is not None
        assert engine.agent_stats("a")["errors"] == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_a_task_that_has_ended_leaves_nothing_to_the_collector(
    clock: ManualClock, *, fails: bool
) -> None:
    tasks: list[weakref.ref[Any]] = []

    async def work(pool: Any) -> None:
        tasks.append(weakref.ref(asyncio.current_task()))
        await asyncio.sleep(0)
        if fails:
            raise ValueError("as asked")

    async with quiet_engine(clock) as engine:
        gc.collect()
        gc.disable()
        try:
            await engine.schedule_task("a", "t", work)
            await clock.settle()
            assert [task() for task in tasks] == [None]
        finally:
            gc.enable()
