"""What an operator changes on agents outlives the process, until the session file changes."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from engine.agents.config import AgentSection
from engine.agents.session_agent import SessionAgent
from engine.api.agent_memory import AgentMemory, Remembered
from engine.api.commands import (
    AgentCommand,
    PauseAgent,
    ResumeAgent,
    SetAgentInterval,
    SetAgentPriority,
    StartAgent,
    StopAgent,
)
from engine.config.session_plan import PlannedAgent
from tests.integration.agents.conftest import OpenStage, Stage

pytestmark = pytest.mark.anyio
WALL = {"session": {"speed": "1"}}
"""A session on wall time; on the simulated clock nothing is remembered."""


class Counter(SessionAgent):
    """Counts its cycles."""

    summary = "counts"

    async def _run_cycle(self, resource_pool: object) -> Mapping[str, Any]:
        self.increment("counted")
        return {}


def planned(**values: Any) -> tuple[PlannedAgent, ...]:
    section = AgentSection.model_validate({"id": "mine", "class": "own:Mine", **values})
    return (PlannedAgent(section, Counter),)


def command(kind: type[AgentCommand], agent_id: str = "mine", **values: Any) -> AgentCommand:
    return kind.model_validate({"session": "main", "agent_id": agent_id, **values})


def counted(stage: Stage) -> int:
    return int(stage.host.registry.agents["mine"].metrics.get("counted", 0))


async def test_a_paused_agent_stays_paused_and_runs_no_cycle(open_stage: OpenStage) -> None:
    async with open_stage(agents=planned(interval=2), sections=WALL) as stage:
        await stage.run_for(10)
        assert counted(stage)
        await stage.host.perform(command(PauseAgent))
    async with open_stage(agents=planned(interval=2), sections=WALL) as stage:
        assert ("info", "agent mine is as it was left: paused") in stage.notes
        await stage.run_for(30)
        assert stage.row("mine").status == "running"
        assert not counted(stage)
        assert await stage.host.perform(command(ResumeAgent)) == "mine goes on"
        await stage.run_for(10)
        assert counted(stage)
    async with open_stage(agents=planned(interval=2), sections=WALL) as stage:
        await stage.run_for(10)
        assert counted(stage)


async def test_interval_and_priority_are_kept(open_stage: OpenStage) -> None:
    async with open_stage(agents=planned(interval=2), sections=WALL) as stage:
        await stage.host.perform(command(SetAgentInterval, interval=40))
        await stage.host.perform(command(SetAgentPriority, priority="low"))
    async with open_stage(agents=planned(interval=2), sections=WALL) as stage:
        config = stage.host.registry.agents["mine"].config
        assert (config["interval"], config["priority"]) == (40, "low")
        assert ("info", "agent mine is as it was left: every 40 s, priority low") in stage.notes


async def test_a_stopped_agent_stays_stopped_until_it_is_started(open_stage: OpenStage) -> None:
    async with open_stage(agents=planned(interval=2), sections=WALL) as stage:
        await stage.host.perform(command(PauseAgent))
        await stage.host.perform(command(StopAgent))
    async with open_stage(agents=planned(interval=2), sections=WALL) as stage:
        assert stage.row("mine").status == "initialized"
        await stage.host.perform(command(StartAgent))
        await stage.run_for(10)
        assert counted(stage) > 1
    async with open_stage(agents=planned(interval=2), sections=WALL) as stage:
        assert stage.row("mine").status == "running"


async def test_who_starts_an_agent_that_was_paused_and_stopped_wants_it_to_run(
    open_stage: OpenStage,
) -> None:
    async with open_stage(agents=planned(interval=2), sections=WALL) as stage:
        await stage.host.perform(command(PauseAgent))
        await stage.host.perform(command(StopAgent))
        await stage.host.perform(command(StartAgent))
        await stage.run_for(10)
        assert counted(stage) > 1


async def test_an_agent_that_the_file_leaves_out_stays_started(open_stage: OpenStage) -> None:
    async with open_stage(agents=planned(enabled=False), sections=WALL) as stage:
        assert stage.row("mine").status == "initialized"
        await stage.host.perform(command(StartAgent))
    async with open_stage(agents=planned(enabled=False), sections=WALL) as stage:
        assert stage.row("mine").status == "running"


async def test_another_configuration_in_the_file_counts_more(open_stage: OpenStage) -> None:
    async with open_stage(agents=planned(interval=2), sections=WALL) as stage:
        await stage.host.perform(command(PauseAgent))
        await stage.host.perform(command(SetAgentInterval, interval=40))
    async with open_stage(agents=planned(interval=3), sections=WALL) as stage:
        await stage.run_for(10)
        assert counted(stage)
        assert stage.host.registry.agents["mine"].config["interval"] == 3


async def test_the_guard_of_stops_always_runs_again(open_stage: OpenStage) -> None:
    async with open_stage(sections=WALL) as stage:
        (guard,) = [one for one in stage.board.agents if one.startswith("stop-guard")]
        await stage.host.perform(command(StopAgent, guard))
    async with open_stage(sections=WALL) as stage:
        assert stage.row(guard).status == "running"
        said = f"agent {guard} was stopped, it runs: it guards stops"
        assert ("warning", said) in stage.notes


async def test_on_the_simulated_clock_every_run_begins_alike(open_stage: OpenStage) -> None:
    async with open_stage(agents=planned(interval=2)) as stage:
        await stage.host.perform(command(PauseAgent))
        data_dir = stage.host._ports.data_dir
        assert not await anyio.Path(data_dir / "agents").exists()


async def test_what_cannot_be_read_is_told_and_counts_nothing(
    open_stage: OpenStage, tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "agents"
    folder.mkdir(parents=True, mode=0o700)
    folder.parent.chmod(0o700)
    (folder / "main.json").write_text("{}", encoding="utf-8")
    async with open_stage(agents=planned(interval=2), sections=WALL) as stage:
        assert any("changes of agents cannot be read" in text for _, text in stage.notes)
        assert stage.row("mine").status == "running"


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        '{"version": 2, "agents": {}}',
        '{"version": 1, "agents": {"a": {"origin": "x", "choice": "asleep"}}}',
    ],
)
async def test_a_damaged_file_is_nothing_to_start_from(tmp_path: Path, text: str) -> None:
    path = tmp_path / "agents" / "s.json"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    memory = AgentMemory(path)
    assert "cannot be read" in await memory.load()
    assert memory.recall("a", "x") is None


async def test_the_file_is_private_and_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "agents" / "s.json"
    memory = AgentMemory(path)
    assert await memory.load() == ""
    await memory.remember("a", "x", choice="paused")
    await memory.remember("a", "x", interval=2.5)
    again = AgentMemory(path)
    assert await again.load() == ""
    assert again.recall("a", "x") == Remembered("x", "paused", 2.5)
    assert again.recall("a", "y") is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text(encoding="utf-8"))["version"] == 1
    assert [one.name for one in path.parent.iterdir()] == ["s.json"]
