"""Scheduling 9: statistics; test 28, but the part with threads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.scheduling.agent_book import AgentBook
from engine.scheduling.latency_window import LatencyWindow
from engine.testing.agent_bench import Gate, ToldAgent, quiet_engine
from engine.testing.manual_clock import ManualClock

pytestmark = pytest.mark.anyio

FIELDS: dict[str, type | tuple[type, ...]] = {
    "running": bool,
    "queued_tasks": int,
    "running_tasks": int,
    "agents_tracked": int,
    "resource_pool_stats": dict,
    "scheduler_stats": dict,
    "queued_by_priority": dict,
    "delayed_tasks": int,
    "ready_tasks": int,
    "parked_tasks": int,
    "completed_total": int,
    "failed_total": int,
    "timed_out_total": int,
    "cancelled_total": int,
    "skipped_total": int,
    "coalesced_total": int,
    "rejected_total": int,
    "abandoned": int,
    "oldest_ready_age_s": float,
    "dispatch_latency_ms": dict,
    "run_time_ms": dict,
    "loop_lag_ms": float,
    "uptime_s": float,
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def work(pool: Any) -> None:
    return None


def check(stats: dict[str, Any]) -> None:
    assert set(stats) == set(FIELDS)
    for name, kind in FIELDS.items():
        assert type(stats[name]) is kind, name
    assert set(stats["queued_by_priority"]) == {"CRITICAL", "HIGH", "NORMAL", "LOW", "IDLE"}
    for name in ("dispatch_latency_ms", "run_time_ms"):
        assert set(stats[name]) == {"count", "p50", "p95", "p99", "max"}
    queued = stats["delayed_tasks"] + stats["ready_tasks"] + stats["parked_tasks"]
    assert stats["queued_tasks"] == queued == sum(stats["queued_by_priority"].values())
    assert json.loads(json.dumps(stats)) == stats


async def test_every_field_is_there_in_every_state(clock: ManualClock) -> None:
    engine = quiet_engine(clock, max_concurrent_tasks=1)
    check(engine.get_stats())
    assert engine.get_stats()["dispatch_latency_ms"]["p99"] is None
    await engine.start()
    gate = Gate()
    await engine.schedule_task("a", "t", gate.task("x"), exclusive=True)
    await clock.run_for(2)
    check(engine.get_stats())
    await engine.schedule_task("a", "t", work, exclusive=True)
    await engine.schedule_task("a", "u", work, "idle")
    await engine.schedule_task("b", "t", work, "critical", delay=100)
    await clock.run_for(3)
    stats = engine.get_stats()
    check(stats)
    assert (stats["delayed_tasks"], stats["ready_tasks"], stats["parked_tasks"]) == (1, 1, 1)
    assert stats["oldest_ready_age_s"] == pytest.approx(3)
    assert stats["uptime_s"] == pytest.approx(5)
    assert (stats["running"], stats["running_tasks"], stats["agents_tracked"]) == (True, 1, 2)
    await engine.stop()
    check(engine.get_stats())


async def test_a_fresh_dictionary_each_time(clock: ManualClock) -> None:
    engine = quiet_engine(clock)
    engine.get_stats()["queued_by_priority"]["LOW"] = 77
    assert engine.get_stats()["queued_by_priority"]["LOW"] == 0


async def test_the_age_of_the_oldest_ready_task_skips_those_that_left(clock: ManualClock) -> None:
    gate = Gate()
    async with quiet_engine(clock, max_concurrent_tasks=1) as engine:
        await engine.schedule_task("a", "t", gate.task("x"))
        await clock.settle()
        first = await engine.schedule_task("a", "t", work)
        await clock.run_for(10)
        await engine.schedule_task("a", "t", work)
        await clock.run_for(5)
        assert engine.get_stats()["oldest_ready_age_s"] == pytest.approx(15)
        first.cancel()
        assert engine.get_stats()["oldest_ready_age_s"] == pytest.approx(5)


def test_percentiles_of_the_newest_1024() -> None:
    window = LatencyWindow()
    for number in range(2000):
        window.add(number / 1000)
    stats = window.stats()
    assert stats["count"] == 1024
    assert stats["max"] == pytest.approx(1999)
    assert stats["p50"] == pytest.approx(976 + 511)
    assert stats["p95"] == pytest.approx(976 + 972)
    assert stats["p99"] == pytest.approx(976 + 1013)


async def test_run_times_and_latencies_are_told(clock: ManualClock) -> None:
    async def slow(pool: Any) -> None:
        await clock.sleep(2)

    async with quiet_engine(clock, max_concurrent_tasks=1) as engine:
        for _ in range(2):
            await engine.schedule_task("a", "t", slow)
        await clock.run_for(10)
        stats = engine.get_stats()
    assert stats["run_time_ms"]["p50"] == pytest.approx(2000)
    assert stats["dispatch_latency_ms"]["max"] == pytest.approx(2000)
    assert stats["dispatch_latency_ms"]["p50"] == pytest.approx(0)


async def test_figures_of_one_agent(clock: ManualClock) -> None:
    agent = ToldAgent("agent", {"interval": 20})
    agent.clock = clock
    await agent.start()

    async def body(pool: Any) -> dict[str, Any]:
        await clock.sleep(3)
        if len(agent.starts) == 2:
            raise ValueError("first line\nsecond line")
        return {}

    agent.body = body
    async with quiet_engine(clock) as engine:
        await engine.schedule_agent_cycle(agent)
        await clock.run_for(1)
        running = engine.agent_stats("agent")
        assert running["running_s"] == pytest.approx(1)
        assert running["limit_s"] == pytest.approx(72)
        assert running["last_start"] == "1970-01-01T00:00:00.000000Z"
        await clock.run_for(24)
        stats = engine.agent_stats("agent")
        assert json.loads(json.dumps(stats)) == stats
        assert stats["last_start"] == "1970-01-01T00:00:20.000000Z"
        assert stats["last_end"] == "1970-01-01T00:00:23.000000Z"
        assert stats["next_due_s"] == pytest.approx(15)
        assert (stats["runs"], stats["failures_in_a_row"]) == (2, 1)
        assert stats["mean_run_time_s"] == stats["last_run_time_s"] == pytest.approx(3)
        assert stats["last_error"] == "ValueError: first line"
        assert stats["reliability"] == pytest.approx(0.9)
        assert stats["interval_s"] == pytest.approx(20)


async def test_an_unknown_agent_has_no_figures_and_gets_none(clock: ManualClock) -> None:
    async with quiet_engine(clock) as engine:
        stats = engine.agent_stats("nobody")
        assert (stats["runs"], stats["last_error"], stats["next_due_s"]) == (0, None, None)
        assert engine.run_history("nobody") == ()
        assert engine.get_stats()["agents_tracked"] == 0


async def test_listeners_see_every_transition(clock: ManualClock) -> None:
    seen: list[tuple[str, str | None, str]] = []
    async with quiet_engine(clock) as engine:
        unsubscribe = engine.subscribe(lambda task, old, new: seen.append((task.id, old, new)))

        def fails(task: Any, old: Any, new: Any) -> None:
            raise RuntimeError("a listener's own trouble")

        engine.subscribe(fails)
        task = await engine.schedule_task("a", "t", work, delay=1)
        await clock.run_for(2)
        unsubscribe()
        await (await engine.schedule_task("a", "t", work)).result()
    states = [(None, "delayed"), ("delayed", "ready"), ("ready", "running"), ("running", "done")]
    assert seen == [(task.id, *step) for step in states]


async def test_the_queue_can_be_looked_at(clock: ManualClock) -> None:
    gate = Gate()
    async with quiet_engine(clock, max_concurrent_tasks=1) as engine:
        await engine.schedule_task("a", "x", gate.task("x"), exclusive=True)
        await clock.settle()
        await engine.schedule_task("a", "x", work, exclusive=True)
        await engine.schedule_task("a", "low", work, "low")
        await engine.schedule_task("a", "high", work, "high")
        for delay in (30, 10, 20):
            await engine.schedule_task("a", f"in {delay}", work, delay=delay)
        shown = [(one.task_type, one.state.value) for one in engine.queue_snapshot()]
        assert shown == [
            ("high", "ready"),
            ("low", "ready"),
            ("x", "parked"),
            ("in 10", "delayed"),
            ("in 20", "delayed"),
            ("in 30", "delayed"),
        ]
        assert len(engine.queue_snapshot(limit=4)) == 4


async def test_ids_of_custom_tasks_are_forgotten_when_there_are_too_many(
    clock: ManualClock,
) -> None:
    async with quiet_engine(clock) as engine:
        engine._book = AgentBook(loose_ids=50)  # type: ignore[misc]  # a small one
        agent = ToldAgent("tracked")
        engine.track_agent(agent)
        busy = await engine.schedule_task("busy", "t", Gate().task("x"))
        for number in range(200):
            await engine.schedule_task(f"id {number}", "t", work)
            await clock.settle()
        stats = engine.get_stats()
        assert stats["agents_tracked"] <= 52
        assert stats["scheduler_stats"]["agents_tracked"] <= 51
        assert engine.agent_stats("busy")["running_tasks"] == 1
        assert engine.agent_stats("id 199")["runs"] == 1
        assert engine.agent_stats("id 0")["runs"] == 0
        assert busy.state == "running"
        assert engine._book.find("tracked") is not None
