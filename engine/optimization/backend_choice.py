"""Which backend a study runs on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from engine.flow.errors import ConfigurationError
from engine.optimization.backend import KernelBackend, SerialBackend, ThreadBackend, TrialBackend
from engine.optimization.config import OptimizationConfig, Parallelism
from engine.optimization.trial_runner import StudyTask

DEFAULT_WORKERS: Final = 8
_MEMORY_SHARE: Final = 0.8
"""Of the machine's memory that all workers together may be promised."""


def worker_count(config: OptimizationConfig) -> int:
    """Return how many trials run at once: as configured, else min(8, processors) (MODE-2)."""
    return config.max_workers or min(DEFAULT_WORKERS, os.cpu_count() or 1)


def containers_per_worker(config: OptimizationConfig) -> int:
    """Return how many containers each worker keeps ready, its share of container_pool_size."""
    is_shared = config.parallelism not in (Parallelism.SERIAL, Parallelism.DISTRIBUTED)
    workers = worker_count(config) if is_shared else 1
    return -(-config.container_pool_size // workers)


def chosen_parallelism(config: OptimizationConfig, refusals: Sequence[str]) -> Parallelism:
    """Return where the trials of *config* run; ``auto`` is decided here (MODE-1).

    Compiled passes, if nothing is said against them in *refusals*; else threads, if this Python
    runs them at the same time; else processes. Only processes can keep limits of time and memory;
    with such limits the passes run in processes too.
    """
    if config.parallelism is not Parallelism.AUTO:
        return config.parallelism
    if not refusals:
        return Parallelism.KERNEL
    is_thread = not has_limits(config) and not has_one_thread_at_a_time()
    return Parallelism.THREAD if is_thread else Parallelism.PROCESS


def has_limits(config: OptimizationConfig) -> bool:
    """Return whether a trial may be ended because of its time or memory."""
    return config.timeout_s is not None or config.memory_limit_per_container is not None


def has_one_thread_at_a_time() -> bool:
    """Return whether this Python has a global lock, so that threads give no speed-up."""
    is_enabled = getattr(sys, "_is_gil_enabled", None)
    return is_enabled is None or bool(is_enabled())


def check_memory(config: OptimizationConfig) -> None:
    """Refuse limits that the machine cannot keep.

    Raises:
        ConfigurationError: the workers' limits add up to more than four fifths of the memory.
    """
    limit = config.memory_limit_per_container
    in_processes = config.parallelism in (Parallelism.PROCESS, Parallelism.KERNEL)
    if limit is None or not in_processes:
        return
    import psutil

    workers, total = worker_count(config), psutil.virtual_memory().total
    if workers * limit > _MEMORY_SHARE * total:
        raise ConfigurationError(
            f"memory_limit_per_container: {workers} workers of {limit:,} bytes are more than "
            f"{_MEMORY_SHARE:.0%} of this machine's {total:,}; use fewer workers or less memory"
        )


def open_backend(
    config: OptimizationConfig, task: StudyTask, *, monotonic_ns: Callable[[], int]
) -> TrialBackend:
    """Return the backend that *config* asks for.

    Raises:
        ConfigurationError: it cannot be opened, or would not fit into the memory.
    """
    check_memory(config)
    match config.parallelism:
        case Parallelism.SERIAL:
            return SerialBackend(task, monotonic_ns=monotonic_ns)
        case Parallelism.THREAD:
            return ThreadBackend(task, workers=worker_count(config), monotonic_ns=monotonic_ns)
        case Parallelism.KERNEL if not has_limits(config):
            return KernelBackend(task, threads=worker_count(config), monotonic_ns=monotonic_ns)
        case Parallelism.DISTRIBUTED:
            from engine.optimization.dask_backend import DaskBackend

            return DaskBackend(task, address=config.cluster or "", monotonic_ns=monotonic_ns)
        case _:
            from engine.optimization.process_backend import ProcessBackend

            # A pass on a thread cannot be ended by force: with limits it gets a process.
            is_together = config.parallelism is Parallelism.KERNEL
            return ProcessBackend(
                replace(task, is_together=is_together),
                workers=worker_count(config),
                memory_limit=config.memory_limit_per_container,
                max_tasks=config.max_tasks_per_worker,
                timeout_s=None if config.timeout_s is None else float(config.timeout_s),
            )
