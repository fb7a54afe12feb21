"""Where many backtests run; the model never changes a result (MODE-1)."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Final, Protocol, TypeAlias, assert_never

import anyio
from anyio import to_thread

from engine.backtest.config import BacktestConfig, EngineChoice, ThreadModel
from engine.backtest.control import RunControl
from engine.backtest.results import BacktestResult
from engine.backtest.worker import run_in_worker
from engine.flow.errors import OperationError

QUEUE_SIZE: Final = 4
"""Jobs that wait between two stages; the stage before blocks when it is full."""

THREADS_NOTE: Final = (
    "MULTI_THREADED: strategies in Python share the interpreter's lock, so threads make them no "
    "faster; PROCESS_PARALLEL does, and what runs compiled is faster on threads too"
)
"""What is logged once when threads cannot help (MODE-1)."""

_Run: TypeAlias = Callable[[BacktestConfig], BacktestResult]


class Runs(Protocol):
    """What runs one backtest on the calling thread."""

    def run_backtest(
        self, config: BacktestConfig, *, base_dir: Path, in_threads: bool
    ) -> BacktestResult:
        """Run *config*."""
        ...

    def preload(self, config: BacktestConfig, base_dir: Path) -> None:
        """Load the data of *config*."""
        ...


class ManyRunsError(OperationError):
    """Some of many runs failed; ``errors`` has each with its place, the others were run."""

    def __init__(self, errors: Sequence[tuple[int, Exception]], total: int) -> None:
        self.errors = tuple(errors)
        lines = "; ".join(f"run {place}: {error}" for place, error in self.errors[:5])
        super().__init__(
            f"{len(self.errors)} of {total} runs failed: {lines}", cause=self.errors[0][1]
        )


def has_interpreter_lock() -> bool:
    """Return whether this Python runs one thread at a time: False in free-threaded builds."""
    asks: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)
    return asks()


def threads_are_in_vain(
    configs: Sequence[BacktestConfig], model: ThreadModel, workers: int, *, has_lock: bool
) -> bool:
    """Return whether threads give no speed-up: Python code under the interpreter's lock."""
    return (
        has_lock
        and model in (ThreadModel.MULTI_THREADED, ThreadModel.ASYNC_MULTI)
        and min(workers, len(configs)) > 1
        and any(config.engine is not EngineChoice.COMPILED for config in configs)
    )


def run_all(
    coordinator: Runs,
    configs: Sequence[BacktestConfig],
    *,
    model: ThreadModel,
    max_workers: int,
    base_dir: Path,
) -> list[BacktestResult]:
    """Run *configs* under *model* and return the results in their order.

    Raises:
        ManyRunsError: some failed.
    """
    workers = max(1, min(max_workers, len(configs)))

    def here(config: BacktestConfig) -> BacktestResult:
        return coordinator.run_backtest(config, base_dir=base_dir, in_threads=workers > 1)

    def apart(config: BacktestConfig) -> BacktestResult:
        return run_in_worker(config, base_dir, control=RunControl())

    match model:
        case ThreadModel.SINGLE_THREADED:
            outcomes = [_outcome(here, config) for config in configs]
        case ThreadModel.MULTI_THREADED:
            outcomes = _in_threads(here, configs, workers)
        case ThreadModel.PROCESS_PARALLEL:
            outcomes = _in_threads(apart, configs, workers)
        case ThreadModel.ASYNC_SINGLE:
            outcomes = anyio.run(_on_one_loop, coordinator, configs, base_dir)
        case ThreadModel.ASYNC_MULTI:
            outcomes = anyio.run(_on_many_loops, here, configs, workers)
        case ThreadModel.MIXED:
            outcomes = _staged(coordinator, apart, configs, workers, base_dir)
        case _:
            assert_never(model)
    errors = [(place, one) for place, one in enumerate(outcomes) if isinstance(one, Exception)]
    if errors:
        raise ManyRunsError(errors, len(configs))
    return [one for one in outcomes if isinstance(one, BacktestResult)]


_Outcome: TypeAlias = BacktestResult | Exception


def _outcome(run: _Run, config: BacktestConfig) -> _Outcome:
    try:
        return run(config)
    except Exception as error:  # noqa: BLE001 (boundary: one run must not end the others)
        return error


def _in_threads(run: _Run, configs: Sequence[BacktestConfig], workers: int) -> list[_Outcome]:
    """One run per pool thread; no container is ever touched by two threads."""
    with ThreadPoolExecutor(workers, thread_name_prefix="backtest") as pool:
        return list(pool.map(lambda config: _outcome(run, config), configs))


async def _on_one_loop(
    coordinator: Runs, configs: Sequence[BacktestConfig], base_dir: Path
) -> list[_Outcome]:
    """One event loop: data arrival is awaited, dispatch stays synchronous."""
    outcomes: list[_Outcome] = []
    for config in configs:
        await to_thread.run_sync(coordinator.preload, config, base_dir)
        outcomes.append(
            _outcome(
                lambda one: coordinator.run_backtest(one, base_dir=base_dir, in_threads=False),
                config,
            )
        )
        await anyio.lowlevel.checkpoint()
    return outcomes


async def _on_many_loops(
    run: _Run, configs: Sequence[BacktestConfig], workers: int
) -> list[_Outcome]:
    """One loop per container, one that feeds them; a bounded queue between."""
    outcomes: dict[int, _Outcome] = {}
    send, receive = anyio.create_memory_object_stream[tuple[int, BacktestConfig]](QUEUE_SIZE)

    async def feed() -> None:
        async with send:
            for job in enumerate(configs):
                await send.send(job)

    async def serve() -> None:
        async with receive.clone() as jobs:
            async for place, config in jobs:
                outcomes[place] = await to_thread.run_sync(_loop_of_its_own, run, config)

    async with receive, anyio.create_task_group() as tasks:
        tasks.start_soon(feed, name="feed")
        for number in range(workers):
            tasks.start_soon(serve, name=f"container loop {number}")
    return [outcomes[place] for place in range(len(configs))]


def _loop_of_its_own(run: _Run, config: BacktestConfig) -> _Outcome:
    async def container() -> _Outcome:
        return _outcome(run, config)

    return anyio.run(container)


def _staged(
    coordinator: Runs,
    apart: _Run,
    configs: Sequence[BacktestConfig],
    workers: int,
    base_dir: Path,
) -> list[_Outcome]:
    """MIXED: data are read by a thread, computed on by processes."""
    checked: Queue[tuple[BacktestConfig, Exception | None]] = Queue(QUEUE_SIZE)

    def read() -> None:
        for config in configs:
            problem: Exception | None = None
            try:
                coordinator.preload(config, base_dir)
            except Exception as error:  # noqa: BLE001 (boundary: one file must not end the others)
                problem = error
            checked.put((config, problem))

    def arrived() -> Iterator[tuple[BacktestConfig, Exception | None]]:
        for _ in configs:
            yield checked.get()

    reader = threading.Thread(target=read, name="backtest-data", daemon=True)
    reader.start()
    with ThreadPoolExecutor(workers, thread_name_prefix="backtest") as pool:
        outcomes = list(pool.map(lambda job: job[1] or _outcome(apart, job[0]), list(arrived())))
    reader.join()
    return outcomes
