"""Options of the execution engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.scheduling.option import OptionSpec, number, whole

MAX_CONCURRENT_TASKS: Final = OptionSpec(10, whole(1, 10_000))
TASK_TIMEOUT_MULTIPLIER: Final = OptionSpec(1.2, number(0.1, 100))
HEALTH_CHECK_INTERVAL: Final = OptionSpec(60.0, number(above=True))
CRITICAL_RESERVE: Final = OptionSpec(0, whole(0))
AGING_INTERVAL: Final = OptionSpec(30.0, number(above=True, infinite=True))
MAX_QUEUE_SIZE: Final = OptionSpec(250_000, whole(0))
DEFAULT_TIMEOUT: Final = OptionSpec(60.0, number(above=True))
CANCEL_GRACE: Final = OptionSpec(5.0, number())
STOP_GRACE: Final = OptionSpec(10.0, number())
OVERDUE_AFTER: Final = OptionSpec(300.0, number(above=True))
START_SPREAD: Final = OptionSpec(5.0, number())
DISPATCH_BUDGET: Final = OptionSpec(0.002, number(above=True))
LOOP_LAG_WARN: Final = OptionSpec(0.25, number(above=True))


ENGINE_OPTIONS: Final[dict[str, OptionSpec[Any]]] = {
    "max_concurrent_tasks": MAX_CONCURRENT_TASKS,
    "task_timeout_multiplier": TASK_TIMEOUT_MULTIPLIER,
    "health_check_interval": HEALTH_CHECK_INTERVAL,
    "critical_reserve": CRITICAL_RESERVE,
    "aging_interval": AGING_INTERVAL,
    "max_queue_size": MAX_QUEUE_SIZE,
    "default_timeout": DEFAULT_TIMEOUT,
    "cancel_grace": CANCEL_GRACE,
    "stop_grace": STOP_GRACE,
    "overdue_after": OVERDUE_AFTER,
    "start_spread": START_SPREAD,
    "dispatch_budget": DISPATCH_BUDGET,
    "loop_lag_warn": LOOP_LAG_WARN,
}


def check_together(values: Mapping[str, Any]) -> None:
    """Raise ValueError if *values*, options by name, do not fit each other."""
    slots, reserve = values["max_concurrent_tasks"], values["critical_reserve"]
    if reserve >= slots:
        raise ValueError(
            f"critical_reserve must be less than max_concurrent_tasks, not {reserve} of {slots}"
        )
