"""Life cycle of a scoped container."""

from __future__ import annotations

from enum import Enum, unique
from typing import Final

from engine import flow


@unique
class ContainerState(Enum):
    """State of a scoped container."""

    CREATED = "created"
    INITIALIZING = "initializing"
    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    ERROR = "error"
    DISPOSING = "disposing"
    DISPOSED = "disposed"


_C = ContainerState
TRANSITIONS: Final[dict[ContainerState, frozenset[ContainerState]]] = {
    _C.CREATED: frozenset({_C.INITIALIZING, _C.DISPOSING}),
    _C.INITIALIZING: frozenset({_C.READY, _C.ERROR}),
    _C.READY: frozenset({_C.RUNNING, _C.DISPOSING}),
    _C.RUNNING: frozenset({_C.PAUSED, _C.STOPPED, _C.ERROR}),
    _C.PAUSED: frozenset({_C.RUNNING, _C.STOPPED, _C.ERROR}),
    _C.STOPPED: frozenset({_C.READY, _C.DISPOSING}),
    _C.ERROR: frozenset({_C.DISPOSING}),
    _C.DISPOSING: frozenset({_C.DISPOSED}),
    _C.DISPOSED: frozenset(),
}
"""Legal transitions; the table is the test."""


class ContainerStateError(flow.OperationError):
    """A container was asked for something that its state does not allow."""


def check_transition(container_id: str, old: ContainerState, new: ContainerState) -> None:
    """Raise unless a container may go from *old* to *new*.

    Raises:
        ContainerStateError: the transition is not in the table.
    """
    if new not in TRANSITIONS[old]:
        allowed = ", ".join(sorted(state.value for state in TRANSITIONS[old])) or "nothing"
        raise ContainerStateError(
            f"container {container_id} is {old.value} and cannot become {new.value}; "
            f"allowed now: {allowed}"
        )
