"""Serves the control API in the loop of the engine."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import uvicorn
from anyio import CancelScope, move_on_after, to_thread

from engine.scheduling.clock import Clock, SystemClock
from engine.scheduling.control.app import control_app
from engine.scheduling.control.ports import ControlledRegistry
from engine.scheduling.control.redaction import redacted
from engine.scheduling.control.token_file import ControlApiError, obtain_token
from engine.scheduling.control_settings import ControlApiSettings

LOG: Final = logging.getLogger(__name__)
_UVICORN: Final = logging.getLogger("uvicorn.error")
_BACKLOG: Final = 64
_MOST_CONNECTIONS: Final = 64
_STOP_GRACE_S: Final = 2


@dataclass(frozen=True, slots=True)
class ControlServer:
    """Where the control API can be reached.

    Attributes:
        url: scheme, address and port.
        port: the port that was bound.
        token_path: the file with the token; None if it came from the environment.
    """

    url: str
    port: int
    token_path: Path | None


@asynccontextmanager
async def control_server(
    registry: ControlledRegistry,
    settings: ControlApiSettings,
    *,
    data_dir: Path,
    clock: Clock | None = None,
    on_failed_login: Callable[[str], object] | None = None,
) -> AsyncIterator[ControlServer | None]:
    """Serve the control API until the context is left; do that before the engine stops.

    Nothing is served, and None given, unless `settings.enabled`. The server runs in the loop
    that enters; it polls nothing, installs no signal handlers and writes nothing to the terminal.

    Args:
        registry: the agents, with their engine.
        settings: the section `control_api`.
        data_dir: where the token file is unless the settings say otherwise.
        clock: measures failed logins and event streams.
        on_failed_login: called with the address of who showed a wrong token; None logs it.

    Raises:
        ControlApiError: the address, the token or the certificate cannot be used.
    """
    if not settings.enabled:
        yield None
        return
    token, token_path = await to_thread.run_sync(
        partial(obtain_token, settings, data_dir, os.environ)
    )
    listener = await to_thread.run_sync(_bound, settings)
    with listener:
        port = listener.getsockname()[1]
        url = _url_of(settings, port)
        closing = anyio.Event()
        app = control_app(
            registry,
            token=token,
            hosts=_host_names(settings),
            clock=SystemClock() if clock is None else clock,
            closing=closing,
            allow_execute=settings.allow_execute,
            server_url=url,
            on_failed_login=on_failed_login or _log_failed_login,
        )
        with _quiet_uvicorn(token):
            server = await _started(app, settings, listener)
            LOG.info("control API on %s", url)
            try:
                yield ControlServer(url, port, token_path)
            finally:
                closing.set()
                with CancelScope(shield=True):  # bounded by two graces
                    await _stopped(server)


def _log_failed_login(client: str) -> None:
    LOG.warning("control API: wrong token from %s", client)


async def _started(
    app: object, settings: ControlApiSettings, listener: socket.socket
) -> uvicorn.Server:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # Starlette's name for the same ASGI types
        http="h11",
        ws="none",
        lifespan="off",
        loop="none",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.private_key,
        reset_contextvars=True,  # a request belongs to no task of the engine
    )
    try:
        await to_thread.run_sync(config.load)  # reads the certificate
    except OSError as error:  # an SSLError is one
        raise ControlApiError(
            f"control_api.certificate {settings.certificate}: {error}", cause=error
        ) from error
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # Not `serve`: it polls ten times a second and takes the process's signal handlers.
    await server.startup(sockets=[listener])
    return server


async def _stopped(server: uvicorn.Server) -> None:
    """End the server: requests that run get a moment, connections are cut then.

    Not `Server.shutdown`: it waits a tenth of a second even when there is nothing to wait for.
    """
    state = server.server_state
    for one in server.servers:
        one.close()
    for connection in tuple(state.connections):
        connection.shutdown()
    if state.tasks:
        await asyncio.wait(tuple(state.tasks), timeout=_STOP_GRACE_S)
    for task in tuple(state.tasks):
        task.cancel()
    if state.tasks:
        await asyncio.wait(tuple(state.tasks), timeout=_STOP_GRACE_S)
    for connection in tuple(state.connections):
        connection.transport.abort()
    with move_on_after(_STOP_GRACE_S):
        for one in server.servers:
            await one.wait_closed()


def _bound(settings: ControlApiSettings) -> socket.socket:
    """Return a listening socket; blocking, because a name may have to be looked up."""
    host = "127.0.0.1" if settings.host.lower() == "localhost" else settings.host.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot_listen(settings, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.settimeout(0.0)
    except OSError as error:
        listener.close()
        raise _cannot_listen(settings, error) from error
    return listener


def _cannot_listen(settings: ControlApiSettings, error: OSError) -> ControlApiError:
    hint = ": choose another control_api.port" if error.errno == errno.EADDRINUSE else ""
    return ControlApiError(
        f"control API cannot listen on {settings.host}:{settings.port}: {error.strerror}{hint}",
        cause=error,
    )


def _url_of(settings: ControlApiSettings, port: int) -> str:
    scheme = "http" if settings.certificate is None else "https"
    host = settings.host.strip("[]")
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _host_names(settings: ControlApiSettings) -> Iterator[str]:
    yield from ("localhost", "127.0.0.1", "[::1]", *settings.allowed_hosts)
    host = settings.host.strip("[]")
    yield f"[{host}]" if ":" in host else host


@contextmanager
def _quiet_uvicorn(token: str) -> Iterator[None]:
    """Send uvicorn's lines to our log: without a handler, Python writes them to the terminal."""
    handler = _Forwarder(token)
    was_propagating = _UVICORN.propagate
    _UVICORN.addHandler(handler)
    _UVICORN.propagate = False
    try:
        yield
    finally:
        _UVICORN.removeHandler(handler)
        _UVICORN.propagate = was_propagating


class _Forwarder(logging.Handler):
    def __init__(self, token: str) -> None:
        super().__init__(logging.WARNING)
        self._token = token

    def emit(self, record: logging.LogRecord) -> None:
        LOG.log(record.levelno, "%s", redacted(self.format(record), (self._token,)))
