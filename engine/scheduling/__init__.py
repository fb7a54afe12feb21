"""Agents and what runs them: execution engine, adaptive scheduler, resource pool, control API.

Recurring work of the shell (health of sessions, reconciliation, data refresh, user agents) runs
here by priority, within slots, with deadlines. Trading itself happens in the containers.

Start reading at `execution_engine.py`. Names load on first use, so that importing the package
costs nothing before something is needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from engine.scheduling.clock import Clock, SystemClock
    from engine.scheduling.errors import (
        AgentConfigError,
        CycleFailed,
        DuplicateAgent,
        EngineNotRunning,
        QueueFull,
        SchedulingError,
        TaskCancelled,
        TaskTimeout,
        UnknownAgent,
        UnknownAgentType,
    )
    from engine.scheduling.pool_errors import PoolClosed, RateLimitTimeout, RequestFailed
    from engine.scheduling.task_priority import TaskPriority

_HOMES: Final = {
    "AgentConfigError": "errors",
    "Clock": "clock",
    "CycleFailed": "errors",
    "DuplicateAgent": "errors",
    "EngineNotRunning": "errors",
    "PoolClosed": "pool_errors",
    "QueueFull": "errors",
    "RateLimitTimeout": "pool_errors",
    "RequestFailed": "pool_errors",
    "SchedulingError": "errors",
    "SystemClock": "clock",
    "TaskCancelled": "errors",
    "TaskPriority": "task_priority",
    "TaskTimeout": "errors",
    "UnknownAgent": "errors",
    "UnknownAgentType": "errors",
}

__all__ = [
    "AgentConfigError",
    "Clock",
    "CycleFailed",
    "DuplicateAgent",
    "EngineNotRunning",
    "PoolClosed",
    "QueueFull",
    "RateLimitTimeout",
    "RequestFailed",
    "SchedulingError",
    "SystemClock",
    "TaskCancelled",
    "TaskPriority",
    "TaskTimeout",
    "UnknownAgent",
    "UnknownAgentType",
]


def __getattr__(name: str) -> object:
    """Import the module that owns *name* when the name is first used."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
