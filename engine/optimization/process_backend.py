"""Trials in worker processes of this machine (OPT-6, OPT-9, OPT-10)."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from functools import partial

from pebble import ProcessExpired, ProcessPool

from engine.backtest.worker import start_resource_tracker
from engine.optimization.backend import Records
from engine.optimization.trial_runner import StudyTask, Trial, timeout_error
from engine.optimization.trials import StudyIdentity, TrialError, TrialRecord, TrialStatus
from engine.optimization.worker import (
    OOM_EXIT_CODE,
    RECYCLE_EXIT_CODE,
    run_batch,
    start_worker,
)


@dataclass(slots=True)
class _Batch:
    """A batch that may be computed in parts."""

    trials: tuple[Trial, ...]
    promise: Future[Records] = field(default_factory=Future)
    found: dict[int, TrialRecord] = field(default_factory=dict)

    def put(self, places: Sequence[int], records: Records) -> bool:
        """Keep *records*; return whether nothing is missing any more."""
        self.found.update(zip(places, records, strict=True))
        return len(self.found) == len(self.trials)


class ProcessBackend:
    """Spawned processes; one that dies takes only the trial with it that killed it.

    When a worker ends in the middle of a batch, the batch is run again trial by trial, so that
    the one that does it again is known.

    Args:
        task: what is run; each worker prepares it once.
        workers: processes.
        memory_limit: bytes that a batch may take; a worker that holds more than that above one and
            a half times what it had when it was ready is replaced between two batches.
        max_tasks: batches after which a worker is replaced, 0 for never.
        timeout_s: longest time of one trial.
    """

    first_batch = least_batch = 1

    def __init__(
        self,
        task: StudyTask,
        *,
        workers: int,
        memory_limit: int | None = None,
        max_tasks: int = 0,
        timeout_s: float | None = None,
    ) -> None:
        self.workers = workers
        self.batch_limit = None if timeout_s is None else 1
        self._identity = task.identity
        self._timeout_s = timeout_s
        self._is_cancelled = False
        self._lock = threading.Lock()
        self._running: set[Future[Records]] = set()
        start_resource_tracker()
        self._pool = ProcessPool(
            max_workers=workers,
            max_tasks=max_tasks,
            initializer=start_worker,
            initargs=(task, memory_limit),
            context=multiprocessing.get_context("spawn"),
        )

    def submit(self, trials: Sequence[Trial]) -> Future[Records]:
        """Queue *trials*."""
        batch = _Batch(tuple(trials))
        self._send(batch, range(len(batch.trials)))
        return batch.promise

    def cancel(self) -> None:
        """End the workers of running trials; queued ones are not started."""
        with self._lock:
            self._is_cancelled = True
            running = tuple(self._running)
        for future in running:
            future.cancel()

    def close(self) -> None:
        """End the workers and wait for them."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    def _send(self, batch: _Batch, places: Sequence[int], *, is_retry: bool = False) -> None:
        if self._is_cancelled:
            self._put(batch, places, [self._cancelled(batch.trials[place]) for place in places])
            return
        trials = tuple(batch.trials[place] for place in places)
        future = self._pool.schedule(run_batch, args=(trials,), timeout=self._timeout_s)
        with self._lock:
            self._running.add(future)
        future.add_done_callback(partial(self._arrived, batch, places, is_retry))

    def _arrived(
        self,
        batch: _Batch,
        places: Sequence[int],
        is_retry: bool,  # noqa: FBT001 (bound by position: the future comes last)
        future: Future[Records],
    ) -> None:
        with self._lock:
            self._running.discard(future)
        first = batch.trials[places[0]]
        try:
            records = future.result()
        except CancelledError:
            records = [self._cancelled(batch.trials[place]) for place in places]
        except (ProcessExpired, TimeoutError) as failure:
            if _is_recycled(failure):  # nothing of the batch was begun
                self._send(batch, places, is_retry=is_retry)
                return
            if len(places) > 1 or (_is_killed(failure) and not is_retry):
                for place in places:
                    self._send(batch, (place,), is_retry=len(places) == 1)
                return
            records = [self._lost(first, failure)]
        except Exception as failure:  # noqa: BLE001 (boundary: the runner could not be made)
            error = TrialError(type(failure).__name__, str(failure), "build")
            records = [
                _ended(self._identity, batch.trials[place], TrialStatus.FAILED, error)
                for place in places
            ]
        self._put(batch, places, records)

    def _put(self, batch: _Batch, places: Sequence[int], records: Records) -> None:
        with self._lock:
            is_whole = batch.put(places, records)
        if is_whole:
            batch.promise.set_result([batch.found[place] for place in range(len(batch.trials))])

    def _lost(self, trial: Trial, failure: BaseException) -> TrialRecord:
        match failure:
            case ProcessExpired(exitcode=code) if code == OOM_EXIT_CODE:
                text = "the worker went over memory_limit_per_container and was replaced"
                status, error = TrialStatus.OOM, TrialError("MemoryError", text, "worker")
            case ProcessExpired(exitcode=code):
                text = f"the worker ended twice, {_ending(code)}"
                status, error = TrialStatus.FAILED, TrialError("WorkerDied", text, "worker")
            case _:
                status, error = TrialStatus.TIMEOUT, timeout_error(self._timeout_s)
        return _ended(self._identity, trial, status, error)

    def _cancelled(self, trial: Trial) -> TrialRecord:
        return _ended(self._identity, trial, TrialStatus.CANCELLED, None)


def _is_killed(failure: BaseException) -> bool:
    """Return whether the worker ended for a reason that may have nothing to do with the trial."""
    return isinstance(failure, ProcessExpired) and failure.exitcode != OOM_EXIT_CODE


def _is_recycled(failure: BaseException) -> bool:
    return isinstance(failure, ProcessExpired) and failure.exitcode == RECYCLE_EXIT_CODE


def _ending(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


def _ended(
    identity: StudyIdentity, trial: Trial, status: TrialStatus, error: TrialError | None
) -> TrialRecord:
    key = identity.trial_key(trial.parameters, trial.window)
    return TrialRecord(trial.index, key, trial.parameters, status, error=error)
