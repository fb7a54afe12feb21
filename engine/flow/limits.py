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
    """Raise ValueError for the first setting that is out of its range."""
    refresh = capacity_refresh_time
    # Written so that NaN fails too.
    rules = (
        (queue_capacity > 0, "Queue capacity must be greater than 0", queue_capacity),
        (queue_capacity <= 10_000, "Queue capacity must be <= 10000", queue_capacity),
        (refresh >= 0.01, "Capacity refresh time must be >= 0.01s", refresh),
        (refresh <= 3600, "Capacity refresh time must be <= 3600s", refresh),
        (concurrency_limit >= 1, "Concurrency limit must be >= 1", concurrency_limit),
        (max_queue_size >= 1, "Max queue size must be >= 1", max_queue_size),
        (max_denial_tracking >= 1, "Max denial tracking must be >= 1", max_denial_tracking),
        (max_denials >= 1, "Max denials must be >= 1", max_denials),
    )
    for is_met, rule, value in rules:
        if not is_met:
            raise ValueError(f"{rule}, not {value!r}")
