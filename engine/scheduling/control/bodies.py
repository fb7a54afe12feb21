"""Bodies and query parameters: bounded, typed, and refused by field."""

from __future__ import annotations

import json
from typing import Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.requests import Request

from engine.scheduling.agent_status import AgentStatus
from engine.scheduling.control.answers import Refusal
from engine.scheduling.control.gatekeeper import MAX_BODY

M = TypeVar("M", bound=BaseModel)


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NewAgent(_Input):
    """Body of POST /agents."""

    agent_type: str = Field(min_length=1, max_length=200, description="one of GET /agent-types")
    name: str | None = Field(default=None, min_length=1, max_length=200)
    config: dict[str, Any] = Field(default_factory=dict)


class AgentChange(_Input):
    """Body of PUT /agents/{id}: what is given is merged into what is there."""

    name: str | None = Field(default=None, min_length=1, max_length=200)
    config: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> AgentChange:
        if self.name is None and not self.config:
            raise ValueError("name or config must be given")
        return self


class Window(_Input):
    """Which part of a long list."""

    limit: int = Field(default=100, ge=1, le=1000)
    offset: int = Field(default=0, ge=0)


class AgentsQuery(Window):
    """Parameters of GET /agents."""

    agent_type: str | None = None
    status: AgentStatus | None = None


class LogsQuery(Window):
    """Parameters of GET /agents/{id}/logs."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _any_case(cls, data: Any) -> Any:  # noqa: ANN401 (not validated yet)
        if isinstance(data, dict) and isinstance(data.get("level"), str):
            return {**data, "level": data["level"].upper()}
        return data


async def read_body(request: Request) -> bytes:
    """Return the body.

    Raises:
        Refusal: it is over 64 KiB.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise Refusal(413, f"the body is over {MAX_BODY} bytes")
    return bytes(body)


async def read_model(request: Request, model: type[M]) -> M:
    """Return the body as *model*.

    Raises:
        Refusal: it is too large, not JSON, or a field is wrong.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refusal(415, "the body must be application/json")
    try:
        data = json.loads(await read_body(request), parse_constant=_no_constant)
        # Half a surrogate pair could be neither shown nor stored.
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Refusal(422, "the body is no JSON") from None
    return _validated(model, data)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def read_query(request: Request, model: type[M]) -> M:
    """Return the query parameters as *model*.

    Raises:
        Refusal: one is unknown, given twice, or wrong.
    """
    data: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in data:
            raise Refusal(422, f"{name}: given twice")
        data[name] = value
    return _validated(model, data)


def _validated(model: type[M], data: object) -> M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # Without the values: a wrong one may be a secret in the wrong place.
        reasons = (
            f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}"
            for one in error.errors(include_input=False, include_url=False)
        )
        raise Refusal(422, "; ".join(reasons)) from None
