"""Who may ask: token, Host, Origin and size, looked at before any route."""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.scheduling.clock import Clock
from engine.scheduling.control.answers import Refusal, refused

OPEN_PATH: Final = "/health"
MAX_BODY: Final = 64 * 1024
MAX_FAILURES: Final = 10
FAILURE_WINDOW_S: Final = 60.0
_MAX_CLIENTS: Final = 1000


class FailedLogins:
    """Wrong tokens of the last minute by the client's address."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moments: dict[str, deque[float]] = {}

    def is_locked(self, client: str) -> bool:
        """Return whether *client* failed too often to be listened to, whatever it says now."""
        return len(self._recent(client)) > MAX_FAILURES

    def note(self, client: str) -> None:
        """Count a failure."""
        if client not in self._moments and len(self._moments) >= _MAX_CLIENTS:
            del self._moments[next(iter(self._moments))]  # bounded, the oldest goes
        self._moments.setdefault(client, deque()).append(self._clock.monotonic())

    def _recent(self, client: str) -> deque[float]:
        moments = self._moments.get(client)
        if moments is None:
            return deque()
        while moments and moments[0] <= self._clock.monotonic() - FAILURE_WINDOW_S:
            moments.popleft()
        if not moments:
            del self._moments[client]
        return moments


class Gatekeeper:
    """ASGI middleware; what it refuses never reaches a route.

    The token comes first, then the address the caller thinks it talks to: a page in a browser
    that was led here by a foreign name has a foreign Host, or an Origin.

    Args:
        app: what comes behind.
        token: the bearer token.
        hosts: names that a Host header may have, without port.
        clock: measures the minute of the failed logins.
        on_failed_login: called with the address of who showed a wrong token.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        hosts: Iterable[str],
        clock: Clock,
        on_failed_login: Callable[[str], object],
    ) -> None:
        self._app = app
        self._on_failed_login = on_failed_login
        self._token = token.encode()
        self._hosts = frozenset(name.lower() for name in hosts)
        self._failures = FailedLogins(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            return
        try:
            self._check(scope)
        except Refusal as refusal:
            await refused(refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if scope["path"] != OPEN_PATH:
            client = scope.get("client")
            self._check_token(headers, "" if client is None else str(client[0]))
        host = headers.get("host", "")
        if _name_of(host) not in self._hosts:
            raise Refusal(400, "unknown Host")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"{scope['scheme']}://{host}".lower():
            raise Refusal(403, "foreign Origin")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            raise Refusal(413, f"the body is over {MAX_BODY} bytes")

    def _check_token(self, headers: Headers, client: str) -> None:
        if self._failures.is_locked(client):
            raise _too_many()
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            raise _no_entry("a bearer token is needed")
        if not hmac.compare_digest(given.strip().encode(), self._token):
            self._failures.note(client)
            self._on_failed_login(client)
            if self._failures.is_locked(client):
                raise _too_many()
            raise _no_entry("wrong token")


def _name_of(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


def _no_entry(detail: str) -> Refusal:
    return Refusal(401, detail, {"www-authenticate": "Bearer"})


def _too_many() -> Refusal:
    return Refusal(429, "too many failed logins", {"retry-after": str(int(FAILURE_WINDOW_S))})
