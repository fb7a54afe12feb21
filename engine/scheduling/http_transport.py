"""The transport under the shared client: a connection limit that can change while it runs."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import httpx2
from anyio import CancelScope, CapacityLimiter, to_thread

PROGRESS: Final = "quarterdeck_progress"


class Progress:
    """How far one attempt has come; travels with the request as an extension."""

    __slots__ = ("_half_open", "_raw", "is_sent")

    def __init__(self) -> None:
        self.is_sent = False
        """Whether a byte of the request may have reached the peer."""
        self._raw: Any = None
        self._half_open: Any = None

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take an event of the HTTP library; the names are httpcore's `trace` extension."""
        _, _, what = event.partition(".")
        match what:
            case "connect_tcp.complete":
                self._raw = info["return_value"]
            case "start_tls.started":
                self._half_open = self._raw
            case "start_tls.complete":
                self._half_open = None
            case "send_request_headers.started":
                self.is_sent = True
            case _:
                pass

    def extensions(self) -> dict[str, Any]:
        """Return what the request carries."""
        return {PROGRESS: self, "trace": self.trace}

    async def close_half_open(self) -> None:
        """Close a connection whose handshake did not end.

        httpcore does so after an error, https://github.com/encode/httpcore/pull/443, but not
        after a cancellation; this can go when it does.
        """
        half_open, self._half_open = self._half_open, None
        if half_open is not None:
            with CancelScope(shield=True):
                await half_open.aclose()


@dataclass(eq=False, slots=True)
class _Connections:
    """One connection pool, the limit it was made for, and how many requests use it."""

    transport: httpx2.AsyncBaseTransport
    size: int
    users: int = 0


class PoolTransport(httpx2.AsyncBaseTransport):
    """At most `size` connections, all hosts together; requests over it wait in order of arrival.

    The TLS context and the connections are made on first use. Certificates are always verified,
    against the authorities of the system, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.

    Args:
        size: connections open at once.
        foreign: a transport to use instead of the network, for tests; it may have sent the
            request as soon as it has it. The pool does not close it.
    """

    def __init__(self, size: int, foreign: httpx2.AsyncBaseTransport | None = None) -> None:
        self._limiter = CapacityLimiter(size)
        self._foreign = foreign
        self._size = size
        self._current: _Connections | None = None
        self._outgrown: set[_Connections] = set()
        self._tls: ssl.SSLContext | None = None

    @property
    def in_use(self) -> int:
        """How many connections carry a request now."""
        return int(self._limiter.borrowed_tokens)

    def resize(self, size: int) -> None:
        """Allow *size* connections from now on; requests that run keep theirs."""
        self._size = size
        self._limiter.total_tokens = size

    async def prepare(self) -> None:
        """Make the TLS context: it takes a while, and a permit must not grow old meanwhile."""
        if self._foreign is None and self._tls is None:
            self._tls = await to_thread.run_sync(httpx2.create_ssl_context)  # reads files

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send *request* when a connection is free."""
        holder = object()
        await self._limiter.acquire_on_behalf_of(holder)
        connections: _Connections | None = None
        progress = request.extensions.get(PROGRESS)
        try:
            connections = await self._connections()
            connections.users += 1
            if self._foreign is not None and isinstance(progress, Progress):
                progress.is_sent = True
            response = await connections.transport.handle_async_request(request)
        except BaseException:
            if isinstance(progress, Progress):
                await progress.close_half_open()
            await self._release(holder, connections)
            raise
        release = partial(self._release, holder, connections)
        return httpx2.Response(
            status_code=response.status_code,
            headers=response.headers,
            stream=_HeldStream(response, release),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        everything = {*self._outgrown, self._current} - {None}
        self._current = None
        self._outgrown.clear()
        for connections in everything:
            if connections is not None and connections.transport is not self._foreign:
                await connections.transport.aclose()

    async def _connections(self) -> _Connections:
        await self.prepare()
        old = self._current
        if old is not None and (old.size == self._size or self._foreign is not None):
            return old
        new = self._current = _Connections(self._make(), self._size)
        if old is not None:
            self._outgrown.add(old)
            await self._close_if_unused(old)
        return new

    def _make(self) -> httpx2.AsyncBaseTransport:
        if self._foreign is not None:
            return self._foreign
        limits = httpx2.Limits(max_connections=self._size, max_keepalive_connections=self._size)
        verify: ssl.SSLContext | bool = self._tls if self._tls is not None else True
        return httpx2.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits)

    async def _release(self, holder: object, connections: _Connections | None) -> None:
        self._limiter.release_on_behalf_of(holder)
        if connections is not None:
            connections.users -= 1
            await self._close_if_unused(connections)

    async def _close_if_unused(self, connections: _Connections) -> None:
        if connections in self._outgrown and connections.users == 0:
            self._outgrown.discard(connections)
            with CancelScope(shield=True):
                await connections.transport.aclose()


class _HeldStream(httpx2.AsyncByteStream):
    """A body that gives its connection's place back when it is closed."""

    def __init__(self, response: httpx2.Response, release: Callable[[], Awaitable[None]]) -> None:
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)  # noqa: S101 (narrows a union)
        self._stream = stream
        self._release: Callable[[], Awaitable[None]] | None = release

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()

    async def aclose(self) -> None:
        """Close the body and give the place back, once."""
        release, self._release = self._release, None
        if release is None:
            return
        try:
            await self._stream.aclose()
        finally:
            await release()
