"""What an operator does to agents, and what of it outlives the process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine import flow
from engine.agents.session_agent import SessionAgent
from engine.api.agent_memory import AgentChoice, AgentMemory, Configured
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
from engine.scheduling.agent_registry import AgentRegistry
from engine.scheduling.base_agent import BaseAgent
from engine.scheduling.execution_engine import ExecutionEngine


class AgentCommands:
    """Carries out commands for agents. Belongs to the engine's loop.

    Args:
        registry: the agents.
        engine: runs them.
        memory: keeps what was changed.
        configured: what the session file says of each agent, for the memory; what somebody has
            made at the control API is not in it, and not remembered.
    """

    def __init__(
        self,
        *,
        registry: AgentRegistry,
        engine: ExecutionEngine,
        memory: AgentMemory,
        configured: Mapping[str, Configured],
    ) -> None:
        self._registry: Final = registry
        self._engine: Final = engine
        self._memory: Final = memory
        self._configured: Final = configured

    async def perform(self, command: AgentCommand) -> str:
        """Carry out *command* and return what the operator should know.

        Raises:
            EngineError: there is no such agent, or it cannot be done now.
            OSError: it is done, but cannot be remembered.
            Exception: what the agent itself raised.
        """
        registry, agent_id = self._registry, command.agent_id
        if registry.get_agent(agent_id) is None:
            raise flow.NotFoundError(f"there is no agent {agent_id!r}")
        match command:
            case StartAgent():
                return await self._start(agent_id)
            case StopAgent():
                await registry.stop_agent(agent_id)
                await self._remember(agent_id, choice="stopped")
                return f"{agent_id} is stopped"
            case PauseAgent():
                return await self._pause(agent_id)
            case ResumeAgent():
                return await self._resume(agent_id)
            case RunAgentNow():
                return await self._run_now(agent_id)
            case SetAgentPriority():
                registry.set_agent_priority(agent_id, command.priority)
                await self._remember(agent_id, priority=command.priority)
                return f"{agent_id} has priority {command.priority}"
            case SetAgentInterval():
                await self._set_interval(agent_id, command.interval)
                await self._remember(agent_id, interval=command.interval)
                return f"{agent_id} runs every {command.interval:g} s before the factors"
            case _:
                raise flow.OperationError(f"there is no command {type(command).__name__}")

    async def _remember(
        self,
        agent_id: str,
        *,
        choice: AgentChoice | None = None,
        interval: float | None = None,
        priority: str | None = None,
    ) -> None:
        """Keep what was changed, so that a restart finds the agent as it was left."""
        known = self._configured.get(agent_id)
        if known is not None:
            await self._memory.remember(
                agent_id, known.origin, choice=choice, interval=interval, priority=priority
            )

    async def _start(self, agent_id: str) -> str:
        agent, known = self._registry.agents[agent_id], self._configured.get(agent_id)
        is_paused = known is not None and known.repeats and not agent.config.get("repeat", True)
        if is_paused and agent.status.value != "running":
            # It was paused before it was stopped: who starts it wants it to run.
            await agent.update_config({"repeat": True})
            is_paused = False
        await self._registry.start_agent(agent_id)
        await self._remember(agent_id, choice="paused" if is_paused else "running")
        return f"{agent_id} runs"

    async def _run_now(self, agent_id: str) -> str:
        agent = self._running_agent(agent_id)
        handle = await self._registry.run_now(agent_id)
        await handle.result()
        note = agent.note if isinstance(agent, SessionAgent) else ""
        return f"{agent_id} ran{': ' if note else ''}{note}"

    async def _pause(self, agent_id: str) -> str:
        agent = self._running_agent(agent_id)
        if not agent.config.get("repeat", True):
            return f"{agent_id} is paused already"
        await agent.update_config({"repeat": False})
        self._engine.drop_cycle(agent_id)
        await self._remember(agent_id, choice="paused")
        return f"{agent_id} is paused"

    async def _resume(self, agent_id: str) -> str:
        agent = self._running_agent(agent_id)
        if agent.config.get("repeat", True):
            return f"{agent_id} is not paused"
        await agent.update_config({"repeat": True})
        _ = await self._registry.run_now(agent_id)
        await self._remember(agent_id, choice="running")
        return f"{agent_id} goes on"

    def _running_agent(self, agent_id: str) -> BaseAgent:
        agent = self._registry.agents[agent_id]
        if agent.status.value != "running":
            raise flow.OperationError(f"{agent_id} is {agent.status.value}; start it first")
        return agent

    async def _set_interval(self, agent_id: str, interval: float) -> None:
        agent = self._registry.agents[agent_id]
        await agent.update_config({"interval": interval})
        if agent.status.value == "running" and agent.config.get("repeat", True):
            # Merges with the queued cycle: a shorter interval counts at once, a longer one next.
            priority = agent.config.get("priority", "NORMAL")
            await self._engine.schedule_agent_cycle(agent, priority, interval)
