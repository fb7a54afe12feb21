"""Puts agent and task into log lines that are written while a task runs."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from engine.scheduling.task_context import CURRENT_TASK


def add_running_task(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Add `agent_id` and `task_id` of the running task, if there is one; a structlog processor."""
    task = CURRENT_TASK.get()
    if task is not None:
        event.setdefault("agent_id", task.agent_id)
        event.setdefault("task_id", task.task_id)
    return event
