"""The ASGI application: the routes behind the gatekeeper."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from engine.scheduling.clock import Clock
from engine.scheduling.control.agent_routes import AgentRoutes
from engine.scheduling.control.answers import Refusal, refused
from engine.scheduling.control.boundary import Handler, guarded
from engine.scheduling.control.gatekeeper import Gatekeeper
from engine.scheduling.control.general_routes import GeneralRoutes
from engine.scheduling.control.openapi import openapi_document
from engine.scheduling.control.operations import OPERATIONS, SCHEMAS
from engine.scheduling.control.ports import ControlledRegistry
from engine.scheduling.control.redaction import secret_values
from engine.scheduling.control.replays import Replays


def control_app(
    registry: ControlledRegistry,
    *,
    token: str,
    hosts: Iterable[str],
    clock: Clock,
    closing: anyio.Event,
    allow_execute: bool,
    server_url: str,
    on_failed_login: Callable[[str], object],
) -> ASGIApp:
    """Return the application.

    Args:
        registry: the agents.
        token: what a caller must show.
        hosts: names that a Host header may have.
        clock: measures failed logins and event streams.
        closing: set when the server stops.
        allow_execute: whether POST /agents/{id}/execute runs a cycle.
        server_url: for the OpenAPI document.
        on_failed_login: called with the address of who showed a wrong token.
    """
    agents = AgentRoutes(registry, clock, closing, allow_execute=allow_execute)
    document = openapi_document(OPERATIONS, SCHEMAS, server_url=server_url)
    handlers = _handlers(agents, GeneralRoutes(registry, document))

    def secrets() -> Iterator[str]:
        yield token
        page = registry.get_agents(limit=1000)
        for agent in page["agents"]:
            yield from secret_values(agent.config)

    by_path: dict[str, dict[str, Handler]] = {}
    replays = Replays(clock)
    for operation in OPERATIONS:
        handler = handlers[operation.name]
        if operation.method == "POST":
            handler = replays.once(handler)
        handler = guarded(handler, lambda: registry.engine.running, secrets)
        by_path.setdefault(operation.path, {})[operation.method] = handler
    starlette = Starlette(
        # One route for a path, so that a 405 names every method of it.
        routes=[
            Route(path, _by_method(methods), methods=[*methods])
            for path, methods in by_path.items()
        ],
        exception_handlers={HTTPException: _not_routed},
    )
    starlette.router.redirect_slashes = False
    return Gatekeeper(
        starlette, token=token, hosts=hosts, clock=clock, on_failed_login=on_failed_login
    )


def _handlers(agents: AgentRoutes, general: GeneralRoutes) -> Mapping[str, Handler]:
    return {
        "health": general.health,
        "openapi": general.openapi,
        "agent_types": general.agent_types,
        "stats": general.stats,
        "metrics": general.metrics,
        "list_agents": agents.list_agents,
        "create_agent": agents.create,
        "show_agent": agents.show,
        "show_agent_status": agents.show,
        "change_agent": agents.change,
        "delete_agent": agents.delete,
        "start_agent": agents.start,
        "stop_agent": agents.stop,
        "execute_agent": agents.execute,
        "agent_logs": agents.logs,
        "agent_events": agents.events,
    }


def _by_method(handlers: Mapping[str, Handler]) -> Handler:
    async def respond(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await handlers[method](request)

    return respond


async def _not_routed(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for nothing else)
    return refused(Refusal(error.status_code, error.detail, error.headers))
