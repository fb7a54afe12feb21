"""Scheduling 11.4, 5.4, 5.5: the registry; test 30."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from engine.scheduling import (
    AgentConfigError,
    AgentFactory,
    AgentRegistry,
    AgentStatus,
    DuplicateAgent,
    EngineNotRunning,
    UnknownAgent,
    UnknownAgentType,
)
from engine.testing.agent_bench import Gate, ToldAgent, quiet_engine
from engine.testing.manual_clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def registry(clock: ManualClock) -> AgentRegistry:
    factory = AgentFactory()
    factory.register_agent_type("told", ToldAgent)
    factory.register_agent_type("other", ToldAgent)
    return AgentRegistry(factory, quiet_engine(clock, stop_grace=10))


async def added(registry: AgentRegistry, agent_id: str = "a", **config: Any) -> ToldAgent:
    agent = await registry.register_agent("told", agent_id, config)
    assert isinstance(agent, ToldAgent)
    return agent


async def test_register_find_and_unregister(registry: AgentRegistry) -> None:
    agent = await added(registry, interval=7)
    assert registry.get_agent("a") is agent
    assert registry.agents == {"a": agent}
    assert registry.get_all_agents() == [agent]
    assert registry.agent_type("a") == "told"
    assert agent.status is AgentStatus.INITIALIZED
    assert registry.engine.get_stats()["agents_tracked"] == 1
    assert await registry.unregister_agent("a") is agent
    assert registry.get_agent("a") is None
    assert registry.engine.get_stats()["agents_tracked"] == 0
    assert agent.hooks == []  # it never ran, so there was nothing to clean up


async def test_duplicate_unknown_and_unknown_type_are_told_apart(registry: AgentRegistry) -> None:
    await added(registry)
    with pytest.raises(DuplicateAgent, match="'a'"):
        await added(registry)
    with pytest.raises(UnknownAgentType, match="nothing"):
        await registry.register_agent("nothing", "b", {})
    calls: list[Any] = [
        registry.unregister_agent,
        registry.start_agent,
        registry.stop_agent,
        registry.run_now,
    ]
    for call in calls:
        with pytest.raises(UnknownAgent, match="'b'"):
            await call("b")
    with pytest.raises(UnknownAgent):
        registry.set_agent_priority("b", 1)
    with pytest.raises(UnknownAgent):
        registry.agent_type("b")
    for error in (DuplicateAgent, UnknownAgent, UnknownAgentType):
        assert issubclass(error, ValueError)


@pytest.mark.parametrize(
    "config",
    [
        {"interval": 0},
        {"interval": "5"},
        {"cycle_timeout": -1},
        {"cycle_timeout": float("inf")},
        {"priority": "urgent"},
        {"repeat": 1},
    ],
    ids=str,
)
async def test_a_configuration_the_engine_cannot_use_is_refused(
    registry: AgentRegistry, config: dict[str, Any]
) -> None:
    with pytest.raises(AgentConfigError, match="agent a: "):
        await registry.register_agent("told", "a", config)
    assert registry.get_agent("a") is None
    assert registry.engine.get_stats()["agents_tracked"] == 0


async def test_an_agent_whose_configuration_went_bad_is_not_started(
    registry: AgentRegistry,
) -> None:
    await registry.start()
    agent = await added(registry)
    agent.config["interval"] = -1
    with pytest.raises(AgentConfigError, match="interval"):
        await registry.start_agent("a")
    assert agent.status is AgentStatus.INITIALIZED
    await registry.stop()


async def test_a_started_agent_runs_at_once_and_repeats(
    registry: AgentRegistry, clock: ManualClock
) -> None:
    await registry.start()
    agent = await added(registry, interval=10)
    assert await registry.start_agent("a") is agent
    await registry.start_agent("a")  # repeating is harmless
    await clock.run_for(25)
    assert agent.starts == pytest.approx([0, 10, 20], abs=1e-6)
    assert registry.engine.get_stats()["coalesced_total"] == 0
    await registry.stop_agent("a")
    await registry.stop_agent("a")
    await clock.run_for(100)
    assert len(agent.starts) == 3
    assert agent.hooks == ["initialize", "cleanup"]
    await registry.start_agent("a")
    await clock.run_for(5)
    assert len(agent.starts) == 4
    await registry.stop()
    assert agent.status == "stopped"
    assert not registry.engine.running


async def test_starting_needs_a_running_engine(registry: AgentRegistry) -> None:
    agent = await added(registry)
    with pytest.raises(EngineNotRunning):
        await registry.start_agent("a")
    assert agent.status is AgentStatus.INITIALIZED


async def test_a_failing_start_leaves_error_and_schedules_nothing(
    registry: AgentRegistry, clock: ManualClock
) -> None:
    await registry.start()
    agent = await added(registry)
    agent.fail_in.add("initialize")
    with pytest.raises(RuntimeError, match="as told"):
        await registry.start_agent("a")
    assert agent.status == "error"
    assert registry.engine.get_stats()["queued_tasks"] == 0
    agent.fail_in.clear()
    await registry.start_agent("a")
    await clock.settle()
    assert len(agent.starts) == 1
    await registry.stop()


async def test_stopping_waits_for_the_running_cycle_before_the_clean_up(
    registry: AgentRegistry, clock: ManualClock
) -> None:
    await registry.start()
    agent = await added(registry, interval=1000)
    order: list[str] = []

    async def body(pool: Any) -> dict[str, Any]:
        await clock.sleep(5)
        order.append("cycle ended")
        return {}

    agent.body = body
    await registry.start_agent("a")
    await clock.run_for(1)
    custom = await registry.engine.schedule_task("a", "custom", Gate().task("x"), delay=50)
    follow_up = await registry.engine.schedule_agent_cycle(agent)
    async with anyio.create_task_group() as group:
        group.start_soon(registry.stop_agent, "a")
        await clock.settle()
        assert (custom.state, follow_up.state) == ("cancelled", "cancelled")
        assert agent.status == "stopping"
        assert agent.hooks == ["initialize"]
        await clock.run_for(5)
    assert order == ["cycle ended"]
    assert agent.hooks == ["initialize", "cleanup"]
    assert registry.engine.get_stats()["queued_tasks"] == 0
    await registry.stop()


async def test_a_cycle_that_does_not_end_is_cancelled_after_the_grace(
    registry: AgentRegistry, clock: ManualClock
) -> None:
    await registry.start()
    agent = await added(registry, cycle_timeout=1e6)
    gate = Gate()

    async def body(pool: Any) -> dict[str, Any]:
        await gate.task("x")(pool)
        return {}

    agent.body = body
    await registry.start_agent("a")
    await clock.settle()
    async with anyio.create_task_group() as group:
        group.start_soon(registry.stop_agent, "a")
        await clock.run_for(9)
        assert agent.status == "stopping"
        await clock.run_for(2)
        assert agent.status == "stopped"
    assert gate.running == 0
    assert registry.engine.get_stats()["cancelled_total"] == 1
    await registry.stop()


async def test_an_agent_may_stop_itself_from_inside_its_cycle(
    registry: AgentRegistry, clock: ManualClock
) -> None:
    await registry.start()
    agent = await added(registry, interval=1)

    async def body(pool: Any) -> dict[str, Any]:
        await agent.stop()
        return {}

    agent.body = body
    await registry.start_agent("a")
    await clock.run_for(30)
    assert agent.status == "stopped"
    assert len(agent.starts) == 1
    await registry.stop()


async def test_agents_that_start_together_are_spread(
    registry: AgentRegistry, clock: ManualClock
) -> None:
    await registry.start()
    agents = [await added(registry, f"a{n}", interval=100) for n in range(40)]
    quick = await added(registry, "quick", interval=0.5)
    outcomes = await registry.start_all_agents()
    assert all(one == {"success": True, "status": "running"} for one in outcomes.values())
    await clock.run_for(0.6)
    assert len(quick.starts) >= 1  # at most its own interval
    await clock.run_for(5)
    starts = sorted(agent.starts[0] for agent in agents)
    assert 0 <= starts[0] < 1
    assert 4 < starts[-1] <= 5
    assert len({round(start, 3) for start in starts}) > 35
    await registry.stop()


async def test_one_failure_does_not_stop_the_rest(
    registry: AgentRegistry, clock: ManualClock
) -> None:
    await registry.start()
    await added(registry, "a")
    bad = await added(registry, "b")
    await added(registry, "c")
    bad.fail_in.update({"initialize", "cleanup"})
    outcomes = await registry.start_all_agents()
    assert [one["success"] for one in outcomes.values()] == [True, False, True]
    assert outcomes["b"] == {
        "success": False,
        "status": "error",
        "error": "RuntimeError: initialize fails as told",
    }
    outcomes = await registry.stop_all_agents()
    assert [one["status"] for one in outcomes.values()] == ["stopped", "error", "stopped"]
    await registry.stop()


async def test_unregistering_stops_first_and_forgets_even_after_a_failure(
    registry: AgentRegistry, clock: ManualClock
) -> None:
    await registry.start()
    agent = await added(registry)
    await registry.start_agent("a")
    await clock.settle()
    agent.fail_in.add("cleanup")
    with pytest.raises(RuntimeError):
        await registry.unregister_agent("a")
    stats = registry.engine.get_stats()
    assert registry.get_agent("a") is None
    assert (stats["agents_tracked"], stats["queued_tasks"]) == (0, 0)
    assert stats["scheduler_stats"]["agents_tracked"] == 0
    await added(registry)
    await registry.stop()


def until(released: anyio.Event) -> Callable[[Any], Awaitable[dict[str, Any]]]:
    """Return a cycle that lasts until *released* is set."""

    async def body(pool: Any) -> dict[str, Any]:
        await released.wait()
        return {}

    return body


async def test_an_agent_that_is_unregistered_while_it_starts_does_not_go_on(
    registry: AgentRegistry, clock: ManualClock
) -> None:
    await registry.start()
    agent = await added(registry)
    released = anyio.Event()
    agent.body = until(released)
    await registry.start_agent("a")
    await clock.settle()
    failures: list[BaseException] = []

    async def start_again() -> None:
        try:
            await registry.start_agent("a")
        except UnknownAgent as error:
            failures.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(registry.unregister_agent, "a")
        await clock.settle()
        tasks.start_soon(start_again)  # waits until the stop is over
        await clock.settle()
        released.set()
    assert len(failures) == 1
    assert agent.status is AgentStatus.STOPPED
    stats = registry.engine.get_stats()
    assert (stats["agents_tracked"], stats["queued_tasks"]) == (0, 0)
    await registry.stop()


async def test_a_cycle_of_a_forgotten_agent_is_the_last_one(
    registry: AgentRegistry, clock: ManualClock
) -> None:
    await registry.start()
    agent = await added(registry, interval=5)
    released = anyio.Event()
    agent.body = until(released)
    await registry.start_agent("a")
    await clock.settle()
    registry.engine.forget_agent("a")
    released.set()
    await clock.run_for(60)
    assert len(agent.spans) == 1
    assert registry.engine.get_stats()["queued_tasks"] == 0
    await registry.engine.stop()


@pytest.mark.parametrize("hook", ["_initialize", "_cleanup"])
async def test_a_hook_that_never_ends_does_not_keep_everything_from_stopping(
    registry: AgentRegistry, clock: ManualClock, hook: str, caplog: Any
) -> None:
    class Hanging(ToldAgent):
        async def _initialize(self) -> None:
            await self._hang_in("_initialize")

        async def _cleanup(self) -> None:
            await self._hang_in("_cleanup")

        async def _hang_in(self, name: str) -> None:
            if name == hook:
                await anyio.sleep_forever()

    registry.factory.register_agent_type("hanging", Hanging)
    agent = await registry.register_agent("hanging", "stuck", {})
    good = await added(registry, "good")
    await registry.start()
    await registry.start_agent("good")
    ended: list[str] = []

    async def start() -> None:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            await registry.start_agent("stuck")

    async def stop() -> None:
        await registry.stop()
        ended.append("stop")

    scopes: list[anyio.CancelScope] = []
    async with anyio.create_task_group() as group:
        group.start_soon(start)
        await clock.settle()
        group.start_soon(stop)
        await clock.run_for(24)
        assert (ended, good.status) == ([], AgentStatus.STOPPED)
        await clock.run_for(2)
        assert ended == ["stop"]
        scopes[0].cancel()
    assert agent.status is AgentStatus.ERROR
    assert not registry.engine.running
    assert "agents did not stop within 25 s: stuck" in caplog.text


async def test_an_agent_that_never_ran_has_nothing_to_clean_up(registry: AgentRegistry) -> None:
    await registry.start()
    agent = await added(registry)
    await registry.stop()
    assert agent.status is AgentStatus.STOPPED
    assert agent.hooks == []


async def test_windows_of_agents(registry: AgentRegistry) -> None:
    await registry.start()
    for number in range(5):
        await registry.register_agent("told", f"t{number}", {})
    for number in range(3):
        await registry.register_agent("other", f"o{number}", {})
    await registry.start_agent("t1")

    def ids(**wanted: Any) -> tuple[list[str], int]:
        page = registry.get_agents(**wanted)
        return [agent.agent_id for agent in page["agents"]], page["total"]

    assert ids(agent_type="other") == (["o0", "o1", "o2"], 3)
    assert ids(status="RUNNING") == (["t1"], 1)
    assert ids(limit=2, offset=4) == (["t4", "o0"], 8)
    assert ids(agent_type="nothing") == ([], 0)
    page = registry.get_agents(limit=2)
    assert (page["limit"], page["offset"]) == (2, 0)
    for wrong in ({"status": "asleep"}, {"limit": -1}, {"offset": -1}):
        with pytest.raises(ValueError, match=r"not a valid|limit"):
            registry.get_agents(**wrong)
    await registry.stop()


async def test_run_now_and_a_new_priority(registry: AgentRegistry, clock: ManualClock) -> None:
    await registry.start()
    agent = await added(registry, interval=100, priority="low")
    await registry.start_agent("a")
    await clock.run_for(1)
    registry.set_agent_priority("a", "high")
    assert agent.config["priority"] == "HIGH"
    assert registry.engine.get_stats()["queued_by_priority"]["HIGH"] == 1
    handle = await registry.run_now("a")
    await clock.settle()
    assert handle.state == "done"
    assert len(agent.starts) == 2
    await registry.stop()


async def test_listeners_hear_of_agents(registry: AgentRegistry) -> None:
    seen: list[str] = []
    unsubscribe = registry.subscribe(seen.append)
    await registry.start()
    await added(registry)
    await registry.start_agent("a")
    count = len(seen)
    assert count >= 3
    await registry.unregister_agent("a")
    assert len(seen) > count
    assert set(seen) == {"a"}
    unsubscribe()
    await registry.stop()


def test_the_registry_of_the_process_is_made_on_first_use() -> None:
    AgentRegistry.reset_instance()
    assert AgentRegistry.get_execution_engine() is None
    registry = AgentRegistry.get_instance()
    assert AgentRegistry.get_instance() is registry
    assert AgentRegistry.get_execution_engine() is registry.engine
    AgentRegistry.reset_instance()
    assert AgentRegistry.get_execution_engine() is None


def test_an_engine_and_options_for_one_exclude_each_other(clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="pass in"):
        AgentRegistry(engine=quiet_engine(clock), clock=clock)
    registry = AgentRegistry(config={"max_concurrent_tasks": 3}, clock=clock)
    assert registry.engine.max_concurrent_tasks == 3
