"""An agent's counters."""

from __future__ import annotations

from typing import Any


class AgentMetrics(dict[str, Any]):
    """A dictionary whose unknown entries count as 0, so that any counter can be incremented.

    The entries that every agent has: `cycles_completed`, `cycles_failed`, `errors` (counts),
    `last_cycle_time` (seconds the latest cycle took), `last_cycle_completed` (ISO 8601, UTC) and
    `last_cycle_error` (text); None until there is one.
    """

    def __init__(self) -> None:
        super().__init__(
            cycles_completed=0,
            cycles_failed=0,
            errors=0,
            last_cycle_time=None,
            last_cycle_completed=None,
            last_cycle_error=None,
        )

    def __missing__(self, name: str) -> int:
        return 0

    def increment(self, name: str, by: float = 1) -> None:
        """Add *by* to the counter *name*, which is made if there is none."""
        self[name] += by
