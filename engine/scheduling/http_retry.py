"""Attempts one after the other: whether another one follows, and after which wait.

stamina counts the attempts and has the exponential formula. The wait itself is slept on the
injected clock, and its jitter drawn from the injected generator; stamina knows only its own.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import stamina
from stamina.instrumentation import set_on_retry_hooks

from engine.scheduling.clock import Clock
from engine.scheduling.http_answer import Answer
from engine.scheduling.http_attempt import AttemptFailed
from engine.scheduling.http_outcome import Outcome, may_retry, outcome_of_status
from engine.scheduling.pool_errors import RateLimitTimeout
from engine.scheduling.retry_after import retry_after_s

# stamina's default hooks print to stdout through structlog; the terminal belongs to the console.
set_on_retry_hooks(())


class Jitter(Protocol):
    """What is needed of a random generator."""

    def uniform(self, a: float, b: float, /) -> float:
        """Return a number between *a* and *b*."""
        ...


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """How often and how patiently to try again.

    Attributes:
        retries: attempts after the first one.
        delay: seconds of the first backoff, and the width of the jitter.
        max_delay: longest backoff, and longest `Retry-After` that is obeyed.
        idempotent: whether the request may be sent twice.
        deadline: monotonic second at which the caller's task is over; no wait goes beyond it.
    """

    retries: int
    delay: float
    max_delay: float
    idempotent: bool
    deadline: float


class _Unanswered(Exception):  # noqa: N818 (internal: carries a result to stamina's hook)
    """An attempt ended in a way that the table may answer with another one."""

    def __init__(self, outcome: Outcome, answer: Answer | None, error: Exception | None) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome
        self.answer = answer
        self.error = error


class Retrier:
    """Runs one request to its end.

    Args:
        settings: the limits of this request.
        clock: sleeps the waits, and gives the wall time for `Retry-After` dates.
        rng: draws the jitter.
        is_open: whether another attempt may begin at all.
    """

    def __init__(
        self, settings: RetrySettings, clock: Clock, rng: Jitter, is_open: Callable[[], bool]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._is_open = is_open
        self._backoff = 0.0
        self._wait = 0.0
        self._last: _Unanswered | None = None

    async def run(self, transmit: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the first answer that is final, or the last one.

        Args:
            transmit: makes one attempt; raises `AttemptFailed` when there is no answer.

        Raises:
            AttemptFailed: the last attempt brought no answer.
            RateLimitTimeout: the first attempt's turn would come too late.
        """
        try:
            async for attempt in stamina.retry_context(
                on=self._wait_before_next,
                attempts=self._settings.retries + 1,
                timeout=None,
                wait_initial=self._settings.delay,
                wait_max=math.inf,
                wait_jitter=0.0,
                wait_exp_base=2,
            ):
                self._backoff = attempt.next_wait
                with attempt:
                    return await self._one(transmit)
        except _Unanswered as last:
            return _end_of(last)
        except RateLimitTimeout:
            if self._last is None:
                raise
            return _end_of(self._last)
        raise AssertionError("stamina ended without an outcome")  # pragma: no cover

    async def _one(self, transmit: Callable[[], Awaitable[Answer]]) -> Answer:
        if self._wait > 0:
            await self._clock.sleep(self._wait)
        try:
            answer = await transmit()
        except AttemptFailed as failed:
            raise self._remembered(_Unanswered(failed.outcome, None, failed)) from failed
        outcome = outcome_of_status(answer.status)
        if outcome is Outcome.ANSWERED:
            return answer
        raise self._remembered(_Unanswered(outcome, answer, None))

    def _remembered(self, unanswered: _Unanswered) -> _Unanswered:
        self._last = unanswered
        return unanswered

    def _wait_before_next(self, error: Exception) -> bool | float:
        """Answer stamina: False ends the attempts, 0.0 asks for another one."""
        if not isinstance(error, _Unanswered):
            return False
        if not may_retry(error.outcome, idempotent=self._settings.idempotent):
            return False
        if not self._is_open():
            return False
        wait = self._wait_after(error.answer)
        if wait is None or self._clock.monotonic() + wait > self._settings.deadline:
            return False
        self._wait = wait
        return 0.0

    def _wait_after(self, answer: Answer | None) -> float | None:
        settings = self._settings
        if answer is not None:
            asked = retry_after_s(answer.headers.get("retry-after"), self._clock.wall())
            if asked is not None:
                return asked if asked <= settings.max_delay else None
        jitter = 0.0 if stamina.is_testing() else self._rng.uniform(0.0, settings.delay)
        return min(settings.max_delay, self._backoff + jitter)


def _end_of(last: _Unanswered) -> Answer:
    if last.answer is not None:
        return last.answer
    assert last.error is not None  # noqa: S101 (one of the two is always there)
    raise last.error
