"""States of a live strategy and the table of their transitions (LIVE-2)."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final

from engine import flow


@unique
class LiveState(StrEnum):
    """State of a live strategy (LIVE-2)."""

    STARTING = "starting"
    RECONCILING = "reconciling"
    RUNNING = "running"
    DEGRADED = "degraded"
    PAUSED = "paused"
    HALTED = "halted"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def lets_reduce(self) -> bool:
        """Whether a strategy may reduce positions; entries pass in RUNNING only."""
        return self in (LiveState.RUNNING, LiveState.DEGRADED, LiveState.PAUSED)


_L = LiveState
TRANSITIONS: Final[dict[LiveState, frozenset[LiveState]]] = {
    _L.STARTING: frozenset({_L.RECONCILING, _L.FAILED, _L.STOPPING}),
    _L.RECONCILING: frozenset(
        {_L.RUNNING, _L.DEGRADED, _L.PAUSED, _L.HALTED, _L.FAILED, _L.STOPPING}
    ),
    _L.RUNNING: frozenset({_L.DEGRADED, _L.PAUSED, _L.HALTED, _L.STOPPING, _L.FAILED}),
    _L.DEGRADED: frozenset({_L.RUNNING, _L.PAUSED, _L.HALTED, _L.STOPPING, _L.FAILED}),
    _L.PAUSED: frozenset({_L.RECONCILING, _L.RUNNING, _L.HALTED, _L.STOPPING, _L.FAILED}),
    _L.HALTED: frozenset({_L.RECONCILING, _L.RUNNING, _L.STOPPING, _L.FAILED}),
    _L.STOPPING: frozenset({_L.STOPPED, _L.FAILED}),
    _L.STOPPED: frozenset(),
    _L.FAILED: frozenset({_L.STOPPING}),
}
"""Legal transitions; entries are possible in RUNNING only."""


class IllegalLiveStateError(flow.OperationError):
    """A live strategy was asked for something that its state does not allow."""
