"""Puts agent and task into log lines that are written while a task runs."""

from __future__ import annotations

import logging
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


class RunningTaskFilter(logging.Filter):
    """Gives every record `agent_id` and `task_id`, None outside tasks; for a stdlib handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attributes and let *record* pass."""
        task = CURRENT_TASK.get()
        record.agent_id = None if task is None else task.agent_id
        record.task_id = None if task is None else task.task_id
        return True
