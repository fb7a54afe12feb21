"""Feeds the scheduler with the machine's load, and the alerts with what they compare."""

from __future__ import annotations

import math
from typing import Any, Final

from engine.scheduling.alerts import AlertMonitor
from engine.scheduling.dispatcher import Dispatcher
from engine.scheduling.load_sampler import LoadSampler

MIN_CACHE_LOOKUPS: Final = 100
MIN_HTTP_REQUESTS: Final = 20
"""Figures of the pool mean something from here on (10.5)."""


class LoadWatch:
    """Samples the load in the scheduler's interval and evaluates the alerts with each sample."""

    def __init__(
        self,
        sampler: LoadSampler,
        scheduler: Any,  # noqa: ANN401 (an AdaptiveScheduler, or a stand-in)
        pool: Any,  # noqa: ANN401 (a ResourcePool, or a stand-in)
        dispatcher: Dispatcher,
        alerts: AlertMonitor,
    ) -> None:
        self._sampler: Final = sampler
        self._scheduler: Final = scheduler
        self._pool: Final = pool
        self._dispatcher: Final = dispatcher
        self._alerts: Final = alerts
        self._is_primed = False

    def reset(self) -> None:
        """The next sample is the first again."""
        self._is_primed = False

    def pause(self) -> float:
        """Return the seconds between samples; inf when the sampler is off."""
        seconds: float = getattr(self._scheduler, "system_sample_interval", 0.0)
        return seconds or math.inf

    async def sample(self) -> None:
        """Take a sample, unless the sampler is off; the first one only serves the second."""
        if self.pause() == math.inf:
            return
        if not self._is_primed:
            self._is_primed = True
            await self._sampler.prime()
            return
        self._scheduler.update_system_load(await self._sampler.sample())
        self.evaluate()

    def evaluate(self) -> None:
        """Compare load, pool and queue with the limits of the alerts."""
        load = self._scheduler.get_stats()["system_load"]
        pool = self._pool.get_stats()
        lookups = pool.get("cache_hits", 0) + pool.get("cache_misses", 0)
        has_requests = pool.get("http_requests", 0) >= MIN_HTTP_REQUESTS
        self._alerts.evaluate(
            {
                "cpu": load["cpu_usage"],
                "memory": load["memory_usage"],
                "disk": self._sampler.disk_usage,
                "cache_hit_rate": pool["cache_hit_rate"] if lookups >= MIN_CACHE_LOOKUPS else None,
                "http_error_rate": pool["http_error_rate"] if has_requests else None,
                "ready_tasks": float(self._dispatcher.ready_count),
            }
        )
