"""The pool as tasks of the execution engine use it: their priority, their deadline, its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx2
import pytest

from engine.scheduling import (
    ExecutionEngine,
    PoolClosed,
    RateLimitTimeout,
    ResourcePool,
    TaskPriority,
)
from engine.testing.manual_clock import ManualClock

pytestmark = pytest.mark.anyio
URL = "https://venue.test/v1/time"
QUIET = {"scheduler": {"system_sample_interval": 0}}


@pytest.fixture
def clock() -> ManualClock:  # another one than the conftest's: the engine's
    return ManualClock()


@pytest.fixture
async def engine(anyio_backend: str, clock: ManualClock) -> AsyncIterator[ExecutionEngine]:
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, json=[1]))
    async with ResourcePool(clock=clock, transport=transport) as pool:
        running = ExecutionEngine(QUIET, pool, clock=clock)
        await running.start()
        yield running
        await running.stop(grace=0.0)


async def test_a_task_gets_the_pool_and_its_answer(
    engine: ExecutionEngine, clock: ManualClock
) -> None:
    async def work(pool: ResourcePool) -> Any:
        return await pool.http_request("GET", URL)

    handle = await engine.schedule_task("agent", "fetch", work)
    await clock.settle()
    assert await handle.result() == (200, [1])
    assert engine.get_stats()["resource_pool_stats"]["http_requests"] == 1


async def test_the_tasks_priority_orders_the_gate(
    engine: ExecutionEngine, clock: ManualClock
) -> None:
    order: list[str] = []

    def work_as(name: str) -> Any:
        async def work(pool: ResourcePool) -> None:
            await pool.http_request("GET", URL, "venue", 1)
            order.append(name)

        return work

    for name in ("NORMAL", "LOW", "IDLE", "HIGH", "CRITICAL"):
        await engine.schedule_task("agent", name, work_as(name), TaskPriority[name], timeout=1000.0)
        await clock.settle()
    await clock.run_for(400.0)
    # The first one found the gate open; the others are served by level, not by arrival.
    assert order == ["NORMAL", "CRITICAL", "HIGH", "LOW", "IDLE"]


async def test_a_wait_beyond_the_tasks_deadline_is_an_error_at_once_and_no_time_out(
    engine: ExecutionEngine, clock: ManualClock
) -> None:
    async def work(pool: ResourcePool) -> None:
        for _ in range(2):
            await pool.http_request("GET", URL, "venue", 1)

    handle = await engine.schedule_task("agent", "fetch", work, timeout=40.0)
    await clock.settle()
    with pytest.raises(RateLimitTimeout, match=r"has 48\.000 s left"):
        await handle.result()
    stats = engine.get_stats()
    assert (stats["failed_total"], stats["timed_out_total"]) == (1, 0)


async def test_waiting_at_a_gate_counts_towards_the_timeout(
    engine: ExecutionEngine, clock: ManualClock
) -> None:
    async def hold(pool: ResourcePool) -> None:
        await pool.http_request("GET", URL, "venue", 1)

    async def overtaken(pool: ResourcePool) -> None:
        await pool.http_request("GET", URL, "venue", 1)

    await engine.schedule_task("agent", "hold", hold)
    await clock.settle()
    waiting = await engine.schedule_task("agent", "wait", overtaken, TaskPriority.LOW, timeout=60.0)
    await clock.settle()
    for number in range(3):
        await engine.schedule_task("agent", f"more{number}", hold, TaskPriority.HIGH, timeout=500.0)
    await clock.run_for(72.5)
    assert waiting.state == "timed_out"
    assert engine.resource_pool.api_stats()["venue"]["waiting"] == 2


async def test_the_engines_own_pool_is_closed_with_it(clock: ManualClock) -> None:
    engine = ExecutionEngine({**QUIET, "resource_pool": {"cache_ttl": 5}}, clock=clock)
    await engine.start()
    assert engine.resource_pool.cache_ttl == 5
    client = await engine.resource_pool.get_http_client()
    await engine.stop()
    assert client.is_closed
    with pytest.raises(PoolClosed):
        await engine.resource_pool.cache_get("key")
    await engine.start()
    assert await engine.resource_pool.cache_get("key") is None
    await engine.stop()


async def test_a_shared_factory_outlives_the_task_that_started_it(
    engine: ExecutionEngine, clock: ManualClock
) -> None:
    let_go = anyio.Event()
    runs = 0

    async def factory() -> str:
        nonlocal runs
        runs += 1
        await let_go.wait()
        return "made"

    async def work(pool: ResourcePool) -> Any:
        return await pool.cache_get_or_set("key", factory)

    first = await engine.schedule_task("agent", "first", work)
    await clock.settle()
    second = await engine.schedule_task("agent", "second", work)
    await clock.settle()
    first.cancel()
    await clock.settle()
    let_go.set()
    await clock.settle()
    assert await second.result() == "made"
    assert first.state == "cancelled"
    assert runs == 1
