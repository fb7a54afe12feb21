"""When the row of an executor is written: at once, or once per second."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Final

from engine.executors.base import ExecutorBase
from engine.model.clock import SECOND_NS

SOFT_INTERVAL_NS: Final = SECOND_NS
"""Between two rows of an executor in which only triggers and levels have moved."""


class ExecutorWrites:
    """Holds back rows that only follow the market.

    A crowd of trailing stops would write one each for every new best price. The journal has all of
    it, so nothing is lost by waiting.
    """

    def __init__(self) -> None:
        self._written: dict[str, tuple[int, Hashable]] = {}
        self._waiting: dict[str, None] = {}

    def candidates(self, changed: Iterable[str]) -> list[str]:
        """Return the ids that were held back, and those that have changed since."""
        waiting, self._waiting = self._waiting, {}
        return list(waiting | dict.fromkeys(changed))

    def is_due(self, executor: ExecutorBase, now_ns: int) -> bool:
        """Whether to write the row of *executor* now; otherwise it is held back."""
        executor_id, mark = executor.executor_id, executor.durable_mark
        known = self._written.get(executor_id)
        if known is not None and known[1] == mark and now_ns < known[0] + SOFT_INTERVAL_NS:
            self._waiting[executor_id] = None
            return False
        if executor.is_done:
            self._written.pop(executor_id, None)
        else:
            self._written[executor_id] = (now_ns, mark)
        return True
