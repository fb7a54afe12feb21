"""What a worker of a Dask cluster holds for one study, and what it says about itself."""

from __future__ import annotations

import platform
import threading
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from distributed import WorkerPlugin, get_worker

from engine import DISTRIBUTION
from engine.flow.errors import ConfigurationError
from engine.live.clock import SystemClock
from engine.optimization.trial_runner import StudyTask, Trial, TrialLoop
from engine.optimization.trials import TrialRecord

if TYPE_CHECKING:
    from distributed import Worker

LIBRARIES: Final = ("numpy", "numba", "polars", "distributed")
"""What the numbers of a trial, or the way to the worker, depend on."""


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
            ConfigurationError: this worker has other versions than the one who asks.
        """
        refuse_other_versions(self._address, versions(), self._wanted)
        with self._making:
            if self._loop is None:
                self._loop = TrialLoop(
                    self._task.make_runner(),
                    self._task.identity,
                    self._address,
                    SystemClock().monotonic_ns,
                )
        return self._loop.run(trials, self._cancelled.is_set)


def run_on_worker(name: str, trials: Sequence[Trial]) -> list[TrialRecord]:
    """Run *trials* of the study *name* on the worker that was given them."""
    return _plugin(get_worker(), name).run(trials)


def cancel_on_worker(name: str, dask_worker: Worker) -> None:
    """Cancel what this worker runs for the study *name*; Dask passes itself by that name."""
    _plugin(dask_worker, name).cancel()


def refuse_other_versions(where: str, found: dict[str, Any], wanted: dict[str, str]) -> None:
    """Check that a worker has the versions that are *wanted*.

    Raises:
        ConfigurationError: it has not; both sides are named.
    """
    differing = [
        f"{name} {found.get(name, 'missing')} there, {here} here"
        for name, here in wanted.items()
        if found.get(name) != here
    ]
    if differing:
        raise ConfigurationError(
            f"worker {where} has other versions: {', '.join(differing)}; install the same ones, "
            "results would not be comparable"
        )


def _plugin(worker: Worker, name: str) -> StudyPlugin:
    plugin = worker.plugins[name]
    if not isinstance(plugin, StudyPlugin):
        raise TypeError(f"plugin {name} of this worker is not a study's")
    return plugin


def _minor(text: str) -> str:
    return ".".join(text.split(".")[:2])
