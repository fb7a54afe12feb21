"""Scheduling 6: foreign code at the edges breaks nothing; log lines name agent and task."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from engine.scheduling.log_context import add_running_task
from engine.testing.agent_bench import quiet_engine
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
