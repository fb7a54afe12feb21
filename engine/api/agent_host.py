"""Agents in an engine: makes them, runs them beside the session, stops them before it."""

from __future__ import annotations

import importlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

import anyio
from anyio import to_thread

from engine import flow
from engine.agents.builtin.performance import PerformanceSamples
from engine.agents.catalogue import builtin_types, sample_types
from engine.agents.config import AgentSection
from engine.agents.context import AgentContext, AlertLevel
from engine.agents.ports import EngineAgent, SessionPorts
from engine.agents.session_agent import SessionAgent
from engine.api.agent_alerts import AgentAlerts
from engine.api.agent_rows import AgentRows, scheduling_view
from engine.api.agent_tasks import AgentTaskExecutor
from engine.api.agent_views import AgentDetail, AgentOrigin, AlertRow
from engine.api.agent_watch import AgentWatch
from engine.api.board import Board
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
from engine.config.session_plan import SessionPlan
from engine.executors.actions import ActionResult
from engine.live.published import PublishedSession
from engine.scheduling.agent_factory import AgentFactory
from engine.scheduling.agent_log import is_told
from engine.scheduling.agent_registry import AgentRegistry
from engine.scheduling.base_agent import BaseAgent
from engine.scheduling.clock import Clock
from engine.scheduling.execution_engine import ExecutionEngine
from engine.scheduling.settings import FULL_PROFILE, SchedulingSettings
from engine.scheduling.task_handle import TaskHandle

STOP_S: Final = 4.0
"""After so many seconds agents that do not stop are left behind."""
CYCLE_GRACE_S: Final = 1.5
"""What running cycles get when the whole engine stops."""
_LOGGER: Final = logging.getLogger("engine.scheduling")

Note = Callable[[str, str], None]
"""Takes (level, text) for log and console."""


class SessionAgentFactory(AgentFactory):
    """Gives every agent its session, however it came to be made."""

    def __init__(
        self, context_of: Callable[[str], AgentContext], ports: SessionPorts | None
    ) -> None:
        super().__init__()
        self._context_of = context_of
        self._ports = ports

    def create_agent(
        self, agent_type: str, agent_id: str, config: Mapping[str, Any] | None = None
    ) -> BaseAgent:
        """Return a new agent with its context."""
        agent = super().create_agent(agent_type, agent_id, config)
        if isinstance(agent, SessionAgent):
            agent.attach(self._context_of(agent_id))
        if isinstance(agent, EngineAgent) and self._ports is not None:
            agent.attach_ports(self._ports)
        return agent


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
        self._rows = AgentRows(self.engine)
        self._watch = AgentWatch(alerts=self.alerts, registry=self.registry, clock=clock, note=note)
        self._origins: dict[str, AgentOrigin] = {}
        self._market_at: float | None = None
        self._control_api = ""
        self._has_picture = anyio.Event()
        self._stop_wanted = anyio.Event()
        self._ended = anyio.Event()
        self._is_begun = False

    # --- life ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run the agents until ``stop``; a fault here is told and harms nobody else."""
        handler = _Forwarder(self._log)
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
        factory = self.registry.factory
        for name, builtin in builtin_types().items():
            factory.register_agent_type(name, builtin)
            agent_id = f"{name.replace('_', '-')}:{self._plan.config.session.name}"
            await self._register(name, agent_id, {}, origin="engine")
        for name, sample in sample_types().items():
            factory.register_agent_type(name, sample)
        waiting: list[AgentSection] = []
        for planned in self._plan.agents:
            section = planned.section
            factory.register_agent_type(_type_name(section), planned.agent_class)
            if section.enabled:
                await self._register_planned(section)
            else:
                waiting.append(section)
        outcomes = await self.registry.start_all_agents()
        for agent_id, outcome in outcomes.items():
            if not outcome["success"]:
                self._note("error", f"agent {agent_id} did not start: {outcome['error']}")
        for section in waiting:
            await self._register_planned(section)
        self._note("info", f"{sum(one['success'] for one in outcomes.values())} agents run")

    async def _register_planned(self, section: AgentSection) -> None:
        await self._register(
            _type_name(section), section.id, section.agent_config, origin="session"
        )

    async def _register(
        self, agent_type: str, agent_id: str, config: Mapping[str, Any], *, origin: AgentOrigin
    ) -> None:
        """Make an agent; one that cannot be made is told and does not stop the others."""
        self._origins[agent_id] = origin
        try:
            await self.registry.register_agent(agent_type, agent_id, config)
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
            self._control_api = error.message
            self._note("error", error.message)
            return
        if server is not None:
            self._watch.api_opened(settings, server.url)
            self._control_api = server.url
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
            Exception: what the agent itself raised.
        """
        registry, agent_id = self.registry, command.agent_id
        if registry.get_agent(agent_id) is None:
            raise flow.NotFoundError(f"there is no agent {agent_id!r}")
        match command:
            case StartAgent():
                await registry.start_agent(agent_id)
                text = f"{agent_id} runs"
            case StopAgent():
                await registry.stop_agent(agent_id)
                text = f"{agent_id} is stopped"
            case PauseAgent():
                text = await self._pause(agent_id)
            case ResumeAgent():
                text = await self._resume(agent_id)
            case RunAgentNow():
                text = await self._run_now(agent_id)
            case SetAgentPriority():
                registry.set_agent_priority(agent_id, command.priority)
                text = f"{agent_id} has priority {command.priority}"
            case SetAgentInterval():
                await self._set_interval(agent_id, command.interval)
                text = f"{agent_id} runs every {command.interval:g} s before the factors"
            case _:
                raise flow.OperationError(f"there is no command {type(command).__name__}")
        await self.refresh()
        return text

    async def _run_now(self, agent_id: str) -> str:
        agent = self._running_agent(agent_id)
        handle = await self.registry.run_now(agent_id)
        await handle.result()
        note = agent.note if isinstance(agent, SessionAgent) else ""
        return f"{agent_id} ran{': ' if note else ''}{note}"

    async def _pause(self, agent_id: str) -> str:
        agent = self._running_agent(agent_id)
        if not agent.config.get("repeat", True):
            return f"{agent_id} is paused already"
        await agent.update_config({"repeat": False})
        self.engine.drop_cycle(agent_id)
        return f"{agent_id} is paused"

    async def _resume(self, agent_id: str) -> str:
        agent = self._running_agent(agent_id)
        if agent.config.get("repeat", True):
            return f"{agent_id} is not paused"
        await agent.update_config({"repeat": True})
        _ = await self.registry.run_now(agent_id)
        return f"{agent_id} goes on"

    def _running_agent(self, agent_id: str) -> BaseAgent:
        agent = self.registry.agents[agent_id]
        if agent.status.value != "running":
            raise flow.OperationError(f"{agent_id} is {agent.status.value}; start it first")
        return agent

    async def _set_interval(self, agent_id: str, interval: float) -> None:
        agent = self.registry.agents[agent_id]
        await agent.update_config({"interval": interval})
        if agent.status.value == "running" and agent.config.get("repeat", True):
            # Merges with the queued cycle: a shorter interval counts at once, a longer one next.
            priority = agent.config.get("priority", "NORMAL")
            await self.engine.schedule_agent_cycle(agent, priority, interval)

    # --- what is published -----------------------------------------------------------------

    async def refresh(self) -> None:
        """Publish the agents, the engine's figures and the counts of its tasks."""
        await self.tasks.catch_up()
        self._watch.look(is_stopping=self._stop_wanted.is_set())
        known = self.registry.agents
        for gone in self._board.agents.keys() - known.keys():
            self._rows.forget(gone)
        details: dict[str, AgentDetail] = {}
        for agent_id, agent in known.items():
            detail = self._detail_of(agent)
            if detail is not None:
                details[agent_id] = detail
        self._board.agents = details
        self._board.scheduling = scheduling_view(
            self.engine,
            tuple(detail.row for detail in details.values()),
            alerts=self._alert_rows(),
            control_api=self._control_api,
            market_age_s=self._market_age(),
            ticks=self._ticks(),
        )

    def _detail_of(self, agent: BaseAgent) -> AgentDetail | None:
        """Return the view of *agent*; one that cannot be shown keeps its last and is told once."""
        agent_id = agent.agent_id
        try:
            detail = self._rows.detail(
                agent,
                agent_type=self.registry.agent_type(agent_id),
                origin=self._origins.get(agent_id, "operator"),
            )
        except Exception as error:  # noqa: BLE001 (boundary: an agent's own values are read)
            text = f"agent {agent_id} cannot be shown: {type(error).__name__}: {error}"
            self.alerts.raise_alert(f"shown:{agent_id}", text, "warning")
            return self._board.agents.get(agent_id)
        self.alerts.clear_alert(f"shown:{agent_id}")
        return detail

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

    def _alert_rows(self) -> tuple[AlertRow, ...]:
        own = self.alerts.rows()
        of_engine = tuple(
            AlertRow(alert.raised_ns, alert.level, alert.text, alert.cleared_ns is None)
            for alert in self.engine.alerts.recent(limit=20)
        )
        rows = sorted((*own, *of_engine), key=lambda row: row.raised_ns, reverse=True)
        return tuple(rows[:50])

    def _ticks(self) -> tuple[float | None, float | None, tuple[float, ...]]:
        for agent in self.registry.agents.values():
            if isinstance(agent, PerformanceSamples):
                return agent.tick_p50_ms, agent.tick_p95_ms, tuple(agent.trend)
        return None, None, ()

    def _market_age(self) -> float | None:
        return None if self._market_at is None else self._clock.monotonic() - self._market_at

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
        self._market_at = self._clock.monotonic()
        self.engine.scheduler.update_market_condition(
            volatility=volatility, trading_volume=trading_volume, trend=trend, liquidity=liquidity
        )

    # --- what the engine says --------------------------------------------------------------

    def _task_moved(self, task: TaskHandle, old: Any, new: Any) -> None:  # noqa: ANN401 (task states)
        self.tasks.note(task, old, new)


class _Forwarder(logging.Handler):
    """Sends the lines of engine and agents to the log file, never to the terminal."""

    def __init__(self, log: Any) -> None:  # noqa: ANN401 (structlog's bound logger)
        super().__init__(logging.INFO)
        self._target = log

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on one line, unless an alert tells it already."""
        if is_told(record):
            return
        level = record.levelname.lower()
        write = getattr(self._target, level, self._target.info)
        write(record.getMessage(), logger=record.name, exc_info=record.exc_info or None)


def _type_name(section: AgentSection) -> str:
    return section.type or str(section.class_path)


def engine_config(settings: SchedulingSettings) -> dict[str, Any]:
    """Return the options of the execution engine: the full profile, and what the file says."""
    config: dict[str, Any] = {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in FULL_PROFILE.items()
    }
    given = settings.to_config()
    for name, value in given.items():
        known = config.get(name)
        if isinstance(known, dict) and isinstance(value, Mapping):
            config[name] = {**known, **value}
        else:
            config[name] = value
    if "critical_reserve" not in given:
        # The profile's reserve is for its own slots: fewer slots cannot spare as many.
        slots = int(config["max_concurrent_tasks"])
        config["critical_reserve"] = min(config["critical_reserve"], slots - 1)
    return config
