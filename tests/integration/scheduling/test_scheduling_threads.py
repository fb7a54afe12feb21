"""Scheduling 13: other threads and loops, and the system's own clock; tests 28 and 32."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import threading
from typing import Any

import anyio
import pytest

from engine.scheduling import (
    AdaptiveScheduler,
    ExecutionEngine,
    QueueFull,
    TaskCancelled,
    TaskTimeout,
)
from engine.testing.agent_bench import IdlePool, ToldAgent

pytestmark = pytest.mark.anyio

THREADS, EACH = 8, 1000


def real_engine(**options: Any) -> ExecutionEngine:
    return ExecutionEngine(options, IdlePool(), AdaptiveScheduler({"system_sample_interval": 0}))


async def test_eight_threads_submit_a_thousand_each() -> None:
    ran: list[int] = []
    results: list[int] = []

    def task(number: int) -> Any:
        async def work(pool: Any) -> int:
            ran.append(number)
            return number

        return work

    async with real_engine() as engine:

        def submit(first: int) -> None:
            futures = [
                engine.schedule_threadsafe("a", "t", task(first + number)) for number in range(EACH)
            ]
            results.extend(future.result(60) for future in futures)

        async with anyio.create_task_group() as group:
            for number in range(THREADS):
                group.start_soon(anyio.to_thread.run_sync, submit, number * EACH)
        stats = engine.get_stats()
    assert sorted(ran) == sorted(results) == list(range(THREADS * EACH))
    assert stats["completed_total"] == THREADS * EACH


async def in_thread(call: Any) -> Any:
    return await anyio.to_thread.run_sync(call)


async def test_failures_and_cancellations_cross_the_threads() -> None:
    release = asyncio.Event()

    async def fails(pool: Any) -> None:
        raise ValueError("as told")

    async def waits(pool: Any) -> None:
        await release.wait()

    async with real_engine(max_queue_size=1, max_concurrent_tasks=1) as engine:

        def use() -> None:
            with pytest.raises(ValueError, match="as told"):
                engine.schedule_threadsafe("a", "t", fails).result(30)
            with pytest.raises(ValueError, match="agent id"):
                engine.schedule_threadsafe("", "t", fails).result(30)
            with pytest.raises(TaskTimeout):
                engine.schedule_threadsafe("a", "t", waits, timeout=0.01).result(30)
            running = engine.schedule_threadsafe("a", "t", waits)
            while engine.get_stats()["running_tasks"] == 0:
                pass
            waiting = engine.schedule_threadsafe("a", "t", waits)
            with pytest.raises(QueueFull):
                engine.schedule_threadsafe("a", "t", waits).result(30)
            assert running.cancel()
            assert running.cancelled()
            waiting.cancel()

        await in_thread(use)
        while engine.get_stats()["cancelled_total"] < 2:
            await anyio.lowlevel.checkpoint()


async def test_a_stop_resolves_what_other_threads_wait_for() -> None:
    async def waits(pool: Any) -> None:
        await anyio.sleep_forever()

    engine = real_engine(max_concurrent_tasks=1)
    await engine.start()
    futures: list[concurrent.futures.Future[Any]] = []

    def submit() -> None:
        futures.extend(engine.schedule_threadsafe("a", "t", waits) for _ in range(3))

    await in_thread(submit)
    report = await engine.stop(grace=0)
    assert report.cancelled + len(report.pending) == 3
    for future in futures:
        with pytest.raises(TaskCancelled):
            future.result(30)


async def test_calls_from_a_wrong_thread_are_refused() -> None:
    async def work(pool: Any) -> None:
        return None

    agent = ToldAgent("agent")
    async with real_engine() as engine:
        task = await engine.schedule_task("a", "t", work, delay=1000)

        def assign() -> None:
            engine.max_concurrent_tasks = 3

        def assign_interval() -> None:
            engine.scheduler.min_interval = 3

        wrong: list[Any] = [
            task.cancel,
            lambda: asyncio.run(task.result()),
            assign,
            assign_interval,
            lambda: engine.track_agent(agent),
            lambda: engine.forget_agent("a"),
            engine.queue_snapshot,
            lambda: engine.run_history("a"),
            lambda: engine.subscribe(print),
            lambda: engine.add_health_listener(print),
            lambda: engine.remove_health_listener(print),
            lambda: engine.set_agent_priority("a", 1),
            lambda: engine.scheduler.update_timeout("a", "t"),
            lambda: engine.scheduler.update_execution_time("a", "t", 1.0),
            lambda: engine.scheduler.next_interval("a", "t", 1.0),
            lambda: asyncio.run(engine.schedule_task("a", "t", work)),
            lambda: asyncio.run(engine.schedule_agent_cycle(agent)),
            lambda: asyncio.run(engine.start()),
            lambda: asyncio.run(engine.stop()),
            lambda: asyncio.run(engine.check_health()),
        ]
        for call in wrong:
            with pytest.raises(RuntimeError, match="belongs to the loop"):
                await in_thread(call)
        assert engine.max_concurrent_tasks == 10
        assert task.state == "delayed"


async def test_statistics_can_be_read_from_another_thread_all_the_time() -> None:
    async def work(pool: Any) -> None:
        await anyio.lowlevel.checkpoint()

    stop = threading.Event()
    reads: list[int] = []

    async with real_engine() as engine:

        def read() -> None:
            while not stop.is_set():
                json.dumps(engine.get_stats())
                engine.agent_stats("a")
                reads.append(1)

        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, read)
            while len(reads) < 20:
                handles = [
                    await engine.schedule_task("a", "t", work, number % 5) for number in range(100)
                ]
                await handles[-1].result()
            stop.set()
        while engine.get_stats()["queued_tasks"]:
            await anyio.lowlevel.checkpoint()


async def test_cycles_and_deadlines_on_the_systems_clock() -> None:
    agent = ToldAgent("agent", {"interval": 0.01})
    await agent.start()
    three = asyncio.Event()

    async def body(pool: Any) -> dict[str, Any]:
        if len(agent.starts) == 3:
            three.set()
        return {}

    agent.body = body
    scheduler = AdaptiveScheduler({"system_sample_interval": 0, "min_interval": 0.01})
    async with ExecutionEngine(None, IdlePool(), scheduler) as engine:
        await engine.schedule_agent_cycle(agent)
        with anyio.fail_after(60):
            await three.wait()
        await agent.stop()


class SleepingClock:
    """The least a clock can be: it has no timers of its own."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return 0.0

    async def sleep(self, seconds: float, /) -> None:
        await asyncio.sleep(seconds / 100)


class FastClock(SleepingClock):
    """A hundred seconds pass in one."""

    def __init__(self) -> None:
        self.start = asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        return (asyncio.get_running_loop().time() - self.start) * 100


async def test_a_clock_that_can_only_sleep_will_do() -> None:
    clock = FastClock()
    engine = ExecutionEngine(
        {"stop_grace": 0}, IdlePool(), AdaptiveScheduler({"system_sample_interval": 0}), clock=clock
    )

    async def never(pool: Any) -> None:
        await anyio.sleep_forever()

    async def work(pool: Any) -> float:
        return clock.monotonic()

    async with engine:
        begin = clock.monotonic()
        delayed = await engine.schedule_task("a", "t", work, delay=2)
        limited = await engine.schedule_task("a", "t", never, timeout=1)
        with anyio.fail_after(60):
            assert await delayed.result() - begin >= 2
            with pytest.raises(TaskTimeout):
                await limited.result()


async def test_the_psutil_sampler_measures_this_machine() -> None:
    scheduler = AdaptiveScheduler({"system_sample_interval": 0.01})
    async with ExecutionEngine(None, IdlePool(), scheduler):
        with anyio.fail_after(60):
            while scheduler.system_load.cpu_usage is None:
                await anyio.lowlevel.checkpoint()
        assert 0 <= scheduler.system_load.cpu_usage <= 1
        assert scheduler.system_load.memory_usage is not None
        assert scheduler.system_load.network_usage is None
