"""Agents in a whole engine: from the session file to the end, by commands, in the audit trail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from engine.api import Engine
from engine.api.command_event import CommandEvent
from engine.api.commands import (
    Command,
    RunAgentNow,
    SetAgentPriority,
    StartAgent,
    StopAgent,
    StopSession,
)
from engine.store.store import Store

pytestmark = pytest.mark.anyio
WriteSession = Callable[..., Path]

OWN = """
from engine.agents.session_agent import SessionAgent

class Stopper(SessionAgent):
    summary = "stops one executor in each cycle"

    async def _run_cycle(self, resource_pool):
        for executor in self.context.picture().executors():
            result = await self.context.stop_executor(executor.id)
            return {"note": result.message}
        return {"note": "nothing to stop"}
"""


async def settled(engine: Engine, command: Command) -> tuple[str, str]:
    """Send *command* and return its status and reason."""
    event = CommandEvent(command=command)
    await engine.take(event)
    with anyio.fail_after(20):
        while (row := engine.board.commands[str(event.id)]).status in ("pending", "processing"):
            await anyio.lowlevel.checkpoint()
    return row.status, row.reason


async def until_agents_run(engine: Engine) -> None:
    with anyio.fail_after(20):
        while engine.board.scheduling is None or not engine.board.scheduling.agents_running:
            await anyio.lowlevel.checkpoint()


async def until_executors_run(engine: Engine) -> None:
    with anyio.fail_after(20):
        while not any(session.executors for session in engine.board.sessions.values()):
            await anyio.lowlevel.checkpoint()


async def test_the_sample_runs_its_four_agents_beside_the_engines_own(
    write_session: WriteSession, tmp_path: Path
) -> None:
    path = write_session("agents.yaml", {})
    async with Engine.open(config=path, data_dir=tmp_path / "data") as engine:
        await until_agents_run(engine)
        rows = {agent_id: detail.row for agent_id, detail in engine.board.agents.items()}
        assert [name for name in rows if ":" not in name] == [
            "vol-watch", "drawdown", "rebalance", "prices",
        ]  # fmt: skip
        assert len(rows) == 11
        assert {row.status for row in rows.values()} == {"running"}
        assert "agents" in [panel.name for panel in engine.board.flow_states]
        status, reason = await settled(engine, RunAgentNow(session="agents", agent_id="prices"))
        assert (status, reason.partition(":")[0]) == ("completed", "prices ran")
        status, reason = await settled(engine, RunAgentNow(session="agents", agent_id="nobody"))
        assert (status, reason) == ("failed", "there is no agent 'nobody'")
        prices = engine.summary()["agents"]["prices"]
        assert prices["runs"] >= 1
        assert {**prices, "runs": 1} == {
            "status": "running", "runs": 1, "errors": 0, "timeouts": 0,
        }  # fmt: skip
    assert {one["status"] for one in engine.summary()["agents"].values()} == {"stopped"}
    assert engine.report().clean


async def test_agents_end_with_their_session(write_session: WriteSession, tmp_path: Path) -> None:
    path = write_session("agents.yaml", {})
    async with Engine.open(config=path, data_dir=tmp_path / "data") as engine:
        await until_agents_run(engine)
        assert (await settled(engine, StopSession(session="agents")))[0] == "completed"
        await engine.wait_until_ended()
        with anyio.fail_after(20):
            while engine.board.scheduling is None or engine.board.scheduling.running:
                await anyio.lowlevel.checkpoint()
        assert engine.board.scheduling.agents_running == 0
        status, reason = await settled(engine, RunAgentNow(session="agents", agent_id="prices"))
        assert (status, reason) == ("failed", "prices is stopped; start it first")


async def test_commands_on_agents_are_in_the_audit_trail(
    write_session: WriteSession, tmp_path: Path
) -> None:
    path = write_session("agents.yaml", {})
    data_dir = tmp_path / "data"
    async with Engine.open(config=path, data_dir=data_dir) as engine:
        await until_agents_run(engine)
        for command in (
            StopAgent(session="agents", agent_id="rebalance"),
            StartAgent(session="agents", agent_id="rebalance"),
            SetAgentPriority(session="agents", agent_id="rebalance", priority="idle"),
        ):
            assert (await settled(engine, command))[0] == "completed"
        assert engine.board.agents["rebalance"].row.priority == "idle"
    async with Store.open(data_dir, now_ns=0) as store:
        kinds = {(record.kind, record.target) for record in await store.audit()}
    assert {("StopAgent", "rebalance"), ("SetAgentPriority", "rebalance")} <= kinds


async def test_what_an_own_agent_asks_for_is_journaled_and_audited(
    write_session: WriteSession, tmp_path: Path
) -> None:
    (tmp_path / "own_stopper.py").write_text(OWN, encoding="utf-8")
    own = "agents:\n  - id: stopper\n    class: own_stopper:Stopper\n    interval: 3000\n"
    path = write_session("agents.yaml", {"  speed: 1 ": "  speed: 1 ", "agents:\n": own})
    data_dir = tmp_path / "data"
    async with Engine.open(config=path, data_dir=data_dir) as engine:
        await until_agents_run(engine)
        await until_executors_run(engine)
        status, reason = await settled(engine, RunAgentNow(session="agents", agent_id="stopper"))
        assert status == "completed", reason
        assert engine.board.agents["stopper"].summary == "stops one executor in each cycle"
    async with Store.open(data_dir, now_ns=0) as store:
        (session,) = await store.sessions()
        entries = await store.journal(session.session_id)
        audit = await store.audit()
    asked = [entry for entry in entries if entry.kind == "action" and '"stopper"' in entry.payload]
    assert asked
    assert any(one.kind == "action.stop" and one.actor == "stopper" for one in audit)


async def test_two_runs_on_the_simulated_clock_are_equal_with_the_engines_own_agents(
    write_session: WriteSession, tmp_path: Path
) -> None:
    path = write_session("deterministic.yaml", {"end_after: 30m": "end_after: 3m"})
    hashes = set()
    for number in range(2):
        async with Engine.open(config=path, data_dir=tmp_path / f"data-{number}") as engine:
            await engine.wait_until_ended()
            hashes.add(engine.summary()["journal_hash"])
    assert len(hashes) == 1
