"""Scheduling 6: deadlines, abandonment, cancellation; tests 10, 11, 13 and 35."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
from functools import partial
from typing import Any

import pytest

from engine.scheduling import (
    AgentStatus,
    StrayCancellation,
    TaskCancelled,
    TaskState,
    TaskTimeout,
)
from engine.scheduling.task_context import CURRENT_TASK, current_task
from engine.testing.agent_bench import Gate, ToldAgent, quiet_engine
from engine.testing.manual_clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def stubborn(clock: ManualClock, seconds: float) -> None:
    """Ignore every cancellation for *seconds*."""
    until = clock.monotonic() + seconds
    while clock.monotonic() < until:
        try:
            await clock.sleep(until - clock.monotonic())
        except asyncio.CancelledError:
            continue


async def test_the_limit_is_the_timeout_times_the_multiplier(clock: ManualClock) -> None:
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_task("a", "t", Gate().task("x"), timeout=10)
        await clock.run_for(11.9)
        assert handle.state == "running"
        await clock.run_for(0.2)
        assert handle.state == "timed_out"
        with pytest.raises(TaskTimeout, match="12 s"):
            await handle.result()
        stats = engine.get_stats()
        assert (stats["timed_out_total"], stats["failed_total"]) == (1, 0)


async def test_the_default_limit_is_72_seconds(clock: ManualClock) -> None:
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_task("a", "t", Gate().task("x"))
        await clock.run_for(71.9)
        assert handle.state == "running"
        await clock.run_for(0.2)
        assert handle.state == "timed_out"


async def test_the_multiplier_counts_when_the_task_starts(clock: ManualClock) -> None:
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_task("a", "t", Gate().task("x"), delay=5, timeout=10)
        engine.task_timeout_multiplier = 3
        await clock.run_for(5.1)
        engine.task_timeout_multiplier = 1
        await clock.run_for(29)
        assert handle.state == "running"
        await clock.run_for(1)
        assert handle.state == "timed_out"


async def test_time_in_the_queue_does_not_count(clock: ManualClock) -> None:
    gate = Gate()
    async with quiet_engine(clock, max_concurrent_tasks=1) as engine:
        await engine.schedule_task("a", "t", gate.task("first"), timeout=math.inf)
        second = await engine.schedule_task("a", "t", gate.task("second"), timeout=10)
        await clock.run_for(500)
        gate.release("first")
        await clock.run_for(11)
        assert second.state == "running"
        await clock.run_for(2)
        assert second.state == "timed_out"


async def test_deadlines_pass_in_their_own_order(clock: ManualClock) -> None:
    ended: list[str] = []

    def note(name: str) -> None:
        ended.append(f"{name} {clock.monotonic():.0f}")

    async with quiet_engine(clock, task_timeout_multiplier=1) as engine:
        for name, timeout in [("long", 30.0), ("short", 5.0), ("middle", 12.0)]:
            handle = await engine.schedule_task("a", name, Gate().task(name), timeout=timeout)
            handle.when_ended(partial(note, name))
        await clock.run_for(40)
    assert ended == ["short 5", "middle 12", "long 30"]


async def test_no_limit_is_no_limit(clock: ManualClock) -> None:
    gate = Gate()
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_task("a", "t", gate.task("x"), timeout=math.inf)
        await clock.run_for(10_000)
        assert handle.state == "running"
        gate.release("x")
        assert await handle.result() == "x"


async def test_a_timeout_error_of_the_task_itself_is_an_error(clock: ManualClock) -> None:
    async def work(pool: Any) -> None:
        raise TimeoutError("the venue did not answer")

    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_task("a", "t", work)
        await clock.settle()
        assert handle.state == "failed"
        stats = engine.get_stats()
        assert (stats["failed_total"], stats["timed_out_total"]) == (1, 0)
        assert engine.agent_stats("a")["errors"] == 1


@pytest.mark.parametrize("ending", ["returns", "raises"])
async def test_a_task_that_swallows_its_cancellation_is_timed_out_all_the_same(
    clock: ManualClock, ending: str
) -> None:
    async def work(pool: Any) -> str:
        try:
            await clock.sleep(100)
        except asyncio.CancelledError:
            if ending == "raises":
                raise ValueError("in its clean-up") from None
        return "as if nothing had happened"

    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_task("a", "t", work, timeout=1)
        await clock.run_for(5)
        assert handle.state == "timed_out"
        with pytest.raises(TaskTimeout):
            await handle.result()


async def test_a_task_that_ignores_its_cancellation_is_abandoned(clock: ManualClock) -> None:
    agent = ToldAgent("agent", {"interval": 5, "cycle_timeout": 10})
    agent.clock = clock
    await agent.start()

    async def body(pool: Any) -> dict[str, Any]:
        await stubborn(clock, 100)
        return {}

    agent.body = body
    gate = Gate()
    async with quiet_engine(clock, max_concurrent_tasks=1, cancel_grace=5) as engine:
        handle = await engine.schedule_agent_cycle(agent)
        await clock.run_for(1)
        other = await engine.schedule_task("x", "t", gate.task("other"))
        await clock.run_for(15)
        assert handle.state == "running"  # being cancelled, within its grace
        await clock.run_for(2)
        assert handle.state == "abandoned"
        assert handle.event_status == "aborted"
        assert other.state == "running"  # the slot is free again
        with pytest.raises(TaskTimeout):
            await handle.result()
        assert agent.status is AgentStatus.ERROR
        stats = engine.get_stats()
        assert (stats["abandoned"], stats["timed_out_total"]) == (1, 1)
        report = await engine.check_health()
        assert (report.status, report.stuck) == ("critical", (handle.id,))
        # Started again, it gets no cycle before the old one has really ended.
        await agent.start()
        waiting = await engine.schedule_agent_cycle(agent)
        gate.release("other")
        await clock.run_for(50)
        assert waiting.state == "parked"
        agent.body = None
        await clock.run_for(40)
        assert engine.get_stats()["abandoned"] == 0
        assert waiting.state == "done"
        assert agent.overlap == 1
        assert (await engine.check_health()).status == "ok"


async def test_without_grace_a_cancelled_task_still_gets_to_unwind(clock: ManualClock) -> None:
    async with quiet_engine(clock, cancel_grace=0) as engine:
        handle = await engine.schedule_task("a", "t", Gate().task("x"), timeout=1)
        await clock.run_for(5)
        assert handle.state == "timed_out"


async def test_a_delayed_task_can_be_cancelled(clock: ManualClock) -> None:
    gate = Gate()
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_task("a", "t", gate.task("x"), delay=10)
        assert handle.cancel()
        assert not handle.cancel()
        assert handle.state == "cancelled"
        assert engine.get_stats()["delayed_tasks"] == 0
        with pytest.raises(TaskCancelled):
            await handle.result()
        before = clock.fired
        await clock.run_for(20)
        assert clock.fired == before
    assert gate.started == []


async def test_a_ready_task_can_be_cancelled(clock: ManualClock) -> None:
    gate = Gate()
    async with quiet_engine(clock, max_concurrent_tasks=1) as engine:
        await engine.schedule_task("a", "t", gate.task("running"))
        await clock.settle()
        handles = [await engine.schedule_task("a", "t", gate.task(str(n))) for n in range(4)]
        assert [handles[n].cancel() for n in (0, 2)] == [True, True]
        assert not handles[0].cancel()
        assert engine.get_stats()["ready_tasks"] == 2
        gate.release("running", "1", "3")
        await clock.settle()
        assert engine.get_stats()["cancelled_total"] == 2
    assert gate.started == ["running", "1", "3"]


async def test_a_parked_task_can_be_cancelled(clock: ManualClock) -> None:
    gate = Gate()
    async with quiet_engine(clock) as engine:
        await engine.schedule_task("a", "t", gate.task("running"), exclusive=True)
        await clock.settle()
        parked = await engine.schedule_task("a", "t", gate.task("parked"), exclusive=True)
        assert parked.state == "parked"
        assert parked.cancel()
        assert not parked.cancel()
        assert engine.get_stats()["parked_tasks"] == 0
        again = await engine.schedule_task("a", "t", gate.task("again"), exclusive=True)
        assert again is not parked
        gate.release("running", "again")
        await clock.settle()
    assert gate.started == ["running", "again"]


async def test_a_running_task_can_be_cancelled(clock: ManualClock, caplog: Any) -> None:
    gate = Gate()
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_task("a", "t", gate.task("x"))
        await clock.settle()
        with caplog.at_level(logging.WARNING):
            assert handle.cancel()
            assert not handle.cancel()
            await clock.settle()
        assert handle.state == "cancelled"
        assert handle.event_status == "cancelled"
        stats = engine.get_stats()
        assert (stats["cancelled_total"], stats["failed_total"], gate.running) == (1, 0, 0)
        assert stats["scheduler_stats"]["agents_tracked"] == 0  # no sample
        assert caplog.records == []


async def test_a_task_that_was_started_but_has_not_begun_can_be_cancelled(
    clock: ManualClock,
) -> None:
    import anyio.lowlevel

    gate = Gate()
    async with quiet_engine(clock) as engine:
        await clock.settle()
        handle = await engine.schedule_task("a", "t", gate.task("x"))
        while handle.state is TaskState.READY:
            await anyio.lowlevel.checkpoint()
            if engine._dispatcher.running:
                break
        assert gate.started == []
        assert handle.cancel()
        await clock.settle()
        assert handle.state == "cancelled"
        assert engine.get_stats()["running_tasks"] == 0
    assert gate.started == []


async def test_cancelling_an_asyncio_task_from_outside_is_cancelled(clock: ManualClock) -> None:
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_task("a", "t", Gate().task("x"))
        await clock.settle()
        assert handle.asyncio_task is not None
        handle.asyncio_task.cancel()
        await clock.settle()
        assert handle.state == "cancelled"


async def test_a_cancellation_of_the_tasks_own_making_is_an_error(clock: ManualClock) -> None:
    async def work(pool: Any) -> dict[str, Any]:
        inner: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        inner.cancel()
        return await inner

    agent = ToldAgent("b")
    agent.body = work
    await agent.start()
    async with quiet_engine(clock) as engine:
        for handle in (
            await engine.schedule_task("a", "t", work),
            await engine.schedule_agent_cycle(agent),
        ):
            with pytest.raises(StrayCancellation) as failure:  # it does not cancel who awaits it
                await handle.result()
            assert handle.state == "failed"
            assert isinstance(failure.value.__cause__, asyncio.CancelledError)
        assert engine.get_stats()["failed_total"] == 2
    assert (agent.metrics["cycles_failed"], agent.metrics["errors"]) == (1, 1)


async def test_a_task_cancelled_by_hand_that_ignores_it_counts_as_cancelled(
    clock: ManualClock,
) -> None:
    async with quiet_engine(clock, cancel_grace=2) as engine:
        handle = await engine.schedule_task("a", "t", lambda pool: stubborn(clock, 30))
        await clock.settle()
        handle.cancel()
        await clock.run_for(3)
        assert handle.state == "abandoned"
        with pytest.raises(TaskCancelled, match="abandoned"):
            await handle.result()
        stats = engine.get_stats()
        assert (stats["abandoned"], stats["cancelled_total"], stats["timed_out_total"]) == (1, 1, 0)
        await clock.run_for(40)
        assert engine.get_stats()["abandoned"] == 0
        assert handle.state == "abandoned"


SECRET = contextvars.ContextVar("submitter", default="nothing")


async def test_a_task_has_the_context_of_the_start_and_knows_itself(clock: ManualClock) -> None:
    seen: list[Any] = []

    async def work(pool: Any) -> None:
        task = current_task()
        assert task is not None
        seen.append((SECRET.get(), task.task_id, task.agent_id, task.priority, task.deadline))
        SECRET.set("of another task")

    async with quiet_engine(clock) as engine:
        SECRET.set("of the submitter")
        first = await engine.schedule_task("a", "t", work, "high", timeout=10)
        await engine.schedule_task("b", "t", work)
        await clock.settle()
    assert seen[0] == ("nothing", first.id, "a", 1, 12.0)
    assert seen[1][0] == "nothing"
    assert CURRENT_TASK.get() is None


async def test_an_unread_failure_prints_nothing(clock: ManualClock, capfd: Any) -> None:
    import gc

    async def work(pool: Any) -> None:
        raise ValueError("unread")

    async with quiet_engine(clock) as engine:
        await engine.schedule_task("a", "t", work)
        await clock.settle()
    gc.collect()
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


async def test_a_task_cancelled_from_outside_before_its_first_step_is_swept_up(
    clock: ManualClock,
) -> None:
    import anyio.lowlevel

    gate = Gate()
    async with quiet_engine(clock) as engine:
        await clock.settle()
        handle = await engine.schedule_task("a", "t", gate.task("x"))
        while handle.asyncio_task is None:
            await anyio.lowlevel.checkpoint()
            if handle.asyncio_task is not None:
                handle.asyncio_task.cancel()
        await clock.settle()
        assert gate.started == []
        await engine.check_health()
        assert handle.state == "cancelled"
        assert engine.get_stats()["running_tasks"] == 0


async def test_listeners_hear_of_an_abandoned_task(clock: ManualClock) -> None:
    seen: list[str] = []
    async with quiet_engine(clock, cancel_grace=1) as engine:
        engine.subscribe(lambda task, old, new: seen.append(new.value))
        await engine.schedule_task("a", "t", lambda pool: stubborn(clock, 20), timeout=1)
        await clock.run_for(30)
    assert seen == ["ready", "running", "abandoned"]


async def test_listeners_hear_of_cycles_that_are_moved_ahead_and_parked(
    clock: ManualClock,
) -> None:
    agent = ToldAgent("agent", {"interval": 50})
    agent.clock = clock
    await agent.start()

    async def body(pool: Any) -> dict[str, Any]:
        await clock.sleep(5)
        return {}

    agent.body = body
    seen: list[tuple[int, str]] = []
    async with quiet_engine(clock) as engine:
        engine.subscribe(lambda task, old, new: seen.append((task.seq, new.value)))
        await engine.schedule_agent_cycle(agent, delay=10)
        await engine.schedule_agent_cycle(agent)
        await clock.run_for(1)
        await engine.schedule_agent_cycle(agent)
        await clock.run_for(5)
    assert seen[:3] == [(1, "delayed"), (1, "ready"), (1, "running")]
    assert [state for seq, state in seen if seq == 2][:3] == ["parked", "ready", "running"]
