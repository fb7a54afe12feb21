"""What a stop of the engine did to the work that was there."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.scheduling.task_snapshot import TaskSnapshot


@dataclass(frozen=True, slots=True)
class StopReport:
    """Outcome of `ExecutionEngine.stop`.

    Attributes:
        completed: running tasks that ended by themselves within the grace, however they ended.
        cancelled: running tasks that were cancelled and unwound.
        abandoned: running tasks that did not unwind in time.
        pending: everything that did not run, in order of submission; these are `cancelled` now.
    """

    completed: int = 0
    cancelled: int = 0
    abandoned: int = 0
    pending: list[TaskSnapshot] = field(default_factory=list)

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON takes."""
        return {
            "completed": self.completed,
            "cancelled": self.cancelled,
            "abandoned": self.abandoned,
            "pending": [snapshot.to_dict() for snapshot in self.pending],
        }
