"""Responses and refusals, all of them JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

SAFE_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Refusal(Exception):  # noqa: N818 (what the API says, not a defect)
    """A request that is answered with an error status.

    Args:
        status: the HTTP status.
        detail: the reason, without secrets.
        headers: further headers.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def answer(
    data: Any,  # noqa: ANN401 (JSON)
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return *data* as a response that nobody may keep."""
    return JSONResponse(data, status_code=status, headers={**SAFE_HEADERS, **(headers or {})})


def refused(refusal: Refusal) -> JSONResponse:
    """Return the response of a refusal."""
    return answer({"detail": refusal.detail}, refusal.status, refusal.headers)
