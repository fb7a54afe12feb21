"""Closes of the benchmark as prices, computed where they are looked at."""

from __future__ import annotations

import numpy as np

from engine.model.bar_columns import BarColumns, FloatArray, IntArray, picked


class BenchmarkPrices:
    """The closes of *bars* as float64 prices, without a copy of the whole column."""

    def __init__(self, bars: BarColumns) -> None:
        self._ticks = bars.close
        self._tick = float(bars.instrument.tick)

    def __len__(self) -> int:
        return len(self._ticks)

    def __getitem__(self, place: int | IntArray) -> FloatArray:
        """Return the prices at *place*, the same bits as those of the whole column."""
        ticks = self._ticks[place] if isinstance(place, int) else picked(self._ticks, place)
        prices: FloatArray = np.multiply(ticks, self._tick, dtype=np.float64)
        return prices
