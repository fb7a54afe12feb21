"""The engine's health: the views that the console needs before there is anything else to show.

They stand apart from ``views``, which names them too, because the first frame waits for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique


@unique
class EngineState(Enum):
    """What the engine as a whole is doing."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAULTED = "faulted"


@dataclass(frozen=True, slots=True)
class HealthView:
    """One look at the engine. Reading it never waits.

    ``tick_ms`` is the median time of one input in the core over the last samples, ``lag_ms`` how
    late the newest input was taken, ``message`` what the operator should know (empty if nothing).
    ``beat_ns`` is the monotonic time at which the engine was last heard of, None if never.
    """

    state: EngineState
    message: str = ""
    tick_ms: float | None = None
    lag_ms: float | None = None
    store_ms: float | None = None
    queue: int = 0
    exit_code: int = 0
    beat_ns: int | None = None


@dataclass(frozen=True, slots=True)
class StopReport:
    """How the engine ended. ``left`` names what could not be finished before the deadline."""

    clean: bool
    left: tuple[str, ...] = ()
    exit_code: int = 0
    message: str = ""
