"""Runs backtests: one container for each, always torn down, its result complete before that."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from engine.backtest.assembly import BuiltRun, RunRequest
from engine.backtest.config import BacktestConfig, ThreadModel, as_config
from engine.backtest.control import Listener, Progress, RunControl
from engine.backtest.handle import BacktestHandle
from engine.backtest.market_data import MarketDataStore
from engine.backtest.results import BacktestResult
from engine.backtest.runner import Runner
from engine.backtest.thread_models import (
    THREADS_NOTE,
    has_interpreter_lock,
    run_all,
    threads_are_in_vain,
)
from engine.containers.lifecycle import ContainerState
from engine.live.clock import SystemClock
from engine.strategies.catalogue import StrategyType

LOG: Final = logging.getLogger("engine.backtest")

ConfigLike: TypeAlias = BacktestConfig | Mapping[str, Any]

DEFAULT_WORKERS: Final = 8


@dataclass(frozen=True, slots=True)
class ActiveContainer:
    """One container that exists now."""

    id: str
    run_hash: str
    mode: str
    state: ContainerState
    components: tuple[str, ...]
    bars_done: int
    bars_total: int
    events: int
    started_ns: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class _Active:
    built: BuiltRun
    control: RunControl
    started_ns: int


class BacktestCoordinator:
    """Runs backtests on the calling thread, on a pool of threads, or in worker processes.

    The registry of active containers is guarded by a lock that is never held while a run's code
    runs (COORD-2). Every method may be called from any thread.

    Args:
        base_dir: folder that relative paths of configurations start from.
        store: loaded bars, shared read-only by all containers.
        strategies: strategy types by name instead of the shipped ones.
        clock: reads the wall; only for figures that are in no hash.
        has_lock: whether Python runs one thread at a time; found out by default.
    """

    def __init__(
        self,
        *,
        base_dir: Path | None = None,
        store: MarketDataStore | None = None,
        strategies: Mapping[str, StrategyType] | None = None,
        clock: SystemClock | None = None,
        has_lock: bool | None = None,
    ) -> None:
        self._has_lock = has_interpreter_lock() if has_lock is None else has_lock
        self._has_told_of_threads = False
        self._base_dir = base_dir or Path()
        self._store = store or MarketDataStore()
        self._strategies = strategies
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._active: dict[int, _Active] = {}
        self._numbers = itertools.count()
        self._threads: ThreadPoolExecutor | None = None

    # --- one run -------------------------------------------------------------------------------

    def run_backtest(
        self,
        config: ConfigLike,
        *,
        control: RunControl | None = None,
        base_dir: Path | None = None,
        keep_failed: bool = False,
        in_threads: bool = False,
    ) -> BacktestResult:
        """Run *config* on the calling thread and return its complete result (COORD-1).

        Args:
            config: a configuration, or a document or section as plain values.
            control: for progress and cancellation.
            base_dir: folder of relative paths, instead of the coordinator's.
            keep_failed: return a FAILED result with what was done instead of raising.
            in_threads: other runs share this process's classes: state in a class is an error.

        Raises:
            ComponentFailedError: a component raised (EVT-6).
            EngineError: configuration or data cannot be used.
            pydantic.ValidationError: *config* does not fit.
        """
        checked = as_config(config)
        folder = base_dir or self._base_dir
        control = control or RunControl()
        data = self._store.load(checked, folder)
        request = RunRequest(checked, folder, data, strategies=self._strategies)
        runner = Runner(
            control,
            clock=self._clock,
            registry=self,
            keep_failed=keep_failed,
            in_threads=in_threads,
        )
        return runner.run(request)

    def submit(self, config: ConfigLike, *, base_dir: Path | None = None) -> BacktestHandle:
        """Queue *config* on a pool thread and return its handle at once."""
        control = RunControl()
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(worker_count(None), "backtest")
            threads, number = self._threads, next(self._numbers)
        future: Future[BacktestResult] = threads.submit(
            self.run_backtest, config, control=control, base_dir=base_dir, in_threads=True
        )
        return BacktestHandle(f"run-{number}", control, future)

    def run_many(
        self,
        configs: Sequence[ConfigLike],
        *,
        thread_model: ThreadModel | None = None,
        max_workers: int | None = None,
        base_dir: Path | None = None,
    ) -> list[BacktestResult]:
        """Run all *configs* and return their results in the same order.

        The thread model changes where they run and never what comes out (MODE-1).

        Raises:
            EngineError: one of them failed; the others were run all the same.
        """
        checked = [as_config(one) for one in configs]
        model = thread_model or (checked[0].threads if checked else ThreadModel.SINGLE_THREADED)
        workers = worker_count(max_workers)
        is_in_vain = threads_are_in_vain(checked, model, workers, has_lock=self._has_lock)
        if is_in_vain and not self._has_told_of_threads:
            self._has_told_of_threads = True
            LOG.info(THREADS_NOTE)
        return run_all(
            self,
            checked,
            model=model,
            max_workers=workers,
            base_dir=base_dir or self._base_dir,
        )

    def preload(self, config: BacktestConfig, base_dir: Path) -> None:
        """Load the data of *config* into the store.

        Raises:
            MarketDataError: a file cannot be used.
        """
        self._store.load(config, base_dir)

    def active(self) -> tuple[ActiveContainer, ...]:
        """Return the containers that exist now."""
        with self._lock:
            held = list(self._active.values())
        return tuple(
            ActiveContainer(
                one.built.container.id,
                one.built.run_hash,
                one.built.container.mode,
                one.built.container.state,
                one.built.container.component_names,
                one.built.run.done,
                one.built.run.total,
                one.built.container.bus.events_published,
                one.started_ns,
                one.control.progress,
            )
            for one in held
        )

    def close(self) -> None:
        """End the pool of threads; what runs is cancelled."""
        with self._lock:
            threads, self._threads = self._threads, None
            for one in self._active.values():
                one.control.cancel()
        if threads is not None:
            threads.shutdown(wait=True, cancel_futures=True)

    # --- registry ------------------------------------------------------------------------------

    def enlist(self, built: BuiltRun, control: RunControl) -> int:
        """Note a container; return its number."""
        with self._lock:
            number = next(self._numbers)
            self._active[number] = _Active(built, control, self._clock.now_ns())
        return number

    def delist(self, number: int) -> None:
        """Forget a container."""
        with self._lock:
            self._active.pop(number, None)


def worker_count(max_workers: int | None) -> int:
    """Return how many workers run at once: min(8, processors) unless told (MODE-2)."""
    import os

    return max_workers or min(DEFAULT_WORKERS, os.cpu_count() or 1)


def run_backtest(
    config: ConfigLike,
    *,
    base_dir: Path | None = None,
    strategies: Mapping[str, StrategyType] | None = None,
    listener: Listener | None = None,
) -> BacktestResult:
    """Run *config* with a coordinator of its own; see `BacktestCoordinator.run_backtest`."""
    coordinator = BacktestCoordinator(base_dir=base_dir, strategies=strategies)
    return coordinator.run_backtest(config, control=RunControl(listener=listener))
