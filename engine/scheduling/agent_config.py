"""What the engine reads in an agent's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from engine.scheduling.errors import AgentConfigError
from engine.scheduling.option import Check, number
from engine.scheduling.task_priority import TaskPriority, to_priority

CYCLE_TIMEOUT: Final = 60.0
"""Timeout of a cycle whose agent names none, seconds."""

V = TypeVar("V")
W = TypeVar("W")

_positive = number(above=True)


@dataclass(frozen=True, slots=True)
class CycleSettings:
    """How an agent's cycles are scheduled; seconds.

    `interval` is None when the scheduler's `default_interval` applies.
    """

    interval: float | None
    timeout: float
    priority: TaskPriority
    repeat: bool


def read_cycle_settings(config: Mapping[str, object], *, agent_id: str) -> CycleSettings:
    """Return the settings in *config*: `interval`, `cycle_timeout`, `priority`, `repeat`.

    Raises:
        AgentConfigError: one of them cannot be used; names agent, key, value and what is allowed.
    """
    interval = _read(config, "interval", _positive, None, agent_id)
    timeout = _read(config, "cycle_timeout", _positive, CYCLE_TIMEOUT, agent_id)
    priority = _read(config, "priority", to_priority, TaskPriority.NORMAL, agent_id)
    repeat = config.get("repeat", True)
    if not isinstance(repeat, bool):
        raise AgentConfigError(f"agent {agent_id}: repeat must be true or false, not {repeat!r}")
    return CycleSettings(interval, timeout, priority, repeat)


def _read(
    config: Mapping[str, object], key: str, check: Check[V], default: W, agent_id: str
) -> V | W:
    value = config.get(key)
    if value is None:
        return default
    try:
        return check(value)
    except ValueError as error:
        raise AgentConfigError(f"agent {agent_id}: {key} {error}") from None
