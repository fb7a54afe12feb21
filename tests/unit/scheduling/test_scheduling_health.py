"""Scheduling 10.1, 10.5, 7.5: health, alerts, load sampler; test 29."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from engine.scheduling import AgentStatus, AlertMonitor, HealthReport, LoadSampler, SystemLoad
from engine.scheduling.load_sampler import Reading, read_psutil
from engine.testing.agent_bench import (
    Gate,
    IdlePool,
    ToldAgent,
    quiet_engine,
    quiet_scheduler,
)
from engine.testing.manual_clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def work(pool: Any) -> None:
    return None


async def running_agent(clock: ManualClock, **config: Any) -> ToldAgent:
    agent = ToldAgent("agent", config)
    agent.clock = clock
    await agent.start()
    return agent


async def test_health_is_checked_at_the_start_and_then_in_intervals(clock: ManualClock) -> None:
    checks = 0

    class Pool(IdlePool):
        def health_check(self) -> dict[str, Any]:
            nonlocal checks
            checks += 1
            return super().health_check()

    async with quiet_engine(clock, pool=Pool()) as engine:
        await clock.settle()
        assert checks == 1
        await clock.run_for(150)
        assert checks == 3
        engine.health_check_interval = 5  # counts at once
        await clock.run_for(11)
        assert checks == 6
        assert engine.get_stats()["running_tasks"] == 0


async def test_the_health_task_survives_its_errors(clock: ManualClock, caplog: Any) -> None:
    class Pool(IdlePool):
        is_broken = True

        def health_check(self) -> dict[str, Any]:
            if self.is_broken:
                raise OSError("broken as told")
            return super().health_check()

    pool = Pool()
    with caplog.at_level(logging.ERROR):
        async with quiet_engine(clock, pool=pool) as engine:
            await clock.run_for(1)
            pool.is_broken = False
            engine.max_queue_size = 1
            await engine.schedule_task("a", "t", work, delay=1e6)
            await clock.run_for(60)
            assert engine.last_health.status == "degraded"
    assert "health check failed" in caplog.text


async def test_an_awaitable_pool_check_is_awaited(clock: ManualClock) -> None:
    class Pool(IdlePool):
        async def health_check(self) -> dict[str, Any]:  # type: ignore[override]  # what is tested
            return {"cache_size": 7}

    async with quiet_engine(clock, pool=Pool()) as engine:
        assert (await engine.check_health()).pool == {"cache_size": 7}


async def test_a_well_engine(clock: ManualClock) -> None:
    agent = await running_agent(clock, interval=10)
    async with quiet_engine(clock) as engine:
        await engine.schedule_agent_cycle(agent)
        await clock.run_for(25)
        report = await engine.check_health()
    assert report.status == "ok"
    assert json.loads(json.dumps(report.to_dict()))["queue_depth"] == 1


async def test_an_agent_that_never_ran_is_overdue(clock: ManualClock) -> None:
    agent = await running_agent(clock, interval=10)
    async with quiet_engine(clock) as engine:
        engine.track_agent(agent)
        report = await engine.check_health()
        assert (report.status, report.overdue) == ("degraded", ("agent",))
        agent.config["repeat"] = False
        assert (await engine.check_health()).overdue == ()


async def test_a_late_cycle_is_overdue_after_its_time(clock: ManualClock) -> None:
    agent = await running_agent(clock, interval=10)
    gate = Gate()
    async with quiet_engine(clock, max_concurrent_tasks=1, overdue_after=100) as engine:
        await engine.schedule_task("a", "t", gate.task("x"), timeout=1e6)
        await clock.settle()
        await engine.schedule_agent_cycle(agent)
        await clock.run_for(100)
        assert (await engine.check_health()).overdue == ()
        await clock.run_for(1)
        assert (await engine.check_health()).overdue == ("agent",)
        gate.release("x")
        await clock.run_for(1)
        assert (await engine.check_health()).overdue == ()


@pytest.mark.parametrize(
    "status", [AgentStatus.STOPPED, AgentStatus.ERROR, AgentStatus.INITIALIZED]
)
async def test_an_agent_that_does_not_run_is_never_overdue(
    clock: ManualClock, status: AgentStatus
) -> None:
    agent = ToldAgent("agent")
    agent.status = status
    async with quiet_engine(clock) as engine:
        engine.track_agent(agent)
        await clock.run_for(10_000)
        assert (await engine.check_health()).overdue == ()


async def test_a_running_cycle_is_not_overdue(clock: ManualClock) -> None:
    agent = await running_agent(clock, interval=1, cycle_timeout=1e5)
    gate = Gate()

    async def body(pool: Any) -> dict[str, Any]:
        await gate.task("x")(pool)
        return {}

    agent.body = body
    async with quiet_engine(clock) as engine:
        await engine.schedule_agent_cycle(agent)
        await clock.run_for(5_000)
        assert (await engine.check_health()).status == "ok"


@pytest.mark.parametrize(("level", "status"), [("low", "degraded"), ("critical", "critical")])
async def test_a_task_that_waits_for_too_long_is_starved(
    clock: ManualClock, level: str, status: str
) -> None:
    gate = Gate()
    async with quiet_engine(clock, max_concurrent_tasks=1, aging_interval=30) as engine:
        await engine.schedule_task("a", "t", gate.task("x"), timeout=1e6)
        await clock.settle()
        waiting = await engine.schedule_task("a", "t", work, level)
        await clock.run_for(120)
        assert (await engine.check_health()).starved == ()
        await clock.run_for(1)
        report = await engine.check_health()
        assert (report.status, report.starved) == (status, (waiting.id,))


async def test_a_lagging_loop_degrades(clock: ManualClock) -> None:
    async with quiet_engine(clock, health_check_interval=10) as engine:

        async def blocks(pool: Any) -> None:
            clock.block(3)

        await clock.run_for(5)
        await engine.schedule_task("a", "t", blocks, delay=4)
        await clock.run_for(4.5)
        await clock.run_for(5)
        report = engine.last_health
        assert report.loop_lag_ms == pytest.approx(2000)
        assert report.status == "degraded"
        assert engine.get_stats()["loop_lag_ms"] == pytest.approx(2000)


async def test_listeners_hear_changes_only(clock: ManualClock) -> None:
    heard: list[HealthReport] = []
    agent = await running_agent(clock, interval=10)
    async with quiet_engine(clock) as engine:

        def fails(report: HealthReport) -> None:
            raise RuntimeError("a listener's own trouble")

        engine.add_health_listener(fails)
        engine.add_health_listener(heard.append)
        await clock.run_for(120)
        assert heard == []
        engine.track_agent(agent)
        await clock.run_for(300)
        assert [report.status for report in heard] == ["degraded"]
        await engine.schedule_agent_cycle(agent)
        await clock.run_for(120)
        assert [report.status for report in heard] == ["degraded", "ok"]
        engine.remove_health_listener(heard.append)
        engine.remove_health_listener(fails)


# --- alerts ------------------------------------------------------------------------------------


def test_an_alert_is_raised_once_per_episode(clock: ManualClock) -> None:
    alerts = AlertMonitor(clock)
    seen: list[Any] = []
    unsubscribe = alerts.subscribe(seen.append)
    for value in (0.79, 0.8, 0.81, 0.99, 0.5, None, 0.9):
        alerts.evaluate({"cpu": value})
        clock.advance(10**9)
    assert [(one.raised_ns // 10**9, one.cleared_ns) for one in alerts.recent()] == [
        (6, None),
        (2, 4 * 10**9),
    ]
    assert [one.cleared_ns is None for one in seen] == [True, False, True]
    assert "81%" in seen[0].text
    unsubscribe()
    alerts.evaluate({"cpu": 0.1})
    assert len(seen) == 3
    assert json.loads(json.dumps([one.to_dict() for one in alerts.recent()]))


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("cpu", 0.8, 0.801),
        ("memory", 0.8, 0.801),
        ("disk", 0.8, 0.801),
        ("cache_hit_rate", 0.5, 0.499),
        ("http_error_rate", 0.05, 0.051),
        ("ready_tasks", 100, 101),
        ("engine_not_running", None, 1),
    ],
)
def test_limits_of_the_alerts(clock: ManualClock, kind: str, good: Any, bad: float) -> None:
    alerts = AlertMonitor(clock)
    alerts.evaluate({kind: good})
    assert alerts.recent() == ()
    alerts.evaluate({kind: bad})
    assert [one.kind for one in alerts.recent()] == [kind]
    silent = AlertMonitor(clock, {kind: False})
    silent.evaluate({kind: bad})
    assert silent.recent() == ()


def test_switching_an_alert_off_ends_its_episode(clock: ManualClock) -> None:
    alerts = AlertMonitor(clock)
    alerts.evaluate({"disk": 0.9})
    alerts.switch("disk", False)
    assert alerts.recent()[0].cleared_ns is not None
    alerts.switch("disk", True)
    alerts.evaluate({"disk": 0.9})
    assert len(alerts.recent()) == 2
    assert len(alerts.recent(limit=1)) == 1


def test_alerts_are_kept_for_a_day(clock: ManualClock) -> None:
    alerts = AlertMonitor(clock)
    alerts.evaluate({"cpu": 0.9})
    clock.block(24 * 3600)
    clock.step_wall(-7 * 24 * 3600)
    assert len(alerts.recent()) == 1
    clock.block(1)
    assert alerts.recent() == ()


async def test_the_engine_feeds_its_alerts(clock: ManualClock) -> None:
    pool = IdlePool()
    engine = quiet_engine(clock, pool=pool, max_concurrent_tasks=1)
    await engine.start()
    pool.stats.update(cache_hits=40, cache_misses=59, cache_hit_rate=0.4)
    pool.stats.update(http_requests=19, http_error_rate=0.5)
    await engine.schedule_task("a", "t", Gate().task("x"), timeout=1e6)
    await clock.settle()
    for _ in range(100):
        await engine.schedule_task("a", "t", Gate().task("x"))
    await clock.run_for(60)
    assert engine.alerts.recent() == ()
    pool.stats.update(cache_misses=60, http_requests=20)
    await engine.schedule_task("a", "t", work)
    await engine.schedule_task("a", "t", work)
    await clock.run_for(60)
    kinds = {one.kind for one in engine.alerts.recent()}
    assert kinds == {"cache_hit_rate", "http_error_rate", "ready_tasks"}
    await engine.stop()
    assert engine.alerts.recent()[0].kind == "engine_not_running"
    await engine.start()
    assert engine.alerts.recent()[0].cleared_ns is not None
    await engine.stop()


# --- load --------------------------------------------------------------------------------------


class Capacities:
    network_capacity: float | None = None
    io_capacity: float | None = None


async def test_the_first_cpu_reading_is_dropped(clock: ManualClock) -> None:
    readings = iter([Reading(0.99, 0.5, 0.3), Reading(0.2, 0.6, 0.4)])
    sampler = LoadSampler(clock, Capacities(), read=lambda: next(readings))
    await sampler.prime()
    assert sampler.disk_usage is None
    assert await sampler.sample() == SystemLoad(0.2, 0.6, None, None)
    assert sampler.disk_usage == 0.4


async def test_network_and_disk_are_shares_of_what_is_configured(clock: ManualClock) -> None:
    readings = iter(
        [
            Reading(0.1, 0.1, 0.1, 1000, 5000),
            Reading(0.1, 0.1, 0.1, 6000, 5000),
            Reading(0.1, 0.1, 0.1, 6000, 9000),
        ]
    )
    capacities = Capacities()
    capacities.network_capacity, capacities.io_capacity = 1000.0, 400.0
    sampler = LoadSampler(clock, capacities, read=lambda: next(readings))
    await sampler.prime()
    clock.block(10)
    load = await sampler.sample()
    assert (load.network_usage, load.io_usage) == (0.5, 0.0)
    clock.block(10)
    load = await sampler.sample()
    assert (load.network_usage, load.io_usage) == (0.0, 1.0)


async def test_a_failing_reading_is_not_measured_and_logged_once(
    clock: ManualClock, caplog: Any
) -> None:
    def read() -> Reading:
        raise OSError("no /proc")

    sampler = LoadSampler(clock, Capacities(), read=read)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert await sampler.sample() == SystemLoad(None, None, None, None)
    assert caplog.text.count("cannot be read") == 1


def test_the_real_reading_gives_shares() -> None:
    reading = read_psutil()
    for share in (reading.cpu, reading.memory, reading.disk):
        assert share is not None
        assert 0.0 <= share <= 1.0


class ToldSampler(LoadSampler):
    """Gives a load without a thread."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock, Capacities())
        self.calls: list[str] = []
        self.load = SystemLoad(0.9, 0.2, None, None)

    async def prime(self) -> None:
        self.calls.append("prime")

    async def sample(self) -> SystemLoad:
        self.calls.append("sample")
        self.disk_usage = 0.9
        return self.load


async def test_the_engine_samples_the_load_in_intervals(clock: ManualClock) -> None:
    from engine.scheduling import ExecutionEngine

    sampler = ToldSampler(clock)
    scheduler = quiet_scheduler(clock, system_sample_interval=5)
    engine = ExecutionEngine(None, IdlePool(), scheduler, clock=clock, sampler=sampler)
    await engine.start()
    await clock.run_for(4)
    assert sampler.calls == ["prime"]
    assert scheduler.explain("a", "cycle", 60).system == 1.0
    await clock.run_for(7)
    assert sampler.calls == ["prime", "sample", "sample"]
    assert scheduler.system_load == sampler.load
    assert {one.kind for one in engine.alerts.recent()} == {"cpu", "disk"}
    scheduler.system_sample_interval = 0
    await clock.run_for(100)
    assert len(sampler.calls) == 3
    scheduler.system_sample_interval = 1
    await clock.run_for(3)
    assert len(sampler.calls) >= 5
    await engine.stop()
