"""HTTP for everybody in the engine: one client, one gate per API, attempts and their counts."""

from __future__ import annotations

import contextlib
import logging
import math
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final, Protocol

import anyio
import httpx2

from engine.scheduling.clock import Clock
from engine.scheduling.http_answer import Answer
from engine.scheduling.http_attempt import AttemptFailed, OversizedBody, attempt
from engine.scheduling.http_call import ApiSettings, HttpCall
from engine.scheduling.http_log import hide_request_details
from engine.scheduling.http_outcome import BAN_S, Outcome, counts_as_error, outcome_of_status
from engine.scheduling.http_retry import Jitter, Retrier, RetrySettings
from engine.scheduling.http_transport import PoolTransport
from engine.scheduling.pool_errors import BodyTooLarge, BodyUndecodable, PoolClosed, RequestFailed
from engine.scheduling.rate_gate import RateGate
from engine.scheduling.retry_after import retry_after_s
from engine.scheduling.task_context import current_task
from engine.scheduling.task_priority import TaskPriority
from engine.scheduling.timed_wait import DeadlinePassed, within

LOG: Final = logging.getLogger(__name__)
CLIENT: Final = "default"
_UNWIND_S: Final = 1.0


class HttpOptions(Protocol):
    """The options that count for requests; read at each decision, so they may change."""

    @property
    def http_pool_size(self) -> int:
        """Connections open at once."""
        ...

    @property
    def http_timeout(self) -> float:
        """Total time of one attempt in seconds."""
        ...

    @property
    def http_retry_delay(self) -> float:
        """First backoff in seconds, and the width of the jitter."""
        ...

    @property
    def http_retry_max_delay(self) -> float:
        """Longest wait before a retry, in seconds."""
        ...

    @property
    def http_max_body(self) -> int:
        """Largest body in bytes."""
        ...

    @property
    def rate_limit_window(self) -> float:
        """Length of every rate window in seconds."""
        ...


@dataclass(slots=True)
class HttpCounts:
    """Totals since the pool was made."""

    requests: int = 0
    attempts: int = 0
    retries: int = 0
    errors: int = 0


@dataclass(slots=True)
class ApiCounts:
    """Totals of one API."""

    requests: int = 0
    retries: int = 0


@dataclass(slots=True, eq=False)
class _Ongoing:
    """A request between its check and its end."""

    priority: TaskPriority
    deadline: float
    attempts: int = 0
    is_sending: bool = False
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class HttpService:
    """Sends requests; opened and closed by the pool.

    Args:
        options: the pool.
        clock: time for gates, retries and timeouts.
        rng: jitter of the retries.
        transport: instead of the network, for tests.
    """

    def __init__(
        self,
        options: HttpOptions,
        *,
        clock: Clock,
        rng: Jitter,
        transport: httpx2.AsyncBaseTransport | None,
    ) -> None:
        self.counts = HttpCounts()
        self.in_flight = 0
        self.api_counts: dict[str, ApiCounts] = {}
        self.apis: dict[str, ApiSettings] = {}
        self.gates: dict[str, RateGate] = {}
        self.client: httpx2.AsyncClient | None = None
        self._options = options
        self._clock = clock
        self._rng = rng
        self._foreign_transport = transport
        self._transport: PoolTransport | None = None
        self._warned: set[str] = set()
        self._ongoing: set[_Ongoing] = set()
        self._idle = anyio.Event()
        self._is_closing = False

    @property
    def connections_in_use(self) -> int:
        """Connections that carry a request now."""
        return 0 if self._transport is None else self._transport.in_use

    def open(self) -> None:
        """Make the client. Cheap: connections and TLS context come with the first request."""
        hide_request_details()
        self._is_closing = False
        self._transport = PoolTransport(self._options.http_pool_size, self._foreign_transport)
        self.client = httpx2.AsyncClient(
            transport=self._transport,
            timeout=self._options.http_timeout,  # for who uses it directly; attempts have their own
            trust_env=False,
            follow_redirects=False,
        )
        # One client serves all APIs: what one of them sets is not sent for another.
        self.client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))

    def clients(self) -> dict[str, httpx2.AsyncClient]:
        """Return the client by its name; nothing before the first opening."""
        client = self.client
        return {} if client is None else {CLIENT: client}

    def open_client(self) -> httpx2.AsyncClient:
        """Return the open client.

        Raises:
            PoolClosed: there is none.
        """
        if self.client is None or self.client.is_closed:
            raise PoolClosed("the HTTP client is closed")
        return self.client

    def resize(self) -> None:
        """Follow a change of `http_pool_size`."""
        if self._transport is not None:
            self._transport.resize(self._options.http_pool_size)

    def set_window(self) -> None:
        """Follow a change of `rate_limit_window`."""
        for gate in self.gates.values():
            gate.set_window(self._options.rate_limit_window)

    def set_limit(self, api_name: str, limit: int) -> None:
        """Let at most *limit* attempts of the API start in one window.

        The first change is warned about: two callers seem to disagree.
        """
        gate = self._gate(api_name)
        before = gate.limit
        if gate.set_limit(limit) and api_name not in self._warned:
            self._warned.add(api_name)
            LOG.warning("rate limit of %s changed from %s to %d", api_name, before, limit)

    async def request(self, call: HttpCall, *, raw: bool) -> tuple[int, Any]:
        """Send *call*, again where the table allows it, and return status and data.

        Raises:
            PoolClosed: the pool was closed meanwhile.
            RequestFailed: there is no usable answer.
            RateLimitTimeout: its turn would come after the task's deadline.
        """
        self.counts.requests += 1
        self._counts_of(call).requests += 1
        if call.rate_limit is not None:
            self.set_limit(call.api_name, call.rate_limit)
        task = current_task()
        ongoing = _Ongoing(
            TaskPriority.NORMAL if task is None else task.priority,
            math.inf if task is None else task.deadline,
        )
        self._ongoing.add(ongoing)
        try:
            with ongoing.scope:
                return await self._perform(call, ongoing, raw=raw)
        except Exception:
            self.counts.errors += 1
            raise
        finally:
            self._ongoing.discard(ongoing)
            if not self._ongoing:
                self._idle.set()
        self.counts.errors += 1
        raise PoolClosed(f"{call.place}: the pool was closed")

    async def close(self, grace: float) -> None:
        """Wake what waits, give what is being sent *grace* seconds, close the client."""
        self._is_closing = True
        for ongoing in tuple(self._ongoing):
            if not ongoing.is_sending:
                ongoing.scope.cancel()
        await self._wait_until_idle(grace)
        for ongoing in tuple(self._ongoing):
            ongoing.scope.cancel()
        await self._wait_until_idle(_UNWIND_S)
        if self.client is not None:
            await self.client.aclose()

    async def _wait_until_idle(self, seconds: float) -> None:
        if self._ongoing:
            self._idle = anyio.Event()
            with contextlib.suppress(DeadlinePassed):
                await within(self._clock, seconds, self._idle.wait)

    async def _perform(self, call: HttpCall, ongoing: _Ongoing, *, raw: bool) -> tuple[int, Any]:
        retrier = Retrier(
            RetrySettings(
                retries=call.retries,
                delay=self._options.http_retry_delay,
                max_delay=self._options.http_retry_max_delay,
                idempotent=call.idempotent,
                deadline=ongoing.deadline,
            ),
            self._clock,
            self._rng,
            lambda: not self._is_closing,
        )
        try:
            answer = await retrier.run(lambda: self._transmit(call, ongoing))
        except AttemptFailed as failed:
            raise _request_failed(call, ongoing.attempts, failed.error) from failed.error
        try:
            data = answer.data(raw=raw)
        except ValueError as exc:
            raise _request_failed(call, ongoing.attempts, exc) from exc
        if counts_as_error(answer.status):
            self.counts.errors += 1
        return answer.status, data

    async def _transmit(self, call: HttpCall, ongoing: _Ongoing) -> Answer:
        if self._transport is not None:
            await self._transport.prepare()
        gate = self.gates.get(call.api_name)
        if gate is not None:
            if call.rate_limit is None:
                await gate.pass_unlimited(ongoing.deadline)
            else:
                await gate.take(ongoing.priority, ongoing.deadline)
        if self._is_closing:
            raise PoolClosed(f"{call.place}: the pool was closed")
        self._count_attempt(call, ongoing)
        ongoing.is_sending = True
        self.in_flight += 1
        try:
            answer = await attempt(
                self.open_client(), call, self._clock, max_body=self._options.http_max_body
            )
        except AttemptFailed as failed:
            LOG.info("%s %s: %s", call.place, failed.outcome.value, type(failed.error).__name__)
            raise
        finally:
            ongoing.is_sending = False
            self.in_flight -= 1
        LOG.debug("%s %d", call.place, answer.status)
        self._close_gate_after(call, answer)
        return answer

    def _count_attempt(self, call: HttpCall, ongoing: _Ongoing) -> None:
        if ongoing.attempts > 0:
            self.counts.retries += 1
            self._counts_of(call).retries += 1
        ongoing.attempts += 1
        self.counts.attempts += 1

    def _close_gate_after(self, call: HttpCall, answer: Answer) -> None:
        outcome = outcome_of_status(answer.status)
        if outcome not in (Outcome.LIMITED, Outcome.BANNED):
            return
        asked = retry_after_s(answer.headers.get("retry-after"), self._clock.wall())
        if asked is None:
            asked = BAN_S if outcome is Outcome.BANNED else self._options.http_retry_delay
        LOG.warning(
            "%s %d: gate of %s closed for %.1f s", call.place, answer.status, call.api_name, asked
        )
        self._gate(call.api_name).close_for(asked)

    def _gate(self, api_name: str) -> RateGate:
        gate = self.gates.get(api_name)
        if gate is None:
            gate = RateGate(api_name, self._clock, self._options.rate_limit_window)
            self.gates[api_name] = gate
        return gate

    def _counts_of(self, call: HttpCall) -> ApiCounts:
        return self.api_counts.setdefault(call.api_name, ApiCounts())


def _request_failed(call: HttpCall, attempts: int, error: Exception) -> RequestFailed:
    message = f"{call.place} failed after {attempts} attempt(s): {type(error).__name__}: {error}"
    kind = RequestFailed
    if isinstance(error, OversizedBody):
        kind = BodyTooLarge
    elif isinstance(error, ValueError | httpx2.DecodingError):
        kind = BodyUndecodable
    return kind(message, attempts=attempts, last_error=error)
