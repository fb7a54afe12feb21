"""Runs a study: asks the search, fills the backend, keeps the records (OPT-1 to OPT-13)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Final

from engine.model.clock import SECOND_NS
from engine.optimization.backend import Records, TrialBackend
from engine.optimization.collector import OptimizationResultsCollector
from engine.optimization.journal import TrialJournal
from engine.optimization.search import Search
from engine.optimization.trial_runner import Trial
from engine.optimization.trials import StudyIdentity, TrialRecord, TrialStatus

_BATCH_S: Final = 0.5
"""What a batch should take: long enough to be cheap, short enough to be cancelled (OPT-6)."""
_BATCHES_AHEAD: Final = 2
"""Batches per worker that are in the backend, so that no worker waits for us."""
_LARGEST_BATCH: Final = 4096
_LOOK_S: Final = 0.1
"""How often progress is told and a cancellation is seen."""
_CANCEL_S: Final = 2.0
"""How long running trials get to end after a cancellation (OPT-11)."""


@dataclass(frozen=True, slots=True)
class StudyProgress:
    """Where a study stands. ``left_s`` is None before the first trial has ended."""

    done: int
    total: int
    counts: Mapping[TrialStatus, int]
    best: TrialRecord | None
    seconds: float
    left_s: float | None
    trials_per_s: float
    resumed: int


@dataclass(frozen=True, slots=True)
class Around:
    """What a study did before the search that runs, and how many trials come after it."""

    ended: int = 0
    resumed: int = 0
    seconds: float = 0.0
    later: int = 0


@dataclass(frozen=True, slots=True)
class _Sent:
    """A batch in the backend."""

    sent_ns: int
    trials: tuple[Trial, ...]


class OptimizationExecutor:
    """Runs the trials of one search on one backend, until it is finished or cancelled.

    The records of every trial go to the collector, and to the journal as soon as they are known.
    What the journal already holds is not run again.

    Args:
        search: which trials.
        backend: where they run; the caller closes it.
        collector: gets one record for each row of the table.
        identity: makes the keys of the trials.
        journal: keeps every record, None for none.
        finished: records of an earlier life by key; they are taken instead of being run.
        monotonic_ns: a clock that never goes back.
        on_progress: called on the thread of `run`, at most ten times a second.
        on_record: called there with each new row of the table.
        finish: makes of a record what is kept of it, whichever backend it comes from.
        around: the other searches of the study; they count in the progress.
    """

    def __init__(
        self,
        *,
        search: Search,
        backend: TrialBackend,
        collector: OptimizationResultsCollector,
        identity: StudyIdentity,
        monotonic_ns: Callable[[], int],
        journal: TrialJournal | None = None,
        finished: Mapping[str, TrialRecord] | None = None,
        on_progress: Callable[[StudyProgress], None] | None = None,
        on_record: Callable[[TrialRecord], None] | None = None,
        finish: Callable[[TrialRecord], TrialRecord] | None = None,
        around: Around | None = None,
    ) -> None:
        self._search = search
        self._backend = backend
        self._collector = collector
        self._identity = identity
        self._monotonic_ns = monotonic_ns
        self._journal = journal
        self._finished = dict(finished or {})
        self._on_progress = on_progress
        self._on_record = on_record
        self._finish = finish
        self._around = around or Around()
        self._cancelled = threading.Event()
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._held_ns = 0
        self._running: dict[Future[Records], _Sent] = {}
        self._batch = backend.first_batch
        self._started_ns = 0
        self._told_ns = 0
        self._ended = 0
        self._resumed = 0

    @property
    def is_cancelled(self) -> bool:
        """Return whether the study was cancelled."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """End the study: running trials within two seconds, queued ones at once; any thread."""
        self._cancelled.set()
        self._backend.cancel()

    def hold(self, *, is_held: bool) -> None:
        """Send no further trials, or go on; those that run end as usual; any thread."""
        if is_held:
            self._goes_on.clear()
        else:
            self._goes_on.set()

    def run(self) -> StudyProgress:
        """Run the study to its end and return where it stands then."""
        self._started_ns = self._told_ns = self._monotonic_ns()
        while not self.is_cancelled:
            self._fill()
            if self._running:
                self._collect(_LOOK_S)
            elif not self._goes_on.is_set():
                self._wait_while_held()
            else:
                break
            self._tell(is_last=False)
        if self.is_cancelled:
            self._give_up()
        if self._journal is not None:
            self._journal.sync()
        return self._tell(is_last=True)

    def _wait_while_held(self) -> None:
        started_ns = self._monotonic_ns()
        self._goes_on.wait(_LOOK_S)
        self._held_ns += self._monotonic_ns() - started_ns

    def _fill(self) -> None:
        ahead = self._backend.workers * _BATCHES_AHEAD
        while len(self._running) < ahead and not self.is_cancelled and self._goes_on.is_set():
            batch = self._next_batch()
            if not batch:
                return
            sent = _Sent(self._monotonic_ns(), tuple(batch))
            self._running[self._backend.submit(batch)] = sent

    def _next_batch(self) -> list[Trial]:
        """Return trials to run; take those that are known already on the way."""
        while trials := self._search.ask(self._batch_size()):
            fresh: list[Trial] = []
            for trial in trials:
                key = self._identity.trial_key(trial.parameters, trial.window)
                known = self._finished.pop(key, None)
                if known is None:
                    fresh.append(trial)
                else:
                    self._resumed += 1
                    self._accept(known if self._finish is None else self._finish(known))
            if fresh:
                return fresh
        return []

    def _batch_size(self) -> int:
        # Near the end the batches get smaller, so that all workers end together.
        sent = sum(len(one.trials) for one in self._running.values())
        left = self._search.total - self._ended - self._resumed - sent
        share = max(1, left // (self._backend.workers * _BATCHES_AHEAD))
        limit = self._backend.batch_limit or _LARGEST_BATCH
        return min(self._batch, max(share, self._backend.least_batch), limit)

    def _collect(self, timeout_s: float) -> None:
        done, _ = wait(self._running, timeout=timeout_s, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=lambda item: self._running[item].sent_ns):
            sent = self._running.pop(future)
            records = future.result()
            self._resize(len(records), (self._monotonic_ns() - sent.sent_ns) / SECOND_NS)
            for found in records:
                record = found if self._finish is None else self._finish(found)
                if self._journal is not None:
                    self._journal.append(record)
                self._ended += 1
                self._accept(record)

    def _resize(self, count: int, seconds: float) -> None:
        """Bring batches towards the time that they should take, by factors of two."""
        # A batch also waits in the backend behind the others.
        spent_s = seconds / _BATCHES_AHEAD
        if count >= self._batch and spent_s < _BATCH_S / 2:
            self._batch = min(self._batch * 2, _LARGEST_BATCH)
        elif spent_s > _BATCH_S * 2:
            self._batch = max(1, self._batch // 2)

    def _accept(self, record: TrialRecord) -> None:
        for row in self._search.tell(record):
            if self._collector.add(row) and self._on_record is not None:
                self._on_record(row)

    def _give_up(self) -> None:
        deadline_ns = self._monotonic_ns() + int(_CANCEL_S * SECOND_NS)
        while self._running and self._monotonic_ns() < deadline_ns:
            self._collect(_LOOK_S)
        for sent in self._running.values():
            self._drop(sent.trials)
        self._running.clear()
        while trials := self._search.ask(_LARGEST_BATCH):
            self._drop(trials)

    def _drop(self, trials: Sequence[Trial]) -> None:
        # Not journaled: a resumed study runs them.
        for trial in trials:
            key = self._identity.trial_key(trial.parameters, trial.window)
            known = self._finished.pop(key, None)
            self._accept(
                known or TrialRecord(trial.index, key, trial.parameters, TrialStatus.CANCELLED)
            )

    def _tell(self, *, is_last: bool) -> StudyProgress:
        now_ns = self._monotonic_ns()
        seconds = (now_ns - self._started_ns - self._held_ns) / SECOND_NS
        around = self._around
        seconds += around.seconds
        ended = self._ended + around.ended
        rate = ended / seconds if seconds else 0.0
        done = ended + self._resumed + around.resumed
        total = around.ended + around.resumed + self._search.total + around.later
        left = max(0, total - done)
        progress = StudyProgress(
            done,
            total,
            self._collector.counts(),
            self._collector.best,
            seconds,
            left / rate if rate else None,
            rate,
            self._resumed + around.resumed,
        )
        is_due = now_ns - self._told_ns >= _LOOK_S * SECOND_NS
        if self._on_progress is not None and (is_last or is_due):
            self._told_ns = now_ns
            self._on_progress(progress)
        return progress
