"""Equity samples of a run over bars that lie in files: they go into files, too."""

from __future__ import annotations

from array import array
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.backtest.assembly import BuiltRun
from engine.execution.bar_broker import BarBroker
from engine.execution.bar_tables import Samples
from engine.markets.mapped_columns import is_mapped, temporary_column
from engine.model.bar_columns import IntArray, release_pages
from engine.model.run_tables import EQUITY_DTYPE

SLICE_BARS: Final = 1 << 18
"""Bars between two times that samples are put away and pages of the bars are let go."""


class SampleFile:
    """Takes the samples of a run from its broker while it goes on.

    Args:
        most: how many samples there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._atoms = temporary_column(most, np.dtype(np.int64))
        self._stamps: IntArray | None = None

    def take(self, broker: BarBroker, *, is_last: bool = False) -> None:
        """Put away what the broker has but for the newest sample, with *is_last* that one too."""
        atoms, stamps = broker.take_samples(is_last=is_last)
        rows = slice(self._count, self._count + len(atoms))
        self._atoms[rows] = _numbers(atoms)
        if stamps:
            if self._stamps is None:
                self._stamps = temporary_column(self._most, np.dtype(np.int64))
            self._stamps[rows] = _numbers(stamps)
        self._count = rows.stop
        release_pages(self._atoms)

    def samples(self, broker: BarBroker) -> Samples:
        """Return all samples of the ended run, and a table in a file for what becomes of them."""
        self.take(broker, is_last=True)
        return Samples(
            self._atoms[: self._count],
            None if self._stamps is None else self._stamps[: self._count],
            temporary_column(self._count, EQUITY_DTYPE),
        )


def _numbers(values: array[int]) -> IntArray:
    return np.frombuffer(values, dtype=np.int64) if values else np.zeros(0, dtype=np.int64)


def sample_file(built: BuiltRun) -> SampleFile | None:
    """Return where the samples of *built* go; None if its bars are in memory, as they are then."""
    is_on_disk = any(map(is_mapped, _columns(built)))
    return SampleFile(built.run.total) if is_on_disk and built.run.total else None


def run_bars(built: BuiltRun, samples: SampleFile | None, *, slice_bars: int = SLICE_BARS) -> None:
    """Run *built* to its end; bars in files in slices, after each of which their pages may go."""
    if samples is None:
        built.run.run()
        return
    columns = _columns(built)
    while not built.run.run(slice_bars):
        samples.take(built.broker)
        release_pages(*columns)


def _columns(built: BuiltRun) -> list[NDArray[Any]]:
    return [column for feed in built.feeds for column in feed.all_columns()]
