"""Scheduling 11: agents, their metrics and logs, factory; test 30."""

from __future__ import annotations

import json
import logging
from typing import Any

import anyio
import pytest

from engine.scheduling import (
    AgentConfigError,
    AgentFactory,
    AgentStatus,
    BaseAgent,
    UnknownAgentType,
)
from engine.scheduling.agent_log import LINES
from engine.testing.agent_bench import ToldAgent

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("word", ["running", "RUNNING", "Running"])
def test_a_status_is_parsed_in_any_case(word: str) -> None:
    assert AgentStatus(word) is AgentStatus.RUNNING


def test_there_are_six_statuses_in_lower_case() -> None:
    assert [status.value for status in AgentStatus] == [
        "initialized",
        "starting",
        "running",
        "stopping",
        "stopped",
        "error",
    ]
    words: tuple[Any, ...] = ("paused", None, 3)
    for word in words:
        with pytest.raises(ValueError, match="not a valid"):
            AgentStatus(word)


async def test_a_whole_life() -> None:
    agent = ToldAgent("a", {"x": 1})
    assert agent.get_status()["status"] == "initialized"
    await agent.start()
    assert agent.get_status()["status"] == "running"
    await agent.start()
    assert (await agent.run_cycle(None))["success"] is True
    await agent.stop()
    assert agent.get_status()["status"] == "stopped"
    await agent.stop()
    await agent.start()
    assert agent.hooks == ["initialize", "cleanup", "initialize"]


async def test_an_agent_that_does_not_run_runs_nothing() -> None:
    agent = ToldAgent("a")
    answer = await agent.run_cycle(None)
    assert answer == {"success": False, "message": "agent a is initialized"}
    assert agent.spans == []
    assert agent.metrics["cycles_failed"] == 0


async def test_a_failing_cycle_is_an_answer_and_counted() -> None:
    agent = ToldAgent("a")
    await agent.start()

    async def body(pool: Any) -> dict[str, Any]:
        raise ValueError("broken\nin detail")

    agent.body = body
    answer = await agent.run_cycle(None)
    assert answer["success"] is False
    assert answer["error"] == "ValueError: broken"
    assert answer["duration"] >= 0
    assert agent.metrics["cycles_failed"] == agent.metrics["errors"] == 1
    assert agent.metrics["last_cycle_error"] == "ValueError: broken"
    assert agent.status == "running"
    assert agent.log.lines()[-1].text == "cycle failed: ValueError: broken"


async def test_results_are_a_mapping() -> None:
    agent = ToldAgent("a")
    await agent.start()

    async def wrong(pool: Any) -> Any:
        return 3

    async def right(pool: Any) -> Any:
        return {"trades": 2}

    agent.body = wrong
    assert "must return a mapping" in (await agent.run_cycle(None))["error"]
    agent.body = right
    assert (await agent.run_cycle(None))["results"] == {"trades": 2}


def test_run_cycle_is_an_obligation() -> None:
    with pytest.raises(TypeError, match="_run_cycle"):
        BaseAgent("a")  # type: ignore[abstract]  # what is tested


async def test_metrics_are_all_there_and_any_counter_can_be_incremented() -> None:
    agent = ToldAgent("a")
    assert set(agent.metrics) == {
        "cycles_completed",
        "cycles_failed",
        "errors",
        "last_cycle_time",
        "last_cycle_completed",
        "last_cycle_error",
    }
    agent.metrics["orders"] += 1
    agent.increment("orders", 2)
    agent.metrics.increment("fills")
    assert (agent.metrics["orders"], agent.metrics["fills"], agent.metrics["none"]) == (3, 1, 0)
    assert "none" not in agent.metrics
    await agent.start()
    await agent.run_cycle(None)
    status = agent.get_status()
    assert set(status) == {"agent_id", "status", "metrics", "config"}
    assert json.loads(json.dumps(status)) == status
    assert type(status["metrics"]) is dict
    status["metrics"]["orders"] = 99
    status["config"]["x"] = 99
    assert agent.metrics["orders"] == 3
    assert agent.config == {}


@pytest.mark.parametrize(
    ("hook", "before", "change"),
    [("initialize", "initialized", "start"), ("cleanup", "running", "stop")],
)
async def test_a_failing_hook_leaves_error_and_is_raised(
    hook: str, before: str, change: str
) -> None:
    agent = ToldAgent("a")
    if before == "running":
        await agent.start()
    agent.fail_in.add(hook)
    with pytest.raises(RuntimeError, match="as told"):
        await getattr(agent, change)()
    assert agent.status == "error"
    assert agent.metrics["errors"] == 1
    agent.fail_in.clear()
    await agent.start()
    assert agent.status == "running"


async def test_a_failing_update_restores_the_old_configuration() -> None:
    agent = ToldAgent("a", {"interval": 5, "x": 1})
    await agent.update_config({"x": 2, "y": 3})
    assert agent.config == {"interval": 5, "x": 2, "y": 3}
    agent.fail_in.add("config")
    with pytest.raises(RuntimeError):
        await agent.update_config({"x": 4})
    assert agent.config == {"interval": 5, "x": 2, "y": 3}
    with pytest.raises(AgentConfigError, match="interval"):
        await agent.update_config({"interval": 0})
    assert agent.config["interval"] == 5


def test_a_configuration_is_a_mapping() -> None:
    wrong: Any = 3
    with pytest.raises(AgentConfigError, match="agent a: config must be a mapping"):
        ToldAgent("a", wrong)
    config = {"x": 1}
    agent = ToldAgent("a", config)
    config["x"] = 2
    assert agent.config == {"x": 1}


@pytest.mark.parametrize("agent_id", ["", None, "x" * 201, "a\n"])
def test_an_id_that_cannot_be_one_is_refused(agent_id: Any) -> None:
    with pytest.raises(ValueError, match="agent id"):
        ToldAgent(agent_id)


async def test_transitions_follow_each_other() -> None:
    steps: list[str] = []

    class Slow(ToldAgent):
        async def _initialize(self) -> None:
            steps.append("begin")
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            steps.append("end")

        async def _cleanup(self) -> None:
            steps.append("cleanup")

    agent = Slow("a")
    async with anyio.create_task_group() as group:
        group.start_soon(agent.start)
        group.start_soon(agent.start)
        group.start_soon(agent.stop)
        await anyio.lowlevel.checkpoint()
        assert agent.is_changing
    assert steps == ["begin", "end", "cleanup"]
    assert agent.status == "stopped"
    assert not agent.is_changing


async def test_listeners_hear_every_change() -> None:
    agent = ToldAgent("a")
    seen: list[str] = []
    unsubscribe = agent.subscribe(lambda changed: seen.append(agent.status.value))
    await agent.start()
    await agent.run_cycle(None)
    await agent.update_config({"x": 1})
    unsubscribe()
    unsubscribe()
    await agent.stop()
    assert seen == ["starting", "running", "running", "running"]


def test_log_lines_go_to_the_logging_system_and_not_to_the_terminal(
    capfd: Any, caplog: Any
) -> None:
    agent = ToldAgent("a")
    with caplog.at_level(logging.INFO):
        agent.logger.info("hello %s", "there")
        agent.logger.debug("not kept")
    assert [(line.level, line.text) for line in agent.log_lines()] == [("INFO", "hello there")]
    assert "hello there" in caplog.text
    assert capfd.readouterr() == ("", "")


def test_the_newest_thousand_lines_are_kept() -> None:
    agent = ToldAgent("a")
    for number in range(LINES + 50):
        agent.logger.warning("line %d", number)
    lines = agent.log.lines(limit=5000)
    assert (len(lines), lines[0].text, lines[-1].text) == (1000, "line 50", "line 1049")
    assert [line.text for line in agent.log.lines(limit=2, offset=1)] == ["line 1047", "line 1048"]


def test_lines_can_be_chosen_by_level() -> None:
    agent = ToldAgent("a")
    agent.logger.info("one")
    agent.logger.error("two")
    assert [line.text for line in agent.log.lines("warning")] == ["two"]
    assert len(agent.log.lines(logging.INFO)) == 2
    with pytest.raises(ValueError, match="level"):
        agent.log.lines("loud")
    with pytest.raises(ValueError, match="limit"):
        agent.log.lines(limit=-1)


def test_a_factory_makes_agents_of_registered_types_only() -> None:
    factory = AgentFactory()
    factory.register_agent_type("told", ToldAgent)
    factory.register_agent_type("other", ToldAgent)
    assert factory.get_available_agent_types() == ["other", "told"]
    assert factory.get_agent_class("told") is ToldAgent
    agent = factory.create_agent("told", "a", {"x": 1})
    assert (type(agent), agent.agent_id, agent.config) == (ToldAgent, "a", {"x": 1})
    for name in ("engine.testing.agent_bench.ToldAgent", "", "Told"):
        with pytest.raises(UnknownAgentType, match="told"):
            factory.create_agent(name, "a", {})
    assert issubclass(UnknownAgentType, ValueError)
    for wrong in (int, None, agent):
        with pytest.raises(TypeError, match="is no subclass of BaseAgent"):
            factory.register_agent_type("wrong", wrong)  # type: ignore[arg-type]  # what is tested
