"""Checks of what a submission brings along (14)."""

from __future__ import annotations

import inspect
import math

from engine.scheduling.option import as_number


def check_work(work: object) -> None:
    """Raise TypeError if *work* is not callable; a coroutine object is closed, not left behind."""
    if inspect.iscoroutine(work):
        work.close()
        raise TypeError(
            f"give the function {work.__qualname__}, not the coroutine it returned:"
            " it is called with the resource pool"
        )
    if not callable(work):
        raise TypeError(f"a task must be a callable that takes the resource pool, not {work!r}")


def checked_delay(value: object, what: str) -> float:
    """Return *value* as seconds; negative ones are 0.

    Raises:
        ValueError: it is no finite number; *what* it is goes into the error.
    """
    seconds = as_number(value)
    if seconds is None or math.isinf(seconds):
        raise ValueError(f"{what} must be a finite number of seconds, not {value!r}")
    return max(0.0, seconds)


def checked_timeout(value: object) -> float:
    """Return *value* as seconds; inf is no limit.

    Raises:
        ValueError: it is no number above 0.
    """
    seconds = as_number(value)
    if seconds is None or seconds <= 0:
        raise ValueError(f"timeout must be a number of seconds > 0 or infinity, not {value!r}")
    return seconds
