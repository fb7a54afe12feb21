"""Routes about the whole: health, types, figures and the description of the API itself."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine.scheduling.agent_status import AgentStatus
from engine.scheduling.control.answers import SAFE_HEADERS, answer
from engine.scheduling.control.figures import CONTENT_TYPE, prometheus_text
from engine.scheduling.control.ports import ControlledRegistry
from engine.scheduling.control.redaction import showable


class GeneralRoutes:
    """Handlers that are about no single agent.

    Args:
        registry: the agents and their engine.
        document: the OpenAPI document.
    """

    def __init__(self, registry: ControlledRegistry, document: dict[str, Any]) -> None:
        self._registry = registry
        self._document = document

    async def health(self, request: Request) -> Response:
        """GET /health."""
        del request
        return answer({"status": "ok" if self._registry.engine.running else "stopped"})

    async def agent_types(self, request: Request) -> Response:
        """GET /agent-types."""
        del request
        return answer({"agent_types": self._registry.factory.get_available_agent_types()})

    async def stats(self, request: Request) -> Response:
        """GET /stats."""
        del request
        return answer(showable(self._registry.engine.get_stats()))

    async def metrics(self, request: Request) -> Response:
        """GET /metrics."""
        del request
        counts = {
            status.value: int(self._registry.get_agents(status=status, limit=1)["total"])
            for status in AgentStatus
        }
        text = prometheus_text(self._registry.engine.get_stats(), counts)
        return Response(text, headers={**SAFE_HEADERS, "content-type": CONTENT_TYPE})

    async def openapi(self, request: Request) -> Response:
        """GET /openapi.json."""
        del request
        return answer(self._document)
