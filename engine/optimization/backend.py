"""Backends: where trials are run, behind one interface like that of ``concurrent.futures``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeAlias

from engine.optimization.trial_runner import StudyTask, Trial, TrialLoop
from engine.optimization.trials import TrialRecord

Records: TypeAlias = list[TrialRecord]


class TrialBackend(Protocol):
    """Takes batches of trials; a future holds one record for each trial of its batch."""

    @property
    def workers(self) -> int:
        """Return how many trials can run at the same time."""
        ...

    @property
    def batch_limit(self) -> int | None:
        """Return the most trials that one batch may have, None for no limit."""
        ...

    @property
    def first_batch(self) -> int:
        """Return how many trials the first batches have, before it is known what one costs."""
        ...

    @property
    def least_batch(self) -> int:
        """Return the trials below which a batch is not made smaller near the end."""
        ...

    def submit(self, trials: Sequence[Trial]) -> Future[Records]:
        """Queue *trials*; the future never fails because of what a trial does."""
        ...

    def cancel(self) -> None:
        """Let running trials end within 2 s: cooperatively, then by force."""
        ...

    def close(self) -> None:
        """Give the workers back; waits for them."""
        ...


class SerialBackend:
    """Runs each batch at once, on the caller's thread."""

    workers = 1
    batch_limit: int | None = 1
    first_batch = least_batch = 1

    def __init__(self, task: StudyTask, *, monotonic_ns: Callable[[], int]) -> None:
        self._cancelled = threading.Event()
        self._runner = task.make_runner()
        self._loop = TrialLoop(
            self._runner,
            task.identity,
            "serial",
            monotonic_ns,
            task.timeout_s,
            hears_operator=True,
        )

    def submit(self, trials: Sequence[Trial]) -> Future[Records]:
        """Run *trials* and return a future that is done."""
        future: Future[Records] = Future()
        future.set_result(self._loop.run(trials, self._cancelled.is_set))
        return future

    def cancel(self) -> None:
        """Let the running trial end at its next bar."""
        self._cancelled.set()

    def close(self) -> None:
        """Close the runner."""
        self._runner.close()


class ThreadBackend:
    """Runs batches on threads; each trial has its own container, the data is shared."""

    batch_limit: int | None = None
    first_batch = least_batch = 1

    def __init__(self, task: StudyTask, *, workers: int, monotonic_ns: Callable[[], int]) -> None:
        self.workers = workers
        self._cancelled = threading.Event()
        self._runner = task.make_runner()
        self._loop = TrialLoop(self._runner, task.identity, "thread", monotonic_ns, task.timeout_s)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="trial")

    def submit(self, trials: Sequence[Trial]) -> Future[Records]:
        """Queue *trials*."""
        return self._pool.submit(self._loop.run, trials, self._cancelled.is_set)

    def cancel(self) -> None:
        """Let running trials end at their next bar; a thread cannot be killed."""
        self._cancelled.set()

    def close(self) -> None:
        """Wait for the threads, then close the runner."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._runner.close()


class KernelBackend:
    """Runs each batch in one compiled pass on *threads* threads.

    What cannot be run so is run one after another.
    """

    workers = 1
    batch_limit: int | None = None

    def __init__(
        self, task: StudyTask, *, threads: int = 1, monotonic_ns: Callable[[], int]
    ) -> None:
        # A pass is shared by the threads: below this some of them have nothing to do.
        self.first_batch = self.least_batch = 4 * threads
        self._threads = threads
        self._cancelled = threading.Event()
        self._runner = task.make_runner()
        self._loop = TrialLoop(self._runner, task.identity, "kernel", monotonic_ns, task.timeout_s)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="trial")

    def submit(self, trials: Sequence[Trial]) -> Future[Records]:
        """Queue *trials*."""
        return self._pool.submit(
            self._loop.run_together, trials, self._cancelled.is_set, workers=self._threads
        )

    def cancel(self) -> None:
        """Let the running pass end; batches behind it are not started."""
        self._cancelled.set()

    def close(self) -> None:
        """Wait for the thread, then close the runner."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._runner.close()
