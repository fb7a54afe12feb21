"""A real HTTP server on loopback that misbehaves on request, and a clock that never idles."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
from anyio.abc import SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener
from blockbuster import blockbuster_ctx

from engine.scheduling.resource_pool import ResourcePool
from tests.unit.resource_pool.conftest import Luck, StepClock

HERE = Path(__file__).parent
SAFETY_S = 60.0
"""Real time after which a test is broken; nothing asserts it."""


@pytest.fixture(autouse=True)
def _blocking_calls_are_errors() -> Iterator[None]:
    with blockbuster_ctx("engine"):
        yield


class RestlessClock(StepClock):
    """Backoffs and gates pass in no time; the bound of an attempt waits for `advance`."""

    async def sleep(self, seconds: float, /) -> None:
        self.slept.append(seconds)
        await anyio.lowlevel.checkpoint()
        self.advance(seconds)


class Exchange:
    """One request as the server got it, and the stream to answer on."""

    def __init__(self, stream: anyio.abc.ByteStream, head: bytes, body: bytes) -> None:
        self.stream = stream
        self.body = body
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ")
        self.headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }

    async def answer(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        """Send a whole response."""
        await self.send_head(status, {"content-length": str(len(body)), **(headers or {})})
        if self.method != "HEAD":
            await self.stream.send(body)

    async def send_head(self, status: int, headers: dict[str, str]) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        await self.stream.send(f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode("latin-1"))

    async def reset(self) -> None:
        """Drop the connection with a RST."""
        raw = self.stream.extra(SocketAttribute.raw_socket)  # noqa: S610 (anyio's)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.stream.aclose()


Behaviour = Callable[[Exchange], Awaitable[Any]]


class Server:
    """Answers each path by its list of behaviours, the last one again and again."""

    def __init__(self) -> None:
        self.url = ""
        self.exchanges: list[Exchange] = []
        self.open_connections = 0
        self.most_connections = 0
        self.connections_made = 0
        self._behaviours: dict[str, list[Behaviour]] = {}
        self._hits: dict[str, int] = {}

    def on(self, path: str, *behaviours: Behaviour) -> str:
        """Set what *path* does; return its URL."""
        self._behaviours[path] = list(behaviours)
        return self.url + path

    def hits(self, path: str) -> int:
        return self._hits.get(path, 0)

    async def serve(self, stream: anyio.abc.ByteStream) -> None:
        self.open_connections += 1
        self.connections_made += 1
        self.most_connections = max(self.most_connections, self.open_connections)
        try:
            async with stream:
                reader = BufferedByteReceiveStream(stream)
                while True:
                    head = await reader.receive_until(b"\r\n\r\n", 65_536)
                    exchange = Exchange(stream, head, b"")
                    length = int(exchange.headers.get("content-length", "0"))
                    exchange.body = await reader.receive_exactly(length) if length else b""
                    self.exchanges.append(exchange)
                    await self._behave(exchange)
        except (
            anyio.IncompleteRead,
            anyio.EndOfStream,
            anyio.BrokenResourceError,
            anyio.ClosedResourceError,
            ssl.SSLError,
        ):
            pass  # the client left, or the behaviour closed
        finally:
            self.open_connections -= 1

    async def _behave(self, exchange: Exchange) -> None:
        path = exchange.target.partition("?")[0]
        behaviours = self._behaviours[path]
        hit = self._hits[path] = self._hits.get(path, 0) + 1
        await behaviours[min(hit, len(behaviours)) - 1](exchange)


@asynccontextmanager
async def running_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Serve on a free port until the context is left."""
    server = Server()
    tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
    listener: anyio.abc.Listener[Any] = tcp
    if tls is not None:
        listener = TLSListener(tcp, ssl_context=tls, standard_compatible=False)
    port = tcp.extra(SocketAttribute.local_port)  # noqa: S610 (anyio's)
    server.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, server.serve)
        yield server
        group.cancel_scope.cancel()


@pytest.fixture
async def server(anyio_backend: str) -> AsyncIterator[Server]:
    async with running_server() as running:
        yield running


@pytest.fixture
def clock() -> RestlessClock:
    return RestlessClock()


@pytest.fixture
async def pool(anyio_backend: str, clock: RestlessClock) -> AsyncIterator[ResourcePool]:
    with anyio.fail_after(SAFETY_S):
        async with ResourcePool(clock=clock, rng=Luck()) as opened:
            yield opened


@pytest.fixture
def certificate() -> Path:
    """Return a self-signed certificate for localhost with its key, valid until 2124."""
    return HERE / "self_signed.pem"


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context
