"""Scheduling 5: cycles one at a time, merged, repeated; tests 7, 8 and 9."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from engine.scheduling import (
    AgentStatus,
    CycleFailed,
    TaskCancelled,
    TaskPriority,
)
from engine.testing.agent_bench import Gate, ToldAgent, quiet_engine, quiet_scheduler
from engine.testing.manual_clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def told(clock: ManualClock, **config: Any) -> ToldAgent:
    agent = ToldAgent("agent", config)
    agent.clock = clock
    await agent.start()
    return agent


def lasting(clock: ManualClock, seconds: float) -> Any:
    async def body(pool: Any) -> Mapping[str, Any]:
        await clock.sleep(seconds)
        return {}

    return body


async def test_cycles_repeat_from_start_to_start(clock: ManualClock) -> None:
    agent = await told(clock, interval=10)
    agent.body = lasting(clock, 4)
    async with quiet_engine(clock) as engine:
        await engine.schedule_agent_cycle(agent)
        await clock.run_for(35)
    assert agent.starts == pytest.approx([0, 10, 20, 30], abs=1e-6)


async def test_a_long_cycle_is_followed_after_the_least_pause_and_nothing_is_replayed(
    clock: ManualClock,
) -> None:
    agent = await told(clock, interval=10, cycle_timeout=100)
    agent.body = lasting(clock, 37)
    async with quiet_engine(clock, scheduler=quiet_scheduler(clock, min_interval=3)) as engine:
        await engine.schedule_agent_cycle(agent)
        await clock.run_for(39)
        agent.body = lasting(clock, 1)
        await clock.run_for(30)
    # 37 + 3, then in its own rhythm again: no burst for the three missed periods.
    assert agent.starts == pytest.approx([0, 40, 50, 60], abs=1e-6)


async def test_failing_and_timed_out_cycles_repeat_too(clock: ManualClock) -> None:
    agent = await told(clock, interval=10, cycle_timeout=5)
    calls = 0

    async def body(pool: Any) -> Mapping[str, Any]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ValueError("broken")
        if calls == 2:
            await clock.sleep(100)
        return {}

    agent.body = body
    async with quiet_engine(clock) as engine:
        await engine.schedule_agent_cycle(agent)
        await clock.run_for(25)
        stats = engine.get_stats()
        figures = engine.agent_stats("agent")
        history = engine.run_history("agent")
    assert agent.starts == pytest.approx([0, 10, 20], abs=1e-6)
    totals = (stats["completed_total"], stats["failed_total"], stats["timed_out_total"])
    assert totals == (1, 1, 1)
    assert (figures["runs"], figures["errors"], figures["timeouts"]) == (3, 1, 1)
    assert [one.outcome for one in history] == ["failed", "timed_out", "done"]
    assert history[0].error == "ValueError: broken"
    assert (agent.metrics["cycles_completed"], agent.metrics["cycles_failed"]) == (1, 2)


async def test_repeat_false_runs_once(clock: ManualClock) -> None:
    agent = await told(clock, interval=10, repeat=False)
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_agent_cycle(agent)
        await clock.run_for(100)
        assert handle.state == "done"
        assert (await handle.result())["success"] is True
    assert len(agent.starts) == 1


async def test_scheduling_while_one_waits_merges(clock: ManualClock) -> None:
    agent = await told(clock, interval=100)
    async with quiet_engine(clock) as engine:
        first = await engine.schedule_agent_cycle(agent, TaskPriority.LOW, delay=50)
        later = await engine.schedule_agent_cycle(agent, TaskPriority.HIGH, delay=60)
        assert later is first
        assert first.priority is TaskPriority.HIGH
        assert first.due_in == pytest.approx(50)
        sooner = await engine.schedule_agent_cycle(agent, TaskPriority.IDLE, delay=20)
        assert sooner is first
        assert first.priority is TaskPriority.HIGH
        assert first.due_in == pytest.approx(20)
        stats = engine.get_stats()
        assert (stats["coalesced_total"], stats["queued_tasks"]) == (2, 1)
        assert stats["queued_by_priority"]["HIGH"] == 1
        await clock.run_for(30)
        assert agent.starts == pytest.approx([20], abs=1e-6)
        # A one-off level does not change the cycles that follow (5.3).
        assert engine.get_stats()["queued_by_priority"]["NORMAL"] == 1


async def test_a_merge_with_delay_0_makes_a_delayed_cycle_ready(clock: ManualClock) -> None:
    agent = await told(clock, interval=100)
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_agent_cycle(agent, delay=50)
        assert handle.state == "delayed"
        await engine.schedule_agent_cycle(agent)
        assert handle.state == "ready"
        await clock.settle()
        assert handle.state == "done"
        assert clock.pending_timers >= 1
        await clock.run_for(60)
        assert len(agent.starts) == 1


async def test_scheduling_while_one_runs_queues_exactly_one_follow_up(clock: ManualClock) -> None:
    agent = await told(clock, interval=1000)
    agent.body = lasting(clock, 5)
    async with quiet_engine(clock) as engine:
        running = await engine.schedule_agent_cycle(agent)
        await clock.settle()
        follow_ups = [await engine.schedule_agent_cycle(agent) for _ in range(4)]
        assert {id(one) for one in follow_ups} == {id(follow_ups[0])}
        assert follow_ups[0] is not running
        assert follow_ups[0].state == "parked"
        stats = engine.get_stats()
        assert (stats["parked_tasks"], stats["running_tasks"]) == (1, 1)
        assert stats["coalesced_total"] == 3
        await clock.run_for(20)
    assert agent.starts == pytest.approx([0, 5], abs=1e-6)
    assert agent.overlap == 1


async def test_a_delayed_cycle_parks_when_it_is_due_while_one_runs(clock: ManualClock) -> None:
    agent = await told(clock, interval=1000)
    agent.body = lasting(clock, 5)
    gate = Gate()
    async with quiet_engine(clock, max_concurrent_tasks=2) as engine:
        await engine.schedule_agent_cycle(agent)
        await clock.settle()
        waiting = await engine.schedule_agent_cycle(agent, delay=2)
        await clock.run_for(3)
        assert waiting.state == "parked"
        # It holds neither a slot nor the head of its queue (3.4).
        await engine.schedule_task("x", "t", gate.task("other"))
        await clock.settle()
        assert gate.started == ["other"]
        await clock.run_for(10)
        assert waiting.state == "done"
        gate.release("other")


async def test_a_parked_task_returns_to_its_place_by_due_time(clock: ManualClock) -> None:
    order: list[str] = []
    gate = Gate()

    def task(name: str) -> Any:
        async def work(pool: Any) -> None:
            order.append(name)

        return work

    async with quiet_engine(clock, max_concurrent_tasks=2) as engine:
        await engine.schedule_task("a", "x", gate.task("exclusive"), exclusive=True)
        await engine.schedule_task("a", "y", gate.task("other"))
        await clock.settle()
        await engine.schedule_task("a", "x", task("parked first"), exclusive=True)
        await clock.run_for(1)
        await engine.schedule_task("a", "y", task("ready later"))
        gate.release("exclusive")
        await clock.settle()
        gate.release("other")
    assert order == ["parked first", "ready later"]


async def test_a_cycle_scheduled_inside_a_cycle_replaces_the_automatic_one(
    clock: ManualClock,
) -> None:
    agent = await told(clock, interval=10)
    async with quiet_engine(clock) as engine:

        async def body(pool: Any) -> Mapping[str, Any]:
            if len(agent.starts) == 1:
                await engine.schedule_agent_cycle(agent, delay=33)
            return {}

        agent.body = body
        await engine.schedule_agent_cycle(agent)
        await clock.run_for(45)
    assert agent.starts == pytest.approx([0, 33, 43], abs=1e-6)


async def test_two_starts_give_one_chain_of_cycles(clock: ManualClock) -> None:
    agent = await told(clock, interval=10)
    agent.body = lasting(clock, 3)
    async with quiet_engine(clock) as engine:
        await engine.schedule_agent_cycle(agent)
        await clock.run_for(1)
        await engine.schedule_agent_cycle(agent)
        await clock.run_for(60)
    assert agent.overlap == 1
    assert len(agent.starts) <= 8


async def test_a_cycle_of_an_agent_that_does_not_run_is_skipped(clock: ManualClock) -> None:
    agent = await told(clock, interval=10)
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_agent_cycle(agent, delay=5)
        agent.status = AgentStatus.STOPPED
        await clock.run_for(100)
        assert handle.state == "cancelled"
        assert handle.skipped
        assert handle.event_status == "skipped"
        with pytest.raises(TaskCancelled, match="skipped"):
            await handle.result()
        stats = engine.get_stats()
        assert (stats["skipped_total"], stats["cancelled_total"]) == (1, 0)
        assert stats["queued_tasks"] == stats["running_tasks"] == 0
        # No sample for the adaptive scheduler, and no repetition.
        assert stats["scheduler_stats"]["agents_tracked"] == 0
    assert agent.starts == []


async def test_a_cycle_cancelled_from_outside_is_no_sample_and_is_not_repeated(
    clock: ManualClock,
) -> None:
    agent = await told(clock, interval=10)
    agent.body = lasting(clock, 5)
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_agent_cycle(agent)
        await clock.run_for(1)
        assert handle.cancel()
        await clock.run_for(100)
        assert handle.state == "cancelled"
        assert engine.scheduler.get_stats()["agents_tracked"] == 0
        assert len(agent.starts) == 1
        assert (await engine.check_health()).overdue == ("agent",)


async def test_priority_of_the_agent_counts_for_its_repetitions(clock: ManualClock) -> None:
    agent = await told(clock, interval=10, priority="low")
    async with quiet_engine(clock) as engine:
        await engine.schedule_agent_cycle(agent, TaskPriority.CRITICAL)
        await clock.settle()
        assert engine.get_stats()["queued_by_priority"]["LOW"] == 1
        engine.set_agent_priority("agent", "HIGH")
        assert engine.get_stats()["queued_by_priority"]["HIGH"] == 1
        agent.config["priority"] = 1
        await clock.run_for(15)
        assert engine.get_stats()["queued_by_priority"]["HIGH"] == 1


async def test_a_configuration_that_goes_bad_puts_the_agent_into_error(clock: ManualClock) -> None:
    agent = await told(clock, interval=10)
    async with quiet_engine(clock) as engine:
        await engine.schedule_agent_cycle(agent, delay=1)
        agent.config["interval"] = -5
        await clock.run_for(5)
        assert agent.status is AgentStatus.ERROR
        assert "interval must be a number > 0" in engine.agent_stats("agent")["last_error"]


async def test_exclusive_tasks_have_the_same_rule_per_agent_and_type(clock: ManualClock) -> None:
    gate = Gate()
    async with quiet_engine(clock) as engine:
        one = await engine.schedule_task("a", "x", gate.task("1"), exclusive=True)
        await clock.settle()
        two = await engine.schedule_task("a", "x", gate.task("2"), exclusive=True)
        again = await engine.schedule_task("a", "x", gate.task("3"), "critical", exclusive=True)
        other = await engine.schedule_task("a", "y", gate.task("4"), exclusive=True)
        await clock.settle()
        assert again is two
        assert two.priority is TaskPriority.CRITICAL
        assert (one.state, two.state, other.state) == ("running", "parked", "running")
        gate.release("1")
        await clock.settle()
        assert two.state == "running"
        gate.release("2", "4")
        await clock.settle()
    assert gate.started == ["1", "4", "2"]


class PlainAgent:
    """An agent that is no `BaseAgent`: its status is a word, its failures are answers."""

    def __init__(self, answer: Any) -> None:
        self.agent_id = "plain"
        self.config: dict[str, Any] = {"interval": 10}
        self.status = "RUNNING"
        self.answer = answer
        self.calls = 0

    async def run_cycle(self, pool: Any) -> Any:
        self.calls += 1
        return self.answer


async def test_an_agent_of_another_kind_is_run_by_its_own_run_cycle(clock: ManualClock) -> None:
    agent = PlainAgent({"success": True, "duration": 0, "results": 7})
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_agent_cycle(agent)
        await clock.run_for(25)
        assert (await handle.result())["results"] == 7
    assert agent.calls == 3


async def test_a_reported_failure_counts_as_a_failure(clock: ManualClock) -> None:
    agent = PlainAgent({"success": False, "duration": 0, "error": "no answer"})
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_agent_cycle(agent)
        await clock.settle()
        assert handle.state == "failed"
        with pytest.raises(CycleFailed, match="no answer"):
            await handle.result()
        assert engine.get_stats()["failed_total"] == 1


async def test_something_without_run_cycle_is_no_agent(clock: ManualClock) -> None:
    async with quiet_engine(clock) as engine:
        nobody = PlainAgent(None)
        nobody.run_cycle = None  # type: ignore[assignment,method-assign]  # what is tested
        with pytest.raises(TypeError, match="no run_cycle"):
            await engine.schedule_agent_cycle(nobody)
