"""Returns by month and their distribution, for viewers and reports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.model.bar_columns import DAY_NS, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class MonthReturn:
    """Return of one calendar month in UTC as a fraction."""

    year: int
    month: int
    value: float


def monthly_returns(ts: IntArray, equity: FloatArray, initial: float) -> list[MonthReturn]:
    """Return the return of each month with samples, against the last sample before it.

    A sample belongs to the month of ``ts - 1``; the first month starts from *initial*.
    """
    if not len(ts):
        return []
    days = ((ts - 1) // DAY_NS).astype("datetime64[D]")
    months = days.astype("datetime64[M]").astype(np.int64)
    ends = np.append(np.flatnonzero(months[1:] != months[:-1]), len(ts) - 1)
    values = np.append(initial, equity[ends])
    found = []
    for index, month in enumerate(months[ends].tolist()):
        before = float(values[index])
        change = float(values[index + 1]) / before - 1.0 if before else 0.0
        year, place = divmod(month, 12)
        found.append(MonthReturn(1970 + year, place + 1, change))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts between edges; ``len(edges) == len(counts) + 1``."""

    edges: FloatArray
    counts: IntArray


def return_histogram(returns: FloatArray, bins: int = 41) -> Histogram:
    """Return how *returns* are spread; the outermost bins take the last half percent each side."""
    if not len(returns):
        return Histogram(np.zeros(1), np.zeros(0, dtype=np.int64))
    low, high = np.percentile(returns, [0.5, 99.5])
    if low == high:
        low, high = low - 1e-4, high + 1e-4
    counts, edges = np.histogram(np.clip(returns, low, high), bins=bins, range=(low, high))
    return Histogram(edges, counts.astype(np.int64))
