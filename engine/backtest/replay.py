"""Replays a stored backtest on its recorded data, and verifies it (REPLAY-1 to 3).

The bars, the configuration and, if they were recorded, the events of the run are in its folder.
At any pace, in steps, or after a seek the replay gives the fingerprint of the recording.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.backtest.assembly import BuiltRun, RunRequest, build_run
from engine.backtest.config import BacktestConfig, as_config
from engine.backtest.control import RunControl
from engine.backtest.market_data import MarketData, MarketDataStore
from engine.backtest.results import BacktestResult, ResultStatus
from engine.backtest.results_io import load_result
from engine.flow.errors import OperationError, ValidationError
from engine.model.run_tables import fingerprint

VERIFIED_KINDS = ("SIGNAL", "ORDER", "FILL")


@dataclass(frozen=True, slots=True)
class Difference:
    """The first event that differs from the recording; None where one side has ended."""

    seq: int
    recorded: Mapping[str, Any] | None
    replayed: Mapping[str, Any] | None

    def __str__(self) -> str:
        return f"event {self.seq}: recorded {self.recorded}, replayed {self.replayed}"


class ReplayMismatchError(OperationError):
    """A replay differs from its recording (REPLAY-2)."""


class Replay:
    """One stored run that is played again; use it as a context manager.

    Args:
        folder: the result's directory.
        base_dir: folder that the data paths of its configuration start from.
        breakpoint_: stops the replay before the next bar when it returns True for an event.
    """

    def __init__(
        self,
        folder: Path,
        *,
        base_dir: Path,
        breakpoint_: Callable[[Mapping[str, Any]], bool] | None = None,
        store: MarketDataStore | None = None,
    ) -> None:
        self.recorded: BacktestResult = load_result(folder)
        if self.recorded.status is ResultStatus.FAILED:
            raise ValidationError(f"{folder}: the recorded run failed: it cannot be replayed")
        self._config = _replay_config(self.recorded)
        self._data: MarketData = (store or MarketDataStore()).load(self._config, base_dir)
        if self._data.data_hash != self.recorded.data_hash:
            raise ValidationError(
                f"{folder}: the data have changed since they were recorded: "
                f"{self._data.data_hash[:12]} is not {self.recorded.data_hash[:12]}"
            )
        self._base_dir = base_dir
        self._breakpoint = breakpoint_
        self._seen = 0
        self._is_finished = False
        self._built = self._begin()

    @property
    def bars_done(self) -> int:
        """Return how many bars have been replayed."""
        return self._built.run.done

    @property
    def bars_total(self) -> int:
        """Return how many bars the recording has."""
        return self.recorded.bars

    @property
    def events(self) -> list[Mapping[str, Any]]:
        """Return the events so far."""
        recorder = self._built.recorder
        return [] if recorder is None else recorder.rows

    def step(self, bars: int = 1) -> int:
        """Replay up to *bars* further instants; return how many bars are done.

        It stops earlier at a breakpoint.
        """
        for _ in range(bars):
            if self.bars_done >= self.bars_total or self._built.run.run(1):
                break
            if self._hits_breakpoint():
                break
        return self.bars_done

    def seek(self, bar: int) -> None:
        """Go to the state after *bar* bars, forward or back (rebuilt from the start)."""
        if bar < self.bars_done:
            self._built.container.teardown_scope()
            self._built = self._begin()
            self._is_finished = False
        self._built.run.run(max(0, min(bar, self.bars_total) - self.bars_done))

    def run(self) -> str:
        """Replay the rest and return the fingerprint."""
        run = self._built.run
        if self.bars_done < self.bars_total:
            run.run(self.bars_total - self.bars_done)
        if not self._is_finished:
            self._is_finished = True
            if self.recorded.status is not ResultStatus.CANCELLED:
                run.finish(close_positions=self._built.close_positions)
        return fingerprint(*self._built.broker.tables())

    def verify(self) -> Difference | None:
        """Replay all and return the first difference, None if there is none (REPLAY-2, REPLAY-3).

        With recorded events they are compared one by one, otherwise the fingerprint alone.
        """
        mark = self.run()
        if self.recorded.events is not None:
            difference = _first_difference(self.recorded.events, self.events)
            if difference is not None:
                return difference
        if mark != self.recorded.fingerprint:
            return Difference(-1, {"fingerprint": self.recorded.fingerprint}, {"fingerprint": mark})
        return None

    def close(self) -> None:
        """Tear the container down."""
        self._built.container.teardown_scope()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self) -> BuiltRun:
        request = RunRequest(self._config, self._base_dir, self._data)
        built = build_run(request, RunControl())
        built.container.start()
        built.run.begin()
        self._seen = 0
        return built

    def _hits_breakpoint(self) -> bool:
        fresh, self._seen = self.events[self._seen :], len(self.events)
        if self._breakpoint is None:
            return False
        return any(self._breakpoint(event) for event in fresh)


def _replay_config(result: BacktestResult) -> BacktestConfig:
    """Return the configuration of *result* with its events recorded."""
    config = as_config(json.loads(json.dumps(dict(result.config))))
    if config.executors or config.controllers:
        raise ValidationError("a run of executors is verified by its journal, not by this replay")
    return config.model_copy(update={"record_events": True})


def _first_difference(
    recorded: tuple[Mapping[str, Any], ...], replayed: list[Mapping[str, Any]]
) -> Difference | None:
    """Compare SIGNAL, ORDER and FILL in their order."""
    first = [_comparable(one) for one in recorded if one["kind"] in VERIFIED_KINDS]
    second = [_comparable(one) for one in replayed if one["kind"] in VERIFIED_KINDS]
    for place in range(max(len(first), len(second))):
        here = first[place] if place < len(first) else None
        there = second[place] if place < len(second) else None
        if here != there:
            known = here or there or {}
            return Difference(int(known.get("seq", -1)), here, there)
    return None


def _comparable(event: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(dict(event), default=str))
    return values
