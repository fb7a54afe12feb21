"""Shared resources of all agents: HTTP client, rate windows, cache, whatever is registered."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Mapping
from enum import Enum, unique
from types import TracebackType
from typing import Any, Final, Self

import anyio
import httpx2
from anyio import CancelScope

from engine.scheduling import pool_options
from engine.scheduling.clock import Clock, SystemClock
from engine.scheduling.http_call import (
    ApiSettings,
    checked_api_name,
    checked_base_url,
    checked_call,
    checked_rate_limit,
    checked_retries,
    checked_timeout,
)
from engine.scheduling.http_retry import Jitter
from engine.scheduling.http_service import HttpService
from engine.scheduling.option import Option, Optioned
from engine.scheduling.pool_errors import PoolClosed
from engine.scheduling.pool_figures import api_figures, pool_figures
from engine.scheduling.registered_resources import Closer, RegisteredResources
from engine.scheduling.response_cache import ResponseCache, checked_key, checked_ttl
from engine.scheduling.single_flight import Factory, SingleFlight, checked_factory
from engine.scheduling.timed_wait import DeadlinePassed, within

LOG: Final = logging.getLogger(__name__)
_FACTORIES_UNWIND_S: Final = 1.0


@unique
class _State(Enum):
    NEW = "new"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class ResourcePool(Optioned):
    """One HTTP client with rate windows and retry, one cache, and clean closing of everything.

    Belongs to the loop that opens it (the first use opens a pool that was never opened); only
    `get_stats` and `api_stats` may be called from other threads. Every option is an attribute
    that may be assigned at any time.

    Args:
        config: options by name.
        clock: time for timeouts, gates, retries and expiry.
        rng: jitter of the retries.
        transport: an HTTP transport instead of the network, for tests.

    Raises:
        ValueError: an option is unknown or out of range.
    """

    OPTIONS = pool_options.POOL_OPTIONS
    http_pool_size = Option(pool_options.HTTP_POOL_SIZE)
    http_timeout = Option(pool_options.HTTP_TIMEOUT)
    http_retry_count = Option(pool_options.HTTP_RETRY_COUNT)
    http_retry_delay = Option(pool_options.HTTP_RETRY_DELAY)
    http_retry_max_delay = Option(pool_options.HTTP_RETRY_MAX_DELAY)
    rate_limit_window = Option(pool_options.RATE_LIMIT_WINDOW)
    cache_ttl = Option(pool_options.CACHE_TTL)
    cache_max_size = Option(pool_options.CACHE_MAX_SIZE)
    http_max_body = Option(pool_options.HTTP_MAX_BODY)
    close_grace = Option(pool_options.CLOSE_GRACE)

    def __init__(
        self,
        config: Mapping[str, object] | None = None,
        *,
        clock: Clock | None = None,
        rng: Jitter | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(config)
        self._clock = SystemClock() if clock is None else clock
        jitter = random.Random() if rng is None else rng
        self._state = _State.NEW
        self._home: tuple[asyncio.AbstractEventLoop, int] | None = None
        self._closed = anyio.Event()
        self._cache = ResponseCache(self.cache_max_size, self._clock.monotonic)
        self._flights = SingleFlight()
        self._resources = RegisteredResources(self._clock)
        self._http = HttpService(self, clock=self._clock, rng=jitter, transport=transport)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Take work, also after `close`; an open pool stays as it is. Cheap: opens no socket."""
        while self._state is _State.CLOSING:
            await self._closed.wait()
        if self._state is _State.OPEN:
            self._check_home()
            return
        self._home = (asyncio.get_running_loop(), threading.get_ident())
        self._http.open()
        self._flights.reopen()
        self._state = _State.OPEN

    async def close(self) -> None:
        """Refuse work, wake what waits, give requests `close_grace`, close everything.

        Registered objects are closed in reverse order; one that fails is logged and does not
        keep the others from being closed. A second call waits for the first; a third does nothing.
        """
        if self._state is _State.CLOSING:
            await self._closed.wait()
            return
        if self._state is _State.CLOSED:
            return
        if self._state is _State.OPEN:
            self._check_home()
        self._state = _State.CLOSING
        self._closed = anyio.Event()
        try:
            with CancelScope(shield=True):  # each step in it has its own bound
                await self._close_all()
        finally:
            self._state, self._home = _State.CLOSED, None
            self._closed.set()

    async def http_request(
        self,
        method: str,
        url: str,
        api_name: str = "default",
        rate_limit: int | None = None,
        *,
        idempotent: bool | None = None,
        retry: bool | int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (of one attempt, not of this call)
        raw: bool = False,
        **kwargs: Any,  # noqa: ANN401 (what the HTTP library takes)
    ) -> tuple[int, Any]:
        """Send a request and return status and data.

        Args:
            method: GET, POST, ...
            url: http or https; a path may do when the API has a base URL.
            api_name: whose rate window, headers and base URL apply.
            rate_limit: attempts of this API that may start within `rate_limit_window`; None
                takes what `configure_api` said, else there is no limit.
            idempotent: whether it may be sent twice; None goes by the method.
            retry: attempts after the first; None or True for `http_retry_count`, False for none.
            timeout: seconds of one attempt in total; None takes the API's or `http_timeout`.
            raw: return the body as bytes whatever its type.
            **kwargs: `params`, `headers`, `json`, `data`, `content`, `files`, `cookies`, `auth`.

        Returns:
            The status, whatever it is, and the body: parsed JSON (None when empty) if it says so,
            else text, or bytes.

        Raises:
            ValueError, TypeError: an argument is not allowed; nothing was sent.
            RequestFailed: no usable answer came.
            RateLimitTimeout: its turn would come after the deadline of the running task.
            PoolClosed: the pool is closed.
        """
        await self._enter()
        api = self._http.apis.get(checked_api_name(api_name), ApiSettings())
        call = checked_call(
            method,
            url,
            api_name,
            api,
            idempotent=idempotent,
            retries=checked_retries(retry, self.http_retry_count),
            timeout=next(x for x in (timeout, api.timeout, self.http_timeout) if x is not None),
            rate_limit=api.rate_limit if rate_limit is None else rate_limit,
            arguments=kwargs,
        )
        return await self._http.request(call, raw=raw)

    def configure_api(
        self,
        name: str,
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        rate_limit: int | None = None,
        timeout: float | None = None,
    ) -> None:
        """Keep settings for the requests of API *name*; they replace the former ones.

        With a base URL, the headers go to that origin only.

        Raises:
            ValueError: a value is not allowed.
        """
        self._check_home()
        self._refuse_when_closed()
        settings = ApiSettings(
            base_url=None if base_url is None else checked_base_url(base_url),
            headers=None if headers is None else httpx2.Headers(dict(headers)),
            rate_limit=checked_rate_limit(rate_limit),
            timeout=None if timeout is None else checked_timeout(timeout),
        )
        self._http.apis[checked_api_name(name)] = settings
        if settings.rate_limit is not None:
            self._http.set_limit(name, settings.rate_limit)

    async def get_http_client(self, name: str = "default") -> httpx2.AsyncClient:
        """Return the one open client; who uses it directly has no gate, no retry, no total time."""
        checked_api_name(name)
        await self._enter()
        return self._http.open_client()

    async def cache_get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 (the caller's)
        """Return the value of *key*, or *default*; a stored None is a hit."""
        await self._enter()
        return self._cache.get(checked_key(key), default)

    async def cache_set(
        self,
        key: str,
        value: Any,  # noqa: ANN401 (the caller's; kept by reference)
        ttl: float | None = None,
    ) -> None:
        """Keep *value* for *ttl* seconds: None for `cache_ttl`, 0 stores nothing, inf for ever."""
        await self._enter()
        self._cache.set(checked_key(key), value, self._lifetime(ttl))

    async def cache_delete(self, key: str) -> bool:
        """Drop *key*; return whether it was there."""
        await self._enter()
        self._flights.forget(checked_key(key).__eq__)
        return self._cache.delete(key)

    async def cache_clear(self) -> None:
        """Drop everything."""
        await self._enter()
        self._flights.forget(lambda _key: True)
        self._cache.clear()

    async def cache_invalidate(self, prefix: str) -> int:
        """Drop every key that begins with *prefix*; return how many there were."""
        await self._enter()
        if not isinstance(prefix, str):
            raise ValueError(f"prefix must be a string, not {prefix!r}")  # noqa: TRY004 (as for keys)
        self._flights.forget(lambda key: key.startswith(prefix))
        return self._cache.invalidate(prefix)

    async def cache_get_or_set(
        self,
        key: str,
        factory: Factory,
        ttl: float | None = None,
    ) -> Any:  # noqa: ANN401 (what the factory makes)
        """Return the value of *key*; if it is missing, that of *factory*, which runs once.

        Whoever asks while it runs waits for the same result or exception. A failure is not
        stored. A waiter that is cancelled disturbs nobody; when all are, the factory is cancelled.
        """
        await self._enter()
        checked_factory(factory)
        lifetime = self._lifetime(ttl)
        missing = object()
        found = self._cache.get(checked_key(key), missing)
        if found is not missing:
            return found

        def keep(value: object) -> None:
            self._cache.set(key, value, lifetime)

        return await self._flights.run(key, factory, keep)

    def register_resource(self, name: str, obj: object, closer: Closer) -> None:
        """Have *closer* called with *obj* at `close`; it may be a coroutine function.

        Raises:
            ValueError: the name is taken.
        """
        self._check_home()
        self._refuse_when_closed()
        self._resources.add(name, obj, closer)

    def health_check(self) -> dict[str, Any]:
        """Return clients, cache size and starts in the current windows; prune the windows."""
        self._check_home()
        for gate in self._http.gates.values():
            gate.prune()
        return {
            "http_clients": {
                name: {"closed": client.is_closed} for name, client in self._http.clients().items()
            },
            "cache_size": self._cache.live_size(),
            "rate_limits": {
                name: gate.starts_in_window()
                for name, gate in self._http.gates.items()
                if gate.limit is not None
            },
        }

    def get_stats(self) -> dict[str, Any]:
        """Return the figures of the pool; any thread, any state."""
        is_home = self._home is not None and threading.get_ident() == self._home[1]
        if is_home:
            self._cache.live_size()  # drops what has expired; other threads only read
        figures = pool_figures(self._http, self._cache)
        return {**figures, "http_pool_size": self.http_pool_size, "closed": self._is_closed()}

    def api_stats(self) -> dict[str, dict[str, Any]]:
        """Return the gate and the counts of each API; any thread, any state.

        Each has `used` (starts in the window), `limit` (None for no limit), `window_s`, `waiting`,
        `closed_for_s`, `requests`, `retries`.
        """
        return api_figures(self._http, self.rate_limit_window)

    async def _enter(self) -> None:
        if self._state is _State.NEW:
            await self.open()
        self._refuse_when_closed()
        self._check_home()

    def _is_closed(self) -> bool:
        return self._state in (_State.CLOSING, _State.CLOSED)

    def _refuse_when_closed(self) -> None:
        if self._is_closed():
            raise PoolClosed("the resource pool is closed")

    def _check_home(self) -> None:
        if self._home is None:
            return
        loop, thread = self._home
        if threading.get_ident() != thread or not loop.is_running():
            raise RuntimeError("the resource pool belongs to another thread or event loop")

    def _lifetime(self, ttl: float | None) -> float:
        return self.cache_ttl if ttl is None else checked_ttl(ttl)

    async def _close_all(self) -> None:
        try:
            await within(self._clock, _FACTORIES_UNWIND_S, self._flights.close)
        except DeadlinePassed:
            LOG.warning("a cache factory ignores its cancellation and is left behind")
        await self._http.close(self.close_grace)
        await self._resources.close()
        self._cache.clear()

    def _before_assign(self) -> None:
        self._check_home()

    def _option_changed(self, name: str) -> None:
        if name == "cache_max_size":
            self._cache.resize(self.cache_max_size)
        elif name == "http_pool_size":
            self._http.resize()
        elif name == "rate_limit_window":
            self._http.set_window()
