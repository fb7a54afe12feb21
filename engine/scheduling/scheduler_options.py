"""Options of the adaptive scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.scheduling.option import OptionSpec, number, optional

MIN_INTERVAL: Final = OptionSpec(1.0, number(above=True))
MAX_INTERVAL: Final = OptionSpec(3600.0, number(above=True))
DEFAULT_INTERVAL: Final = OptionSpec(60.0, number(above=True))
MARKET_WEIGHT: Final = OptionSpec(0.4, number())
PERFORMANCE_WEIGHT: Final = OptionSpec(0.4, number())
SYSTEM_WEIGHT: Final = OptionSpec(0.2, number())
SMOOTHING: Final = OptionSpec(0.3, number(0, 1, above=True))
JITTER: Final = OptionSpec(0.1, number(0, 0.5))
FAILURE_BACKOFF_MAX: Final = OptionSpec(16.0, number(1))
MARKET_TTL: Final = OptionSpec(300.0, number(above=True))
SYSTEM_SAMPLE_INTERVAL: Final = OptionSpec(5.0, number())
NETWORK_CAPACITY: Final[OptionSpec[float | None]] = OptionSpec(None, optional(number(above=True)))
"""Bytes per second that count as a full network; None: the network is not measured."""
IO_CAPACITY: Final[OptionSpec[float | None]] = OptionSpec(None, optional(number(above=True)))
"""Bytes per second that count as a busy disk; None: the disk is not measured."""

SCHEDULER_OPTIONS: Final[dict[str, OptionSpec[Any]]] = {
    "min_interval": MIN_INTERVAL,
    "max_interval": MAX_INTERVAL,
    "default_interval": DEFAULT_INTERVAL,
    "market_weight": MARKET_WEIGHT,
    "performance_weight": PERFORMANCE_WEIGHT,
    "system_weight": SYSTEM_WEIGHT,
    "smoothing": SMOOTHING,
    "jitter": JITTER,
    "failure_backoff_max": FAILURE_BACKOFF_MAX,
    "market_ttl": MARKET_TTL,
    "system_sample_interval": SYSTEM_SAMPLE_INTERVAL,
    "network_capacity": NETWORK_CAPACITY,
    "io_capacity": IO_CAPACITY,
}

WEIGHTS: Final = ("performance_weight", "market_weight", "system_weight")


def check_together(values: Mapping[str, Any]) -> None:
    """Raise ValueError if *values*, options by name, do not fit each other."""
    low, high = values["min_interval"], values["max_interval"]
    if low > high:
        raise ValueError(f"min_interval must be at most max_interval, not {low:g} > {high:g}")
    if not any(values[name] > 0 for name in WEIGHTS):
        raise ValueError(f"one of {', '.join(WEIGHTS)} must be positive")
