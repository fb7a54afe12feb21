"""Run-time parameters that all executors of a session share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.model.clock import SECOND_NS

_LAST_DOUBLING: Final = 40


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """Waiting times in nanoseconds.

    ``shutdown_poll_ns`` is the time between repeated cancels, ``cancel_wait_ns`` how long a close
    waits for the entry's cancel before it protects what is filled, ``close_wait_ns`` how long a
    closing order may stay unfilled before it is replaced. The back-off before retry ``n`` is
    ``min(retry_backoff_max_ns, retry_backoff_base_ns * 2 ** (n - 1))``.
    """

    shutdown_poll_ns: int = 5 * SECOND_NS
    retry_backoff_base_ns: int = SECOND_NS
    retry_backoff_max_ns: int = 30 * SECOND_NS
    cancel_wait_ns: int = 10 * SECOND_NS
    close_wait_ns: int = 30 * SECOND_NS

    def backoff_ns(self, attempt: int) -> int:
        """Return the wait before retry number *attempt*, which counts from 1."""
        doublings = min(max(attempt, 1) - 1, _LAST_DOUBLING)
        return min(self.retry_backoff_max_ns, self.retry_backoff_base_ns << doublings)
