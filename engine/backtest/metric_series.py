"""Series that the metrics are made of: daily returns, periods per year, drawdowns.

All sums run from left to right in float64 (`running_sum`), so that a streaming version which adds
one value at a time gets the very same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.model.bar_columns import DAY_NS, FloatArray, IntArray, blocks
from engine.model.calendar import SessionCalendar

YEAR_NS: Final = 365.25 * DAY_NS
COMMON_PERIODS: Final = (1, 4, 12, 52, 252, 260, 312, 365)
ROWS_AT_ONCE: Final = 1 << 15
"""Samples that are worked on at once; what is computed on the way stays in the cache."""
_PERIOD_TOLERANCE: Final = 0.03
_LEAST_YEARS: Final = 0.25
_WEEKEND_SHARE: Final = 0.17
_LONGEST: Final = ((1, 252), (7, 52), (31, 12))
"""Days of a bar and its periods a year, for short samples."""


def running_sum(values: FloatArray, before: float = 0.0) -> float:
    """Return *before* and the sum from left to right, without pairwise summation."""
    if not before and 0 < len(values) <= ROWS_AT_ONCE:
        return float(np.add.accumulate(values)[-1])
    total = before
    for start in range(0, len(values), ROWS_AT_ONCE):
        part = values[start : start + ROWS_AT_ONCE].copy()
        part[0] += total
        total = float(np.add.accumulate(part, out=part)[-1])
    return total


def running_square_sum(values: FloatArray, before: float = 0.0) -> float:
    """Return *before* and the sum of the squares from left to right."""
    total = before
    for start in range(0, len(values), ROWS_AT_ONCE):
        part = np.square(values[start : start + ROWS_AT_ONCE])
        part[0] += total
        total = float(np.add.accumulate(part, out=part)[-1])
    return total


def equity_values(atoms: IntArray, money_precision: int) -> FloatArray:
    """Return money in atoms as float64: ``float(atoms) / 10**money_precision``, rounded twice."""
    values = atoms.astype(np.float64)
    values /= float(10**money_precision)
    return values


def years_between(ts_close: IntArray) -> float:
    """Return Y, the time from the first to the last sample in years of 365.25 days."""
    return float(int(ts_close[-1]) - int(ts_close[0])) / YEAR_NS if len(ts_close) else 0.0


def period_ends(
    ts_close: IntArray, bar_ns: int, calendar: SessionCalendar | None = None
) -> IntArray:
    """Return the indices of the samples that returns are taken between.

    The last one of each day in UTC (of each session with a *calendar*) for bars of at most a day; a
    sample's day contains ``ts_close - 1``. Every sample for longer bars.
    """
    count = len(ts_close)
    if bar_ns > DAY_NS or not count:
        return np.arange(count, dtype=np.int64)
    ends = []
    for rows in blocks(count - 1, ts_close, rows=ROWS_AT_ONCE):
        part = ts_close[rows.start : rows.stop + 1]
        day = (part - 1) // DAY_NS if calendar is None else calendar.bar_sessions(part)
        ends.append(np.flatnonzero(day[1:] != day[:-1]) + rows.start)
    return np.concatenate([*ends, [count - 1]]).astype(np.int64)


def simple_returns(values: FloatArray) -> FloatArray:
    """Return ``v[i] / v[i-1] - 1`` for i from 1 on; 0 after a value of 0."""
    before = values[:-1]
    ratio = np.divide(values[1:], before, out=np.ones(max(0, len(values) - 1)), where=before != 0)
    return ratio - 1.0


def periods_per_year(returns: int, years: float, *, sample_days: IntArray, bar_ns: int) -> int:
    """Return N by the automatic rule (MET-2).

    Args:
        returns: number of returns.
        years: Y.
        sample_days: day number of each sample, to count weekends in a short sample.
        bar_ns: nominal length of a bar.
    """
    if years >= _LEAST_YEARS:
        found = returns / years
        nearest = min(COMMON_PERIODS, key=lambda one: abs(one - found))
        if abs(nearest - found) <= _PERIOD_TOLERANCE * nearest:
            return nearest
        return max(1, math.floor(found + 0.5))
    periods = next((count for days, count in _LONGEST if bar_ns <= days * DAY_NS), 1)
    if periods != _LONGEST[0][1] or not len(sample_days):
        return periods
    weekday = (sample_days + 3) % 7  # 1970-01-01 was a Thursday
    is_weekend = np.count_nonzero(weekday >= 5) > _WEEKEND_SHARE * len(sample_days)
    return 365 if is_weekend else periods


class DepthWalk:
    """Drawdowns of a curve that comes in blocks."""

    def __init__(self) -> None:
        self._peak = -math.inf

    def take(self, equity: FloatArray) -> FloatArray:
        """Return ``1 - E / cummax(E)`` of the next samples; 0 where the peak is not above 0."""
        depth = np.maximum.accumulate(equity)
        if not len(depth):
            return depth
        np.maximum(depth, self._peak, out=depth)
        self._peak = float(depth[-1])
        has_no_peak = depth <= 0
        depth[has_no_peak] = 1.0
        np.divide(equity, depth, out=depth)
        np.subtract(1.0, depth, out=depth)
        depth[has_no_peak] = 0.0
        return depth


def drawdowns(equity: FloatArray) -> FloatArray:
    """Return ``1 - E / cummax(E)``; 0 where the peak is not above 0."""
    return DepthWalk().take(equity)


@dataclass(frozen=True, slots=True)
class Spell:
    """A drawdown: indices of its peak and of the first sample at or above it, or of the last."""

    peak: int
    end: int
    is_over: bool


def drawdown_spells(drawdown: FloatArray) -> list[Spell]:
    """Return the runs of samples below their peak, in order."""
    is_below = np.zeros(len(drawdown) + 2, dtype=np.bool_)
    np.greater(drawdown, 0.0, out=is_below[1:-1])
    edges = np.flatnonzero(is_below[1:] != is_below[:-1])
    firsts, lasts = edges[::2].tolist(), (edges[1::2] - 1).tolist()
    last_sample = len(drawdown) - 1
    return [
        Spell(first - 1, min(last + 1, last_sample), last < last_sample)
        for first, last in zip(firsts, lasts, strict=True)
    ]
