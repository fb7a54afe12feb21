"""Rate windows (scheduling 8.3): exact, by priority, cancel-safe, closed by 429 and 418."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import httpx2
import pytest

from engine.scheduling.pool_errors import RateLimitTimeout
from engine.scheduling.rate_gate import RateGate
from engine.scheduling.resource_pool import ResourcePool
from engine.scheduling.task_priority import TaskPriority
from tests.unit.resource_pool.conftest import (
    MakePool,
    Script,
    StepClock,
    Task,
    outcome_of,
    running_as,
    settle,
)

pytestmark = pytest.mark.anyio
URL = "https://venue.test/v1/thing"
INF = float("inf")


def gate_of(clock: StepClock, limit: int, window_s: float = 60.0) -> RateGate:
    gate = RateGate("venue", clock, window_s)
    gate.set_limit(limit)
    return gate


class Starts:
    """Who got through, and when."""

    def __init__(self, clock: StepClock, gate: RateGate) -> None:
        self.log: list[tuple[str, float]] = []
        self._clock = clock
        self._gate = gate

    def taker(self, name: str, priority: int = 2) -> Callable[[], Coroutine[Any, Any, None]]:
        async def take() -> None:
            await self._gate.take(priority, INF)
            self.log.append((name, self._clock.now - 1000.0))

        return take

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.log]


async def test_the_window_lets_its_number_through_and_then_one_for_each_that_leaves(
    clock: StepClock,
) -> None:
    gate = gate_of(clock, 3)
    starts = Starts(clock, gate)
    async with anyio.create_task_group() as group:
        for name in "abc":
            group.start_soon(starts.taker(name))
            await clock.run_for(1.0)
        for name in "defg":
            group.start_soon(starts.taker(name))
        await clock.run_for(56.9)  # 59.9 s
        assert starts.names == ["a", "b", "c"]
        await clock.run_for(200.0)
    moments = [moment for _, moment in starts.log]
    assert starts.names == [*"abcdefg"]
    assert moments == pytest.approx([0, 1, 2, 60, 61, 62, 120], abs=0.001)
    assert all(later - earlier > 60.0 for earlier, later in zip(moments, moments[3:], strict=False))


async def test_a_free_permit_is_taken_without_waiting(clock: StepClock) -> None:
    gate = gate_of(clock, 2)
    await gate.take(2, clock.now)
    await gate.take(4, clock.now)
    assert clock.slept == []
    assert gate.starts_in_window() == 2
    assert gate.wait_total_s == 0.0


async def test_waiters_are_served_by_priority_and_then_by_arrival(clock: StepClock) -> None:
    gate = gate_of(clock, 1, 10.0)
    starts = Starts(clock, gate)
    async with anyio.create_task_group() as group:
        order = ["low", "idle", "normal1", "high", "normal2", "critical"]
        levels = {"low": 3, "idle": 4, "normal1": 2, "normal2": 2, "high": 1, "critical": 0}
        await gate.take(2, INF)
        for name in order:
            group.start_soon(starts.taker(name, levels[name]))
            await settle()
        assert gate.waiting == 6
        await clock.run_for(100.0)
    assert starts.names == ["critical", "high", "normal1", "normal2", "low", "idle"]
    assert gate.waiting == 0


async def test_a_stronger_waiter_overtakes_the_one_that_sleeps_for_its_turn(
    clock: StepClock,
) -> None:
    gate = gate_of(clock, 1, 10.0)
    starts = Starts(clock, gate)
    async with anyio.create_task_group() as group:
        await gate.take(2, INF)
        group.start_soon(starts.taker("first"))
        await clock.run_for(9.0)
        group.start_soon(starts.taker("urgent", 0))
        await clock.run_for(15.0)
        assert starts.names == ["urgent", "first"]
        assert [moment for _, moment in starts.log] == pytest.approx([10.0, 20.0], abs=0.001)


async def test_a_newcomer_does_not_slip_in_before_the_waiter_whose_turn_has_come(
    clock: StepClock,
) -> None:
    gate = gate_of(clock, 1, 10.0)
    starts = Starts(clock, gate)
    async with anyio.create_task_group() as group:
        await gate.take(2, INF)
        group.start_soon(starts.taker("waiter"))
        await settle()
        clock.advance(10.1)  # the permit is free, the waiter has not woken yet
        group.start_soon(starts.taker("newcomer"))
        await clock.run_for(15.0)
    assert starts.names == ["waiter", "newcomer"]


async def test_who_is_overtaken_beyond_its_deadline_is_told_when_its_turn_comes(
    clock: StepClock,
) -> None:
    gate = gate_of(clock, 1, 10.0)
    starts = Starts(clock, gate)
    told: list[float] = []

    async def patient() -> None:
        with pytest.raises(RateLimitTimeout):
            await gate.take(3, clock.now + 15.0)
        told.append(clock.now - 1000.0)

    async with anyio.create_task_group() as group:
        await gate.take(2, INF)
        group.start_soon(patient)
        await clock.run_for(5.0)
        group.start_soon(starts.taker("urgent", 0))
        await clock.run_for(20.0)
    assert starts.names == ["urgent"]
    assert told == pytest.approx([10.0], abs=0.001)
    assert gate.starts_in_window() == 0


async def test_a_cancelled_waiter_uses_nothing_and_the_next_one_moves_up(clock: StepClock) -> None:
    gate = gate_of(clock, 1, 10.0)
    starts = Starts(clock, gate)
    async with anyio.create_task_group() as group:
        await gate.take(2, INF)
        scopes = []
        for name in ("head", "second", "third"):
            scope = anyio.CancelScope()
            scopes.append(scope)

            async def take(name: str = name, scope: anyio.CancelScope = scope) -> None:
                with scope:
                    await starts.taker(name)()

            group.start_soon(take)
            await settle()
        scopes[0].cancel()
        scopes[1].cancel()
        await clock.run_for(10.5)
        assert starts.names == ["third"]
        assert gate.waiting == 0
        assert gate.starts_in_window() == 1


async def test_one_api_does_not_wait_for_another(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    pool = make_pool()
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(pool.http_request, "GET", URL, "slow", 1)
        await settle()
        assert script.sent == 1
        await pool.http_request("GET", URL, "fast", 1)
        assert script.sent == 2
        group.cancel_scope.cancel()


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 7])
async def test_the_wait_of_a_rank_is_known(clock: StepClock, rank: int) -> None:
    gate = gate_of(clock, 2, 10.0)
    starts = Starts(clock, gate)
    async with anyio.create_task_group() as group:
        await gate.take(2, INF)
        await clock.run_for(3.0)
        await gate.take(2, INF)
        expected = clock.now - 1000.0 + gate.expected_wait_s(rank)
        for number in range(rank + 1):
            group.start_soon(starts.taker(str(number)))
            await settle()
        await clock.run_for(100.0)
    assert starts.log[-1][1] == pytest.approx(expected, abs=0.0001)


async def test_a_turn_after_the_deadline_is_refused_at_once_and_uses_nothing(
    clock: StepClock,
) -> None:
    gate = gate_of(clock, 1, 10.0)
    await gate.take(2, INF)
    with pytest.raises(RateLimitTimeout, match=r"10\.000 s, the task has 5\.000 s left"):
        await gate.take(2, clock.now + 5.0)
    assert (gate.waiting, gate.starts_in_window(), clock.slept) == (0, 1, [])
    starts = Starts(clock, gate)
    async with anyio.create_task_group() as group:
        group.start_soon(starts.taker("waits"))
        await settle()
        with pytest.raises(RateLimitTimeout):  # its own turn would be the second one
            await gate.take(2, clock.now + 15.0)
        await clock.run_for(11.0)
    assert starts.names == ["waits"]


async def test_another_limit_replaces_the_old_one_and_keeps_the_history(
    clock: StepClock, caplog: pytest.LogCaptureFixture, make_pool: MakePool, script: Script
) -> None:
    pool = make_pool()
    for _ in range(3):
        await pool.http_request("GET", URL, "venue", 5)
    async with anyio.create_task_group() as group:
        with caplog.at_level(logging.WARNING, "engine.scheduling"):
            group.start_soon(pool.http_request, "GET", URL, "venue", 2)
            await settle()
            assert script.sent == 3  # three starts are remembered, two are allowed
            group.start_soon(pool.http_request, "GET", URL, "venue", 2)
            await settle()
        assert [record.getMessage() for record in caplog.records] == [
            "rate limit of venue changed from 5 to 2"
        ]
        await clock.run_for(61.0)
        assert script.sent == 5
    with caplog.at_level(logging.WARNING, "engine.scheduling"):
        await pool.http_request("GET", URL, "venue", 9)
    assert len(caplog.records) == 1  # said once


async def test_a_higher_limit_lets_waiters_through_at_once(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    pool = make_pool()
    await pool.http_request("GET", URL, "venue", 1)
    async with anyio.create_task_group() as group:
        group.start_soon(pool.http_request, "GET", URL, "venue", 1)
        await settle()
        assert script.sent == 1
        pool.configure_api("venue", rate_limit=2)
        await settle()
        assert script.sent == 2


async def test_a_shorter_window_counts_from_now_on(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    pool = make_pool()
    await pool.http_request("GET", URL, "venue", 1)
    async with anyio.create_task_group() as group:
        group.start_soon(pool.http_request, "GET", URL, "venue", 1)
        await clock.run_for(2.0)
        assert script.sent == 1
        pool.rate_limit_window = 1.0
        await settle()
        assert script.sent == 2


async def test_every_attempt_takes_a_permit_also_a_failed_one_and_a_retry(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [httpx2.ReadError("reset"), 503, 200]
    pool = make_pool()
    await outcome_of(clock, lambda: pool.http_request("GET", URL, "venue", 10), seconds=10.0)
    assert pool.health_check()["rate_limits"] == {"venue": 3}


async def test_no_limit_means_no_bookkeeping(make_pool: MakePool) -> None:
    pool = make_pool()
    for _ in range(100):
        await pool.http_request("GET", URL, "free")
    assert pool.health_check()["rate_limits"] == {}
    assert pool.get_stats()["rate_limited_apis"] == 0


async def test_health_check_forgets_starts_that_no_window_holds(
    clock: StepClock, make_pool: MakePool
) -> None:
    pool = make_pool()
    for _ in range(3):
        await pool.http_request("GET", URL, "venue", 10)
    assert pool.health_check()["rate_limits"] == {"venue": 3}
    clock.advance(60.0)
    assert pool.health_check()["rate_limits"] == {"venue": 3}  # both ends belong to a window
    clock.advance(0.001)
    assert pool.health_check()["rate_limits"] == {"venue": 0}


async def test_the_log_of_starts_does_not_grow_for_ever(clock: StepClock) -> None:
    gate = gate_of(clock, 5, 1.0)
    bucket = gate._bucket
    assert bucket is not None
    for _ in range(1000):
        await gate.take(2, INF)
        clock.advance(0.5)
    assert len(bucket.items) <= 2 * 5 + 64


async def ask(pool: ResourcePool, clock: StepClock, method: str, seconds: float = 0.0) -> object:
    return await outcome_of(clock, lambda: pool.http_request(method, URL, "venue"), seconds=seconds)


@pytest.mark.parametrize(
    ("status", "headers", "closed"),
    [
        (429, {"retry-after": "20"}, 20.0),
        (429, {}, 1.0),
        (418, {"retry-after": "20"}, 20.0),
        (418, {}, 120.0),
    ],
)
async def test_a_refusal_closes_the_gate_for_everyone_on_that_api(
    clock: StepClock,
    make_pool: MakePool,
    script: Script,
    status: int,
    headers: dict[str, str],
    closed: float,
) -> None:
    script.steps = [httpx2.Response(status, headers=headers), 200]
    pool = make_pool()
    assert await ask(pool, clock, "POST") == (status, "")
    assert pool.api_stats()["venue"]["closed_for_s"] == closed
    async with anyio.create_task_group() as group:
        group.start_soon(pool.http_request, "POST", URL, "venue")  # with and without a limit
        group.start_soon(pool.http_request, "POST", URL, "venue", 100)
        await clock.run_for(closed - 0.01)
        assert script.sent == 1
        await pool.http_request("GET", URL, "other")
        assert script.sent == 2
        await clock.run_for(0.02)
        assert script.sent == 4


async def test_the_longer_closing_stays(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [
        httpx2.Response(418, headers={"retry-after": "100"}),
        httpx2.Response(429, headers={"retry-after": "10"}),
    ]
    pool = make_pool()
    gate = RateGate("venue", clock, 60.0)
    gate.close_for(100.0)
    gate.close_for(10.0)
    assert gate.closed_for_s == 100.0
    assert await ask(pool, clock, "POST") == (418, "")


async def test_a_429_that_is_tried_again_waits_for_the_gate_and_no_longer(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [httpx2.Response(429, headers={"retry-after": "20"}), 200]
    pool = make_pool()
    assert await ask(pool, clock, "GET", seconds=20.1) == (200, "")


async def test_a_closing_beyond_the_deadline_wakes_waiters_with_the_reason(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    gate = gate_of(clock, 1, 10.0)
    await gate.take(2, INF)
    failures: list[BaseException] = []

    async def wait() -> None:
        try:
            await gate.take(2, clock.now + 15.0)
        except RateLimitTimeout as failure:
            failures.append(failure)

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await settle()
        gate.close_for(100.0)
        await settle()
        assert len(failures) == 1
        assert gate.waiting == 0


async def test_a_closed_gate_refuses_a_task_that_has_less_time(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    script.steps = [httpx2.Response(418), 200]
    pool = make_pool()
    await ask(pool, clock, "GET")
    with running_as(Task(deadline=clock.now + 72.0)):
        assert isinstance(await ask(pool, clock, "GET"), RateLimitTimeout)
    assert script.sent == 1


async def test_the_priority_of_the_running_task_counts(
    clock: StepClock, make_pool: MakePool, script: Script
) -> None:
    pool = make_pool(rate_limit_window=10.0)
    order: list[str] = []

    async def ask_as(priority: TaskPriority) -> None:
        with running_as(Task(priority=priority)):
            await pool.http_request("GET", URL, "venue", 1)
        order.append(priority.name)

    async with anyio.create_task_group() as group:
        await pool.http_request("GET", URL, "venue", 1)
        for priority in (TaskPriority.IDLE, TaskPriority.NORMAL, TaskPriority.CRITICAL):
            group.start_soon(ask_as, priority)
            await settle()
        await clock.run_for(50.0)
    assert order == ["CRITICAL", "NORMAL", "IDLE"]


async def test_the_time_at_gates_adds_up(clock: StepClock, make_pool: MakePool) -> None:
    pool = make_pool(rate_limit_window=10.0)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(pool.http_request, "GET", URL, "venue", 1)
        await clock.run_for(30.0)
    assert pool.get_stats()["rate_limit_wait_s"] == pytest.approx(30.0, abs=0.01)
    assert pool.api_stats()["venue"] == {
        "used": 1,
        "limit": 1,
        "window_s": 10.0,
        "waiting": 0,
        "closed_for_s": 0.0,
        "requests": 3,
        "retries": 0,
    }
