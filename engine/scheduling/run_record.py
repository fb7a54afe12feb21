"""One cycle of an agent that has ended."""

from __future__ import annotations

from dataclasses import dataclass

from engine.scheduling.task_state import TaskState


@dataclass(frozen=True, slots=True)
class RunRecord:
    """How one cycle went.

    Attributes:
        started_ns: wall time of its start, nanoseconds since the epoch; to be shown only.
        duration_s: how long it ran, seconds.
        outcome: its final state.
        error: type and first line of what went wrong, or None.
        interval_s: interval that was chosen after it; None when none was.
    """

    started_ns: int
    duration_s: float
    outcome: TaskState
    error: str | None
    interval_s: float | None
