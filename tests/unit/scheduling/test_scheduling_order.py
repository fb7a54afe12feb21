"""Scheduling 3: two stages, levels, ageing, reserve; tests 1, 2, 3, 5 and 6."""

from __future__ import annotations

import itertools
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.scheduling import TaskPriority
from engine.testing.agent_bench import Gate, quiet_engine
from engine.testing.manual_clock import ManualClock

pytestmark = pytest.mark.anyio


class Log:
    """Tasks that write their name down."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def task(self, name: str) -> Callable[[Any], Awaitable[None]]:
        async def work(pool: Any) -> None:
            self.names.append(name)

        return work


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(monotonic_ns=5_000_000_000)


async def test_levels_submitted_in_reverse_start_by_level(clock: ManualClock) -> None:
    log = Log()
    async with quiet_engine(clock, max_concurrent_tasks=1) as engine:
        for level in reversed(TaskPriority):
            await engine.schedule_task("a", "t", log.task(level.name), level)
        await clock.settle()
    assert log.names == ["CRITICAL", "HIGH", "NORMAL", "LOW", "IDLE"]


async def test_equal_levels_start_in_order_of_submission(clock: ManualClock) -> None:
    log = Log()
    async with quiet_engine(clock, max_concurrent_tasks=1) as engine:
        for number in range(50):
            await engine.schedule_task("a", "t", log.task(str(number)))
        await clock.settle()
    assert log.names == [str(number) for number in range(50)]


async def test_equal_levels_start_by_due_time_before_submission(clock: ManualClock) -> None:
    log, gate = Log(), Gate()
    async with quiet_engine(clock, max_concurrent_tasks=1) as engine:
        await engine.schedule_task("a", "t", gate.task("holds the slot"))
        await engine.schedule_task("a", "t", log.task("due at 2"), delay=2)
        await engine.schedule_task("a", "t", log.task("due at 1"), delay=1)
        await engine.schedule_task("a", "t", log.task("due at 1 too"), delay=1)
        await clock.run_for(3)
        await engine.schedule_task("a", "t", log.task("due at 3"))
        gate.release("holds the slot")
        await clock.settle()
    assert log.names == ["due at 1", "due at 1 too", "due at 2", "due at 3"]


async def test_a_submission_first_moves_what_has_become_due(clock: ManualClock) -> None:
    # The clock has moved, but the timer was not called: the order is exact all the same (3.1).
    log = Log()
    async with quiet_engine(clock, max_concurrent_tasks=1) as engine:
        await engine.schedule_task("a", "t", log.task("delayed"), delay=1)
        clock.block(2)
        await engine.schedule_task("a", "t", log.task("fresh"))
        await clock.settle()
    assert log.names == ["delayed", "fresh"]


async def test_a_future_critical_task_does_not_delay_a_due_normal_one(clock: ManualClock) -> None:
    log = Log()
    async with quiet_engine(clock, max_concurrent_tasks=1) as engine:
        await engine.schedule_task("a", "t", log.task("critical"), TaskPriority.CRITICAL, delay=100)
        await engine.schedule_task("a", "t", log.task("normal"))
        await clock.settle()
        assert log.names == ["normal"]
        await clock.run_for(100)
    assert log.names == ["normal", "critical"]


async def test_delayed_tasks_start_in_order_of_due_times_and_not_early(clock: ManualClock) -> None:
    starts: list[tuple[str, float]] = []
    begin = clock.monotonic()

    def task(name: str) -> Callable[[Any], Awaitable[None]]:
        async def work(pool: Any) -> None:
            starts.append((name, clock.monotonic() - begin))

        return work

    async with quiet_engine(clock) as engine:
        for name, delay in [("c", 3.0), ("a", 1.0), ("d", 4.0), ("b", 2.0)]:
            await engine.schedule_task("x", "t", task(name), delay=delay)
        await clock.run_for(2.5)
        assert [name for name, _ in starts] == ["a", "b"]
        await clock.run_for(2.5)
    assert [name for name, _ in starts] == ["a", "b", "c", "d"]
    assert [at for _, at in starts] == pytest.approx([1, 2, 3, 4], abs=1e-6)


async def test_an_idle_engine_starts_a_submission_within_two_passes_of_the_loop(
    clock: ManualClock,
) -> None:
    import anyio.lowlevel

    log = Log()
    async with quiet_engine(clock) as engine:
        await clock.settle()
        await engine.schedule_task("a", "t", log.task("t"))
        assert log.names == []  # the call only queues
        for _ in range(2):
            await anyio.lowlevel.checkpoint()
        assert log.names == ["t"]


async def test_an_idle_engine_is_not_woken_while_time_passes(clock: ManualClock) -> None:
    async with quiet_engine(clock, health_check_interval=1e9) as engine:
        task = await engine.schedule_task("a", "t", Log().task("ran"))
        await engine.schedule_task("a", "t", Log().task("far"), delay=10_000)
        await task.result()
        before = clock.fired
        await clock.run_for(9_000)
        assert clock.fired == before


async def test_raising_the_limit_dispatches_at_once_and_lowering_it_cancels_nothing(
    clock: ManualClock,
) -> None:
    gate = Gate()
    async with quiet_engine(clock, max_concurrent_tasks=2) as engine:
        for number in range(6):
            await engine.schedule_task("a", "t", gate.task(str(number)))
        await clock.settle()
        assert gate.running == 2
        engine.max_concurrent_tasks = 5
        await clock.settle()
        assert gate.running == 5
        engine.max_concurrent_tasks = 1
        await clock.settle()
        assert gate.running == 5
        gate.release("0", "1", "2", "3")
        await clock.settle()
        assert gate.running == 1
        gate.release("4")
        await clock.settle()
        assert gate.started[-1] == "5"
        gate.release("5")


async def test_the_reserve_keeps_slots_for_critical_tasks(clock: ManualClock) -> None:
    gate = Gate()
    async with quiet_engine(clock, max_concurrent_tasks=3, critical_reserve=2) as engine:
        for number in range(3):
            await engine.schedule_task("a", "t", gate.task(f"normal {number}"), timeout=math.inf)
        await clock.settle()
        assert gate.started == ["normal 0"]
        # Ageing changes the order, not this right (3.3).
        await clock.run_for(30 * 10)
        assert gate.started == ["normal 0"]
        for number in range(3):
            await engine.schedule_task("a", "t", gate.task(f"critical {number}"), "critical")
        await clock.settle()
        assert gate.started == ["normal 0", "critical 0", "critical 1"]
        engine.critical_reserve = 0
        gate.release("critical 0")
        await clock.settle()
        assert gate.started[3] == "normal 1"  # it has aged past the fresh critical one
        gate.release("normal 0", "normal 1", "normal 2", "critical 1", "critical 2")
        await clock.settle()
        assert gate.peak == 3


@pytest.mark.parametrize("load", [TaskPriority.NORMAL, TaskPriority.CRITICAL])
async def test_an_idle_task_starts_under_steady_load_within_the_bound(
    clock: ManualClock, load: TaskPriority
) -> None:
    # Offered: one task of 1 s each second for the single slot, so there is always one waiting.
    aging = 5.0
    started: list[float] = []
    begin = clock.monotonic()

    async def idle(pool: Any) -> None:
        started.append(clock.monotonic() - begin)

    async def busy(pool: Any) -> None:
        await clock.sleep(1.0)

    async with quiet_engine(
        clock, max_concurrent_tasks=1, aging_interval=aging, stop_grace=0
    ) as engine:
        for _ in range(3):
            await engine.schedule_task("a", "busy", busy, load)
        await engine.schedule_task("a", "idle", idle, TaskPriority.IDLE)
        for _ in range(40):
            await engine.schedule_task("a", "busy", busy, load)
            await clock.run_for(1.0)
    levels = TaskPriority.IDLE - load
    assert started
    # It ties with fresh tasks of the level after `levels` steps, and wins by age; the slot turns
    # over each second, and what is older than it goes first.
    assert started[0] <= levels * aging + 5


async def test_without_ageing_levels_are_strict(clock: ManualClock) -> None:
    log, gate = Log(), Gate()
    async with quiet_engine(clock, max_concurrent_tasks=1, aging_interval=math.inf) as engine:
        await engine.schedule_task("a", "t", gate.task("holds the slot"), timeout=math.inf)
        await engine.schedule_task("a", "t", log.task("idle"), TaskPriority.IDLE)
        await clock.run_for(10_000)
        await engine.schedule_task("a", "t", log.task("low"), TaskPriority.LOW)
        gate.release("holds the slot")
        await clock.settle()
    assert log.names == ["low", "idle"]


@pytest.mark.parametrize(
    ("waited", "first"), [(0.0, "fresh"), (29.0, "fresh"), (30.0, "aged"), (90.0, "aged")]
)
async def test_a_level_is_gained_after_each_ageing_interval(
    clock: ManualClock, waited: float, first: str
) -> None:
    log, gate = Log(), Gate()
    async with quiet_engine(clock, max_concurrent_tasks=1, aging_interval=30) as engine:
        await engine.schedule_task("a", "t", gate.task("holds the slot"), timeout=math.inf)
        await engine.schedule_task("a", "t", log.task("aged"), TaskPriority.LOW)
        await clock.run_for(waited)
        await engine.schedule_task("a", "t", log.task("fresh"), TaskPriority.NORMAL)
        gate.release("holds the slot")
        await clock.settle()
    assert log.names[0] == first


async def test_a_changed_priority_takes_its_place_by_age_among_its_new_level(
    clock: ManualClock,
) -> None:
    log, gate = Log(), Gate()
    async with quiet_engine(clock, max_concurrent_tasks=1) as engine:
        await engine.schedule_task("a", "t", gate.task("holds the slot"))
        await clock.settle()
        handles = {
            name: await engine.schedule_task("a", "t", log.task(name), level)
            for name, level in [("a", 3), ("b", 2), ("c", 3), ("d", 2)]
        }
        dispatcher = engine._dispatcher
        dispatcher.set_priority(handles["a"], TaskPriority.NORMAL)
        dispatcher.set_priority(handles["b"], TaskPriority.LOW)
        dispatcher.set_priority(handles["d"], TaskPriority.HIGH)
        dispatcher.set_priority(handles["d"], TaskPriority.NORMAL)
        stats = engine.get_stats()
        assert stats["queued_by_priority"]["NORMAL"] == 2
        assert stats["queued_by_priority"]["LOW"] == 2
        gate.release("holds the slot")
        await clock.settle()
    assert log.names == ["a", "d", "b", "c"]


async def test_the_dispatcher_yields_after_its_budget(clock: ManualClock) -> None:
    # The clock moves a millisecond with each look, so a budget of 5 ms lasts for a few starts.
    class Ticking(ManualClock):
        def monotonic(self) -> float:
            self.advance(1_000_000)
            return super().monotonic()

    gate = Gate()
    ticking = Ticking()
    engine = quiet_engine(ticking, max_concurrent_tasks=1000, dispatch_budget=0.005, stop_grace=1e6)
    await engine.start()
    for number in itertools.count():
        await engine.schedule_task("a", "t", gate.task(str(number)))
        if number == 99:
            break
    import anyio.lowlevel

    await anyio.lowlevel.checkpoint()
    first = len(engine._dispatcher.running)
    assert 0 < first < 20
    for _ in range(100):
        await anyio.lowlevel.checkpoint()
    assert len(engine._dispatcher.running) == 100
    gate.release(*map(str, range(100)))
    await engine.stop()


async def test_many_tasks_due_at_once_are_moved_in_slices_and_start_in_exact_order(
    clock: ManualClock,
) -> None:
    import anyio.lowlevel

    log = Log()
    async with quiet_engine(clock, max_concurrent_tasks=1) as engine:
        for number in range(500):
            level = TaskPriority.CRITICAL if number == 499 else TaskPriority.NORMAL
            await engine.schedule_task("a", "t", log.task(str(number)), level, delay=1)
        await clock.settle()
        clock.block(2)
        await engine.schedule_task("a", "t", log.task("fresh"))
        await anyio.lowlevel.checkpoint()
        await clock.settle()
    assert log.names == ["499", *(str(number) for number in range(499)), "fresh"]
