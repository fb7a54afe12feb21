"""Status, close type and lifecycle of an executor."""

from __future__ import annotations

from enum import Enum, StrEnum, unique
from typing import Final


@unique
class RunnableStatus(Enum):
    """Where an executor is in its life."""

    NOT_STARTED = 1
    RUNNING = 2
    SHUTTING_DOWN = 3
    TERMINATED = 4


@unique
class CloseType(Enum):
    """Why an executor closed."""

    TIME_LIMIT = 1
    STOP_LOSS = 2
    TAKE_PROFIT = 3
    EXPIRED = 4
    EARLY_STOP = 5
    TRAILING_STOP = 6
    INSUFFICIENT_BALANCE = 7
    FAILED = 8
    COMPLETED = 9
    POSITION_HOLD = 10


@unique
class Lifecycle(StrEnum):
    """What a person sees; derived from status and close type, never stored."""

    CREATED = "created"
    RUNNING = "running"
    SHUTTING_DOWN = "shutting_down"
    FAILED = "failed"
    TERMINATED = "terminated"


_S = RunnableStatus
TRANSITIONS: Final[dict[RunnableStatus, frozenset[RunnableStatus]]] = {
    _S.NOT_STARTED: frozenset({_S.RUNNING, _S.TERMINATED}),
    _S.RUNNING: frozenset({_S.SHUTTING_DOWN, _S.TERMINATED}),
    _S.SHUTTING_DOWN: frozenset({_S.TERMINATED}),
    _S.TERMINATED: frozenset(),
}
"""Legal transitions (5.1)."""

_FAILURES: Final = frozenset({CloseType.FAILED, CloseType.INSUFFICIENT_BALANCE})


class IllegalTransitionError(RuntimeError):
    """An executor was about to take a step that its life does not have."""


def check_transition(executor_id: str, current: RunnableStatus, wanted: RunnableStatus) -> None:
    """Accept a legal transition.

    Raises:
        IllegalTransitionError: the table has no step from *current* to *wanted*.
    """
    if wanted not in TRANSITIONS[current]:
        allowed = ", ".join(sorted(status.name for status in TRANSITIONS[current])) or "none"
        raise IllegalTransitionError(
            f"executor {executor_id}: no transition {current.name} -> {wanted.name}; "
            f"allowed: {allowed}"
        )


def lifecycle_of(status: RunnableStatus, close_type: CloseType | None) -> Lifecycle:
    """Return the lifecycle label (1.3)."""
    if status is RunnableStatus.TERMINATED and close_type in _FAILURES:
        return Lifecycle.FAILED
    return _LABELS[status]


_LABELS: Final = {
    _S.NOT_STARTED: Lifecycle.CREATED,
    _S.RUNNING: Lifecycle.RUNNING,
    _S.SHUTTING_DOWN: Lifecycle.SHUTTING_DOWN,
    _S.TERMINATED: Lifecycle.TERMINATED,
}
