"""Every route of the control API, and the shapes of its answers."""

from __future__ import annotations

from typing import Any, Final

from engine.scheduling.agent_status import AgentStatus
from engine.scheduling.control.bodies import AgentChange, AgentsQuery, LogsQuery, NewAgent
from engine.scheduling.control.figures import CONTENT_TYPE
from engine.scheduling.control.openapi import Operation, reference

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}
_FREE: Final = {"type": "object", "additionalProperties": True}
_ONE: Final = "/agents/{agent_id}"
_STATUS: Final = reference("AgentStatus")


def _object(**properties: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON schema)
    return {"type": "object", "required": sorted(properties), "properties": properties}


SCHEMAS: Final[dict[str, Any]] = {
    "Error": _object(detail=_TEXT),
    "Health": _object(status={"type": "string", "enum": ["ok", "stopped"]}),
    "AgentStatus": _object(
        agent_id=_TEXT,
        agent_type=_TEXT,
        name={"type": ["string", "null"]},
        status={"type": "string", "enum": [status.value for status in AgentStatus]},
        metrics=_FREE,
        config=_FREE,
    ),
    "AgentList": _object(
        agents={"type": "array", "items": _STATUS}, total=_NUMBER, limit=_NUMBER, offset=_NUMBER
    ),
    "AgentDeleted": _object(agent_id=_TEXT, status=_TEXT, deleted={"type": "boolean"}),
    "AgentLogs": _object(
        agent_id=_TEXT,
        logs={"type": "array", "items": _object(time=_TEXT, level=_TEXT, message=_TEXT)},
        limit=_NUMBER,
        offset=_NUMBER,
    ),
    "AgentTypes": _object(agent_types={"type": "array", "items": _TEXT}),
    "CycleResult": _object(agent_id=_TEXT, result={}),
    "Figures": _FREE,
}

OPERATIONS: Final = (
    Operation(
        name="health",
        method="GET",
        path="/health",
        summary="whether the engine runs",
        answer=reference("Health"),
        is_open=True,
    ),
    Operation(
        name="openapi",
        method="GET",
        path="/openapi.json",
        summary="this document",
        answer=_FREE,
    ),
    Operation(
        name="list_agents",
        method="GET",
        path="/agents",
        summary="agents in the order of their registration",
        answer=reference("AgentList"),
        query=AgentsQuery,
        errors=(422,),
    ),
    Operation(
        name="create_agent",
        method="POST",
        path="/agents",
        summary="make an agent; it is not started",
        answer=_STATUS,
        status=201,
        body=NewAgent,
        errors=(409, 415, 422),
    ),
    Operation(
        name="show_agent",
        method="GET",
        path=_ONE,
        summary="status of an agent",
        answer=_STATUS,
        errors=(404,),
    ),
    Operation(
        name="show_agent_status",
        method="GET",
        path=f"{_ONE}/status",
        summary="status of an agent",
        answer=_STATUS,
        errors=(404,),
    ),
    Operation(
        name="change_agent",
        method="PUT",
        path=_ONE,
        summary="merge name and config into those of an agent",
        answer=_STATUS,
        body=AgentChange,
        errors=(404, 409, 415, 422),
    ),
    Operation(
        name="delete_agent",
        method="DELETE",
        path=_ONE,
        summary="stop an agent and forget it",
        answer=reference("AgentDeleted"),
        errors=(404, 409),
    ),
    Operation(
        name="start_agent",
        method="POST",
        path=f"{_ONE}/start",
        summary="start an agent; harmless when it runs",
        answer=_STATUS,
        errors=(404, 409, 422, 503),
    ),
    Operation(
        name="stop_agent",
        method="POST",
        path=f"{_ONE}/stop",
        summary="stop an agent; harmless when it is stopped",
        answer=_STATUS,
        errors=(404, 409, 422),
    ),
    Operation(
        name="execute_agent",
        method="POST",
        path=f"{_ONE}/execute",
        summary="run one cycle now and wait for its result; switched off by default",
        answer=reference("CycleResult"),
        errors=(404, 409, 422, 503),
    ),
    Operation(
        name="agent_logs",
        method="GET",
        path=f"{_ONE}/logs",
        summary="newest log lines of an agent",
        answer=reference("AgentLogs"),
        query=LogsQuery,
        errors=(404, 422),
    ),
    Operation(
        name="agent_events",
        method="GET",
        path=f"{_ONE}/events",
        summary="status on every change and every five seconds, as server-sent events",
        answer=_TEXT,
        media_type="text/event-stream",
        errors=(404,),
    ),
    Operation(
        name="agent_types",
        method="GET",
        path="/agent-types",
        summary="types that POST /agents knows",
        answer=reference("AgentTypes"),
    ),
    Operation(
        name="stats",
        method="GET",
        path="/stats",
        summary="figures of engine, pool and scheduler",
        answer=reference("Figures"),
    ),
    Operation(
        name="metrics",
        method="GET",
        path="/metrics",
        summary="the same figures for Prometheus",
        answer=_TEXT,
        media_type=CONTENT_TYPE,
    ),
)
