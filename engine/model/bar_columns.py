"""The bars of one symbol as integer columns (backtest.md 2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class BarColumns:
    """Bars in the order of time; every column has one entry for each bar and cannot be written.

    Stamps are ns since the epoch, prices ticks, volumes lots (-1: unknown). A bar covers
    ``[ts_open, ts_close)`` and nothing of it is known before ``ts_close`` (DATA-1).
    ``synthetic`` bars fill a gap and never trade (DATA-8). ``session_start`` and ``session_end``
    mark the first and the last bar of each session; of daily bars every one is both.

    Raises:
        ValueError: the columns differ in length.
    """

    ts_open: IntArray
    ts_close: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    volume: IntArray
    synthetic: BoolArray
    session_start: BoolArray
    session_end: BoolArray
    vwap: IntArray | None = None
    spread: IntArray | None = None
    features: Mapping[str, FloatArray] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for name, column in self.columns().items():
            if len(column) != len(self.ts_open):
                raise ValueError(
                    f"column {name} has {len(column)} entries, ts_open has {len(self.ts_open)}"
                )
            column.flags.writeable = False  # DATA-11

    def __len__(self) -> int:
        return len(self.ts_open)

    def columns(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return every column that is present, by name; features as ``features.<name>``."""
        named = {one.name: getattr(self, one.name) for one in fields(self)}
        features = named.pop("features")
        present = {name: column for name, column in named.items() if column is not None}
        return present | {f"features.{name}": column for name, column in features.items()}

    def window(self, start: int, stop: int) -> BarColumns:
        """Return bars *start* to *stop* (exclusive) as views; nothing is copied."""
        cut = slice(start, stop)
        return BarColumns(
            ts_open=self.ts_open[cut],
            ts_close=self.ts_close[cut],
            open=self.open[cut],
            high=self.high[cut],
            low=self.low[cut],
            close=self.close[cut],
            volume=self.volume[cut],
            synthetic=self.synthetic[cut],
            session_start=self.session_start[cut],
            session_end=self.session_end[cut],
            vwap=None if self.vwap is None else self.vwap[cut],
            spread=None if self.spread is None else self.spread[cut],
            features=MappingProxyType({name: one[cut] for name, one in self.features.items()}),
        )
