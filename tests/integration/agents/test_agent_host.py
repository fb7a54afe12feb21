"""The agents of a session: they run, are steered, fail, and stop, under a clock moved by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from httpx2 import AsyncClient

from engine import flow
from engine.agents.config import AgentSection
from engine.agents.session_agent import SessionAgent
from engine.api.agent_host import CYCLE_GRACE_S
from engine.api.agent_making import engine_config
from engine.api.agent_tasks import AgentTaskEvent
from engine.api.commands import (
    AgentCommand,
    PauseAgent,
    ResumeAgent,
    RunAgentNow,
    SetAgentInterval,
    SetAgentPriority,
    StartAgent,
    StopAgent,
)
from engine.config.session_plan import PlannedAgent
from engine.scheduling.execution_engine import ExecutionEngine
from engine.scheduling.settings import SchedulingSettings
from tests.integration.agents.conftest import OpenStage, Stage, wait_until

pytestmark = pytest.mark.anyio
CERTIFICATE = Path(__file__).parents[1] / "resource_pool" / "self_signed.pem"
BUILTIN = ("stop-guard", "health", "feed", "reconcile", "performance", "snapshot", "maintenance")


class Counter(SessionAgent):
    """Counts its cycles; fails and hangs when it is told to."""

    summary = "counts"
    broken = False
    hanging = False

    async def _run_cycle(self, resource_pool: object) -> Mapping[str, Any]:
        if self.hanging:
            await anyio.sleep_forever()
        if self.broken:
            raise RuntimeError("[/red] no luck today")
        self.increment("counted")
        return {"note": f"counted {self.metrics['counted']}"}


class Stubborn(SessionAgent):
    """Cannot be started."""

    async def _initialize(self) -> None:
        raise OSError("no such device")

    async def _run_cycle(self, resource_pool: object) -> None:
        return None


class Untidy(SessionAgent):
    """Cannot be cleaned up."""

    async def _cleanup(self) -> None:
        raise OSError("still in use")

    async def _run_cycle(self, resource_pool: object) -> None:
        return None


def planned(kind: type[SessionAgent], agent_id: str = "mine", **values: Any) -> PlannedAgent:
    section = AgentSection.model_validate({"id": agent_id, "class": "own:Mine", **values})
    return PlannedAgent(section, kind)


def mine(stage: Stage) -> Counter:
    agent = stage.host.registry.agents["mine"]
    assert isinstance(agent, Counter)
    return agent


def command(kind: type[AgentCommand], agent_id: str = "mine", **values: Any) -> AgentCommand:
    return kind.model_validate({"session": "main", "agent_id": agent_id, **values})


# --- life ----------------------------------------------------------------------------------------


async def test_the_engines_own_agents_run_in_every_session(open_stage: OpenStage) -> None:
    async with open_stage() as stage:
        names = [agent_id.partition(":")[0] for agent_id in stage.board.agents]
        assert tuple(names) == BUILTIN
        stage.session.create()
        await stage.run_for(40)
        for detail in stage.board.agents.values():
            row = detail.row
            assert row.status == "running", row
            assert row.runs, row
            assert (row.errors, row.timeouts, row.last_error) == (0, 0, ""), row
            assert row.note, row
            assert row.interval is not None
            assert detail.runs[0].number == row.runs
            assert detail.runs[0].note == row.note
            assert detail.summary
        view = stage.board.scheduling
        assert view is not None
        assert (view.running, view.health) == (True, "ok")
        assert (view.agents_running, view.agents_total, view.agents_failed) == (7, 7, 0)
        assert (view.slots_total, view.slots_reserved) == (20, 2)
        assert sum(view.queued.values()) == view.delayed == 7
        assert [task.agent_id for task in view.queue]
        assert view.market.age_s is not None
        assert ("info", "7 agents run") in stage.notes
        assert not stage.alerts
    assert all(detail.row.status == "stopped" for detail in stage.board.agents.values())
    assert stage.board.scheduling is not None
    assert not stage.board.scheduling.running


async def test_agents_wait_for_the_first_picture_and_can_stop_before_it(
    open_stage: OpenStage,
) -> None:
    async with open_stage(begin=False) as stage:
        await stage.clock.run_for(30)
        assert not stage.host.registry.agents
    assert not stage.notes


async def test_tasks_are_events_of_one_executor(open_stage: OpenStage) -> None:
    async with open_stage(agents=(planned(Counter, interval=1),)) as stage:
        await stage.run_for(10)
        mine(stage).broken = True
        await stage.run_for(2)
        counts = stage.host.tasks.status_counts()
        assert counts["pending"] == 8
        assert counts["failed"] >= 1
        view = stage.board.scheduling
        assert view is not None
        assert counts["completed"] == view.completed
        assert counts["failed"] == view.failed
        (event, *_) = stage.host.tasks.failed_events
        assert isinstance(event, AgentTaskEvent)
        assert (event.agent_id, event.task_type) == ("mine", "cycle")
        assert isinstance(event.execution.error, RuntimeError)
    counts = stage.host.tasks.status_counts()
    assert counts["pending"] == counts["processing"] == 0
    assert counts["cancelled"] == 8


# --- what fails ----------------------------------------------------------------------------------


async def test_a_failing_agent_is_told_and_the_others_go_on(open_stage: OpenStage) -> None:
    agents = (planned(Counter, interval=1), planned(Counter, "other", interval=1))
    async with open_stage(agents=agents) as stage:
        mine(stage).broken = True
        await stage.run_for(30)
        row = stage.row("mine")
        assert row.errors == row.failures_in_row >= 3
        assert row.last_error == "RuntimeError: [/red] no luck today"
        assert row.interval.backoff > 1
        assert f"{row.failures_in_row} failures in a row" in row.interval.reason
        assert stage.row("other").runs > row.runs
        assert stage.row("other").errors == 0
        assert any(
            line.level == "error" and "no luck" in line.text
            for line in stage.board.agents["mine"].log
        )
        mine(stage).broken = False
        await stage.host.perform(command(RunAgentNow))
        assert stage.row("mine").failures_in_row == 0


async def test_an_agent_that_cannot_start_is_named(open_stage: OpenStage) -> None:
    async with open_stage(agents=(planned(Stubborn), planned(Counter, "other"))) as stage:
        assert ("error", "agent mine did not start: OSError: no such device") in stage.notes
        assert stage.row("mine").status == "error"
        assert stage.row("other").status == "running"
        with pytest.raises(OSError, match="no such device"):
            await stage.host.perform(command(StartAgent))


async def test_a_hanging_cycle_is_timed_out(open_stage: OpenStage) -> None:
    slow = planned(Counter, interval=1, cycle_timeout=2)
    async with open_stage(agents=(slow,)) as stage:
        mine(stage).hanging = True
        await stage.run_for(3)
        assert stage.row("mine").running_s is not None
        assert stage.row("mine").limit_s == 3.0
        await stage.run_for(6)
        assert stage.row("mine").timeouts >= 1
        assert stage.board.scheduling is not None
        assert stage.board.scheduling.timed_out >= 1


async def test_hanging_cycles_share_one_grace_at_the_end(open_stage: OpenStage) -> None:
    names = ("mine", "second", "third", "fourth")
    agents = tuple(planned(Counter, name, interval=1) for name in names)
    async with open_stage(agents=agents) as stage:
        for name in names:
            agent = stage.host.registry.agents[name]
            assert isinstance(agent, Counter)
            agent.hanging = True
        await stage.run_for(3)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.host.stop)
            await wait_until(lambda: mine(stage).status.value == "stopping")
            await stage.clock.run_for(CYCLE_GRACE_S)
    assert {stage.row(name).status for name in names} == {"stopped"}
    assert stage.host.tasks.status_counts()["processing"] == 0


async def test_an_agent_that_does_not_clean_up_is_named(open_stage: OpenStage) -> None:
    async with open_stage(agents=(planned(Untidy),)) as stage:
        await stage.run_for(3)
    assert ("error", "agent mine did not clean up: OSError: still in use") in stage.notes
    assert stage.row("mine").status == "error"


# --- commands ------------------------------------------------------------------------------------


async def test_an_agent_is_stopped_started_and_run_now(open_stage: OpenStage) -> None:
    async with open_stage(agents=(planned(Counter, interval=60),)) as stage:
        perform = stage.host.perform
        await stage.run_for(6)
        assert stage.row("mine").runs == 1
        assert await perform(command(RunAgentNow)) == "mine ran: counted 2"
        assert stage.row("mine").runs == 2
        assert await perform(command(StopAgent)) == "mine is stopped"
        assert (stage.row("mine").status, stage.row("mine").next_in_s) == ("stopped", None)
        await stage.run_for(200)
        assert stage.row("mine").runs == 2
        with pytest.raises(flow.OperationError, match="mine is stopped; start it first"):
            await perform(command(RunAgentNow))
        assert await perform(command(StartAgent)) == "mine runs"
        await stage.run_for(1)
        assert stage.row("mine").runs == 3


async def test_run_now_tells_the_failure(open_stage: OpenStage) -> None:
    async with open_stage(agents=(planned(Counter, interval=60),)) as stage:
        mine(stage).broken = True
        with pytest.raises(RuntimeError, match="no luck"):
            await stage.host.perform(command(RunAgentNow))


async def test_priority_and_interval_change_at_once(open_stage: OpenStage) -> None:
    async with open_stage(agents=(planned(Counter, interval=60),)) as stage:
        await stage.run_for(6)
        perform = stage.host.perform
        assert "priority critical" in await perform(command(SetAgentPriority, priority="critical"))
        assert stage.row("mine").priority == "critical"
        view = stage.board.scheduling
        assert view is not None
        assert view.queued["critical"] == 2
        assert "every 2 s" in await perform(command(SetAgentInterval, interval=2))
        assert stage.row("mine").interval.base_s == 2
        before = stage.row("mine").runs
        await stage.run_for(8)
        assert stage.row("mine").runs >= before + 3


async def test_a_paused_agent_rests_until_it_goes_on(open_stage: OpenStage) -> None:
    async with open_stage(agents=(planned(Counter, interval=2),)) as stage:
        await stage.run_for(6)
        perform = stage.host.perform
        assert await perform(command(PauseAgent)) == "mine is paused"
        runs = stage.row("mine").runs
        await stage.run_for(30)
        row = stage.row("mine")
        assert (row.status, row.runs, row.next_in_s, row.repeats) == ("running", runs, None, False)
        assert not row.is_overdue
        assert await perform(command(PauseAgent)) == "mine is paused already"
        assert (await perform(command(RunAgentNow))).startswith("mine ran")
        await stage.run_for(10)
        assert stage.row("mine").runs == runs + 1
        assert await perform(command(ResumeAgent)) == "mine goes on"
        await stage.run_for(6)
        assert stage.row("mine").runs >= runs + 3
        assert await perform(command(ResumeAgent)) == "mine is not paused"
        await perform(command(StopAgent))
        for kind in (PauseAgent, ResumeAgent):
            with pytest.raises(flow.OperationError, match="mine is stopped; start it first"):
                await perform(command(kind))


@pytest.mark.parametrize(
    "kind",
    [StartAgent, StopAgent, RunAgentNow, PauseAgent, ResumeAgent],
    ids=lambda kind: kind.__name__,
)
async def test_an_unknown_agent_is_named(kind: type[AgentCommand], open_stage: OpenStage) -> None:
    async with open_stage() as stage:
        with pytest.raises(flow.NotFoundError, match="there is no agent 'mine'"):
            await stage.host.perform(command(kind))


async def test_an_agent_that_is_not_enabled_waits(open_stage: OpenStage) -> None:
    async with open_stage(agents=(planned(Counter, enabled=False),)) as stage:
        await stage.run_for(10)
        assert (stage.row("mine").status, stage.row("mine").runs) == ("initialized", 0)
        await stage.host.perform(command(StartAgent))
        await stage.run_for(1)
        assert stage.row("mine").runs == 1


# --- alerts --------------------------------------------------------------------------------------


async def test_an_overdue_agent_is_an_alert_until_it_runs(open_stage: OpenStage) -> None:
    sections = {"scheduling": {"overdue_after": 5, "health_check_interval": 5}}
    once = planned(Counter, interval=5, cycle_timeout=3_000)
    async with open_stage(agents=(once,), sections=sections) as stage:
        await stage.run_for(6)
        agent = mine(stage)
        agent.config["repeat"] = True
        record = stage.host.engine.agent_stats("mine")
        assert record["runs"]
        for waiting in list(stage.host.engine._book.records["mine"].queued):
            waiting.cancel()
        await stage.run_for(12)
        assert stage.row("mine").is_overdue
        assert ("warning", "agents are degraded: mine") in stage.alerts
        view = stage.board.scheduling
        assert view is not None
        assert (view.health, view.health_note) == ("degraded", "overdue: mine")
        assert view.alerts[0].is_active
        await stage.host.perform(command(RunAgentNow))
        await stage.run_for(10)
        assert not stage.row("mine").is_overdue
        assert stage.board.scheduling is not None
        alerts = stage.board.scheduling.alerts
        assert [alert.is_active for alert in alerts if "mine" in alert.text] == [False]


async def test_an_error_of_the_guard_is_the_headline(open_stage: OpenStage) -> None:
    async with open_stage() as stage:
        executor_id = stage.session.create()
        stage.session.container.orchestrator._roster._wakes.remove(executor_id)
        assert stage.host.headline() == ""
        await stage.host.perform(command(RunAgentNow, "stop-guard:main"))
        assert f"the stop of executor {executor_id}" in stage.host.headline()
        assert stage.session.snapshot(executor_id).closing_since_ns is not None
        assert stage.alerts[0][0] == "error"


async def test_a_guard_that_does_not_run_is_the_headline_until_it_does(
    open_stage: OpenStage,
) -> None:
    async with open_stage() as stage:
        await stage.host.perform(command(StopAgent, "stop-guard:main"))
        text = "stop-guard:main is stopped: the stops have no second guard"
        assert stage.host.headline() == text
        await stage.run_for(3)
        assert stage.host.headline() == text
        assert stage.alerts.count(("error", text)) == 1
        await stage.host.perform(command(StartAgent, "stop-guard:main"))
        assert stage.host.headline() == ""
        await stage.host.perform(command(PauseAgent, "stop-guard:main"))
        assert "stop-guard:main is paused" in stage.host.headline()
        await stage.host.perform(command(ResumeAgent, "stop-guard:main"))
        assert stage.host.headline() == ""


async def test_the_end_of_a_session_is_no_alert(open_stage: OpenStage) -> None:
    async with open_stage() as stage:
        await stage.run_for(1)
    assert stage.alerts == []
    assert stage.host.headline() == ""


async def test_an_alert_of_the_engine_is_told_once(open_stage: OpenStage) -> None:
    async with open_stage() as stage:
        stage.host.engine.alerts.evaluate({"cpu": 0.93})
        text = "cpu 93% busy, over 80%"
        assert stage.notes.count(("warning", text)) == 1  # which is console and log file
        assert [line for line in stage.log.lines if line[1] == text] == []


async def test_a_fault_of_a_stop_is_told_once_and_in_the_log_of_its_guard(
    open_stage: OpenStage,
) -> None:
    async with open_stage() as stage:
        executor_id = stage.session.create()
        stage.session.container.orchestrator._roster._wakes.remove(executor_id)
        await stage.host.perform(command(RunAgentNow, "stop-guard:main"))
        fault = f"the stop of executor {executor_id}"
        assert len([text for _, text in stage.alerts if fault in text]) == 1
        assert [text for _, text in stage.log.lines if fault in text] == []
        guard = stage.host.registry.agents["stop-guard:main"]
        assert len([line for line in guard.log_lines() if fault in line.text]) == 1


# --- control API ---------------------------------------------------------------------------------


async def test_the_control_api_is_off_unless_it_is_asked_for(open_stage: OpenStage) -> None:
    async with open_stage() as stage:
        assert stage.board.scheduling is not None
        assert stage.board.scheduling.control_api == ""


async def test_the_control_api_steers_the_same_agents(open_stage: OpenStage) -> None:
    sections = {"control_api": {"enabled": True, "port": 0}}
    async with open_stage(agents=(planned(Counter),), sections=sections) as stage:
        view = stage.board.scheduling
        assert view is not None
        assert view.control_api.startswith("http://127.0.0.1:")
        token_path = stage.host._ports.data_dir / "control_api.token"
        token = await anyio.Path(token_path).read_text()
        assert (await anyio.Path(token_path).stat()).st_mode & 0o777 == 0o600
        headers = {"Authorization": f"Bearer {token.strip()}"}
        async with AsyncClient(base_url=view.control_api) as client:
            assert (await client.get("/agents")).status_code == 401
            listed = await client.get("/agents", headers=headers)
            assert listed.json()["total"] == 8
            stopped = await client.post("/agents/mine/stop", headers=headers)
            assert (stopped.status_code, stopped.json()["status"]) == (200, "stopped")
            made = await client.post(
                "/agents",
                headers=headers,
                json={"agent_type": "own:Mine", "name": "more", "config": {"interval": 9}},
            )
            assert made.status_code == 201
        await stage.host.refresh()
        assert stage.row("mine").status == "stopped"
        (more,) = [row for row in stage.board.agents.values() if row.row.origin == "operator"]
        assert more.row.interval is not None
        assert more.row.interval.base_s == 9


async def test_programs_do_not_switch_the_guard_of_the_stops_off(open_stage: OpenStage) -> None:
    async with open_stage(sections={"control_api": {"enabled": True, "port": 0}}) as stage:
        assert stage.board.scheduling is not None
        token = await anyio.Path(stage.host._ports.data_dir / "control_api.token").read_text()
        headers = {"Authorization": f"Bearer {token.strip()}"}
        base_url = stage.board.scheduling.control_api
        async with AsyncClient(base_url=base_url, headers=headers) as client:
            path = "/agents/stop-guard:main"
            for refused in (
                await client.post(f"{path}/stop"),
                await client.delete(path),
                await client.put(path, json={"config": {"repeat": False}}),
            ):
                assert refused.status_code == 403
                assert "only the console" in refused.json()["detail"]
            assert (await client.post(f"{path}/start")).status_code == 200
            assert (await client.get(path)).json()["status"] == "running"


async def test_a_wrong_token_is_an_alert_for_five_minutes(open_stage: OpenStage) -> None:
    async with open_stage(sections={"control_api": {"enabled": True, "port": 0}}) as stage:
        assert stage.board.scheduling is not None
        text = "control API: wrong token from 127.0.0.1"
        headers = {"Authorization": "Bearer guessed"}
        async with AsyncClient(base_url=stage.board.scheduling.control_api) as client:
            for _ in range(3):
                assert (await client.get("/agents", headers=headers)).status_code == 401
        assert stage.alerts.count(("warning", text)) == 1
        await stage.run_for(299)
        assert [row.text for row in stage.host.alerts.rows() if row.is_active] == [text]
        await stage.run_for(2)
        assert not [row for row in stage.host.alerts.rows() if row.is_active]


async def test_an_api_beyond_this_machine_is_warned_of_as_long_as_it_is_open(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTROL_TOKEN", "t" * 32)
    settings = {
        "enabled": True,
        "host": "0.0.0.0",  # noqa: S104 (what is warned of)
        "port": 0,
        "allow_remote": True,
        "certificate": str(CERTIFICATE),
        "token": "env:CONTROL_TOKEN",
    }
    async with open_stage(sections={"control_api": settings}) as stage:
        await stage.run_for(2)
        assert "control API is open beyond this machine" in stage.host.headline()
        await stage.host.perform(command(StopAgent, "stop-guard:main"))
        assert "beyond this machine" in stage.host.headline()
        assert "no second guard" in stage.host.headline()


async def test_a_port_that_is_taken_is_told_and_the_agents_run(open_stage: OpenStage) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 (not a database)
    async with (
        listener,
        open_stage(sections={"control_api": {"enabled": True, "port": port}}) as stage,
    ):
        assert stage.board.scheduling is not None
        assert f"cannot listen on 127.0.0.1:{port}" in stage.board.scheduling.control_api
        assert stage.board.scheduling.agents_running == 7


# --- configuration -------------------------------------------------------------------------------


def test_the_file_says_more_than_the_profile() -> None:
    settings = SchedulingSettings.model_validate(
        {"max_concurrent_tasks": 5, "critical_reserve": 1, "resource_pool": {"http_pool_size": 3}}
    )
    config = engine_config(settings)
    assert config["max_concurrent_tasks"] == 5
    assert config["task_timeout_multiplier"] == 1.5
    assert config["resource_pool"] == {"http_pool_size": 3, "cache_ttl": 120.0}
    assert engine_config(SchedulingSettings())["max_concurrent_tasks"] == 20


@pytest.mark.parametrize(("slots", "reserve"), [(1, 0), (2, 1), (3, 2), (50, 2)])
def test_few_slots_have_a_smaller_reserve(slots: int, reserve: int) -> None:
    config = engine_config(SchedulingSettings.model_validate({"max_concurrent_tasks": slots}))
    assert config["critical_reserve"] == reserve
    assert ExecutionEngine(config).critical_reserve == reserve
