"""Scheduling: what holds whatever is done; test 7 and more."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.scheduling import AgentStatus, TaskHandle, TaskPriority
from engine.scheduling.agent_record import RecordOf
from engine.scheduling.delayed_queue import DelayedQueue
from engine.scheduling.ready_queue import ReadyQueue
from engine.scheduling.task_state import FINAL, TaskState
from engine.testing.agent_bench import ToldAgent, quiet_engine
from engine.testing.manual_clock import ManualClock

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("cycle"), st.integers(0, 4), st.sampled_from([0.0, 0.5, 3.0])),
        st.tuples(st.just("task"), st.integers(0, 4), st.sampled_from([0.0, 0.5, 3.0])),
        st.tuples(st.just("exclusive"), st.integers(0, 4), st.sampled_from([0.0, 0.5])),
        st.tuples(st.just("cancel"), st.integers(0, 30), st.just(0.0)),
        st.tuples(st.just("priority"), st.integers(0, 4), st.just(0.0)),
        st.tuples(st.just("stop agent"), st.integers(0, 1), st.just(0.0)),
        st.tuples(st.just("start agent"), st.integers(0, 1), st.just(0.0)),
        st.tuples(st.just("slots"), st.integers(1, 4), st.just(0.0)),
        st.tuples(st.just("time"), st.just(0), st.sampled_from([0.2, 1.0, 7.0])),
    ),
    max_size=40,
)
LENGTHS = st.lists(st.sampled_from([0.0, 0.3, 2.0, 50.0, -1.0]), min_size=1, max_size=6)


class World:
    """An engine, two agents, and everything that was submitted."""

    def __init__(self, lengths: list[float]) -> None:
        self.clock = ManualClock()
        self.engine = quiet_engine(self.clock, max_concurrent_tasks=2, cancel_grace=1)
        self.agents = [ToldAgent(f"a{n}", {"interval": 2, "cycle_timeout": 10}) for n in (0, 1)]
        self.handles: dict[int, TaskHandle] = {}
        self.running = self.peak = self.exclusive = self.exclusive_peak = 0
        self.limit = self.highest_limit = 2
        self.lengths = lengths
        self.calls = 0
        for agent in self.agents:
            agent.clock = self.clock
            agent.body = self.work
        self.engine.subscribe(lambda task, old, new: self.handles.__setitem__(id(task), task))

    async def work(self, pool: Any) -> dict[str, Any]:
        self.running += 1
        self.peak = max(self.peak, self.running)
        length = self.lengths[self.calls % len(self.lengths)]
        self.calls += 1
        try:
            if length < 0:
                raise ValueError("as told")
            await self.clock.sleep(length)
        finally:
            self.running -= 1
        return {}

    async def alone(self, pool: Any) -> None:
        self.exclusive += 1
        self.exclusive_peak = max(self.exclusive_peak, self.exclusive)
        try:
            await self.work(pool)
        finally:
            self.exclusive -= 1

    async def step(self, what: str, number: int, seconds: float) -> None:
        engine = self.engine
        if what == "cycle":
            await engine.schedule_agent_cycle(self.agents[number % 2], number, seconds)
        elif what == "task":
            await engine.schedule_task(f"a{number % 2}", "t", self.work, number, seconds, 5)
        elif what == "exclusive":
            await engine.schedule_task("x", "t", self.alone, number, seconds, exclusive=True)
        elif what == "cancel" and self.handles:
            list(self.handles.values())[number % len(self.handles)].cancel()
        elif what == "priority":
            engine.set_agent_priority("a0", number)
        elif what == "stop agent" and self.agents[number].status == "running":
            await self.quick(self.agents[number].stop)
        elif what == "start agent":
            await self.agents[number].start()
        elif what == "slots":
            engine.max_concurrent_tasks = number
            self.highest_limit = max(self.highest_limit, number)
        elif what == "time":
            await self.clock.run_for(seconds)

    async def quick(self, change: Callable[[], Any]) -> None:
        """Do what waits for the clock."""
        task = asyncio.get_running_loop().create_task(change())
        await self.clock.run_for(20)
        await task

    def check(self) -> None:
        stats = self.engine.get_stats()
        states = [handle.state for handle in self.handles.values()]
        assert stats["delayed_tasks"] == states.count(TaskState.DELAYED)
        assert stats["ready_tasks"] == states.count(TaskState.READY)
        assert stats["parked_tasks"] == states.count(TaskState.PARKED)
        assert stats["running_tasks"] == states.count(TaskState.RUNNING)
        ended = sum(state in FINAL for state in states)
        totals = ("completed", "failed", "timed_out", "cancelled", "skipped")
        assert sum(stats[f"{name}_total"] for name in totals) == ended
        assert sum(stats["queued_by_priority"].values()) == stats["queued_tasks"]
        assert all(agent.overlap <= 1 for agent in self.agents)
        assert self.exclusive_peak <= 1
        assert self.peak <= self.highest_limit
        assert stats["running_tasks"] <= self.highest_limit
        for agent in self.agents:
            waiting = [
                handle
                for handle in self.handles.values()
                if handle.agent_id == agent.agent_id
                and handle.task_type == "cycle"
                and handle.state in (TaskState.DELAYED, TaskState.READY, TaskState.PARKED)
            ]
            assert len(waiting) <= 1


@settings(max_examples=60, deadline=None)
@given(STEPS, LENGTHS)
@pytest.mark.anyio
async def test_slots_lanes_and_counters_hold_whatever_is_done(
    steps: list[tuple[str, int, float]], lengths: list[float]
) -> None:
    world = World(lengths)
    await world.engine.start()
    for agent in world.agents:
        await agent.start()
    for step in steps:
        await world.step(*step)
        await world.clock.settle()
        world.check()
    await world.quick(world.engine.stop)
    world.check()
    stats = world.engine.get_stats()
    assert stats["queued_tasks"] == stats["running_tasks"] == stats["abandoned"] == 0
    assert world.running == 0
    assert {agent.status for agent in world.agents} <= {AgentStatus.RUNNING, AgentStatus.STOPPED}


# --- the queues against simple models ----------------------------------------------------------


def handle(seq: int, level: int, due: float) -> TaskHandle:
    record: Any = RecordOf("a")
    host: Any = None
    return TaskHandle(host, record, "t", lambda pool: pool, TaskPriority(level), due, 1, None, seq)


READY_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 4), st.integers(0, 50)),
        st.tuples(st.just("take"), st.booleans(), st.integers(50, 300)),
        st.tuples(st.just("leave"), st.integers(0, 50), st.just(0)),
        st.tuples(st.just("level"), st.integers(0, 50), st.integers(0, 4)),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(READY_STEPS, st.sampled_from([10.0, 30.0, math.inf]))
def test_the_ready_stage_is_a_sorted_list(steps: list[Any], aging: float) -> None:
    queue = ReadyQueue()
    queue.aging_interval = aging
    model: list[TaskHandle] = []
    for seq, (what, first, second) in enumerate(steps):
        if what == "push":
            new = handle(seq, first, float(second))
            queue.push(new)
            model.append(new)
        elif what == "take":
            now = float(second)
            may_run = [one for one in model if not first or one.priority == 0]
            chosen = queue.choose(now, critical_only=first)
            if not may_run:
                assert chosen is None
                continue
            assert chosen is not None
            wanted = min(
                may_run,
                key=lambda one: (
                    max(0, one.priority - math.floor((now - one.due) / aging)),
                    one.due,
                    one.seq,
                ),
            )
            assert chosen.take() is wanted
            model.remove(wanted)
        elif model and what == "leave":
            gone = model.pop(first % len(model))
            gone.state = TaskState.CANCELLED
            queue.levels[gone.priority].drop_dead()
        elif model and what == "level":
            moved = model[first % len(model)]
            old = moved.priority
            if old != second:
                moved.priority = TaskPriority(second)
                queue.push(moved)
                queue.levels[old].drop_dead()
        oldest = min((one.due for one in model), default=None)
        assert queue.oldest() == oldest


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.integers(0, 100)),
            st.tuples(st.just("pop"), st.just(0)),
            st.tuples(st.just("leave"), st.integers(0, 50)),
            st.tuples(st.just("sooner"), st.integers(0, 50)),
        ),
        max_size=80,
    )
)
def test_the_delayed_stage_is_a_sorted_list(steps: list[Any]) -> None:
    queue = DelayedQueue()
    model: list[TaskHandle] = []
    for seq, (what, number) in enumerate(steps):
        if what == "push":
            new = handle(seq, 2, float(number))
            new.state = TaskState.DELAYED
            queue.push(new)
            model.append(new)
        elif what == "pop" and model:
            wanted = min(model, key=lambda one: (one.due, one.seq))
            assert queue.pop() is wanted
            wanted.state = TaskState.READY
            queue.drop_dead()
            model.remove(wanted)
        elif what == "leave" and model:
            model.pop(number % len(model)).state = TaskState.CANCELLED
            queue.note_dead()
        elif what == "sooner" and model:
            moved = model[number % len(model)]
            moved.due -= 1
            queue.push(moved)
            queue.note_dead()
        soonest = queue.heap[0][0] if queue.heap else None
        assert soonest == min((one.due for one in model), default=None)


def test_dead_entries_do_not_pile_up() -> None:
    queue = DelayedQueue()
    keeper = handle(0, 2, 1.0)
    keeper.state = TaskState.DELAYED
    queue.push(keeper)
    for seq in range(1, 10_000):
        new = handle(seq, 2, 100.0 + seq)
        new.state = TaskState.DELAYED
        queue.push(new)
        new.state = TaskState.CANCELLED
        queue.note_dead()
    assert len(queue.heap) < 200
