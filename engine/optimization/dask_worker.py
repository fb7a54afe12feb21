"""What a worker of a Dask cluster holds for one study, and what it says about itself."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from distributed import WorkerPlugin, get_worker

from engine import DISTRIBUTION
from engine.flow.errors import ConfigurationError
from engine.live.clock import SystemClock
from engine.optimization.trial_runner import StudyTask, Trial, TrialLoop, TrialRunner
from engine.optimization.trials import StudyIdentity, TrialRecord

if TYPE_CHECKING:
    from distributed import Worker

TIMEOUT_EXIT_CODE: Final = 75
"""How a worker ends whose trial is too long and hears nothing."""
GRACE_S: Final = 2.0
"""How long a trial that is too long has to end at its next bar."""
_SAY_S: Final = 0.5
"""How long a worker that is about to end waits for its last words to leave."""

LIBRARIES: Final = ("numpy", "numba", "polars", "distributed")
"""What the numbers of a trial, or the way to the worker, depend on."""


class WorkerRefusedError(ConfigurationError):
    """A worker has another engine, strategy or data than the one who asks; ``worker`` is which."""

    def __init__(self, message: str, *, details: dict[str, Any] | None = None) -> None:
        super().__init__(message, details=details)

    @property
    def worker(self) -> str:
        """Return its address."""
        return str(self.details.get("worker", ""))


class StudyMissingError(ConfigurationError):
    """A worker does not know the study: it, or its scheduler, is younger than the study."""


@runtime_checkable
class HasIdentity(Protocol):
    """A runner that knows what its results depend on, as this machine has it."""

    def identity(self) -> StudyIdentity:
        """Return hashes of configuration and data."""
        ...

    def source_hash(self) -> str:
        """Return the hash of the strategy's source."""
        ...


def versions() -> dict[str, str]:
    """Return the versions that must be the same on both sides."""
    found = {DISTRIBUTION: version(DISTRIBUTION), "python": _minor(platform.python_version())}
    return found | {name: version(name) for name in LIBRARIES}


class StudyPlugin(WorkerPlugin):
    """One study on one worker: makes the runner at the first batch, keeps it to the end.

    A worker that joins later gets it too.
    """

    def __init__(self, name: str, task: StudyTask, wanted: dict[str, str]) -> None:
        self.name = name
        self._task = task
        self._wanted = wanted

    def setup(self, worker: Worker) -> None:
        """Prepare the state of this worker."""
        self._worker = worker
        self._address = worker.address
        self._cancelled = threading.Event()
        self._making = threading.Lock()
        self._loop: TrialLoop | None = None

    def cancel(self) -> None:
        """Let running trials end at their next bar."""
        self._cancelled.set()

    def run(self, trials: Sequence[Trial]) -> list[TrialRecord]:
        """Run *trials* on this worker.

        Raises:
            WorkerRefusedError: as `prepare`.
        """
        loop = self.prepare()
        limit_s = self._task.timeout_s
        if limit_s is None:
            return loop.run(trials, self._cancelled.is_set)
        timer = threading.Timer(limit_s + GRACE_S, self._end, args=(trials[0],))
        timer.daemon = True
        timer.start()
        try:
            return loop.run(trials, self._cancelled.is_set)
        finally:
            timer.cancel()

    def prepare(self) -> TrialLoop:
        """Make the runner, once.

        Raises:
            WorkerRefusedError: this worker has other versions, another strategy or other data.
            EngineError: the runner cannot be made here.
        """
        with self._making:
            if self._loop is None:
                refuse_other_versions(self._address, versions(), self._wanted)
                runner = self._task.make_runner()
                try:
                    self._refuse_other_study(runner)
                except WorkerRefusedError:
                    runner.close()
                    raise
                self._loop = TrialLoop(
                    runner,
                    self._task.identity,
                    self._address,
                    SystemClock().monotonic_ns,
                    self._task.timeout_s,
                )
            return self._loop

    def teardown(self, worker: Worker) -> None:
        """Give back what the study holds here."""
        del worker
        self._cancelled.set()
        loop = self._loop
        if loop is not None:
            loop.runner.close()

    def _refuse_other_study(self, runner: TrialRunner) -> None:
        if not isinstance(runner, HasIdentity):
            return
        wanted, found = self._task.identity, runner.identity()
        pairs = [
            ("strategy source", runner.source_hash(), self._task.settings.get("source_hash")),
            ("data", found.data_hash, wanted.data_hash),
            ("configuration", found.config_hash, wanted.config_hash),
        ]
        for what, there, here in pairs:
            if here is not None and there != here:
                raise WorkerRefusedError(
                    f"worker {self._address} has another {what}: {there[:12]} there, {here[:12]} "
                    "here; bring the same files to both",
                    details={"worker": self._address},
                )

    def _end(self, trial: Trial) -> None:
        """End this process: *trial* is too long and did not hear that it shall end."""
        key = self._task.identity.trial_key(trial.parameters, trial.window)
        self._worker.log_event(self.name, {"key": key})
        threading.Event().wait(_SAY_S)
        os._exit(TIMEOUT_EXIT_CODE)


def run_on_worker(name: str, trials: Sequence[Trial]) -> list[TrialRecord]:
    """Run *trials* of the study *name* on the worker that was given them."""
    return _plugin(get_worker(), name).run(trials)


def prepare_on_worker(name: str, dask_worker: Worker) -> None:
    """Make the runner of the study *name* on this worker; Dask passes itself by that name."""
    _plugin(dask_worker, name).prepare()


def cancel_on_worker(name: str, dask_worker: Worker) -> None:
    """Cancel what this worker runs for the study *name*; Dask passes itself by that name."""
    _plugin(dask_worker, name).cancel()


def refuse_other_versions(where: str, found: dict[str, Any], wanted: dict[str, str]) -> None:
    """Check that a worker has the versions that are *wanted*.

    Raises:
        WorkerRefusedError: it has not; both sides are named.
    """
    differing = [
        f"{name} {found.get(name, 'missing')} there, {here} here"
        for name, here in wanted.items()
        if found.get(name) != here
    ]
    if differing:
        raise WorkerRefusedError(
            f"worker {where} has other versions: {', '.join(differing)}; install the same ones, "
            "results would not be comparable",
            details={"worker": where},
        )


def _plugin(worker: Worker, name: str) -> StudyPlugin:
    plugin = worker.plugins.get(name)
    if not isinstance(plugin, StudyPlugin):
        raise StudyMissingError(f"worker {worker.address} does not know the study {name}")
    return plugin


def _minor(text: str) -> str:
    return ".".join(text.split(".")[:2])
