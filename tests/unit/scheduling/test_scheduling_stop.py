"""Scheduling 10: start and stop; tests 14 and 15."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import anyio
import pytest

from engine.scheduling import EngineNotRunning, StopReport, TaskCancelled
from engine.testing.agent_bench import Gate, IdlePool, ToldAgent, quiet_engine, quiet_scheduler
from engine.testing.manual_clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def work(pool: Any) -> None:
    return None


async def test_an_idle_engine_stops_without_the_clock_moving(clock: ManualClock) -> None:
    engine = quiet_engine(clock, stop_grace=10)
    await engine.start()
    await clock.settle()
    assert engine.running
    report = await engine.stop()
    assert report == StopReport()
    assert not engine.running
    assert engine.get_stats()["uptime_s"] == 0.0
    assert clock.pending_timers == 0
    assert await engine.stop() == StopReport()


async def test_a_second_start_only_warns(clock: ManualClock, caplog: Any) -> None:
    async with quiet_engine(clock) as engine:
        with caplog.at_level(logging.WARNING):
            await engine.start()
        assert "running already" in caplog.text


async def test_two_concurrent_starts_start_once(clock: ManualClock) -> None:
    engine = quiet_engine(clock)
    async with anyio.create_task_group() as group:
        group.start_soon(engine.start)
        group.start_soon(engine.start)
    assert engine.running
    await engine.stop()


async def test_an_engine_that_does_not_run_refuses_work(clock: ManualClock) -> None:
    engine = quiet_engine(clock)
    agent = ToldAgent("a")
    for _ in range(2):  # before its start and after its stop
        with pytest.raises(EngineNotRunning):
            await engine.schedule_task("a", "t", work)
        with pytest.raises(EngineNotRunning):
            await engine.schedule_agent_cycle(agent)
        with pytest.raises(EngineNotRunning):
            engine.schedule_threadsafe("a", "t", work)
        await engine.start()
        await engine.stop()


async def test_running_tasks_may_end_within_the_grace(clock: ManualClock) -> None:
    async def short(pool: Any) -> str:
        await clock.sleep(3)
        return "ended"

    engine = quiet_engine(clock, stop_grace=10)
    await engine.start()
    handle = await engine.schedule_task("a", "t", short)
    await clock.settle()
    async with anyio.create_task_group() as group:
        reports: list[StopReport] = []

        async def stop() -> None:
            reports.append(await engine.stop())

        group.start_soon(stop)
        await clock.run_for(2)
        assert reports == []
        with pytest.raises(EngineNotRunning):
            await engine.schedule_task("a", "t", work)
        await clock.run_for(2)
    assert reports == [StopReport(completed=1)]
    assert await handle.result() == "ended"


async def test_after_the_grace_running_tasks_are_cancelled_and_then_abandoned(
    clock: ManualClock,
) -> None:
    async def stubborn(pool: Any) -> None:
        until = clock.monotonic() + 100
        while clock.monotonic() < until:
            try:
                await clock.sleep(until - clock.monotonic())
            except asyncio.CancelledError:
                continue

    gate = Gate()
    engine = quiet_engine(clock, stop_grace=10, cancel_grace=5)
    await engine.start()
    obedient = await engine.schedule_task("a", "t", gate.task("x"))
    ignoring = await engine.schedule_task("a", "t", stubborn)
    await clock.settle()
    async with anyio.create_task_group() as group:
        reports: list[StopReport] = []

        async def stop() -> None:
            reports.append(await engine.stop())

        group.start_soon(stop)
        await clock.run_for(9)
        assert obedient.state == "running"
        await clock.run_for(2)
        assert obedient.state == "cancelled"
        assert reports == []
        await clock.run_for(5)
    assert reports == [StopReport(cancelled=1, abandoned=1)]
    assert ignoring.state == "abandoned"
    assert engine.get_stats()["abandoned"] == 1
    await clock.run_for(100)
    assert engine.get_stats()["abandoned"] == 0


async def test_the_report_lists_everything_that_did_not_run(clock: ManualClock) -> None:
    gate = Gate()
    engine = quiet_engine(clock, max_concurrent_tasks=1)
    await engine.start()
    await engine.schedule_task("a", "x", gate.task("x"), exclusive=True)
    await clock.settle()
    waiting = [
        await engine.schedule_task("a", "x", work, exclusive=True),
        await engine.schedule_task("b", "ready", work, "low"),
        await engine.schedule_task("c", "delayed", work, delay=30),
    ]
    report = await engine.stop()
    assert report.cancelled == 1
    assert [(one.id, one.state, one.priority, one.due_in) for one in report.pending] == [
        ("a:x:2", "parked", 2, 0.0),
        ("b:ready:3", "ready", 3, 0.0),
        ("c:delayed:4", "delayed", 2, 30.0),
    ]
    for handle in waiting:
        assert handle.state == "cancelled"
        with pytest.raises(TaskCancelled):
            await handle.result()
    assert json.loads(json.dumps(report.to_dict()))["pending"][1]["priority"] == "LOW"
    stats = engine.get_stats()
    assert (stats["queued_tasks"], stats["cancelled_total"]) == (0, 4)


async def test_drain_starts_what_is_ready_but_not_what_is_delayed(clock: ManualClock) -> None:
    async def short(pool: Any) -> None:
        await clock.sleep(1)

    engine = quiet_engine(clock, max_concurrent_tasks=1)
    await engine.start()
    for _ in range(3):
        await engine.schedule_task("a", "ready", short)
    await engine.schedule_task("a", "delayed", short, delay=1.5)
    agent = ToldAgent("agent", {"interval": 1})
    await agent.start()
    await engine.schedule_agent_cycle(agent)
    async with anyio.create_task_group() as group:
        reports: list[StopReport] = []

        async def stop() -> None:
            reports.append(await engine.stop(grace=20, drain=True))

        group.start_soon(stop)
        await clock.run_for(10)
    assert [one.task_type for one in reports[0].pending] == ["delayed"]
    assert reports[0].completed == 4
    assert len(agent.starts) == 1  # a drained cycle is not repeated


async def test_a_drain_that_does_not_fit_into_the_grace_is_cut(clock: ManualClock) -> None:
    async def short(pool: Any) -> None:
        await clock.sleep(1)

    engine = quiet_engine(clock, max_concurrent_tasks=1)
    await engine.start()
    for _ in range(10):
        await engine.schedule_task("a", "ready", short)
    async with anyio.create_task_group() as group:
        reports: list[StopReport] = []

        async def stop() -> None:
            reports.append(await engine.stop(grace=3.5, drain=True))

        group.start_soon(stop)
        await clock.run_for(10)
    report = reports[0]
    assert (report.completed, report.cancelled, len(report.pending)) == (3, 1, 6)


async def test_a_start_after_a_stop_begins_with_an_empty_queue(clock: ManualClock) -> None:
    gate = Gate()
    engine = quiet_engine(clock, max_concurrent_tasks=1)
    await engine.start()
    for number in range(5):
        await engine.schedule_task("a", "t", gate.task(str(number)), delay=number)
    await engine.stop()
    await engine.start()
    await clock.run_for(100)
    assert engine.get_stats()["queued_tasks"] == 0
    assert gate.started == []
    handle = await engine.schedule_task("a", "t", work)
    await handle.result()
    await engine.stop()


async def test_stop_in_the_middle_of_ten_thousand_ready_tasks(clock: ManualClock) -> None:
    ran = 0

    async def count(pool: Any) -> None:
        nonlocal ran
        ran += 1
        await asyncio.sleep(0)

    engine = quiet_engine(clock, max_concurrent_tasks=50)
    await engine.start()
    handles = [await engine.schedule_task("a", "t", count) for _ in range(10_000)]
    for _ in range(20):
        await asyncio.sleep(0)
    report = await engine.stop()
    stats = engine.get_stats()
    assert 0 < ran < 10_000
    assert stats["queued_tasks"] == stats["running_tasks"] == 0
    assert stats["completed_total"] + stats["cancelled_total"] == 10_000
    assert all(handle.is_final for handle in handles)
    assert len(report.pending) + report.cancelled + stats["completed_total"] == 10_000


async def test_a_task_may_stop_the_engine_it_runs_on(clock: ManualClock) -> None:
    engine = quiet_engine(clock, stop_grace=10)
    await engine.start()
    reports: list[StopReport] = []

    async def stops(pool: Any) -> str:
        reports.append(await engine.stop())
        return "and goes on to its end"

    handle = await engine.schedule_task("a", "t", stops)
    assert await handle.result() == "and goes on to its end"
    assert reports == [StopReport()]
    assert not engine.running
    assert engine.get_stats()["running_tasks"] == 0
    await engine.start()
    await (await engine.schedule_task("a", "t", work)).result()
    await engine.stop()


async def test_two_stops_at_the_same_time_share_one(clock: ManualClock) -> None:
    gate = Gate()
    engine = quiet_engine(clock, stop_grace=10)
    await engine.start()
    await engine.schedule_task("a", "t", gate.task("x"))
    await clock.settle()
    reports: list[StopReport] = []

    async def stop() -> None:
        reports.append(await engine.stop())

    async with anyio.create_task_group() as group:
        group.start_soon(stop)
        group.start_soon(stop)
        await clock.run_for(1)
        gate.release("x")
    assert reports == [StopReport(completed=1)] * 2


async def test_a_start_during_a_stop_waits_for_it(clock: ManualClock) -> None:
    gate = Gate()
    engine = quiet_engine(clock, stop_grace=10)
    await engine.start()
    await engine.schedule_task("a", "t", gate.task("x"))
    await clock.settle()
    async with anyio.create_task_group() as group:
        group.start_soon(engine.stop)
        await clock.settle()
        group.start_soon(engine.start)
        await clock.settle()
        gate.release("x")
    assert engine.running
    await engine.stop()


async def test_cancelling_a_stop_releases_the_slots_all_the_same(clock: ManualClock) -> None:
    gate = Gate()
    engine = quiet_engine(clock, stop_grace=1000)
    await engine.start()
    handle = await engine.schedule_task("a", "t", gate.task("x"))
    await clock.settle()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(engine.stop)
            await clock.run_for(1)
            scope.cancel()
    await clock.settle()
    assert handle.state == "cancelled"
    assert not engine.running
    assert engine.get_stats()["running_tasks"] == 0


class NotedPool(IdlePool):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    async def open(self) -> None:
        self.calls.append("open")

    async def close(self) -> None:
        self.calls.append("close")


async def test_a_pool_of_others_is_neither_opened_nor_closed(clock: ManualClock) -> None:
    pool = NotedPool()
    async with quiet_engine(clock, pool=pool):
        pass
    assert pool.calls == []


async def test_a_pool_that_cannot_be_closed_does_not_keep_the_engine(
    clock: ManualClock, caplog: Any
) -> None:
    from engine.scheduling import ExecutionEngine

    engine = ExecutionEngine(scheduler=quiet_scheduler(clock), clock=clock)

    async def close() -> None:
        raise OSError("as told")

    await engine.start()
    plain = engine.resource_pool.close
    engine.resource_pool.close = close
    with caplog.at_level(logging.ERROR):
        assert await engine.stop() == StopReport()
    assert "did not stop cleanly" in caplog.text
    assert not engine.running
    assert clock.pending_timers == 0
    await plain()


async def test_the_engines_own_pool_is_opened_and_closed(clock: ManualClock) -> None:
    from engine.scheduling import ExecutionEngine, PoolClosed

    engine = ExecutionEngine(scheduler=quiet_scheduler(clock), clock=clock)
    await engine.start()
    await engine.resource_pool.cache_set("key", 1)
    await engine.stop()
    with pytest.raises(PoolClosed):
        await engine.resource_pool.cache_get("key")
    await engine.start()
    assert await engine.resource_pool.cache_get("key") is None
    await engine.stop()


def test_an_engine_whose_loop_was_closed_can_be_started_on_another() -> None:
    clock = ManualClock()
    gate = Gate()
    engine = quiet_engine(clock)

    async def leave_it() -> Any:
        await engine.start()
        handle = await engine.schedule_task("a", "t", gate.task("x"))
        await clock.settle()
        return handle

    async def again() -> None:
        await engine.start()
        await (await engine.schedule_task("a", "t", work)).result()
        await engine.stop()

    handle = asyncio.run(leave_it())
    asyncio.run(again())
    assert handle.state == "cancelled"
    assert engine.get_stats()["running_tasks"] == 0


def test_a_loop_that_ends_gets_no_new_tasks() -> None:
    import gc
    import warnings

    clock = ManualClock()
    gate = Gate()
    engine = quiet_engine(clock, max_concurrent_tasks=3)

    async def leave_it() -> None:
        await engine.start()
        for number in range(100):
            await engine.schedule_task("a", "t", gate.task(str(number)))
        await clock.settle()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(leave_it())
        gc.collect()
    assert gate.started == ["0", "1", "2"]
    assert engine.get_stats()["running_tasks"] == 0


def test_tasks_destroyed_with_their_loop_are_quiet() -> None:
    import gc

    clock = ManualClock()
    gate = Gate()
    engine = quiet_engine(clock, max_concurrent_tasks=1)

    async def leave_it() -> None:
        await engine.start()
        for number in range(3):
            await engine.schedule_task("a", "t", gate.task(str(number)))
        await clock.settle()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave_it())
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # the loop's own complaint
    loop.close()
    asyncio.run(engine.start())
    gc.collect()
    assert gate.started == ["0"]
    assert engine.get_stats()["queued_tasks"] == 0
