"""Replays of recordings, on the calling thread: for the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.flow.errors import EngineError

if TYPE_CHECKING:
    from engine.backtest.player import Player


class ReplayFileError(EngineError):
    """A replay file, a recording or its data cannot be used; one line for each mistake."""

    default_retryable = False


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What the command line says about a replay; None leaves it to the file."""

    pace: str | None = None
    verify: bool | None = None
    breakpoints: Sequence[str] = ()
    seek: int | None = None
    base_dir: Path | None = None
    profile: str | None = None
    overrides: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ReplayPosition:
    """Where a replay stands; ``hit`` is the event of the breakpoint, None if it is at none."""

    bar: int
    bars: int
    ts_ns: int
    is_over: bool
    """At the last bar, or at an event that differs from the recording."""
    hit: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What came of a replay. ``difference`` is the first one as text, empty if there was none."""

    source: str
    bars: int
    bars_total: int
    fingerprint: str | None
    recorded_fingerprint: str
    verified: bool | None
    difference: str
    difference_seq: int | None
    recorded_event: Mapping[str, Any] | None
    replayed_event: Mapping[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


class ReplayJob:
    """One replay of a file ``replay:``, of a result's folder or of a file of events.

    Raises:
        ReplayFileError: something of it cannot be used.
    """

    def __init__(self, path: Path, options: ReplayOptions | None = None) -> None:
        from engine.backtest.replay_settings import Breakpoint, Pace
        from engine.markets.data_report import MarketDataError

        given = options or ReplayOptions()
        config, source, base_dir = _read(path, given)
        try:
            self._pace = Pace.parse(given.pace or config.pace)
            self._breakpoints = (
                *config.breakpoints,
                *(Breakpoint.parse(one) for one in given.breakpoints),
            )
        except ValueError as error:
            raise ReplayFileError(f"{path}: {error}", cause=error) from error
        self.verifies = config.verify if given.verify is None else given.verify
        self._first = config.seek if given.seek is None else given.seek
        self._is_stopped = False
        try:
            self._replay: Player = self._open(
                source, given.base_dir or base_dir, config.checkpoints
            )
        except (MarketDataError, ValueError, OSError) as error:
            raise ReplayFileError(str(error), cause=error) from error
        except EngineError as error:
            raise ReplayFileError(error.message, cause=error) from error
        self._source = source

    def _open(self, source: Path, base_dir: Path | None, checkpoints: int) -> Player:
        from engine.backtest.executor_replay import ExecutorReplay
        from engine.backtest.paper_replay import PaperReplay
        from engine.backtest.recording import load_recording, read_header
        from engine.backtest.replay import Replay, find_base_dir

        if source.is_file() and read_header(source).get("kind") == "paper":
            return PaperReplay(
                source,
                base_dir=base_dir,
                breakpoints=self._breakpoints,
                verifies=self.verifies,
            )
        recorded = load_recording(source)
        if recorded.config.get("executors") or recorded.config.get("controllers"):
            if self.stops or self._pace.times is not None:
                raise ReplayFileError(
                    f"{source}: a run of executors is replayed as a whole: pace max, no breakpoints"
                )
            return ExecutorReplay(recorded, base_dir=find_base_dir(recorded, base_dir))
        return Replay(
            source,
            base_dir=base_dir,
            breakpoints=self._breakpoints,
            checkpoints=checkpoints if self._pace.is_step or self._breakpoints else 0,
            verifies=self.verifies,
        )

    @property
    def is_step(self) -> bool:
        """Whether a person says when the next bar comes."""
        return self._pace.is_step

    @property
    def stops(self) -> bool:
        """Whether it may stop on its way: at steps or at breakpoints."""
        return self._pace.is_step or bool(self._breakpoints)

    @property
    def position(self) -> ReplayPosition:
        """Return where the replay stands."""
        replay = self._replay
        return ReplayPosition(
            replay.bars_done,
            replay.bars_total,
            replay.now_ns,
            replay.is_at_end or replay.difference is not None,
            replay.hit,
        )

    def begin(self) -> None:
        """Go to the first bar that was asked for."""
        if self._first:
            self._replay.seek(self._first)

    def play(
        self,
        *,
        wait: Callable[[float], None],
        shown: Callable[[ReplayPosition], None] | None = None,
    ) -> ReplayPosition:
        """Go on at the configured pace until the end, a breakpoint or a stop."""

        def show(_: Player) -> None:
            if self._is_stopped:
                self._replay.pause()
            if shown is not None:
                shown(self.position)

        self._replay.play(self._pace, wait=wait, shown=show)
        return self.position

    def go_on(self) -> ReplayPosition:
        """Go on as fast as it can until the end or the next breakpoint."""
        replay = self._replay
        replay.step(replay.bars_total - replay.bars_done)
        return self.position

    def step(self, bars: int = 1) -> ReplayPosition:
        """Go on by some bars, or to the next breakpoint."""
        self._replay.step(bars)
        return self.position

    def seek(self, bar: int) -> ReplayPosition:
        """Go to a bar, forward or back."""
        self._replay.seek(bar)
        return self.position

    def events(self, most: int) -> Iterable[Mapping[str, Any]]:
        """Return the last events."""
        return self._replay.events[-most:]

    def stop(self) -> None:
        """Let the replay stop after the present bar; a signal handler may call it."""
        self._is_stopped = True
        self._replay.pause()

    def finish(self) -> ReplayReport:
        """Verify, or play the rest, and return what came of it."""
        replay = self._replay
        if self._is_stopped:
            difference = replay.difference
            if difference is None and self.verifies:
                difference = replay.find_difference()
            return self._report(None, None, difference)
        if not self.verifies:
            return self._report(replay.run(), None, None)
        difference = replay.verify()
        mark = replay.run() if difference is None or replay.is_at_end else None
        return self._report(mark, difference is None, difference)

    def close(self) -> None:
        """Give everything back."""
        self._replay.close()

    def _report(self, mark: str | None, verified: bool | None, found: Any) -> ReplayReport:  # noqa: ANN401, FBT001 (a Difference, loaded on use)
        return ReplayReport(
            source=str(self._source),
            bars=self._replay.bars_done,
            bars_total=self._replay.bars_total,
            fingerprint=mark,
            recorded_fingerprint=self._replay.recorded_fingerprint,
            verified=verified,
            difference="" if found is None else str(found),
            difference_seq=None if found is None else found.seq,
            recorded_event=None if found is None else found.recorded,
            replayed_event=None if found is None else found.replayed,
        )


def _read(path: Path, options: ReplayOptions) -> tuple[Any, Path, Path | None]:
    """Return (configuration, recording, folder of its data) of what *path* names."""
    from engine.backtest.replay_settings import ReplayConfig
    from engine.config.document import ConfigError
    from engine.config.replay_file import read_replay_file

    if path.is_dir() or path.suffix == ".events":
        return ReplayConfig(log=str(path)), path, None
    try:
        file = read_replay_file(path, profile=options.profile, overrides=options.overrides)
    except ConfigError as error:
        raise ReplayFileError(error.message, cause=error) from error
    return file.config, file.log, file.base_dir
