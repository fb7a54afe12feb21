"""What runs in a worker process: one runner, kept as long as the process lives.

A worker process belongs to one study; its loop is the only state of this module, made by
`start_worker`, which the pool calls first. Nothing else in the engine sets or reads it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from engine.live.clock import SystemClock
from engine.optimization.trial_runner import StudyTask, Trial, TrialLoop
from engine.optimization.trials import TrialRecord

OOM_EXIT_CODE: Final = 73
"""How a worker ends that is over its memory limit."""

_SAMPLE_S: Final = 0.5
_ADDRESS_SPACE_FACTOR: Final = 4
"""Address space is reserved far more freely than memory is used."""


@dataclass(slots=True)
class _Worker:
    task: StudyTask
    memory_limit: int | None
    loop: TrialLoop | None = None


_state: list[_Worker] = []


def start_worker(task: StudyTask, memory_limit: int | None) -> None:
    """Say what this process works for; *memory_limit* is in bytes above a ready worker's use."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c is the parent's to handle
    _state[:] = [_Worker(task, memory_limit)]


def run_batch(trials: Sequence[Trial]) -> list[TrialRecord]:
    """Run *trials* in this worker; the first call makes the runner."""
    (worker,) = _state
    if worker.loop is None:
        runner = worker.task.make_runner()
        name = f"p{os.getpid()}"
        worker.loop = TrialLoop(runner, worker.task.identity, name, SystemClock().monotonic_ns)
        if worker.memory_limit is not None:
            _limit_memory(worker.memory_limit)
    return worker.loop.run(trials, _never)


def _never() -> bool:
    return False  # a worker process is cancelled by being ended


def _limit_memory(limit: int) -> None:
    process = psutil.Process()
    baseline = process.memory_info()
    _limit_address_space(baseline.vms + _ADDRESS_SPACE_FACTOR * limit)
    watch = threading.Thread(
        target=_watch, args=(process, baseline.rss + limit), name="memory", daemon=True
    )
    watch.start()


def _limit_address_space(size: int) -> None:
    try:
        import resource
    except ImportError:  # not on every system
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or size < hard:
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))


def _watch(process: psutil.Process, most: int) -> None:
    pause = threading.Event()
    while not pause.wait(_SAMPLE_S):
        if process.memory_info().rss > most:
            os._exit(OOM_EXIT_CODE)
