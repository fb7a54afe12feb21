"""Scheduling 6: foreign code at the edges breaks nothing; log lines name agent and task."""

from __future__ import annotations

import gc
import logging
from typing import Any

import pytest

from engine.scheduling.log_context import add_running_task
from engine.testing.agent_bench import ToldAgent, quiet_engine
from engine.testing.manual_clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def work(pool: Any) -> str:
    return "done"


class Moody:
    """An agent whose attributes raise when they are told to."""

    agent_id = "moody"

    def __init__(self) -> None:
        self.fails_at = ""

    @property
    def status(self) -> str:
        if self.fails_at == "status":
            raise OSError("no status today")
        return "running"

    @status.setter
    def status(self, value: str) -> None:
        raise OSError("cannot be set")

    @property
    def config(self) -> dict[str, Any]:
        if self.fails_at == "config":
            raise OSError("no configuration today")
        return {"interval": 5}

    async def run_cycle(self, pool: Any) -> dict[str, Any]:
        return {"success": True}


async def test_a_status_that_cannot_be_read_skips_the_cycle(
    clock: ManualClock, caplog: Any
) -> None:
    agent = Moody()
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_agent_cycle(agent)
        agent.fails_at = "status"
        with caplog.at_level(logging.CRITICAL, "engine.scheduling"):
            await clock.settle()
        assert handle.skipped
        assert await (await engine.schedule_task("a", "t", work)).result() == "done"


async def test_an_agent_that_breaks_while_its_cycle_is_followed_breaks_only_itself(
    clock: ManualClock, caplog: Any
) -> None:
    agent = Moody()
    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_agent_cycle(agent)
        agent.fails_at = "config"
        with caplog.at_level(logging.CRITICAL, "engine.scheduling"):
            await clock.settle()
        assert handle.state == "done"
        assert "no configuration today" in engine.agent_stats("moody")["last_error"]
        assert engine.get_stats()["running_tasks"] == 0
        assert await (await engine.schedule_task("a", "t", work)).result() == "done"


async def test_a_waiter_that_fails_keeps_nobody_else_waiting(
    clock: ManualClock, caplog: Any
) -> None:
    told: list[int] = []

    def fails() -> None:
        raise RuntimeError("a waiter's own trouble")

    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_task("a", "t", work)
        handle.when_ended(fails)
        handle.when_ended(lambda: told.append(1))
        with caplog.at_level(logging.CRITICAL, "engine.scheduling"):
            assert await handle.result() == "done"
    assert told == [1]


async def test_log_lines_name_agent_and_task(clock: ManualClock) -> None:
    seen: list[Any] = []

    async def logs(pool: Any) -> None:
        seen.append(add_running_task(None, "info", {"event": "text"}))

    async with quiet_engine(clock) as engine:
        handle = await engine.schedule_task("a", "t", logs)
        await handle.result()
    assert seen == [{"event": "text", "agent_id": "a", "task_id": handle.id}]
    assert add_running_task(None, "info", {"event": "text"}) == {"event": "text"}


class StrangeEnd(BaseException):
    """No `Exception`, and nothing that asyncio knows."""


@pytest.mark.parametrize("error", [StrangeEnd("x"), GeneratorExit("x")], ids=["base", "generator"])
async def test_a_task_that_raises_more_than_an_error_frees_its_slot_and_is_told_once(
    clock: ManualClock, caplog: Any, error: BaseException
) -> None:
    async def work_that_ends_strangely(pool: Any) -> None:
        raise error

    async with quiet_engine(clock, max_concurrent_tasks=1) as engine:
        strange = await engine.schedule_task("a", "strange", work_that_ends_strangely)
        after = await engine.schedule_task("a", "after", work)
        await clock.settle()
        assert (strange.state, after.state) == ("failed", "done")
        assert strange.error is error
        assert engine.get_stats()["running_tasks"] == 0
        assert engine.get_stats()["failed_total"] == 1
    gc.collect()
    # asyncio would add a line of its own about an exception that nobody retrieved.
    assert [record.name for record in caplog.records if record.exc_info] == ["engine.scheduling"]


async def test_a_cycle_that_raises_more_than_an_error_counts_as_failed(clock: ManualClock) -> None:
    agent = ToldAgent("strange", {"interval": 10})

    async def end_strangely(pool: Any) -> dict[str, Any]:
        raise StrangeEnd("x")

    agent.body = end_strangely
    async with quiet_engine(clock) as engine:
        await agent.start()
        await engine.schedule_agent_cycle(agent)
        await clock.settle()
        assert engine.agent_stats("strange")["failures_in_a_row"] == 1
        assert agent.metrics["cycles_failed"] == 1
        assert agent.metrics["last_cycle_error"] == "StrangeEnd: x"
        await clock.run_for(40)
        assert agent.metrics["cycles_failed"] > 1
