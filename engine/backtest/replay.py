"""Replays a recorded backtest on its recorded data, and verifies it (REPLAY-1 to 3).

The configuration and, if they were recorded, the events of the run are in the recording; the data
are read again and must be the same. At any pace, in steps, or after a seek the replay gives the
fingerprint of the recording.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from engine.backtest.assembly import BuiltRun, RunRequest, build_run, data_handler_of
from engine.backtest.checkpoint import CannotCopyError, copy_run
from engine.backtest.config import BacktestConfig, IsolationLevel, as_config
from engine.backtest.control import RunControl
from engine.backtest.market_data import MarketData, MarketDataStore
from engine.backtest.player import Compared, Player
from engine.backtest.recording import EVENTS_FILE, Recording, base_dirs_of, load_recording
from engine.backtest.replay_settings import Breakpoint
from engine.backtest.results import ResultStatus
from engine.flow.errors import ValidationError
from engine.model.run_tables import fingerprint

CHECKPOINTS: Final = 16
_PART: Final = "split-"
"""What the folders of parts of a result start with."""


class Replay(Player):
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
        self._base_dir = find_base_dir(self.recorded, base_dir)
        self._data: MarketData = (store or MarketDataStore()).load(self._config, self._base_dir)
        self._request = _request_of(source, self._config, self._base_dir, self._data)
        found = self._data.data_hash
        if self._request.window != "full":
            found = data_handler_of(self._request, self._request.window).data_hash
        if found != self.recorded.data_hash:
            raise ValidationError(
                f"{source}: the data have changed since they were recorded: "
                f"{found[:12]} is not {self.recorded.data_hash[:12]}"
            )
        super().__init__(
            expected=self.recorded.events,
            breakpoint_=breakpoint_,
            breakpoints=breakpoints,
            verifies=verifies,
        )
        self._checkpoints: dict[int, BuiltRun] = {}
        self._every = max(1, self.recorded.bars // checkpoints) if checkpoints else 0
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
    def now_ns(self) -> int:
        """Return the end of the last bar that was replayed, 0 before the first."""
        return self._built.run.last_ns()

    @property
    def is_at_end(self) -> bool:
        """Whether all bars have been replayed."""
        return self.bars_done >= self.bars_total or self._built.run.finished

    @property
    def recorded_fingerprint(self) -> str:
        """Return the fingerprint of the recording."""
        return self.recorded.fingerprint

    @property
    def events(self) -> list[Mapping[str, Any]]:
        """Return the events so far."""
        recorder = self._built.recorder
        return [] if recorder is None else recorder.rows

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Return the bars to which a seek can go without starting over."""
        return tuple(sorted(self._checkpoints))

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

    def close(self) -> None:
        """Tear the containers down."""
        for one in (self._built, *self._checkpoints.values()):
            one.container.teardown_scope()
        self._checkpoints.clear()

    def _begin(self) -> BuiltRun:
        built = build_run(self._request, RunControl())
        built.container.start()
        built.run.begin()
        self._is_finished = False
        self._compared = Compared()
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
        self._compared = Compared()
        self._next_checkpoint = bar + self._every

    def _finish(self) -> None:
        if self._is_finished:
            return
        self._is_finished = True
        if self.recorded.status is not ResultStatus.CANCELLED:
            self._built.run.finish(close_positions=self._built.close_positions)


def _replay_config(recorded: Recording) -> BacktestConfig:
    """Return the configuration of *recorded* with its events recorded."""
    config = as_config(json.loads(json.dumps(dict(recorded.config))))
    if config.executors or config.controllers:
        raise ValidationError("a run of executors is replayed as a whole: use ExecutorReplay")
    return config.model_copy(update={"record_events": True})


def _request_of(
    source: Path, config: BacktestConfig, base_dir: Path, data: MarketData
) -> RunRequest:
    """Return the run that is recorded in *source*: the whole, or the part of a folder `split-*`.

    With isolation full the whole of several strategies is the first, the others are its parts.
    """
    request = RunRequest(config, base_dir, data)
    folder = source if source.is_dir() else source.parent
    part = folder.name.removeprefix(_PART) if folder.name.startswith(_PART) else ""
    sections = config.components.all_strategies
    if len(sections) > 1 and config.isolation_level is IsolationLevel.FULL:
        names = [one.id or f"{one.kind}-{place}" for place, one in enumerate(sections)]
        return replace(request, only_strategy=names.index(part) if part in names else 0)
    if part == "train":
        return replace(request, window="train")
    return replace(request, window="test") if part == "test" else request


def find_base_dir(recorded: Recording, given: Path | None) -> Path:
    """Return the folder that the data paths of *recorded* start from: *given*, or what it says.

    Raises:
        ValidationError: neither names one that has its data.
    """
    if given is not None:
        return given
    folders = recorded.base_dirs
    if not folders and recorded.source.name.startswith(_PART):
        whole = recorded.source.parent / EVENTS_FILE
        folders = base_dirs_of(whole) if whole.is_file() else ()
    wish = "name the folder that the paths of its data start from (--base-dir, or base_dir)"
    if not folders:
        raise ValidationError(f"{recorded.source}: it does not say where its data are: {wish}")
    paths = [str(one["path"]) for one in recorded.config.get("data", ())]
    for folder in folders:
        if all((folder / path).is_file() for path in paths):
            return folder
    missing = next(path for path in paths if not (folders[0] / path).is_file())
    looked = ", ".join(str(folder.resolve()) for folder in folders)
    raise ValidationError(
        f"{recorded.source}: its data file {missing} is not there, looked in {looked}: {wish}"
    )
