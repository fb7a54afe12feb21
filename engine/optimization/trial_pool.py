"""Containers that a worker keeps ready for the trials to come (CONT-11)."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.backtest.assembly import RunRequest
from engine.backtest.config import BacktestConfig
from engine.backtest.run_pool import RunPool
from engine.optimization.windows import Span

if TYPE_CHECKING:
    from engine.optimization.base_run import BaseRun


@dataclass(frozen=True, slots=True)
class WindowPool:
    """A pool of runs on the bars of one window; belongs to one thread."""

    window: Span | None
    first: RunRequest
    runs: RunPool

    def request(self, config: BacktestConfig) -> RunRequest:
        """Return the run of *config* on the pool's bars."""
        components = self.first.config.components.model_copy(
            update={"strategy": config.components.strategy, "strategies": ()}
        )
        return replace(
            self.first, config=self.first.config.model_copy(update={"components": components})
        )


class TrialPools:
    """One pool for each thread that runs trials, for the window that it works on.

    Args:
        size: containers that each pool keeps ready; 0 for no pool at all.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._all: list[WindowPool] = []

    @property
    def built(self) -> int:
        """Return how many containers the pools that are open have built."""
        return sum(pool.runs.built for pool in self._all)

    @property
    def reused(self) -> int:
        """Return how many times one of theirs was used again."""
        return sum(pool.runs.reused for pool in self._all)

    def of(self, base: BaseRun, config: BacktestConfig, window: Span | None) -> WindowPool | None:
        """Return this thread's pool for *window*, filled; None without pools.

        *config* is that of the trial to come. A pool for another window is closed.
        """
        if not self._size:
            return None
        pool: WindowPool | None = getattr(self._mine, "pool", None)
        if pool is not None and pool.window == window:
            return pool
        if pool is not None:
            pool.runs.close()
        first = base.request(config, window)
        made = WindowPool(window, first, RunPool(first, size=self._size))
        made.runs.fill()
        with self._lock:
            self._all = [one for one in self._all if one is not pool] + [made]
        self._mine.pool = made
        return made

    def close(self) -> None:
        """Tear down what waits; the threads do not run trials any more."""
        with self._lock:
            pools, self._all = self._all, []
        for pool in pools:
            pool.runs.close()
