"""Agents and what runs them: execution engine, adaptive scheduler, resource pool, control API.

Recurring work of the shell (health of sessions, reconciliation, data refresh, user agents) runs
here by priority, within slots, with deadlines. Trading itself happens in the containers.

Start reading at `execution_engine.py`. Names load on first use, so that importing the package
costs nothing before something is needed.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from engine.scheduling.adaptive_scheduler import AdaptiveScheduler
    from engine.scheduling.agent_factory import AgentFactory
    from engine.scheduling.agent_log import AgentLog, LogLine
    from engine.scheduling.agent_metrics import AgentMetrics
    from engine.scheduling.agent_registry import AgentRegistry
    from engine.scheduling.agent_status import AgentStatus
    from engine.scheduling.alerts import Alert, AlertMonitor
    from engine.scheduling.base_agent import BaseAgent
    from engine.scheduling.clock import Clock, SystemClock
    from engine.scheduling.control_api import ControlServer, control_server
    from engine.scheduling.control_settings import ControlApiSettings
    from engine.scheduling.errors import (
        AgentConfigError,
        CycleFailed,
        DuplicateAgent,
        EngineNotRunning,
        QueueFull,
        SchedulingError,
        StrayCancellation,
        TaskCancelled,
        TaskTimeout,
        UnknownAgent,
        UnknownAgentType,
    )
    from engine.scheduling.execution_engine import ExecutionEngine
    from engine.scheduling.health import HealthReport, HealthStatus
    from engine.scheduling.interval_factors import IntervalFactors
    from engine.scheduling.load_sampler import LoadSampler
    from engine.scheduling.market_condition import MarketCondition
    from engine.scheduling.pool_errors import (
        BodyTooLarge,
        BodyUndecodable,
        PoolClosed,
        RateLimitTimeout,
        RequestFailed,
    )
    from engine.scheduling.resource_pool import ResourcePool
    from engine.scheduling.run_record import RunRecord
    from engine.scheduling.settings import SchedulingSettings
    from engine.scheduling.stop_report import StopReport
    from engine.scheduling.system_load import SystemLoad
    from engine.scheduling.task_handle import TaskHandle
    from engine.scheduling.task_priority import TaskPriority
    from engine.scheduling.task_snapshot import TaskSnapshot
    from engine.scheduling.task_state import TaskState

_HOMES: Final = {
    "AdaptiveScheduler": "adaptive_scheduler",
    "AgentConfigError": "errors",
    "AgentFactory": "agent_factory",
    "AgentLog": "agent_log",
    "AgentMetrics": "agent_metrics",
    "AgentRegistry": "agent_registry",
    "AgentStatus": "agent_status",
    "Alert": "alerts",
    "AlertMonitor": "alerts",
    "BaseAgent": "base_agent",
    "BodyTooLarge": "pool_errors",
    "BodyUndecodable": "pool_errors",
    "Clock": "clock",
    "ControlApiSettings": "control_settings",
    "ControlServer": "control_api",
    "CycleFailed": "errors",
    "DuplicateAgent": "errors",
    "EngineNotRunning": "errors",
    "ExecutionEngine": "execution_engine",
    "HealthReport": "health",
    "HealthStatus": "health",
    "IntervalFactors": "interval_factors",
    "LoadSampler": "load_sampler",
    "LogLine": "agent_log",
    "MarketCondition": "market_condition",
    "PoolClosed": "pool_errors",
    "QueueFull": "errors",
    "RateLimitTimeout": "pool_errors",
    "RequestFailed": "pool_errors",
    "ResourcePool": "resource_pool",
    "RunRecord": "run_record",
    "SchedulingError": "errors",
    "SchedulingSettings": "settings",
    "StopReport": "stop_report",
    "StrayCancellation": "errors",
    "SystemClock": "clock",
    "SystemLoad": "system_load",
    "TaskCancelled": "errors",
    "TaskHandle": "task_handle",
    "TaskPriority": "task_priority",
    "TaskSnapshot": "task_snapshot",
    "TaskState": "task_state",
    "TaskTimeout": "errors",
    "UnknownAgent": "errors",
    "UnknownAgentType": "errors",
    "control_server": "control_api",
}

__all__ = [
    "AdaptiveScheduler",
    "AgentConfigError",
    "AgentFactory",
    "AgentLog",
    "AgentMetrics",
    "AgentRegistry",
    "AgentStatus",
    "Alert",
    "AlertMonitor",
    "BaseAgent",
    "BodyTooLarge",
    "BodyUndecodable",
    "Clock",
    "ControlApiSettings",
    "ControlServer",
    "CycleFailed",
    "DuplicateAgent",
    "EngineNotRunning",
    "ExecutionEngine",
    "HealthReport",
    "HealthStatus",
    "IntervalFactors",
    "LoadSampler",
    "LogLine",
    "MarketCondition",
    "PoolClosed",
    "QueueFull",
    "RateLimitTimeout",
    "RequestFailed",
    "ResourcePool",
    "RunRecord",
    "SchedulingError",
    "SchedulingSettings",
    "StopReport",
    "StrayCancellation",
    "SystemClock",
    "SystemLoad",
    "TaskCancelled",
    "TaskHandle",
    "TaskPriority",
    "TaskSnapshot",
    "TaskState",
    "TaskTimeout",
    "UnknownAgent",
    "UnknownAgentType",
    "control_server",
]

# Without any handler Python would write warnings to the terminal, which belongs to the console.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    """Import the module that owns *name* when the name is first used."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
