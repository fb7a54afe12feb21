"""Deadline of an orchestrator's stop."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from engine.model.clock import SECOND_NS

POLL_NS: Final = SECOND_NS
_STALL_PER_ATTEMPT_NS: Final = 2 * SECOND_NS
_LEAST_TOTAL_NS: Final = 30 * SECOND_NS


class StopWatch:
    """Decides when to give up waiting: after a stall, or after a total time."""

    def __init__(self, now_ns: int, attempts: int) -> None:
        self._stall_ns = attempts * _STALL_PER_ATTEMPT_NS
        self._deadline_ns = now_ns + max(_LEAST_TOTAL_NS, self._stall_ns)
        self._progress: Hashable = None
        self._progress_ns = now_ns
        self.next_poll_ns = now_ns + POLL_NS

    def poll(self, now_ns: int, progress: Hashable) -> bool:
        """Note the *progress* and return whether to give up. Any change resets the stall."""
        if progress != self._progress:
            self._progress, self._progress_ns = progress, now_ns
        self.next_poll_ns = now_ns + POLL_NS
        return now_ns >= self._deadline_ns or now_ns >= self._progress_ns + self._stall_ns
