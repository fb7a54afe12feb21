"""Curves and bars made small for a screen: minimum and maximum of each bucket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.model.bar_columns import FloatArray, IntArray, blocks, picked

PriceArray: TypeAlias = NDArray[Any]
SAMPLES_AT_ONCE: Final = 1 << 16


def bucket_edges(count: int, buckets: int) -> IntArray:
    """Return the starts of at most *buckets* runs of nearly equal length over *count* samples."""
    wanted = max(1, min(buckets, count))
    return (np.arange(wanted, dtype=np.int64) * count) // wanted


def min_max_buckets(ts: IntArray, values: FloatArray, buckets: int) -> tuple[IntArray, FloatArray]:
    """Return at most ``2 * buckets`` samples that keep every extreme of its bucket, in order.

    O(n); short curves come back whole. First and last sample are always among them.
    """
    if len(values) <= 2 * buckets:
        return ts, values
    places, kept = min_max_places(len(values), values.__getitem__, buckets)
    return ts[places], kept


def min_max_places(
    count: int, values: Callable[[slice], FloatArray], buckets: int
) -> tuple[IntArray, FloatArray]:
    """Return the places of the same samples of a curve, and their values.

    *values* gives samples of the curve; it is asked for all of them, in order, a few buckets at a
    time, so a curve that is computed on the way need never exist as a whole.
    """
    if count <= 2 * buckets:
        return np.arange(count, dtype=np.int64), values(slice(0, count))
    edges = np.append(bucket_edges(count, buckets), count)
    together = max(1, SAMPLES_AT_ONCE * (len(edges) - 1) // count)
    places: list[IntArray] = []
    kept: list[FloatArray] = []
    for first in range(0, len(edges) - 1, together):
        some = edges[first : first + together + 1]
        start, stop = int(some[0]), int(some[-1])
        part = values(slice(start, stop))
        lengths = np.diff(some)
        chosen = [_argmin_of(one, some[:-1] - start, lengths) for one in (part, np.negative(part))]
        ends = [place for place in (0, count - 1) if start <= place < stop]
        found = np.unique(np.concatenate([*chosen, np.array(ends, dtype=np.int64) - start]))
        places.append(found + start)
        kept.append(part[found])
    return np.concatenate(places), np.concatenate(kept)


def _argmin_of(values: FloatArray, edges: IntArray, lengths: IntArray) -> IntArray:
    """Return the index of the first minimum of each bucket."""
    least = np.repeat(np.minimum.reduceat(values, edges), lengths)
    hits = np.flatnonzero(values == least)
    bucket = np.searchsorted(edges, hits, side="right")
    _, first = np.unique(bucket, return_index=True)
    result: IntArray = hits[first]
    return result


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Bars joined for a chart: times and prices of each joined bar, and its first bar's index."""

    first_bar: IntArray
    ts_open: IntArray
    ts_close: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray

    def __len__(self) -> int:
        return len(self.first_bar)


def candles(
    ts_open: IntArray,
    ts_close: IntArray,
    prices: tuple[PriceArray, PriceArray, PriceArray, PriceArray],
    buckets: int,
    *,
    tick: float = 1.0,
) -> Candles:
    """Return at most *buckets* joined bars: first open, highest high, lowest low, last close.

    *prices* count in *tick*.
    """
    opening, high, low, closing = prices
    count = len(opening)
    if not count:
        none = np.zeros(0, dtype=np.int64)
        empty = np.zeros(0)
        return Candles(none, none, none, empty, empty, empty, empty)
    edges = bucket_edges(count, buckets)
    last = np.append(edges[1:], count) - 1
    highest, lowest = _reduced(np.maximum, high, edges), _reduced(np.minimum, low, edges)
    return Candles(
        edges,
        picked(ts_open, edges),
        picked(ts_close, last),
        picked(opening, edges) * tick,
        highest * tick,
        lowest * tick,
        picked(closing, last) * tick,
    )


def _reduced(reduce: np.ufunc, values: PriceArray, edges: IntArray) -> PriceArray:
    """Return the reduction of each bucket, a few buckets of mapped *values* in memory at a time."""
    found = np.empty(len(edges), dtype=values.dtype)
    together = max(1, SAMPLES_AT_ONCE * len(edges) // len(values))
    for some in blocks(len(edges), values, rows=together):
        start = int(edges[some.start])
        stop = int(edges[some.stop]) if some.stop < len(edges) else len(values)
        found[some] = reduce.reduceat(values[start:stop], edges[some] - start)
    return found
