"""The one place in this package that reads the system's clocks."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, time_ns  # noqa: TID251 (flow stands alone: nobody can inject)
from typing import Final

wall_ns: Final[Callable[[], int]] = time_ns
"""Return the wall clock, UTC nanoseconds since 1970."""

monotonic: Final[Callable[[], float]] = perf_counter
"""Return seconds on a monotonic clock of the highest resolution."""
