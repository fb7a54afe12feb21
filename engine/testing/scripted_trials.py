"""Trials that do what their parameters say: to test where they are run, not what they compute."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from typing import Final

from engine.flow.errors import ConfigurationError
from engine.optimization.constraint import ParameterValue
from engine.optimization.trial_runner import (
    Alone,
    IsCancelled,
    StudyTask,
    Trial,
    TrialCancelledError,
    TrialOutcome,
)

_CHUNK: Final = 4_000_000
_RAISED: Final = {
    "raise": ValueError("the strategy is wrong at bar 17"),
    "memory": MemoryError(),
    "interrupt": KeyboardInterrupt(),
    "leave": SystemExit(3),
}


class ScriptedTrials:
    """A `TrialRunner`: ``score`` is the sum of the numbers; ``act`` is what the trial does.

    ``act``: ``raise``, ``hang`` (until it is cancelled), ``kill`` (SIGKILL to its own process),
    ``exit``, ``eat`` (memory without end), ``leak`` (some memory that is never given back),
    ``memory`` (MemoryError), ``interrupt`` and ``leave`` (what ends a program), ``deaf`` (hang and
    hear no cancellation), or nothing. The setting ``once`` names a file: ``kill`` acts only if it
    does not exist yet, and makes it. The setting ``log`` names a file that gets a line for each
    trial that is run.
    """

    def __init__(self, task: StudyTask) -> None:
        if task.settings.get("broken"):
            raise ConfigurationError("the data is gone")
        self._once = task.settings.get("once")
        self._log = task.settings.get("log")
        self._together = bool(task.settings.get("together"))
        self._kept: list[bytearray] = []

    def run(self, trial: Trial, *, is_cancelled: IsCancelled) -> TrialOutcome:
        """Act as the parameters say."""
        if self._log:
            with open(self._log, "a", encoding="utf-8") as file:  # noqa: PTH123 (one atomic line)
                file.write(f"{trial.index}\n")
        self._act(str(trial.parameters.get("act", "")), is_cancelled)
        return _outcome(trial)

    def run_together(
        self, trials: Sequence[Trial], *, workers: int, is_cancelled: IsCancelled
    ) -> Sequence[TrialOutcome | Alone] | None:
        """Compute all at once if the setting ``together`` says so, but for those that act."""
        del workers, is_cancelled
        if not self._together:
            return None
        return [
            Alone("it acts") if trial.parameters.get("act") else _outcome(trial) for trial in trials
        ]

    def prepare(self) -> None:
        """Have nothing to load."""

    def close(self) -> None:
        """Have nothing to give back."""

    def _act(self, act: str, is_cancelled: IsCancelled) -> None:
        match act:
            case "raise" | "memory" | "interrupt" | "leave":
                raise _RAISED[act]
            case "hang":
                pause = threading.Event()
                while not is_cancelled():
                    pause.wait(0.01)
                raise TrialCancelledError
            case "deaf":
                threading.Event().wait()
            case "kill" if self._is_first():
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                os._exit(3)
            case "eat" | "leak":
                self._take_memory(without_end=act == "eat")
            case _:
                pass

    def _take_memory(self, *, without_end: bool) -> None:
        if not without_end:
            self._kept.append(bytearray(b"\1") * (6 * _CHUNK))
            return
        eaten: list[bytearray] = []
        pause = threading.Event()
        while not pause.wait(0.001):
            eaten.append(bytearray(b"\1") * _CHUNK)

    def _is_first(self) -> bool:
        if self._once is None:
            return True
        try:
            os.close(os.open(self._once, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


def _outcome(trial: Trial) -> TrialOutcome:
    score = sum(float(value) for value in trial.parameters.values() if _is_number(value))
    if trial.window is not None:
        score += len(trial.window) / 1000
    return TrialOutcome({"score": score, "n_trades": 30, "fees_total": "1.50"}, f"f{score}")


def _is_number(value: ParameterValue) -> bool:
    return not isinstance(value, str | bool)
