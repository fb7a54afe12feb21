"""Ranges of a processor's settings."""

from __future__ import annotations


def check_limits(
    *,
    queue_capacity: int,
    capacity_refresh_time: float,
    concurrency_limit: int,
    max_queue_size: int,
    max_denial_tracking: int,
    max_denials: int,
) -> None:
    """Raise ValueError for the first setting that is out of its range, or no integer."""
    _check_count(queue_capacity, "Queue capacity must be greater than 0")
    _check_number(capacity_refresh_time, "Capacity refresh time must be >= 0.01s")
    refresh = capacity_refresh_time
    # Written so that NaN fails too.
    rules = (
        (queue_capacity <= 10_000, "Queue capacity must be <= 10000", queue_capacity),
        (refresh >= 0.01, "Capacity refresh time must be >= 0.01s", refresh),
        (refresh <= 3600, "Capacity refresh time must be <= 3600s", refresh),
    )
    for is_met, rule, value in rules:
        if not is_met:
            raise ValueError(f"{rule}, not {value!r}")
    _check_count(concurrency_limit, "Concurrency limit must be >= 1")
    _check_count(max_queue_size, "Max queue size must be >= 1")
    _check_count(max_denial_tracking, "Max denial tracking must be >= 1")
    _check_count(max_denials, "Max denials must be >= 1")


def _check_number(value: object, rule: str) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError(f"{rule} and a number, not {value!r}")  # noqa: TRY004 (as below)


def _check_count(value: object, rule: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{rule} and an integer, not {value!r}")  # noqa: TRY004 (values wrong by themselves are ValueErrors)
    if value < 1:
        raise ValueError(f"{rule}, not {value!r}")
