"""Replays a recorded paper account: the same inputs to new strategies, the same events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.backtest.config import StrategySection
from engine.backtest.player import Player
from engine.backtest.recording import folders_of_data, read_lines
from engine.backtest.replay_settings import Breakpoint
from engine.backtest.strategy_loading import find_strategy_type
from engine.containers.inputs import JournalFormatError, TimerInput, decode
from engine.flow.errors import ValidationError
from engine.live.event_log import EventRows, instrument_from_json
from engine.live.live_config import LiveConfig
from engine.live.live_trading_manager import LiveTradingManager
from engine.model.clock import SimulatedClock
from engine.model.quotes import QuoteTick


class PaperReplay(Player):
    """One recorded paper account that is played again; a bar is one recorded input.

    Args:
        path: the file of events.
        base_dir: folder of the user's own strategies; by default what the recording says.
        breakpoints: stop after an input with such an event.
        verifies: whether it stops at the first event that differs.

    Raises:
        ValidationError: the file is damaged.
    """

    def __init__(
        self,
        path: Path,
        *,
        base_dir: Path | None = None,
        breakpoints: Iterable[Breakpoint] = (),
        verifies: bool = False,
    ) -> None:
        lines = read_lines(path)
        self._header: Mapping[str, Any] = next(lines)
        self._inputs: list[QuoteTick | TimerInput] = []
        self._recorded_mark = ""
        expected = []
        for number, row in enumerate(lines, start=2):
            try:
                if "in" in row:
                    self._inputs.append(_input(*row["in"]))
                elif "end" in row:
                    self._recorded_mark = row["end"]["fingerprint"]
                else:
                    expected.append(row)
            except (KeyError, TypeError, ValueError, JournalFormatError) as error:
                raise ValidationError(
                    f"{path}:{number}: event: is damaged ({error!r})", cause=error
                ) from error
        self._path = path
        self._base_dir = base_dir or _folder(path, self._header)
        super().__init__(expected=expected, breakpoints=breakpoints, verifies=verifies)
        self._begin()

    @property
    def bars_done(self) -> int:
        """Return how many inputs have been replayed."""
        return self._done

    @property
    def bars_total(self) -> int:
        """Return how many inputs the recording has."""
        return len(self._inputs)

    @property
    def now_ns(self) -> int:
        """Return the time of the last input that was replayed, 0 before the first."""
        return self._inputs[self._done - 1].ts_ns if self._done else 0

    @property
    def is_at_end(self) -> bool:
        """Whether all inputs have been replayed."""
        return self._done >= len(self._inputs)

    @property
    def events(self) -> Sequence[Mapping[str, Any]]:
        """Return the events so far."""
        return self._rows.rows

    @property
    def recorded_fingerprint(self) -> str:
        """Return the fingerprint of the recording; that of the replay if it was cut off."""
        return self._recorded_mark or self._rows.fingerprint

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Return nothing: a seek back starts over."""
        return ()

    def seek(self, bar: int) -> None:
        """Go to the state after *bar* inputs, forward or back (from the start)."""
        self.hit = self.difference = None
        self._is_paused = False
        if bar < self._done:
            self.close()
            self._begin()
        self._advance(min(bar, self.bars_total) - self._done)

    def run(self) -> str:
        """Replay the rest and return the fingerprint."""
        self._is_paused = False
        self._advance(self.bars_total - self._done)
        return self._rows.fingerprint

    def close(self) -> None:
        """Tear the containers down."""
        self._manager.close()

    def _begin(self) -> None:
        header = self._header
        try:
            first = LiveConfig.model_validate(header["strategies"][0]["config"])
            clock = SimulatedClock(int(header["start_ns"]))
            instruments = [instrument_from_json(one) for one in header["instruments"]]
            manager = LiveTradingManager(
                instruments={one.market: one for one in instruments},
                account_equity=Decimal(header["account_equity"]),
                now_ns=clock.now_ns,
                currency=first.account.currency,
                parity=first.account.parity,
                reserve=first.account.reserve,
                internal_crossing=first.account.internal_crossing,
            )
            rows = EventRows()
            for entry in header["strategies"]:
                config = LiveConfig.model_validate(entry["config"])
                kinds = [
                    find_strategy_type(
                        StrategySection.model_validate({"class": one.kind, "params": one.params}),
                        base_dir=self._base_dir,
                        allow_imports=config.allow_imports,
                    )
                    for one in config.components.all_strategies
                ]
                rows.watch(manager.add_strategy(entry["id"], config, kind=kinds))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValidationError(
                f"{self._path}:1: recording: is damaged ({error!r})", cause=error
            ) from error
        self._clock, self._manager, self._rows, self._done = clock, manager, rows, 0
        self._compared = type(self._compared)()

    def _advance(self, bars: int) -> None:
        for item in self._inputs[self._done : self._done + bars]:
            self._clock.advance_to(item.ts_ns)
            if isinstance(item, QuoteTick):
                self._manager.on_quote(item)
            self._manager.work()
            self._done += 1


def _folder(path: Path, header: Mapping[str, Any]) -> Path:
    """Return the folder of the user's own strategies; the recording's if none is left."""
    folders = folders_of_data(path, header)
    return next((one for one in folders if one.is_dir()), path.parent)


def _input(ts_ns: int, kind: str, payload: str) -> QuoteTick | TimerInput:
    item = decode(ts_ns, kind, payload)
    if not isinstance(item, QuoteTick | TimerInput):
        raise TypeError(f"input {kind!r}")
    return item
