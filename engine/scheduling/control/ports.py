"""What the control API needs of the rest of the scheduler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from engine.scheduling.agent_factory import AgentFactory
from engine.scheduling.base_agent import BaseAgent


class CycleHandle(Protocol):
    """A cycle that was asked for."""

    async def result(self) -> Any:  # noqa: ANN401 (whatever the agent returns)
        """Return what the cycle returned, or raise what it raised."""
        ...


class ControlledEngine(Protocol):
    """The execution engine, as far as the API looks at it."""

    @property
    def running(self) -> bool:
        """Whether it is between start and stop."""
        ...

    def get_stats(self) -> dict[str, Any]:
        """Return its figures."""
        ...


class ControlledRegistry(Protocol):
    """The agents' registry, as far as the API uses it."""

    @property
    def factory(self) -> AgentFactory:
        """Knows the agent types."""
        ...

    @property
    def engine(self) -> ControlledEngine:
        """Runs the agents."""
        ...

    def get_agent(self, agent_id: str) -> BaseAgent | None:
        """Return the agent, or None."""
        ...

    def get_agents(
        self,
        agent_type: str | None = None,
        status: Any = None,  # noqa: ANN401 (a status or its name)
        limit: int = 100,
        offset: int = 0,
    ) -> dict[str, Any]:
        """Return a window of the agents: `agents`, `total`, `limit`, `offset`."""
        ...

    def agent_type(self, agent_id: str) -> str:
        """Return the type an agent was made of."""
        ...

    async def register_agent(
        self, agent_type: str, agent_id: str, config: Mapping[str, Any] | None = None
    ) -> BaseAgent:
        """Make an agent and keep it."""
        ...

    async def unregister_agent(self, agent_id: str) -> Any:  # noqa: ANN401 (not used)
        """Stop an agent and forget it."""
        ...

    async def start_agent(self, agent_id: str) -> BaseAgent:
        """Start an agent."""
        ...

    async def stop_agent(self, agent_id: str) -> BaseAgent:
        """Stop an agent."""
        ...

    async def run_now(self, agent_id: str) -> CycleHandle:
        """Ask for a cycle now."""
        ...

    def subscribe(self, listener: Callable[[str], object]) -> Callable[[], None]:
        """Tell the ids of agents that come, go or change."""
        ...
