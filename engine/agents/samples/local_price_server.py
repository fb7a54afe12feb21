"""A price service on this machine, for samples that fetch over HTTP without a network.

It answers ``GET /price/<pair>`` with JSON, and now and then with 503, as services do.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Final

HOST: Final = "127.0.0.1"
_MOST_HEAD: Final = 8_192
_HEAD_TIMEOUT_S: Final = 5.0

Prices = Callable[[str], Mapping[str, object] | None]
"""Returns what is known about a pair, None if there is no such pair."""


class LocalPriceServer:
    """Serves on a free port of the loopback interface while it is open.

    Args:
        prices: what is known about a pair.
        fail_every: every so many requests one is answered with 503; 0: none.
    """

    def __init__(self, prices: Prices, *, fail_every: int = 0) -> None:
        self._prices = prices
        self._fail_every = fail_every
        self._server: asyncio.Server | None = None
        self.served = 0

    @property
    def url(self) -> str:
        """Return the address; empty while it is closed."""
        if self._server is None:
            return ""
        port = self._server.sockets[0].getsockname()[1]
        return f"http://{HOST}:{port}"

    async def open(self) -> None:
        """Begin to serve."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, HOST, 0, limit=_MOST_HEAD)

    async def close(self) -> None:
        """Stop serving; answers that are on their way are finished by their tasks."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                status, body = self._answer(head.decode("latin-1").split("\r\n", 1)[0])
                text = json.dumps(body).encode()
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode()
                    + text
                )
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            # Whoever asked has gone, or does not speak HTTP.
            return
        finally:
            writer.close()

    def _answer(self, request: str) -> tuple[str, Mapping[str, object]]:
        self.served += 1
        if self._fail_every and self.served % self._fail_every == 0:
            return "503 Service Unavailable", {"detail": "try again"}
        method, _, rest = request.partition(" ")
        path = rest.partition(" ")[0]
        prefix, _, pair = path.rpartition("/")
        if method != "GET" or prefix != "/price":
            return "404 Not Found", {"detail": f"there is no {path}"}
        found = self._prices(pair)
        if found is None:
            return "404 Not Found", {"detail": f"there is no pair {pair}"}
        return "200 OK", found
