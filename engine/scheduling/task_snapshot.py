"""A task as it stood at one moment."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from engine.scheduling.task_priority import TaskPriority
from engine.scheduling.task_state import TaskState


@dataclass(frozen=True, slots=True)
class TaskSnapshot:
    """One task that had not run when it was looked at; `due_in` in seconds, 0 when due."""

    id: str
    agent_id: str
    task_type: str
    priority: TaskPriority
    state: TaskState
    due_in: float

    def to_dict(self) -> dict[str, object]:
        """Return plain values that JSON takes."""
        return asdict(self) | {"priority": self.priority.name, "state": self.state.value}
