"""What runs in a worker process: one runner, kept as long as the process lives.

A worker process belongs to one study; its loop is the only state of this module, made by
`start_worker`, which the pool calls first. Nothing else in the engine sets or reads it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from engine.live.clock import SystemClock
from engine.optimization.trial_runner import StudyTask, Trial, TrialLoop, never
from engine.optimization.trials import TrialRecord

OOM_EXIT_CODE: Final = 73
"""How a worker ends in the middle of a trial that is over its memory limit."""
RECYCLE_EXIT_CODE: Final = 74
"""How a worker ends between two batches because trials left too much behind in it."""

ORPHAN_EXIT_CODE: Final = 76
"""How a worker ends whose parent has died."""

_SAMPLE_S: Final = 0.5
_BASELINE_FACTOR: Final = 1.5
"""A worker that holds this many times what it had when it was ready, and the limit, is replaced."""
_ADDRESS_SPACE_FACTOR: Final = 4
"""Address space is reserved far more freely than memory is used."""


_CLEAR_PEAK: Final = Path("/proc/self/clear_refs")
_STATUS: Final = Path("/proc/self/status")


@dataclass(slots=True)
class _Worker:
    """``failure`` is why there is no loop."""

    loop: TrialLoop | None = None
    watch: _MemoryWatch | None = None
    failure: Exception | None = None
    is_together: bool = False


_state: list[_Worker] = []


def start_worker(task: StudyTask, memory_limit: int | None) -> None:
    """Make this process's runner; *memory_limit* is in bytes that a batch may take.

    It is made before the first batch comes, so that no trial pays for it with its time or memory.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c is the parent's to handle
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    worker = _Worker()
    try:
        runner = task.make_runner()
        if memory_limit is not None or task.timeout_s is not None:
            runner.prepare()
        # Whoever is alone in this process is ended with it; in a pass the others shall go on.
        timeout_s = task.timeout_s if task.is_together else None
        name = f"p{os.getpid()}"
        worker.loop = TrialLoop(runner, task.identity, name, SystemClock().monotonic_ns, timeout_s)
        worker.is_together = task.is_together
        if memory_limit is not None:
            worker.watch = _MemoryWatch(memory_limit)
    except Exception as error:  # noqa: BLE001 (boundary: told by the first batch, in its rows)
        worker.failure = error
    _state[:] = [worker]


def run_batch(trials: Sequence[Trial]) -> list[TrialRecord]:
    """Run *trials* in this worker.

    Raises:
        Exception: the runner could not be made.
    """
    (worker,) = _state
    if worker.loop is None:
        raise worker.failure or RuntimeError("this process was not started as a worker")
    run = worker.loop.run_together if worker.is_together else worker.loop.run
    if worker.watch is None:
        return run(trials, never)
    with worker.watch:
        return run(trials, never)


def _end_with_parent() -> None:
    """Do not outlive a parent that was killed: a trial may never come back to notice it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(ORPHAN_EXIT_CODE)


class _MemoryWatch:
    """Ends the process when a batch takes more than *limit* bytes, or too much was left behind.

    What trials before have left is not held against the next one: a worker that has grown is
    replaced before it begins.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._process = psutil.Process()
        memory = self._process.memory_info()
        self._recycle_above = int(_BASELINE_FACTOR * memory.rss) + limit
        self._most = memory.rss + limit
        self._is_running = self._has_peak = False
        growth = self._recycle_above - memory.rss
        _limit_address_space(memory.vms + growth + _ADDRESS_SPACE_FACTOR * limit)
        threading.Thread(target=self._watch, name="memory", daemon=True).start()

    def __enter__(self) -> None:
        rss = self._process.memory_info().rss
        if rss > self._recycle_above:
            os._exit(RECYCLE_EXIT_CODE)
        self._most = rss + self._limit
        self._has_peak = _forget_peak()
        self._is_running = True

    def __exit__(self, *_: object) -> None:
        self._is_running = False
        # What was taken and given back between two samples counts too.
        if self._has_peak and _peak_bytes() > self._most:
            os._exit(OOM_EXIT_CODE)

    def _watch(self) -> None:
        pause = threading.Event()
        while not pause.wait(_SAMPLE_S):
            if self._is_running and self._process.memory_info().rss > self._most:
                os._exit(OOM_EXIT_CODE)


def _forget_peak() -> bool:
    """Let the highest memory of this process begin anew; return whether the system can."""
    try:
        _CLEAR_PEAK.write_text("5", encoding="ascii")
    except OSError:  # not on every system
        return False
    return True


def _peak_bytes() -> int:
    """Return the most memory that this process held since `_forget_peak`, 0 if unknown."""
    for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * 1024
    return 0


def _limit_address_space(size: int) -> None:
    try:
        import resource
    except ImportError:  # not on every system
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or size < hard:
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))
