"""Responses and refusals, all of them JSON."""

from __future__ import annotations

import json
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


class _AsciiJson(JSONResponse):
    """JSON with every other character escaped: half a surrogate pair has no UTF-8 form."""

    def render(self, content: Any) -> bytes:  # noqa: ANN401 (JSON)
        """Return *content* as bytes."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def answer(
    data: Any,  # noqa: ANN401 (JSON)
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return *data* as a response that nobody may keep."""
    return _AsciiJson(data, status_code=status, headers={**SAFE_HEADERS, **(headers or {})})


def refused(refusal: Refusal) -> JSONResponse:
    """Return the response of a refusal."""
    return answer({"detail": refusal.detail}, refusal.status, refusal.headers)
