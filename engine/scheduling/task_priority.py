"""The five levels of a task; the smaller runs first."""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class TaskPriority(IntEnum):
    """Level of a task.

    Attributes:
        CRITICAL: must not wait: stop-loss checks, kill switch.
        HIGH: soon: time-sensitive orders.
        NORMAL: ordinary cycles of agents.
        LOW: background work.
        IDLE: maintenance.
    """

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3
    IDLE = 4


LEVELS = tuple(TaskPriority)


def to_priority(value: object) -> TaskPriority:
    """Return the level that *value* means: a member, 0 to 4, or a name in any case.

    Raises:
        ValueError: it means none.
    """
    if isinstance(value, TaskPriority):
        return value
    if isinstance(value, str) and value.upper() in TaskPriority.__members__:
        return TaskPriority[value.upper()]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(LEVELS):
        return LEVELS[value]
    names = ", ".join(level.name for level in LEVELS)
    raise ValueError(f"priority must be 0 to 4 or one of {names}, not {value!r}")
