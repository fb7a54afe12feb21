"""Replays a recorded backtest on its recorded data, and verifies it (REPLAY-1 to 3).

The configuration and, if they were recorded, the events of the run are in the recording; the data
are read again and must be the same. At any pace, in steps, or after a seek the replay gives the
fingerprint of the recording.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from engine.backtest.assembly import BuiltRun, RunRequest, build_run
from engine.backtest.checkpoint import CannotCopyError, copy_run
from engine.backtest.config import BacktestConfig, as_config
from engine.backtest.control import RunControl
from engine.backtest.market_data import MarketData, MarketDataStore
from engine.backtest.recording import Recording, load_recording
from engine.backtest.replay_settings import Breakpoint, Pace
from engine.backtest.results import ResultStatus
from engine.flow.errors import OperationError, ValidationError
from engine.model.run_tables import fingerprint

VERIFIED_KINDS: Final = ("SIGNAL", "ORDER", "FILL")
CHECKPOINTS: Final = 16
_FINGERPRINT: Final = -1


@dataclass(frozen=True, slots=True)
class Difference:
    """The first event that differs from the recording; None where one side has ended.

    ``seq`` is -1 if the events agree, or were not recorded, and the fingerprints differ.
    """

    seq: int
    recorded: Mapping[str, Any] | None
    replayed: Mapping[str, Any] | None

    def __str__(self) -> str:
        where = "the fingerprint" if self.seq == _FINGERPRINT else f"event {self.seq}"
        recorded = "nothing" if self.recorded is None else json.dumps(self.recorded)
        replayed = "nothing" if self.replayed is None else json.dumps(self.replayed)
        return f"{where} differs:\n  recorded {recorded}\n  replayed {replayed}"


class ReplayMismatchError(OperationError):
    """A replay differs from its recording (REPLAY-2)."""


class Replay:
    """One recorded run that is played again; use it as a context manager.

    Args:
        source: a result's directory, or a file of events.
        base_dir: folder that the data paths of its configuration start from; by default what the
            recording says.
        breakpoint_: stops the replay before the next bar when it returns True for an event.
        breakpoints: the same, by kind, symbol and order.
        checkpoints: how many copies of the run are kept on the way, for `seek`.
        verifies: whether `step` and `play` stop at the first event that differs, which is then
            in ``difference``.
        store: keeps the bars of files.
    """

    def __init__(
        self,
        source: Path,
        *,
        base_dir: Path | None = None,
        breakpoint_: Callable[[Mapping[str, Any]], bool] | None = None,
        breakpoints: Iterable[Breakpoint] = (),
        checkpoints: int = CHECKPOINTS,
        verifies: bool = False,
        store: MarketDataStore | None = None,
    ) -> None:
        self.recorded: Recording = load_recording(source)
        if self.recorded.status is ResultStatus.FAILED:
            raise ValidationError(f"{source}: the recorded run failed: it cannot be replayed")
        self._config = _replay_config(self.recorded)
        self._base_dir = _find_base_dir(self.recorded, base_dir)
        self._data: MarketData = (store or MarketDataStore()).load(self._config, self._base_dir)
        if self._data.data_hash != self.recorded.data_hash:
            raise ValidationError(
                f"{source}: the data have changed since they were recorded: "
                f"{self._data.data_hash[:12]} is not {self.recorded.data_hash[:12]}"
            )
        self._breakpoint = breakpoint_
        self._breakpoints = tuple(breakpoints)
        self._expected = None if self.recorded.events is None else _verified(self.recorded.events)
        self._checkpoints: dict[int, BuiltRun] = {}
        self._every = max(1, self.recorded.bars // checkpoints) if checkpoints else 0
        self._is_finished = False
        self._is_paused = False
        self._verifies = verifies
        self.difference: Difference | None = None
        self.hit: Mapping[str, Any] | None = None
        """The event of the breakpoint at which the replay stands, None if at none."""
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
    def now_ns(self) -> int:
        """Return the end of the last bar that was replayed, 0 before the first."""
        return self._built.run.last_ns()

    @property
    def is_at_end(self) -> bool:
        """Whether all bars have been replayed."""
        return self.bars_done >= self.bars_total or self._built.run.finished

    @property
    def events(self) -> list[Mapping[str, Any]]:
        """Return the events so far."""
        recorder = self._built.recorder
        return [] if recorder is None else recorder.rows

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Return the bars to which a seek can go without starting over."""
        return tuple(sorted(self._checkpoints))

    def step(self, bars: int = 1) -> int:
        """Replay up to *bars* further instants; return how many bars are done.

        It stops earlier at a breakpoint, at a difference, and when it is paused.
        """
        self.hit = None
        looks = self._breakpoint is not None or bool(self._breakpoints) or self._verifies
        left = bars
        while left > 0 and not self.is_at_end and not self._is_paused and not self.difference:
            seen = len(self.events)
            done = self.bars_done
            self._advance(1 if looks else left)
            left -= max(1, self.bars_done - done)
            if self._verifies:
                self.difference = self.find_difference()
            if looks and self._hits_breakpoint(self.events[seen:]):
                break
        return self.bars_done

    def play(
        self,
        pace: Pace,
        *,
        wait: Callable[[float], None],
        shown: Callable[[Replay], None] | None = None,
    ) -> bool:
        """Replay to the end, or to where `step` stops; return whether the end is reached.

        Args:
            pace: how many recorded seconds pass in one second; ``step`` is one bar.
            wait: lets that many seconds pass.
            shown: is called after each instant.
        """
        self._is_paused = False
        while not self.is_at_end and not self._is_paused and not self.difference:
            before = self.now_ns
            self.step(1)
            if shown is not None:
                shown(self)
            if self.hit is not None or pace.is_step:
                break
            seconds = pace.seconds(self.now_ns - before) if before else 0.0
            if seconds > 0 and not self._is_paused:
                wait(seconds)
        return self.is_at_end

    def pause(self) -> None:
        """Let `play` stop after the present instant; calling `play` again goes on."""
        self._is_paused = True

    def seek(self, bar: int) -> None:
        """Go to the state after *bar* bars, forward or back, from the nearest checkpoint."""
        target = max(0, min(bar, self.bars_total))
        self.hit = self.difference = None
        self._is_paused = False
        if target < self.bars_done or self._is_finished:
            self._restore(target)
        self._advance(target - self.bars_done)

    def run(self) -> str:
        """Replay the rest and return the fingerprint."""
        self._is_paused = False
        self._advance(self.bars_total - self.bars_done)
        self._finish()
        return fingerprint(*self._built.broker.tables())

    def verify(self, *, until: int | None = None) -> Difference | None:
        """Replay and stop at the first difference; None if there is none (REPLAY-2, REPLAY-3).

        Recorded events (SIGNAL, ORDER, FILL) are compared bar by bar, and at the end the
        fingerprint, which is all there is without recorded events.

        Args:
            until: bar after which to stop; None: verify the whole run.
        """
        if self.difference is not None:
            return self.difference
        last = self.bars_total if until is None else min(until, self.bars_total)
        while self.bars_done < last and not self._built.run.finished:
            self._advance(1)
            difference = self.find_difference()
            if difference is not None:
                return difference
        if until is not None:
            return self.find_difference()
        mark = self.run()
        difference = self.find_difference(is_over=True)
        if difference is not None:
            return difference
        if mark != self.recorded.fingerprint:
            return Difference(
                _FINGERPRINT, {"fingerprint": self.recorded.fingerprint}, {"fingerprint": mark}
            )
        return None

    def find_difference(self, *, is_over: bool = False) -> Difference | None:
        """Compare the events so far with the recording.

        Args:
            is_over: nothing more is to come, so that what is missing is a difference too.
        """
        expected = self._expected
        if expected is None:
            return None
        compared = self._compared
        rows = self.events
        while compared.rows < len(rows):
            row = rows[compared.rows]
            compared.rows += 1
            if row["kind"] not in VERIFIED_KINDS:
                continue
            there = _comparable(row)
            here = expected[compared.events] if compared.events < len(expected) else None
            compared.events += 1
            if here != there:
                return Difference(int((here or there)["seq"]), here, there)
        if is_over and compared.events < len(expected):
            missing = expected[compared.events]
            return Difference(int(missing["seq"]), missing, None)
        return None

    def close(self) -> None:
        """Tear the containers down."""
        for one in (self._built, *self._checkpoints.values()):
            one.container.teardown_scope()
        self._checkpoints.clear()

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
        self._is_finished = False
        self._compared = _Compared()
        self._next_checkpoint = self._every
        return built

    def _advance(self, bars: int) -> None:
        """Replay up to *bars* further instants, keeping checkpoints on the way."""
        target = self.bars_done + bars
        is_merged = len(self._built.feeds) > 1
        while self.bars_done < target and not self._built.run.finished:
            stop = target
            if self._every:
                stop = min(target, max(self._next_checkpoint, self.bars_done + 1))
            # Where symbols share instants the run counts instants, not bars.
            self._built.run.run(1 if is_merged else stop - self.bars_done)
            if self._every and self.bars_done >= self._next_checkpoint:
                self._next_checkpoint = self.bars_done + self._every
                self._keep_checkpoint()

    def _keep_checkpoint(self) -> None:
        done = self.bars_done
        if done in self._checkpoints or self.is_at_end:
            return
        try:
            self._checkpoints[done] = copy_run(self._built)
        except CannotCopyError:
            # The strategy keeps something that cannot be copied: a seek back starts over.
            self._every = 0

    def _restore(self, target: int) -> None:
        """Put the run back to the last checkpoint up to *target*, or to the start."""
        self._built.container.teardown_scope()
        bar = max((one for one in self._checkpoints if one <= target), default=None)
        if bar is None:
            self._built = self._begin()
            return
        # The checkpoint stays as it is for the next time.
        self._built = copy_run(self._checkpoints[bar])
        self._is_finished = False
        self._compared = _Compared()
        self._next_checkpoint = bar + self._every

    def _finish(self) -> None:
        if self._is_finished:
            return
        self._is_finished = True
        if self.recorded.status is not ResultStatus.CANCELLED:
            self._built.run.finish(close_positions=self._built.close_positions)

    def _hits_breakpoint(self, fresh: Sequence[Mapping[str, Any]]) -> bool:
        for event in fresh:
            is_hit = self._breakpoint is not None and self._breakpoint(event)
            if is_hit or any(one.hits(event) for one in self._breakpoints):
                self.hit = event
                return True
        return False


@dataclass(slots=True)
class _Compared:
    """How far the comparison is: rows of the replay, verified events of the recording."""

    rows: int = 0
    events: int = 0


def _replay_config(recorded: Recording) -> BacktestConfig:
    """Return the configuration of *recorded* with its events recorded."""
    config = as_config(json.loads(json.dumps(dict(recorded.config))))
    if config.executors or config.controllers:
        raise ValidationError("a run of executors is verified by its journal, not by this replay")
    return config.model_copy(update={"record_events": True})


def _find_base_dir(recorded: Recording, given: Path | None) -> Path:
    if given is not None:
        return given
    if recorded.base_dir is not None:
        return recorded.base_dir
    raise ValidationError(
        f"{recorded.source}: it does not say where its data are: name the folder that their paths "
        "start from (base_dir)"
    )


def _verified(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [_comparable(one) for one in events if one["kind"] in VERIFIED_KINDS]


def _comparable(event: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(dict(event), default=str))
    return values
