"""Tracked units of asynchronous work, what runs them, and what counts them by state."""

from __future__ import annotations

from engine.flow.element import Element
from engine.flow.errors import (
    AccessError,
    ConfigurationError,
    EngineConnectionError,
    EngineError,
    EngineTimeoutError,
    ExecutionError,
    ExistsError,
    NotFoundError,
    OperationError,
    QueueFullError,
    UnknownProgressionError,
    ValidationError,
)
from engine.flow.event import Event
from engine.flow.execution import Execution
from engine.flow.executor import Executor
from engine.flow.flow import Flow
from engine.flow.pile import Pile
from engine.flow.processor import Processor
from engine.flow.progression import Progression
from engine.flow.status import EventStatus
from engine.flow.unset import Unset, UnsetType

__all__ = [
    "AccessError",
    "ConfigurationError",
    "Element",
    "EngineConnectionError",
    "EngineError",
    "EngineTimeoutError",
    "Event",
    "EventStatus",
    "Execution",
    "ExecutionError",
    "Executor",
    "ExistsError",
    "Flow",
    "NotFoundError",
    "OperationError",
    "Pile",
    "Processor",
    "Progression",
    "QueueFullError",
    "UnknownProgressionError",
    "Unset",
    "UnsetType",
    "ValidationError",
]
