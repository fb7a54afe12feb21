"""Stand-ins around the execution engine: an idle pool, agents that do as they are told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from engine.scheduling.adaptive_scheduler import AdaptiveScheduler
from engine.scheduling.base_agent import BaseAgent
from engine.scheduling.clock import Clock
from engine.scheduling.execution_engine import ExecutionEngine


class IdlePool:
    """Answers what the engine asks of its pool, and has no connection to anything."""

    def __init__(self) -> None:
        self.stats: Final[dict[str, Any]] = {
            "cache_hits": 0,
            "cache_misses": 0,
            "cache_hit_rate": 0.0,
            "http_requests": 0,
            "http_error_rate": 0.0,
        }

    def get_stats(self) -> dict[str, Any]:
        """Return the figures that alerts look at."""
        return dict(self.stats)

    def health_check(self) -> dict[str, Any]:
        """Return that there is nothing."""
        return {"http_clients": {}, "cache_size": 0, "rate_limits": {}}


class ToldAgent(BaseAgent):
    """Does in each cycle what `body` does; notes when its cycles started and ended.

    Attributes:
        body: awaited with the pool in each cycle; replaced at will.
        spans: start and end of each cycle, seconds; end None while it runs.
        overlap: the most cycles that ever ran at the same time.
    """

    def __init__(self, agent_id: str, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(agent_id, config)
        self.body: Callable[[Any], Awaitable[Mapping[str, Any] | None]] | None = None
        self.spans: Final[list[list[float | None]]] = []
        self.overlap = 0
        self.hooks: Final[list[str]] = []
        self.fail_in: set[str] = set()
        self._active = 0

    @property
    def starts(self) -> list[float]:
        """When its cycles started."""
        return [span[0] for span in self.spans if span[0] is not None]

    async def _initialize(self) -> None:
        self._hook("initialize")

    async def _cleanup(self) -> None:
        self._hook("cleanup")

    async def _on_config_update(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        del old, new
        self._hook("config")

    async def _run_cycle(self, resource_pool: Any) -> Mapping[str, Any] | None:  # noqa: ANN401 (as the base class has it)
        span: list[float | None] = [self.clock.monotonic(), None]
        self.spans.append(span)
        self._active += 1
        self.overlap = max(self.overlap, self._active)
        try:
            return {} if self.body is None else await self.body(resource_pool)
        finally:
            self._active -= 1
            span[1] = self.clock.monotonic()

    def _hook(self, name: str) -> None:
        self.hooks.append(name)
        if name in self.fail_in:
            raise RuntimeError(f"{name} fails as told")


def quiet_scheduler(clock: Clock, **options: Any) -> AdaptiveScheduler:  # noqa: ANN401 (each option has its own type)
    """Return a scheduler whose interval is its base: no jitter, no sampler, performance ignored."""
    quiet = {
        "jitter": 0.0,
        "system_sample_interval": 0,
        "performance_weight": 0,
        "failure_backoff_max": 1,
    }
    return AdaptiveScheduler({**quiet, **options}, clock=clock, rng=random.Random(7))


def quiet_engine(
    clock: Clock,
    *,
    scheduler: AdaptiveScheduler | None = None,
    pool: Any = None,  # noqa: ANN401 (a ResourcePool, or a stand-in)
    **options: Any,  # noqa: ANN401 (each option has its own type)
) -> ExecutionEngine:
    """Return an engine on *clock* with an idle pool and a quiet scheduler.

    It gives no grace when it is stopped, so that a failed test does not wait for its clock.
    """
    return ExecutionEngine(
        {"stop_grace": 0, **options},
        IdlePool() if pool is None else pool,
        scheduler or quiet_scheduler(clock),
        clock=clock,
        rng=random.Random(11),
    )


class Gate:
    """Tasks that wait until they are let go; counts how many run."""

    def __init__(self) -> None:
        self.running = 0
        self.peak = 0
        self.started: Final[list[str]] = []
        self.ended: Final[list[str]] = []
        self._open: Final[dict[str, asyncio.Event]] = {}

    def task(self, name: str) -> Callable[[Any], Awaitable[str]]:
        """Return a task of *name* that ends when it is released."""

        async def work(pool: Any) -> str:  # noqa: ANN401 (as tasks are called)
            del pool
            self.started.append(name)
            self.running += 1
            self.peak = max(self.peak, self.running)
            try:
                await self._event(name).wait()
            finally:
                self.running -= 1
            self.ended.append(name)
            return name

        return work

    def release(self, *names: str) -> None:
        """Let the tasks of *names* end, also those that start later."""
        for name in names:
            self._event(name).set()

    def _event(self, name: str) -> asyncio.Event:
        return self._open.setdefault(name, asyncio.Event())
