"""Routes about agents."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

import anyio
from starlette.requests import Request
from starlette.responses import Response

from engine.model.clock import to_iso
from engine.scheduling.agent_status import AgentStatus
from engine.scheduling.base_agent import BaseAgent
from engine.scheduling.clock import Clock
from engine.scheduling.control.agent_events import AgentEvents
from engine.scheduling.control.answers import Refusal, answer
from engine.scheduling.control.bodies import (
    AgentChange,
    AgentsQuery,
    LogsQuery,
    NewAgent,
    read_body,
    read_model,
    read_query,
)
from engine.scheduling.control.ports import ControlledRegistry
from engine.scheduling.control.redaction import (
    MASK,
    is_secret_name,
    masked,
    redacted,
    redacted_tree,
    secret_values,
)
from engine.scheduling.errors import (
    AgentConfigError,
    DuplicateAgent,
    TaskCancelled,
    UnknownAgentType,
)

_ID_BYTES: Final = 4


class AgentRoutes:
    """Handlers of everything below /agents.

    An unknown id is found out before anything is done, so that an error from inside an agent is
    never taken for it.

    Args:
        registry: the agents.
        clock: beats the five seconds of the event streams.
        closing: set when the server stops, which ends the streams.
        allow_execute: whether a cycle may be asked for.
    """

    def __init__(
        self,
        registry: ControlledRegistry,
        clock: Clock,
        closing: anyio.Event,
        *,
        allow_execute: bool,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._closing = closing
        self._allow_execute = allow_execute

    async def list_agents(self, request: Request) -> Response:
        """GET /agents."""
        query = read_query(request, AgentsQuery)
        page = self._registry.get_agents(query.agent_type, query.status, query.limit, query.offset)
        agents = [self.status_of(agent) for agent in page["agents"]]
        return answer(
            {"agents": agents, "total": page["total"], "limit": query.limit, "offset": query.offset}
        )

    async def create(self, request: Request) -> Response:
        """POST /agents."""
        wanted = await read_model(request, NewAgent)
        if wanted.agent_type not in self._registry.factory.get_available_agent_types():
            raise Refusal(400, f"unknown agent type {wanted.agent_type!r}")
        config = _with_name(wanted.config, wanted.name)
        agent_id = f"{wanted.agent_type}_{secrets.token_hex(_ID_BYTES)}"
        try:
            agent = await self._registry.register_agent(wanted.agent_type, agent_id, config)
        except DuplicateAgent as error:
            raise Refusal(409, str(error)) from error
        except (AgentConfigError, UnknownAgentType) as error:
            raise Refusal(400, redacted(str(error), secret_values(config))) from error
        return answer(self.status_of(agent), 201, {"location": f"/agents/{agent.agent_id}"})

    async def show(self, request: Request) -> Response:
        """GET /agents/{id} and GET /agents/{id}/status."""
        return answer(self.status_of(self._agent(request)))

    async def change(self, request: Request) -> Response:
        """PUT /agents/{id}."""
        agent = self._changeable_agent(request)
        wanted = await read_model(request, AgentChange)
        config = _with_name(_unmasked(wanted.config, agent.config), wanted.name)
        try:
            await agent.update_config(config)
        except AgentConfigError as error:
            raise Refusal(400, redacted(str(error), secret_values(config))) from error
        return answer(self.status_of(agent))

    async def delete(self, request: Request) -> Response:
        """DELETE /agents/{id}."""
        agent = self._changeable_agent(request)
        await read_body(request)
        await self._registry.unregister_agent(agent.agent_id)
        return answer({"agent_id": agent.agent_id, "status": agent.status.value, "deleted": True})

    async def start(self, request: Request) -> Response:
        """POST /agents/{id}/start."""
        agent = self._steady_agent(request)
        await read_body(request)
        self._require_engine()
        await self._registry.start_agent(agent.agent_id)
        return answer(self.status_of(agent))

    async def stop(self, request: Request) -> Response:
        """POST /agents/{id}/stop."""
        agent = self._changeable_agent(request)
        await read_body(request)
        await self._registry.stop_agent(agent.agent_id)
        return answer(self.status_of(agent))

    async def execute(self, request: Request) -> Response:
        """POST /agents/{id}/execute."""
        if not self._allow_execute:
            raise Refusal(403, "execute is switched off (control_api.allow_execute)")
        agent = self._steady_agent(request)
        await read_body(request)
        self._require_engine()
        if agent.status is not AgentStatus.RUNNING:
            raise Refusal(409, f"agent {agent.agent_id} is {agent.status.value}: start it first")
        handle = await self._registry.run_now(agent.agent_id)
        try:
            result = await handle.result()
        except TaskCancelled as error:
            raise Refusal(409, "the cycle was called off before its end") from error
        known = tuple(secret_values(agent.config))
        return answer({"agent_id": agent.agent_id, "result": redacted_tree(masked(result), known)})

    async def logs(self, request: Request) -> Response:
        """GET /agents/{id}/logs."""
        agent = self._agent(request)
        query = read_query(request, LogsQuery)
        known = tuple(secret_values(agent.config))
        lines = agent.log_lines(query.limit, query.offset, query.level)
        return answer(
            {
                "agent_id": agent.agent_id,
                "logs": [
                    {
                        "time": to_iso(line.ts_ns),
                        "level": line.level,
                        "message": redacted(line.text, known),
                    }
                    for line in lines
                ],
                "limit": query.limit,
                "offset": query.offset,
            }
        )

    async def events(self, request: Request) -> Response:
        """GET /agents/{id}/events."""
        agent = self._agent(request)
        return AgentEvents(agent, self.status_of, self._registry, self._clock, self._closing)

    def status_of(self, agent: BaseAgent) -> dict[str, Any]:
        """Return what the API shows of *agent*: secrets masked."""
        status = agent.get_status()
        config = dict(status["config"])
        return {
            "agent_id": agent.agent_id,
            "agent_type": self._registry.agent_type(agent.agent_id),
            "name": masked(config.get("name")),
            "status": str(status["status"]),
            "metrics": redacted_tree(masked(status["metrics"]), tuple(secret_values(config))),
            "config": masked(config),
        }

    def _agent(self, request: Request) -> BaseAgent:
        agent_id = str(request.path_params["agent_id"])
        agent = self._registry.get_agent(agent_id)
        if agent is None:
            raise Refusal(404, f"there is no agent {agent_id!r}")
        return agent

    def _steady_agent(self, request: Request) -> BaseAgent:
        agent = self._agent(request)
        if agent.is_changing:
            raise Refusal(409, f"agent {agent.agent_id} is changing: {agent.status.value}")
        return agent

    def _changeable_agent(self, request: Request) -> BaseAgent:
        """Return the agent, unless it guards something that a program may not switch off."""
        agent = self._agent(request)
        if agent.is_protected:
            reason = "guards the stops: only the console stops or changes it"
            raise Refusal(403, f"agent {agent.agent_id} {reason}")
        return self._steady_agent(request)

    def _require_engine(self) -> None:
        if not self._registry.engine.running:
            raise Refusal(503, "the execution engine does not run")


def _with_name(config: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    return dict(config) if name is None else {**config, "name": name}


def _unmasked(given: Mapping[str, Any], known: object) -> dict[str, Any]:
    """Return *given* with the secrets of *known* in the place of their masks, at any depth.

    Who sends back what it was shown must not overwrite a secret with its mask.
    """
    old = known if isinstance(known, Mapping) else {}
    return {
        key: old[key] if value == MASK and is_secret_name(key) else _unmasked_item(value, old, key)
        for key, value in given.items()
        if not (value == MASK and is_secret_name(key) and key not in old)
    }


def _unmasked_item(value: object, known: object, place: str | int) -> object:
    """Return *value*, which stands at *place* of what was shown for *known*, with its secrets."""
    old: object = None
    if isinstance(known, Mapping):
        old = known.get(place)
    elif isinstance(known, list | tuple) and isinstance(place, int) and place < len(known):
        old = known[place]
    if isinstance(value, Mapping):
        return _unmasked(value, old)
    if isinstance(value, list):
        return [_unmasked_item(item, old, number) for number, item in enumerate(value)]
    return value
