"""Train and test windows over bars, which never share a bar (COORD-6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

import numpy as np

from engine.model.bar_columns import BarColumns, IntArray
from engine.model.clock import from_iso
from engine.model.timeline import Timeline, merge_timeline

WindowName: TypeAlias = Literal["full", "train", "test"]


@dataclass(frozen=True, slots=True)
class Window:
    """Bars of one symbol that a run may use.

    Bars before ``decision_bar`` are for warm-up: readable, but nothing is ordered there. Bars from
    ``stop_bar`` on do not exist for the run.
    """

    decision_bar: int
    stop_bar: int

    def __len__(self) -> int:
        return max(0, self.stop_bar - self.decision_bar)


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """How the bars are split into train and test.

    ``train`` is a fraction for ``ratio``, a date or stamp for ``date`` (bars that end by then are
    train), a number of bars for ``bars``. ``purge`` bars between train and test belong to neither;
    ``embargo`` bars after a test window are kept out of any later training data.

    Raises:
        ValueError: a value does not fit its method.
    """

    method: Literal["ratio", "date", "bars"] = "ratio"
    train: Decimal | str | int = Decimal("0.7")
    purge: int = 0
    embargo: int = 0

    def __post_init__(self) -> None:
        for name, bars in (("purge", self.purge), ("embargo", self.embargo)):
            if bars < 0:
                raise ValueError(f"split.{name}: {bars} is negative, 0 or more bars are allowed")
        match self.method:
            case "ratio":
                if not 0 < Decimal(str(self.train)) < 1:
                    raise ValueError(f"split.train: {self.train} is not between 0 and 1")
            case "bars":
                if isinstance(self.train, str) or self.train != int(self.train) or self.train < 1:
                    raise ValueError(f"split.train: {self.train} is not a number of bars above 0")
            case "date":
                from_iso(str(self.train))

    def train_instants(self, instants: IntArray) -> int:
        """Return how many of the *instants* (ends of bars) belong to train."""
        match self.method:
            case "ratio":
                return int(Decimal(str(self.train)) * len(instants))
            case "bars":
                return min(int(self.train), len(instants))
            case "date":
                cut_ns = from_iso(str(self.train))
                return int(np.searchsorted(instants, cut_ns, side="right"))


def split_windows(
    columns: Sequence[BarColumns], split: SplitSettings, *, name: WindowName
) -> tuple[Window, ...]:
    """Return the window *name* of each symbol.

    Counts are in instants, the different ends of bars: with one symbol these are its bars, with
    several no symbol's train reaches beyond the start of another's test.

    Raises:
        ValueError: the train or the test window is empty.
    """
    if name == "full":
        return tuple(Window(0, len(one)) for one in columns)
    instants = _instants(merge_timeline(columns))
    train = split.train_instants(instants)
    test = train + split.purge
    if not 0 < train <= len(instants) or test >= len(instants):
        raise ValueError(
            f"split: {len(instants)} instants leave {train} for train and "
            f"{max(0, len(instants) - test)} for test: both need at least one"
        )
    if name == "train":
        last_ns = int(instants[train - 1])
        return tuple(Window(0, one.closes_by(last_ns)) for one in columns)
    before_ns = int(instants[test]) - 1
    return tuple(Window(one.closes_by(before_ns), len(one)) for one in columns)


def _instants(timeline: Timeline) -> IntArray:
    if timeline.is_one_by_one:
        return timeline.ts_close
    starts = timeline.instants[:-1]
    return timeline.ts_close[starts]


def without_embargoed(
    train: Iterable[int], tests: Iterable[tuple[int, int]], *, embargo: int
) -> list[int]:
    """Return the bars of *train* that lie in no test window and not in the embargo after one.

    Args:
        train: indices of bars.
        tests: test windows as [start, stop).
        embargo: bars after each stop.
    """
    windows = list(tests)
    return [
        bar for bar in train if not any(start <= bar < stop + embargo for start, stop in windows)
    ]
