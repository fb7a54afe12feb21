"""The OpenAPI 3.1 document, from the table of routes and the models of the bodies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

VERSION: Final = "1.0.0"
_REFERENCE: Final = "#/components/schemas/{model}"
JSON: Final = "application/json"
_DETAILS: Final = {
    400: "unknown agent type, bad configuration or unknown Host",
    401: "no token, or a wrong one",
    403: "foreign Origin, or switched off",
    404: "there is no such agent",
    409: "duplicate id, or the agent is changing",
    413: "the body is over 64 KiB",
    415: "the body is not JSON",
    422: "a field is wrong",
    429: "more than 10 failed logins in a minute",
    500: "the agent or the registry raised",
    503: "the execution engine does not run",
}
_OF_LOGINS: Final = frozenset({401, 429})
_EVERYWHERE: Final = (400, 401, 403, 413, 429, 500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one route, as it is routed and as the document tells it.

    Attributes:
        name: names the handler.
        method: GET, POST, ...
        path: with `{agent_id}` where an id goes.
        summary: one line.
        status: of success.
        body: model of the request's body.
        query: model of the query parameters.
        answer: schema of the success.
        media_type: of the success.
        errors: refusals besides those that any route may give.
        is_open: whether no token is needed.
    """

    name: str
    method: str
    path: str
    summary: str
    answer: dict[str, Any]
    status: int = 200
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    media_type: str = JSON
    errors: tuple[int, ...] = ()
    is_open: bool = False


def reference(name: str) -> dict[str, Any]:
    """Return the schema that refers to the component *name*."""
    return {"$ref": _REFERENCE.format(model=name)}


def openapi_document(
    operations: Iterable[Operation], schemas: dict[str, Any], *, server_url: str
) -> dict[str, Any]:
    """Return the document.

    Args:
        operations: every method of every route.
        schemas: components that the answers refer to.
        server_url: where this server listens.
    """
    table = tuple(operations)
    bodies = [(one.body, "validation") for one in table if one.body is not None]
    _, generated = models_json_schema(bodies, ref_template=_REFERENCE)  # type: ignore[arg-type]
    paths: dict[str, Any] = {}
    for one in table:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "quarterdeck control API",
            "version": VERSION,
            "description": "Agents of a running engine: look, start, stop, change.",
        },
        "servers": [{"url": server_url}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {**schemas, **generated.get("$defs", {})},
        },
    }


def _operation(one: Operation) -> dict[str, Any]:
    statuses = {*one.errors, *_EVERYWHERE} - (_OF_LOGINS if one.is_open else frozenset())
    described: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "responses": {
            str(one.status): {
                "description": "done",
                "content": {one.media_type: {"schema": one.answer}},
            }
        }
        | {str(status): _error(status) for status in sorted(statuses)},
    }
    parameters = [
        *_path_parameters(one.path),
        *_header_parameters(one.method),
        *_query_parameters(one.query),
    ]
    if parameters:
        described["parameters"] = parameters
    if one.body is not None:
        schema = reference(one.body.__name__)
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    if one.is_open:
        described["security"] = []
    return described


def _error(status: int) -> dict[str, Any]:
    schema = {"schema": reference("Error")}
    return {"description": _DETAILS[status], "content": {JSON: schema}}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    if "{agent_id}" not in path:
        return []
    return [{"name": "agent_id", "in": "path", "required": True, "schema": {"type": "string"}}]


def _header_parameters(method: str) -> list[dict[str, Any]]:
    if method != "POST":
        return []
    schema = {"type": "string", "minLength": 1, "maxLength": 200}
    told = "the same key within ten minutes gets the same answer and does nothing more"
    return [
        {"name": "Idempotency-Key", "in": "header", "required": False, "schema": schema}
        | {"description": told}
    ]


def _query_parameters(model: type[BaseModel] | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema(ref_template=_REFERENCE)
    nested = schema.get("$defs", {})
    return [
        {"name": name, "in": "query", "required": False, "schema": _inlined(field, nested)}
        for name, field in schema["properties"].items()
    ]


def _inlined(schema: Any, nested: dict[str, Any]) -> Any:  # noqa: ANN401 (JSON schema)
    if isinstance(schema, list):
        return [_inlined(item, nested) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return nested[schema["$ref"].rpartition("/")[2]]
    return {key: _inlined(item, nested) for key, item in schema.items()}
