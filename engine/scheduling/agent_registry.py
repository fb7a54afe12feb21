"""Creates, finds, starts and stops agents; owns the engine that runs them."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Final

import anyio

from engine.scheduling.agent_config import read_cycle_settings
from engine.scheduling.agent_factory import AgentFactory
from engine.scheduling.agent_log import first_line
from engine.scheduling.agent_status import AgentStatus
from engine.scheduling.base_agent import BaseAgent
from engine.scheduling.clock import Clock
from engine.scheduling.errors import DuplicateAgent, EngineNotRunning, UnknownAgent
from engine.scheduling.execution_engine import ExecutionEngine
from engine.scheduling.settings import SchedulingSettings
from engine.scheduling.task_handle import TaskHandle
from engine.scheduling.task_names import check_name
from engine.scheduling.task_priority import TaskPriority, to_priority
from engine.scheduling.timed_wait import DeadlinePassed, within

LOG: Final = logging.getLogger("engine.scheduling")
HOOK_LIMIT_S: Final = 10.0
"""Time that the agents' hooks get when everything stops."""


class AgentRegistry:
    """The agents of one engine, by id, in the order they were registered.

    Args:
        factory: makes agents; None makes an empty factory.
        engine: runs them; None makes one of *config*, *clock* and *rng*.
        config: options of the engine that is made.
        clock: its clock.
        rng: its random source.

    Attributes:
        factory: the agent types.
        engine: the execution engine.
        agents: agents by id.
    """

    _instance: ClassVar[AgentRegistry | None] = None

    def __init__(
        self,
        factory: AgentFactory | None = None,
        engine: ExecutionEngine | None = None,
        *,
        config: Mapping[str, Any] | SchedulingSettings | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        if engine is not None and (config is not None or clock is not None or rng is not None):
            raise ValueError("give config, clock and rng to the engine that you pass in")
        self.factory: Final = factory if factory is not None else AgentFactory()
        self.engine: Final = engine or ExecutionEngine(config, clock=clock, rng=rng)
        self.agents: Final[dict[str, BaseAgent]] = {}
        self._types: Final[dict[str, str]] = {}
        self._unsubscribe: Final[dict[str, Callable[[], None]]] = {}
        self._listeners: Final[list[Callable[[str], object]]] = []

    # --- for callers from outside ----------------------------------------------------------

    @classmethod
    def get_instance(cls) -> AgentRegistry:
        """Return the registry of the process, made on first use; nothing inside uses it."""
        if AgentRegistry._instance is None:
            AgentRegistry._instance = cls()
        return AgentRegistry._instance

    @classmethod
    def get_execution_engine(cls) -> ExecutionEngine | None:
        """Return the engine of the process's registry; None before there is one."""
        return None if AgentRegistry._instance is None else AgentRegistry._instance.engine

    @classmethod
    def reset_instance(cls) -> None:
        """Forget the registry of the process; for tests."""
        AgentRegistry._instance = None

    # --- life ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the engine; agents are started one by one or by `start_all_agents`."""
        await self.engine.start()

    async def stop(self) -> None:
        """Stop all agents, then the engine.

        A hook of an agent that does not end is cancelled `HOOK_LIMIT_S` after the graces of the
        cycles; the agent is then in `error`.
        """
        engine = self.engine
        limit = engine.stop_grace + engine.cancel_grace + HOOK_LIMIT_S
        try:
            await within(engine.clock, limit, self.stop_all_agents)
        except DeadlinePassed:
            late = [one.agent_id for one in self.get_all_agents() if _is_left(one)]
            LOG.error("agents did not stop within %g s: %s", limit, ", ".join(late))  # noqa: TRY400 (its traceback tells nothing)
        finally:
            await self.engine.stop()

    # --- agents ----------------------------------------------------------------------------

    async def register_agent(
        self, agent_type: str, agent_id: str, config: Mapping[str, Any] | None = None
    ) -> BaseAgent:
        """Make an agent and know it from now on; it is not started.

        Raises:
            UnknownAgentType: there is no such type.
            DuplicateAgent: an agent has that id.
            AgentConfigError: the configuration cannot be used.
        """
        check_name(agent_id, "agent id")
        if agent_id in self.agents:
            raise DuplicateAgent(
                f"there is an agent {agent_id!r} already", details={"agent_id": agent_id}
            )
        agent = self.factory.create_agent(agent_type, agent_id, config)
        read_cycle_settings(agent.config, agent_id=agent_id)
        agent.clock = self.engine.clock
        self.engine.track_agent(agent)
        self.agents[agent_id] = agent
        self._types[agent_id] = agent_type
        self._unsubscribe[agent_id] = agent.subscribe(lambda changed: self._tell(changed.agent_id))
        self._tell(agent_id)
        return agent

    async def unregister_agent(self, agent_id: str) -> BaseAgent:
        """Stop the agent, forget it, and return it.

        Raises:
            UnknownAgent: no agent has that id.
            Exception: what its clean-up raised; it is forgotten nevertheless.
        """
        agent = self._known(agent_id)
        try:
            if agent.status not in {AgentStatus.INITIALIZED, AgentStatus.STOPPED}:
                await agent.stop()
        finally:
            if self.agents.get(agent_id) is agent:
                self._unsubscribe.pop(agent_id)()
                del self.agents[agent_id]
                del self._types[agent_id]
                self.engine.forget_agent(agent_id)
                self._tell(agent_id)
        return agent

    async def start_agent(self, agent_id: str) -> BaseAgent:
        """Start the agent and schedule its first cycle at once; nothing happens if it runs.

        Raises:
            UnknownAgent: no agent has that id.
            EngineNotRunning: the engine is not running.
            Exception: what its initialization raised; the agent is then in `error`.
        """
        return await self._start(self._known(agent_id), spread=False)

    async def stop_agent(self, agent_id: str) -> BaseAgent:
        """Let the agent's running cycle end, and stop it; nothing happens if it is stopped.

        Raises:
            UnknownAgent: no agent has that id.
            Exception: what its clean-up raised; the agent is then in `error`.
        """
        agent = self._known(agent_id)
        await agent.stop()
        return agent

    async def start_all_agents(self) -> dict[str, dict[str, Any]]:
        """Start every agent, their first cycles spread over a while.

        Returns:
            `success`, `status` and, after a failure, `error` of each by id.
        """
        return await self._each(lambda agent: self._start(agent, spread=True))

    async def stop_all_agents(self) -> dict[str, dict[str, Any]]:
        """Stop every agent; returns what `start_all_agents` does."""
        return await self._each(lambda agent: agent.stop())

    async def run_now(self, agent_id: str) -> TaskHandle:
        """Schedule a cycle of the agent at once, at its own level.

        Raises:
            UnknownAgent: no agent has that id.
            EngineNotRunning: the engine is not running.
        """
        agent = self._known(agent_id)
        settings = read_cycle_settings(agent.config, agent_id=agent_id)
        return await self.engine.schedule_agent_cycle(agent, settings.priority)

    def set_agent_priority(self, agent_id: str, priority: TaskPriority | int | str) -> None:
        """Give all further cycles of the agent another level, the queued one too.

        Raises:
            UnknownAgent: no agent has that id.
            ValueError: there is no such level.
        """
        agent = self._known(agent_id)
        level = to_priority(priority)
        self.engine.set_agent_priority(agent_id, level)
        agent.config["priority"] = level.name
        self._tell(agent_id)

    # --- looking ---------------------------------------------------------------------------

    def get_agent(self, agent_id: str) -> BaseAgent | None:
        """Return the agent of that id, or None."""
        return self.agents.get(agent_id)

    def agent_type(self, agent_id: str) -> str:
        """Return the type that the agent was registered with.

        Raises:
            UnknownAgent: no agent has that id.
        """
        self._known(agent_id)
        return self._types[agent_id]

    def get_all_agents(self) -> list[BaseAgent]:
        """Return every agent."""
        return list(self.agents.values())

    def get_agents(
        self,
        agent_type: str | None = None,
        status: AgentStatus | str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> dict[str, Any]:
        """Return a window of the agents of a type and in a state.

        Returns:
            `agents` (a list of them), `total` (of all that match), `limit`, `offset`.

        Raises:
            ValueError: there is no such status, or a number is negative.
        """
        if limit < 0 or offset < 0:
            raise ValueError(f"limit and offset must be >= 0, not {limit} and {offset}")
        wanted = None if status is None else AgentStatus(status)
        found = [
            agent
            for agent_id, agent in self.agents.items()
            if agent_type in {None, self._types[agent_id]} and wanted in {None, agent.status}
        ]
        return {
            "agents": found[offset : offset + limit],
            "total": len(found),
            "limit": limit,
            "offset": offset,
        }

    def subscribe(self, listener: Callable[[str], object]) -> Callable[[], None]:
        """Call *listener* with the id of every agent that is registered, changed or removed.

        Returns:
            What ends it.
        """
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    # --- within ----------------------------------------------------------------------------

    def _known(self, agent_id: str) -> BaseAgent:
        agent = self.agents.get(agent_id)
        if agent is None:
            raise UnknownAgent(f"there is no agent {agent_id!r}", details={"agent_id": agent_id})
        return agent

    async def _start(self, agent: BaseAgent, *, spread: bool) -> BaseAgent:
        if not self.engine.running:
            raise EngineNotRunning("the execution engine is not running: start it first")
        if _is_running(agent):
            return agent
        settings = read_cycle_settings(agent.config, agent_id=agent.agent_id)
        delay = self.engine.first_delay(agent) if spread else 0.0
        await agent.start()
        if self.agents.get(agent.agent_id) is not agent:  # it was unregistered meanwhile
            await agent.stop()
            self._known(agent.agent_id)
        elif _is_running(agent):  # it may have been stopped at once
            await self.engine.schedule_agent_cycle(agent, settings.priority, delay)
        return agent

    async def _each(
        self, change: Callable[[BaseAgent], Awaitable[object]]
    ) -> dict[str, dict[str, Any]]:
        """Change all agents at the same time: a thousand graces are not waited for in a row."""
        outcomes: dict[str, dict[str, Any]] = {agent_id: {} for agent_id in self.agents}

        async def one(agent: BaseAgent) -> None:
            outcome: dict[str, Any] = {"success": True}
            try:
                await change(agent)
            except Exception as error:  # noqa: BLE001 (boundary: one failure does not stop the rest)
                outcome = {"success": False, "error": first_line(error)}
            outcomes[agent.agent_id] = {**outcome, "status": agent.status.value}

        async with anyio.create_task_group() as group:
            for agent in self.get_all_agents():
                group.start_soon(one, agent, name=f"agent {agent.agent_id}")
        return outcomes

    def _tell(self, agent_id: str) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(agent_id)
            except Exception:
                LOG.exception("a registry listener failed")


def _is_left(agent: BaseAgent) -> bool:
    return agent.status not in {AgentStatus.INITIALIZED, AgentStatus.STOPPED}


def _is_running(agent: BaseAgent) -> bool:
    return agent.status is AgentStatus.RUNNING
