"""Scheduling: a thousand agents over a hundred simulated minutes; test 34."""

from __future__ import annotations

import gc
import random
from typing import Any

import pytest

from engine.scheduling import AdaptiveScheduler, ExecutionEngine
from engine.scheduling.run_record import RunRecord
from engine.scheduling.task_handle import TaskHandle
from engine.testing.agent_bench import IdlePool, ToldAgent
from engine.testing.manual_clock import ManualClock

pytestmark = pytest.mark.anyio

AGENTS, MINUTES, INTERVAL = 1000, 100, 600.0


def live(kind: type) -> int:
    gc.collect()
    return sum(isinstance(one, kind) for one in gc.get_objects())


async def test_a_thousand_agents_for_a_hundred_minutes() -> None:
    records_of_others = live(RunRecord)  # kept by tests before this one
    clock = ManualClock()
    draw = random.Random(23)
    scheduler = AdaptiveScheduler(
        {"system_sample_interval": 0, "performance_weight": 0}, clock=clock, rng=draw
    )
    engine = ExecutionEngine({"stop_grace": 0}, IdlePool(), scheduler, clock=clock, rng=draw)

    async def body(pool: Any) -> dict[str, Any]:
        chance = draw.random()
        if chance < 0.02:
            raise ValueError("as told")
        if chance < 0.2:
            await clock.sleep(chance)
        return {}

    await engine.start()
    agents = [ToldAgent(f"agent {n}", {"interval": INTERVAL}) for n in range(AGENTS)]
    for agent in agents:
        agent.clock = clock
        agent.logger.disabled = True
        agent.body = body
        await agent.start()
        await engine.schedule_agent_cycle(agent, delay=engine.first_delay(agent))
    await clock.run_for(30 * 60)
    handles, timers = live(TaskHandle), clock.pending_timers
    await clock.run_for((MINUTES - 30) * 60)
    stats = engine.get_stats()
    assert live(TaskHandle) <= handles + 50
    assert clock.pending_timers <= timers + 5
    assert stats["queued_tasks"] + stats["running_tasks"] == AGENTS
    starts = sum(len(agent.starts) for agent in agents)
    ended = stats["completed_total"] + stats["failed_total"]
    assert ended + stats["running_tasks"] == starts
    assert stats["timed_out_total"] == stats["cancelled_total"] == stats["skipped_total"] == 0
    # Ten in a hundred minutes, less what failures and their longer intervals cost.
    assert 9 * AGENTS < starts < 11.5 * AGENTS
    assert all(agent.overlap == 1 for agent in agents)
    assert all(len(engine.run_history(agent.agent_id)) <= 100 for agent in agents)
    assert live(RunRecord) <= ended + records_of_others
    report = await engine.stop()
    assert len(report.pending) + report.cancelled == AGENTS
