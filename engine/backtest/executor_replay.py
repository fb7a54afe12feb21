"""Replays a recorded backtest of executors: it is run again as a whole and compared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.backtest.assembly import RunRequest
from engine.backtest.config import as_config
from engine.backtest.control import RunControl
from engine.backtest.executor_run import ExecutorRun
from engine.backtest.market_data import MarketDataStore
from engine.backtest.player import Player
from engine.backtest.recording import Recording
from engine.flow.errors import ValidationError


class ExecutorReplay(Player):
    """One recorded run of executors. It has one step: the whole run.

    Args:
        recorded: the recording.
        base_dir: folder that the data paths of its configuration start from.

    Raises:
        ValidationError: the data have changed.
    """

    def __init__(self, recorded: Recording, *, base_dir: Path) -> None:
        super().__init__(expected=None)
        self._recorded = recorded
        self._config = as_config(json.loads(json.dumps(dict(recorded.config))))
        self._base_dir = base_dir
        self._data = MarketDataStore().load(self._config, base_dir)
        if self._data.data_hash != recorded.data_hash:
            raise ValidationError(
                f"{recorded.source}: the data have changed since they were recorded: "
                f"{self._data.data_hash[:12]} is not {recorded.data_hash[:12]}"
            )
        self._mark = ""

    @property
    def bars_done(self) -> int:
        """Return how many bars have been replayed: none, or all."""
        return self._recorded.bars if self._mark else 0

    @property
    def bars_total(self) -> int:
        """Return how many bars the recording has."""
        return self._recorded.bars

    @property
    def now_ns(self) -> int:
        """Return 0: it has no steps."""
        return 0

    @property
    def is_at_end(self) -> bool:
        """Whether the run was played."""
        return bool(self._mark)

    @property
    def events(self) -> Sequence[Mapping[str, Any]]:
        """Return nothing: the fingerprint is compared."""
        return ()

    @property
    def recorded_fingerprint(self) -> str:
        """Return the fingerprint of the recording."""
        return self._recorded.fingerprint

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Return nothing: it has no steps."""
        return ()

    def seek(self, bar: int) -> None:
        """Refuse: it has no steps.

        Raises:
            ValidationError: *bar* is not the start.
        """
        if bar:
            raise ValidationError("a run of executors is replayed as a whole: seek 0")

    def run(self) -> str:
        """Run it and return the fingerprint."""
        self._advance(1)
        return self._mark

    def close(self) -> None:
        """Do nothing: nothing is left open."""

    def _advance(self, bars: int) -> None:
        if bars > 0 and not self._mark:
            request = RunRequest(self._config, self._base_dir, self._data)
            self._mark = ExecutorRun(request, RunControl()).run().fingerprint
