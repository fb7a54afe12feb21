"""Makes agents of the types it was told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.scheduling.base_agent import BaseAgent
from engine.scheduling.errors import UnknownAgentType
from engine.scheduling.task_names import check_name


class AgentFactory:
    """Knows agent types by name. A name from outside is never turned into an import."""

    def __init__(self) -> None:
        self._types: Final[dict[str, type[BaseAgent]]] = {}

    def register_agent_type(self, name: str, cls: type[BaseAgent]) -> None:
        """Let *name* mean *cls*; a later class replaces an earlier one.

        Raises:
            TypeError: *cls* is no subclass of `BaseAgent`.
            ValueError: *name* cannot be a name.
        """
        check_name(name, "agent type")
        given: object = cls  # whatever the annotation promises
        if not isinstance(given, type) or not issubclass(given, BaseAgent):
            raise TypeError(f"agent type {name}: {cls!r} is no subclass of BaseAgent")
        self._types[name] = cls

    def get_agent_class(self, name: str) -> type[BaseAgent]:
        """Return the class that *name* means.

        Raises:
            UnknownAgentType: it means none.
        """
        cls = self._types.get(name)
        if cls is None:
            known = ", ".join(self.get_available_agent_types()) or "none"
            raise UnknownAgentType(f"there is no agent type {name!r}; there are: {known}")
        return cls

    def create_agent(
        self, agent_type: str, agent_id: str, config: Mapping[str, Any] | None = None
    ) -> BaseAgent:
        """Return a new agent of *agent_type*, not started.

        Raises:
            UnknownAgentType: no such type is registered.
        """
        return self.get_agent_class(agent_type)(agent_id, config)

    def get_available_agent_types(self) -> list[str]:
        """Return the names of all types, sorted."""
        return sorted(self._types)
