"""Base of agents that work on a session: validated parameters, a context, a note."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.agents.context import AgentContext
from engine.scheduling.base_agent import BaseAgent
from engine.scheduling.errors import AgentConfigError


class NoParams(BaseModel):
    """The parameters of an agent that takes none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SessionAgent(BaseAgent):
    """An agent with ``context`` and ``params``.

    Subclasses give ``_run_cycle``, and ``params_model`` if they take parameters: a frozen pydantic
    model that the ``params`` of the session file are checked against, before anything runs. A
    ``note`` among the results of a cycle is what the console shows beside the agent.

    Raises:
        AgentConfigError: the parameters do not fit their model.
    """

    summary: ClassVar[str] = "an agent of the session file"
    """What agents of this class do, in one sentence without a full stop."""
    params_model: ClassVar[type[BaseModel]] = NoParams
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Configuration where the session file says nothing: interval, priority, cycle_timeout."""

    def __init__(self, agent_id: str, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(agent_id, {**self.defaults, **(config or {})})
        self._context: AgentContext | None = None
        self._params = self._read_params(self.config)
        self.note = ""

    @property
    def context(self) -> AgentContext:
        """Access to the session.

        Raises:
            RuntimeError: the agent was made outside of a session.
        """
        if self._context is None:
            raise RuntimeError(f"agent {self.agent_id} has no session: the engine attaches one")
        return self._context

    def attach(self, context: AgentContext) -> None:
        """Give the agent its session; the engine does it before the agent starts."""
        self._context = context

    @property
    def params(self) -> Any:  # noqa: ANN401 (an instance of the subclass's params_model)
        """The validated parameters."""
        return self._params

    async def execute_cycle(self, resource_pool: Any) -> dict[str, Any]:  # noqa: ANN401 (as in BaseAgent)
        """Do one unit of work and keep what it says about itself."""
        answer = await super().execute_cycle(resource_pool)
        note = answer["results"].get("note")
        self.note = "" if note is None else str(note)
        return answer

    async def _on_config_update(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        del old
        self._params = self._read_params(new)

    def _read_params(self, config: Mapping[str, Any]) -> BaseModel:
        try:
            return self.params_model.model_validate(config.get("params") or {})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, ("params", *first["loc"])))
            raise AgentConfigError(f"agent {self.agent_id}: {place}: {first['msg']}") from None
