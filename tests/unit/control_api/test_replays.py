"""How many answers are remembered."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import Response

from engine.scheduling.control.replays import MOST_KEPT, Replays
from engine.testing.manual_clock import ManualClock

pytestmark = pytest.mark.anyio


def request_with(key: str) -> Request:
    headers = [(b"idempotency-key", key.encode()), (b"host", b"localhost")]
    return Request({"type": "http", "method": "POST", "path": "/agents", "headers": headers})


async def test_the_oldest_answer_is_forgotten_first() -> None:
    calls: list[str] = []

    async def handler(request: Request) -> Response:
        calls.append(request.headers["idempotency-key"])
        return Response(status_code=201)

    once = Replays(ManualClock()).once(handler)
    for number in range(MOST_KEPT + 1):
        await once(request_with(f"k{number}"))
    await once(request_with("k1"))
    assert len(calls) == MOST_KEPT + 1
    await once(request_with("k0"))
    assert calls[-1] == "k0"
