"""How one trial is run: the contract between a study and what it optimises."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, TypeAlias

from engine.flow.errors import ConfigurationError
from engine.model.clock import SECOND_NS
from engine.optimization.constraint import ParameterValue
from engine.optimization.objective import MetricValue
from engine.optimization.trials import StudyIdentity, TrialError, TrialRecord, TrialStatus
from engine.optimization.windows import Span

_OWN: Final = "engine."
"""Runners are classes of this package; nothing from outside is imported by name."""

IsCancelled: TypeAlias = Callable[[], bool]


def never() -> bool:
    """Return False: nobody cancels."""
    return False


class TrialCancelledError(Exception):
    """The trial saw that it was cancelled and ended."""


class TrialPrunedError(Exception):
    """The trial saw that it was hopeless and ended; the message says why."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination on the whole data, or on the bars of *window*."""

    index: int
    parameters: Mapping[str, ParameterValue]
    window: Span | None = None


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What a trial that went well gives."""

    metrics: Mapping[str, MetricValue]
    fingerprint: str
    blocks: tuple[float, ...] = ()
    """As in `TrialRecord`; empty if they are not known."""


@dataclass(frozen=True, slots=True)
class Alone:
    """A trial that cannot be run together with others, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooLong:
    """A trial that was ended in a compiled pass because it took longer than `timeout_s`."""


class TrialRunner(Protocol):
    """Runs trials of one study, one after another; made once in each worker."""

    def run(self, trial: Trial, *, is_cancelled: IsCancelled) -> TrialOutcome:
        """Run *trial* in a container of its own; it asks *is_cancelled* now and then.

        Raises:
            TrialCancelledError: it was cancelled.
            TrialPrunedError: it was hopeless.
        """
        ...

    def run_together(
        self, trials: Sequence[Trial], *, workers: int, is_cancelled: IsCancelled
    ) -> Sequence[TrialOutcome | Alone | TooLong] | None:
        """Run *trials* in one compiled pass on *workers* threads.

        An entry says that its trial must be run alone, or was not reached before the cancellation.
        None if this study cannot be run so.
        """
        ...

    def prepare(self) -> None:
        """Load what every trial needs, so that no trial's limits of time and memory pay for it."""
        ...

    def close(self) -> None:
        """Give back what the runner holds."""
        ...


@dataclass(frozen=True, slots=True)
class StudyTask:
    """Everything that a worker needs: which runner, with which JSON settings.

    ``runner`` is ``module:name`` of a callable of this package that makes a `TrialRunner` of this
    task. ``attachments`` are files that a worker on another machine cannot read. ``timeout_s`` is
    the longest time of a trial. ``is_together``: a worker process runs its batches in compiled
    passes.
    """

    runner: str
    identity: StudyIdentity
    settings: Mapping[str, Any] = field(default_factory=dict)
    attachments: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    timeout_s: float | None = None
    is_together: bool = False

    def make_runner(self) -> TrialRunner:
        """Return a new runner.

        Raises:
            ConfigurationError: the runner is not one of this package.
        """
        module, _, name = self.runner.partition(":")
        if not module.startswith(_OWN) or not name.isidentifier():
            raise ConfigurationError(f"{self.runner!r} is no runner of trials of this package")
        made: TrialRunner = getattr(importlib.import_module(module), name)(self)
        return made


@dataclass(frozen=True, slots=True)
class TrialLoop:
    """Runs batches of trials and makes a record of each, whatever it does.

    A trial that is longer than *timeout_s* is ended at its next bar; one that never gets there
    must be ended by whoever owns the worker. ``hears_operator``: it runs on the thread that ctrl+c
    interrupts; anywhere else an interrupt or an exit is the strategy's own.
    """

    runner: TrialRunner
    identity: StudyIdentity
    worker: str
    monotonic_ns: Callable[[], int]
    timeout_s: float | None = None
    hears_operator: bool = False

    def run(self, trials: Sequence[Trial], is_cancelled: IsCancelled) -> list[TrialRecord]:
        """Return one record for each of *trials*."""
        return [self._run(trial, is_cancelled) for trial in trials]

    def run_together(
        self, trials: Sequence[Trial], is_cancelled: IsCancelled, *, workers: int = 1
    ) -> list[TrialRecord]:
        """Return one record for each of *trials*, computed in one pass where that is possible.

        The others are run one after another; their records say why.
        """
        started_ns = self.monotonic_ns()
        if is_cancelled():
            return self.run(trials, is_cancelled)
        found = self.runner.run_together(trials, workers=workers, is_cancelled=is_cancelled)
        if found is None:
            return self.run(trials, is_cancelled)
        together = sum(isinstance(one, TrialOutcome) for one in found)
        each_s = (self.monotonic_ns() - started_ns) / SECOND_NS / max(1, together)
        return [
            self._of_pass(trial, one, each_s, is_cancelled)
            for trial, one in zip(trials, found, strict=True)
        ]

    def _of_pass(
        self,
        trial: Trial,
        found: TrialOutcome | Alone | TooLong,
        each_s: float,
        is_cancelled: IsCancelled,
    ) -> TrialRecord:
        match found:
            case Alone():
                return self._alone(trial, found, is_cancelled)
            case TooLong():
                error = timeout_error(self.timeout_s)
                spent_s = self.timeout_s or 0.0
                return self._record(trial, TrialStatus.TIMEOUT, spent_s, error=error)
            case _:
                return self._record(trial, TrialStatus.DONE, each_s, outcome=found)

    def _alone(self, trial: Trial, why: Alone, is_cancelled: IsCancelled) -> TrialRecord:
        record = self._run(trial, is_cancelled)
        if record.status is TrialStatus.CANCELLED:
            return record
        return replace(record, note=why.reason)

    def _run(self, trial: Trial, is_cancelled: IsCancelled) -> TrialRecord:
        started_ns = self.monotonic_ns()
        status, outcome, error = TrialStatus.CANCELLED, None, None
        shall_end = is_cancelled
        if self.timeout_s is not None:
            deadline_ns = started_ns + int(self.timeout_s * SECOND_NS)

            def shall_end() -> bool:
                return is_cancelled() or self.monotonic_ns() > deadline_ns

        try:
            if not is_cancelled():
                outcome = self.runner.run(trial, is_cancelled=shall_end)
                status = TrialStatus.DONE
        except TrialCancelledError:
            if not is_cancelled():
                status, error = TrialStatus.TIMEOUT, timeout_error(self.timeout_s)
        except TrialPrunedError as reason:
            status, error = TrialStatus.PRUNED, TrialError("EarlyStop", str(reason), "run")
        except BaseException as failure:  # noqa: BLE001 (boundary: a strategy runs here)
            status, error = self._failed(failure)
        spent_s = (self.monotonic_ns() - started_ns) / SECOND_NS
        return self._record(trial, status, spent_s, outcome=outcome, error=error)

    def _failed(self, failure: BaseException) -> tuple[TrialStatus, TrialError]:
        """Return what became of a trial that raised; what is not its own is raised again."""
        if isinstance(failure, MemoryError):
            return TrialStatus.OOM, _error(failure)
        is_end = isinstance(failure, SystemExit | KeyboardInterrupt) and not self.hears_operator
        if not (isinstance(failure, Exception) or is_end):
            raise failure
        return TrialStatus.FAILED, _error(failure)

    def _record(
        self,
        trial: Trial,
        status: TrialStatus,
        spent_s: float,
        *,
        outcome: TrialOutcome | None = None,
        error: TrialError | None = None,
    ) -> TrialRecord:
        return TrialRecord(
            trial.index,
            self.identity.trial_key(trial.parameters, trial.window),
            trial.parameters,
            status,
            dict(outcome.metrics) if outcome else {},
            outcome.fingerprint if outcome else "",
            error,
            spent_s,
            self.worker,
            outcome.blocks if outcome else (),
            trial.window,
        )


def timeout_error(timeout_s: float | None) -> TrialError:
    """Return what is said of a trial that was longer than *timeout_s*."""
    return TrialError("Timeout", f"longer than timeout_s: {timeout_s or 0:g} s", "run")


def _error(failure: BaseException) -> TrialError:
    text = str(failure) or type(failure).__name__
    trace = "".join(traceback.format_exception(failure))
    stage = str(getattr(failure, "stage", "run"))
    return TrialError(type(failure).__name__, text, stage, trace)
