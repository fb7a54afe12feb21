"""Agents in an engine: makes them, runs them beside the session, stops them before it."""

from __future__ import annotations

import importlib
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Final

import anyio
from anyio import to_thread

from engine import flow
from engine.agents.catalogue import builtin_types, sample_types
from engine.agents.context import AgentContext, AlertLevel
from engine.agents.ports import SessionPorts
from engine.api.agent_alerts import AgentAlerts
from engine.api.agent_commands import AgentCommands
from engine.api.agent_making import LogForwarder, SessionAgentFactory, engine_config, type_name
from engine.api.agent_memory import AgentChoice, AgentMemory, Configured, memory_path
from engine.api.agent_pictures import AgentPictures
from engine.api.agent_tasks import AgentTaskExecutor
from engine.api.agent_views import AgentOrigin
from engine.api.agent_watch import AgentWatch
from engine.api.board import Board
from engine.api.commands import AgentCommand
from engine.config.session_plan import SessionPlan
from engine.executors.actions import ActionResult
from engine.live.published import PublishedSession
from engine.scheduling.agent_registry import AgentRegistry
from engine.scheduling.clock import Clock
from engine.scheduling.execution_engine import ExecutionEngine
from engine.scheduling.task_handle import TaskHandle

STOP_S: Final = 4.0
"""After so many seconds agents that do not stop are left behind."""
CYCLE_GRACE_S: Final = 1.5
"""What running cycles get when the whole engine stops."""
_LOGGER: Final = logging.getLogger("engine.scheduling")

Note = Callable[[str, str], None]
"""Takes (level, text) for log and console."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An agent that the session begins with."""

    agent_type: str
    agent_id: str
    origin: AgentOrigin
    config: Mapping[str, Any] = field(default_factory=dict)
    is_enabled: bool = True
    is_protected: bool = False


class AgentHost:
    """The agents of one session, the engine that runs them, and the control API.

    ``run`` does it all in one task; ``stop`` ends it. Belongs to the engine's loop.

    Args:
        plan: names the agents and configures engine and control API.
        ports: the session's parts, for the engine's own agents.
        published: the newest published state.
        act: carries (actor, verb, arguments) to the session's input queue.
        board: what is published there for other threads.
        note: takes (level, text) for log and console, stamped with wall time.
        tell: takes (level, text) that counts as an alert of the session.
        log: the log file's logger; the lines of engine and agents go there.
        clock: the clock of engine and agents.
        wall_ns: wall time.
        rng: draws spread and jitter; None makes one.
    """

    def __init__(
        self,
        *,
        plan: SessionPlan,
        ports: SessionPorts,
        published: Callable[[], PublishedSession | None],
        act: Callable[[str, str, Mapping[str, Any]], Awaitable[ActionResult]],
        board: Board,
        note: Note,
        tell: Callable[[AlertLevel, str], None],
        log: Any,  # noqa: ANN401 (structlog's bound logger)
        clock: Clock,
        wall_ns: Callable[[], int],
        rng: random.Random | None = None,
    ) -> None:
        self._plan = plan
        self._ports = ports
        self._published = published
        self._act = act
        self._board = board
        self._note = note
        self._log = log
        self._clock = clock
        self.alerts = AgentAlerts(tell=tell, wall_ns=wall_ns)
        self.tasks = AgentTaskExecutor()
        self.engine = ExecutionEngine(
            engine_config(plan.config.scheduling), clock=clock, rng=rng or random.Random()
        )
        self.registry = AgentRegistry(SessionAgentFactory(self._context_of, ports), self.engine)
        self._watch = AgentWatch(alerts=self.alerts, registry=self.registry, clock=clock, note=note)
        self._origins: dict[str, AgentOrigin] = {}
        self._configured: dict[str, Configured] = {}
        section = plan.config.session
        # A run on the simulated clock is to be the same whatever was done to an earlier one.
        path = memory_path(ports.data_dir, section.name)
        self._memory = AgentMemory(None if section.speed == "max" else path)
        self._commands = AgentCommands(
            registry=self.registry,
            engine=self.engine,
            memory=self._memory,
            configured=self._configured,
        )
        self._pictures = AgentPictures(
            registry=self.registry,
            board=board,
            alerts=self.alerts,
            clock=clock,
            origins=self._origins,
        )
        self._has_picture = anyio.Event()
        self._stop_wanted = anyio.Event()
        self._ended = anyio.Event()
        self._is_begun = False

    # --- life ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run the agents until ``stop``; a fault here is told and harms nobody else."""
        handler = LogForwarder(self._log)
        _LOGGER.addHandler(handler)
        if _LOGGER.getEffectiveLevel() > logging.INFO:
            _LOGGER.setLevel(logging.INFO)
        try:
            await self._first_of(self._has_picture, self._stop_wanted)
            if not self._stop_wanted.is_set():
                await self._serve()
        except Exception as error:  # noqa: BLE001 (supervisor: the session goes on without agents)
            self._log.error("the agents failed", exc_info=error)
            self._note("error", f"the agents failed: {type(error).__name__}: {error}")
        finally:
            with anyio.CancelScope(shield=True):
                await self._end()
            _LOGGER.removeHandler(handler)
            self._ended.set()

    async def stop(self) -> None:
        """Stop agents, control API and engine; waits for at most ``STOP_S`` seconds."""
        self._stop_wanted.set()
        if self._is_begun:
            with anyio.move_on_after(STOP_S + 1):
                await self._ended.wait()

    def on_picture(self) -> None:
        """Know that the session has published: its agents may begin."""
        self._has_picture.set()

    def begin(self) -> None:
        """Say that ``run`` is going to be awaited, so that ``stop`` waits for it."""
        self._is_begun = True

    async def _serve(self) -> None:
        self.engine.subscribe(self._task_moved)
        self.engine.add_health_listener(self._watch.health_changed)
        self.engine.alerts.subscribe(self._watch.engine_alert)
        async with AsyncExitStack() as stack:
            await self.registry.start()
            await self._start_agents()
            await self._open_control_api(stack)
            await self.refresh()
            await self._stop_wanted.wait()

    async def _end(self) -> None:
        with anyio.move_on_after(STOP_S) as limit:
            self.engine.stop_grace = CYCLE_GRACE_S
            async with anyio.create_task_group() as tasks:
                # All at once: each may need its grace.
                for agent_id in self.registry.agents:
                    tasks.start_soon(self._stop_one, agent_id, name=f"stopping {agent_id}")
            await self.registry.stop()
        if limit.cancelled_caught:
            self._note("error", f"agents did not stop within {STOP_S:g} s and are left behind")
        await self.refresh()

    async def _stop_one(self, agent_id: str) -> None:
        try:
            await self.registry.stop_agent(agent_id)
        except Exception as error:  # noqa: BLE001 (boundary: an agent's own clean-up runs here)
            text = f"agent {agent_id} did not clean up: {type(error).__name__}: {error}"
            self._note("error", text)

    async def _start_agents(self) -> None:
        problem = await self._memory.load()
        if problem:
            self._note("warning", problem)
        others: list[tuple[_Wanted, Mapping[str, Any], AgentChoice]] = []
        for wanted in self._wanted():
            config, choice = self._as_left(wanted)
            if choice == "running":
                await self._register(wanted, config)
            else:
                others.append((wanted, config, choice))
        outcomes = await self.registry.start_all_agents()
        for agent_id, outcome in outcomes.items():
            if not outcome["success"]:
                self._note("error", f"agent {agent_id} did not start: {outcome['error']}")
        for wanted, config, choice in others:
            await self._register(wanted, config)
            if choice == "paused":
                await self._begin_paused(wanted.agent_id)
        self._note("info", f"{sum(one['success'] for one in outcomes.values())} agents run")

    def _wanted(self) -> Iterator[_Wanted]:
        """Yield the engine's own agents, then the plan's; their types are known afterwards."""
        factory = self.registry.factory
        for name, builtin in builtin_types().items():
            factory.register_agent_type(name, builtin)
            agent_id = f"{name.replace('_', '-')}:{self._plan.config.session.name}"
            yield _Wanted(name, agent_id, "engine", is_protected=builtin.is_protected)
        for name, sample in sample_types().items():
            factory.register_agent_type(name, sample)
        for planned in self._plan.agents:
            section, name = planned.section, type_name(planned.section)
            factory.register_agent_type(name, planned.agent_class)
            yield _Wanted(
                name,
                section.id,
                "session",
                config=section.agent_config,
                is_enabled=section.enabled,
            )

    def _as_left(self, wanted: _Wanted) -> tuple[Mapping[str, Any], AgentChoice]:
        """Return configuration and state of an agent: as an operator has left it, else as said."""
        agent_id, said = wanted.agent_id, wanted.config
        known = Configured.of(wanted.agent_type, said, is_enabled=wanted.is_enabled)
        self._configured[agent_id] = known
        usual: AgentChoice = "running" if wanted.is_enabled else "stopped"
        left = self._memory.recall(agent_id, known.origin)
        if left is None:
            return said, usual
        if wanted.is_protected and left.choice in {"paused", "stopped"}:
            self._note("warning", f"agent {agent_id} was {left.choice}, it runs: it guards stops")
            left = replace(left, choice=None)
        if left.text:
            self._note("info", f"agent {agent_id} is as it was left: {left.text}")
        return {**said, **left.config}, left.choice or usual

    async def _begin_paused(self, agent_id: str) -> None:
        """Let an agent be running without a cycle; `registry.start_agent` would give it one."""
        agent = self.registry.get_agent(agent_id)
        if agent is None:
            return
        try:
            await agent.start()
        except Exception as error:  # noqa: BLE001 (boundary: an own agent's code runs here)
            text = f"agent {agent_id} did not start: {type(error).__name__}: {error}"
            self._note("error", text)

    async def _register(self, wanted: _Wanted, config: Mapping[str, Any]) -> None:
        """Make an agent; one that cannot be made is told and does not stop the others."""
        agent_id = wanted.agent_id
        self._origins[agent_id] = wanted.origin
        try:
            await self.registry.register_agent(wanted.agent_type, agent_id, config)
        except Exception as error:  # noqa: BLE001 (boundary: an own agent's code runs here)
            text = f"agent {agent_id} cannot be made: {type(error).__name__}: {error}"
            self._note("error", text)

    async def _open_control_api(self, stack: AsyncExitStack) -> None:
        settings = self._plan.config.control_api
        if not settings.enabled:
            return
        # Most sessions do without a web server: it is imported where one is wanted, in a thread.
        await to_thread.run_sync(importlib.import_module, "engine.scheduling.control_api")
        from engine.scheduling.control_api import control_server

        try:
            server = await stack.enter_async_context(
                control_server(
                    self.registry,
                    settings,
                    data_dir=self._ports.data_dir,
                    clock=self._clock,
                    on_failed_login=self._watch.login_failed,
                )
            )
        except flow.EngineError as error:
            self._pictures.control_api = error.message
            self._note("error", error.message)
            return
        if server is not None:
            self._watch.api_opened(settings, server.url)
            self._pictures.control_api = server.url
            where = "" if server.token_path is None else f", token in {server.token_path}"
            self._note("info", f"control API at {server.url}{where}")

    async def _first_of(self, *events: anyio.Event) -> None:
        async with anyio.create_task_group() as tasks:

            async def wait(event: anyio.Event) -> None:
                await event.wait()
                tasks.cancel_scope.cancel()

            for event in events:
                tasks.start_soon(wait, event, name="waiting for a picture")

    # --- commands --------------------------------------------------------------------------

    async def perform(self, command: AgentCommand) -> str:
        """Carry out *command* and return what the operator should know.

        Raises:
            EngineError: there is no such agent, or it cannot be done now.
            OSError: it is done, but cannot be remembered.
            Exception: what the agent itself raised.
        """
        try:
            return await self._commands.perform(command)
        finally:
            await self.refresh()

    # --- what is published -----------------------------------------------------------------

    async def refresh(self) -> None:
        """Publish the agents, the engine's figures and the counts of its tasks."""
        await self.tasks.catch_up()
        self._watch.look(is_stopping=self._stop_wanted.is_set())
        self._pictures.publish()

    def headline(self) -> str:
        """Return what nobody may overlook; empty if nothing."""
        return self.alerts.headline()

    def summary(self) -> dict[str, Any]:
        """Return the agents as JSON values."""
        return {
            detail.row.id: {
                "status": detail.row.status,
                "runs": detail.row.runs,
                "errors": detail.row.errors,
                "timeouts": detail.row.timeouts,
            }
            for detail in self._board.agents.values()
        }

    # --- what agents use -------------------------------------------------------------------

    def _context_of(self, agent_id: str) -> AgentContext:
        return AgentContext(
            agent_id=agent_id,
            published=self._published,
            act=self._act,
            alerts=self.alerts,
            market_condition=self._set_market_condition,
        )

    def _set_market_condition(
        self, *, volatility: float, trading_volume: float, trend: float, liquidity: float
    ) -> None:
        self._pictures.market_seen()
        self.engine.scheduler.update_market_condition(
            volatility=volatility, trading_volume=trading_volume, trend=trend, liquidity=liquidity
        )

    # --- what the engine says --------------------------------------------------------------

    def _task_moved(self, task: TaskHandle, old: Any, new: Any) -> None:  # noqa: ANN401 (task states)
        self.tasks.note(task, old, new)
