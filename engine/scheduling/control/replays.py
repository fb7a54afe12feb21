"""Requests that are sent twice: the same `Idempotency-Key` gets the same answer."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from engine.scheduling.clock import Clock
from engine.scheduling.control.answers import Refusal
from engine.scheduling.control.boundary import Handler

HEADER: Final = "idempotency-key"
KEPT_S: Final = 600.0
MOST_KEPT: Final = 1000
_LONGEST_KEY: Final = 200


class Replays:
    """Remembers what a POST with a key brought, for ten minutes; failures are not remembered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: OrderedDict[tuple[str, str], tuple[float, Response]] = OrderedDict()
        self._running: set[tuple[str, str]] = set()

    def once(self, handler: Handler) -> Handler:
        """Return *handler*, called once for each key of a path; without a key as often as asked."""

        async def respond(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if key is None:
                return await handler(request)
            if not 1 <= len(key) <= _LONGEST_KEY:
                raise Refusal(422, f"{HEADER}: must have 1 to {_LONGEST_KEY} characters")
            return await self._once(handler, request, (request.url.path, key))

        return respond

    async def _once(self, handler: Handler, request: Request, key: tuple[str, str]) -> Response:
        if key in self._running:
            raise Refusal(409, "a request with this idempotency key is being carried out")
        known = self._found(key)
        if known is not None:
            return known
        self._running.add(key)
        try:
            response = await handler(request)
        finally:
            self._running.discard(key)
        if response.status_code < 300:
            self._answers[key] = (self._clock.monotonic() + KEPT_S, response)
            while len(self._answers) > MOST_KEPT:
                self._answers.popitem(last=False)
        return response

    def _found(self, key: tuple[str, str]) -> Response | None:
        while self._answers:
            oldest, (until, _) = next(iter(self._answers.items()))
            if until > self._clock.monotonic():
                break
            del self._answers[oldest]
        entry = self._answers.get(key)
        return None if entry is None else entry[1]
