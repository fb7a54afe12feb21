"""Scheduling 14: bad input, and the full queue."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest

from engine.scheduling import (
    AgentConfigError,
    QueueFull,
    TaskPriority,
    TaskState,
)
from engine.testing.agent_bench import Gate, ToldAgent, quiet_engine
from engine.testing.manual_clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def work(pool: Any) -> None:
    return None


async def test_a_negative_delay_is_none(clock: ManualClock) -> None:
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_task("a", "t", work, delay=-5)
        assert handle.state == "ready"
        assert handle.due_in == 0.0


@pytest.mark.parametrize("delay", [math.nan, math.inf, -math.inf, "1", "", None, True, False, []])
async def test_a_delay_that_is_no_finite_number_is_refused(clock: ManualClock, delay: Any) -> None:
    async with quiet_engine(clock) as engine:
        with pytest.raises(ValueError, match="delay"):
            await engine.schedule_task("a", "t", work, delay=delay)
        with pytest.raises(ValueError, match="delay"):
            await engine.schedule_agent_cycle(ToldAgent("x"), delay=delay)
        assert engine.get_stats()["queued_tasks"] == 0


@pytest.mark.parametrize("limit", [0, -1, math.nan, "1", True, -math.inf])
async def test_a_timeout_that_is_not_positive_is_refused(clock: ManualClock, limit: Any) -> None:
    async with quiet_engine(clock) as engine:
        with pytest.raises(ValueError, match="timeout"):
            await engine.schedule_task("a", "t", work, timeout=limit)


async def test_only_custom_tasks_may_have_no_limit(clock: ManualClock) -> None:
    async with quiet_engine(clock) as engine:
        await engine.schedule_task("a", "t", work, timeout=math.inf)
        agent = ToldAgent("x")
        agent.config["cycle_timeout"] = math.inf
        with pytest.raises(AgentConfigError, match="cycle_timeout"):
            await engine.schedule_agent_cycle(agent)


@pytest.mark.parametrize(
    ("priority", "level"),
    [
        (0, TaskPriority.CRITICAL),
        (4, TaskPriority.IDLE),
        ("high", TaskPriority.HIGH),
        ("LOW", TaskPriority.LOW),
        (TaskPriority.NORMAL, TaskPriority.NORMAL),
    ],
)
async def test_priorities_come_as_number_name_or_member(
    clock: ManualClock, priority: Any, level: TaskPriority
) -> None:
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_task("a", "t", work, priority)
        assert handle.priority is level


@pytest.mark.parametrize("priority", [-1, 5, 1.0, True, "urgent", None, ""])
async def test_any_other_priority_is_refused(clock: ManualClock, priority: Any) -> None:
    async with quiet_engine(clock) as engine:
        with pytest.raises(ValueError, match="priority"):
            await engine.schedule_task("a", "t", work, priority)
        with pytest.raises(ValueError, match="priority"):
            await engine.schedule_agent_cycle(ToldAgent("x"), priority)


async def test_a_coroutine_object_is_closed_and_refused(clock: ManualClock) -> None:
    async with quiet_engine(clock) as engine:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # "never awaited" would be one
            with pytest.raises(TypeError, match="give the function work"):
                await engine.schedule_task("a", "t", work(None))  # type: ignore[arg-type]  # what is tested
            with pytest.raises(TypeError, match="give the function work"):
                engine.schedule_threadsafe("a", "t", work(None))  # type: ignore[arg-type]  # as above
        with pytest.raises(TypeError, match="callable"):
            await engine.schedule_task("a", "t", 3)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("name", ["", None, 3, "x" * 201, "a\nb", "a\x00", "\x7f", ["a"]], ids=repr)
async def test_names_that_cannot_be_shown_are_refused(clock: ManualClock, name: Any) -> None:
    async with quiet_engine(clock) as engine:
        with pytest.raises(ValueError, match="agent id"):
            await engine.schedule_task(name, "t", work)
        with pytest.raises(ValueError, match="task type"):
            await engine.schedule_task("a", name, work)
        assert engine.get_stats()["queued_tasks"] == 0


async def test_names_may_have_any_letters_up_to_200(clock: ManualClock) -> None:
    async with quiet_engine(clock) as engine:
        for name in ("x" * 200, "Überwacher 7", "監視\u00a0"):
            handle = await engine.schedule_task(name, name, work)
            await handle.result()
            assert handle.id.startswith(f"{name}:{name}:")


async def test_a_full_queue_refuses_all_but_critical_tasks(clock: ManualClock) -> None:
    gate = Gate()
    async with quiet_engine(clock, max_concurrent_tasks=1, max_queue_size=3) as engine:
        await engine.schedule_task("a", "t", gate.task("holds the slot"))
        await clock.settle()
        for number in range(3):
            await engine.schedule_task("a", "t", work, delay=number)
        with pytest.raises(QueueFull, match="max_queue_size is 3"):
            await engine.schedule_task("a", "t", work)
        with pytest.raises(QueueFull):
            await engine.schedule_agent_cycle(ToldAgent("x"))
        await engine.schedule_task("a", "t", work, "critical")
        stats = engine.get_stats()
        assert (stats["rejected_total"], stats["queued_tasks"]) == (2, 4)
        engine.max_queue_size = 0  # no cap
        await engine.schedule_task("a", "t", work)


async def test_a_merge_needs_no_room(clock: ManualClock) -> None:
    async with quiet_engine(clock, max_queue_size=1) as engine:
        agent = ToldAgent("x")
        first = await engine.schedule_agent_cycle(agent, delay=5)
        assert await engine.schedule_agent_cycle(agent, delay=9) is first
        assert engine.get_stats()["rejected_total"] == 0


async def test_an_agent_keeps_its_rhythm_when_the_queue_is_full(clock: ManualClock) -> None:
    # The cycle that follows takes the room that its agent has just left.
    agent = ToldAgent("x", {"interval": 10})
    agent.clock = clock
    await agent.start()
    async with quiet_engine(clock, max_queue_size=2) as engine:
        await engine.schedule_agent_cycle(agent)
        for _ in range(1):
            await engine.schedule_task("a", "t", work, delay=1000)
        await clock.settle()
        with pytest.raises(QueueFull):
            await engine.schedule_task("a", "t", work, delay=1000)
        await clock.run_for(25)
    assert len(agent.starts) == 3


async def test_the_wall_clock_decides_nothing(clock: ManualClock) -> None:
    agent = ToldAgent("agent", {"interval": 10})
    agent.clock = clock
    await agent.start()
    async with quiet_engine(clock) as engine:
        await engine.schedule_agent_cycle(agent)
        delayed = await engine.schedule_task("a", "t", work, delay=100)
        limited = await engine.schedule_task("a", "t", Gate().task("x"), timeout=50)
        for step in (-3600, 7200, -3600):
            await clock.run_for(10.5)
            clock.step_wall(step)
        assert len(agent.starts) == 4
        assert limited.state == "running"
        await clock.run_for(30)
        assert limited.state == "timed_out"
        assert delayed.state == "delayed"
        await clock.run_for(40)
        assert delayed.state == "done"
        assert len(agent.starts) == 11  # every 10 s: neither a burst nor a stall
        assert engine.agent_stats("agent")["last_start"].endswith("Z")


async def test_a_suspended_machine_causes_no_burst(clock: ManualClock) -> None:
    agent = ToldAgent("agent", {"interval": 10})
    agent.clock = clock
    await agent.start()
    async with quiet_engine(clock) as engine:
        await engine.schedule_agent_cycle(agent)
        await clock.run_for(5)
        clock.block(10_000)  # nothing ran meanwhile
        await clock.run_for(25)
    assert len(agent.starts) == 4


def test_states_are_told_as_events() -> None:
    from engine.scheduling.task_state import to_event_status

    told = {state.value: to_event_status(state).value for state in TaskState}
    assert told == {
        "delayed": "pending",
        "ready": "pending",
        "parked": "pending",
        "running": "processing",
        "done": "completed",
        "failed": "failed",
        "timed_out": "failed",
        "cancelled": "cancelled",
        "abandoned": "aborted",
    }
    assert to_event_status(TaskState.CANCELLED, skipped=True).value == "skipped"
