"""Curves and bars made small for a screen: minimum and maximum of each bucket."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.model.bar_columns import FloatArray, IntArray


def bucket_edges(count: int, buckets: int) -> IntArray:
    """Return the starts of at most *buckets* runs of nearly equal length over *count* samples."""
    wanted = max(1, min(buckets, count))
    return (np.arange(wanted, dtype=np.int64) * count) // wanted


def min_max_buckets(ts: IntArray, values: FloatArray, buckets: int) -> tuple[IntArray, FloatArray]:
    """Return at most ``2 * buckets`` samples that keep every extreme of its bucket, in order.

    O(n); short curves come back whole. First and last sample are always among them.
    """
    count = len(values)
    if count <= 2 * buckets:
        return ts, values
    edges = bucket_edges(count, buckets)
    lengths = np.diff(np.append(edges, count))
    low = _argmin_of(values, edges, lengths)
    high = _argmin_of(-values, edges, lengths)
    chosen = np.unique(np.concatenate(([0], low, high, [count - 1])))
    return ts[chosen], values[chosen]


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
    prices: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    buckets: int,
) -> Candles:
    """Return at most *buckets* joined bars: first open, highest high, lowest low, last close."""
    opening, high, low, closing = prices
    count = len(opening)
    if not count:
        none = np.zeros(0, dtype=np.int64)
        empty = np.zeros(0)
        return Candles(none, none, none, empty, empty, empty, empty)
    edges = bucket_edges(count, buckets)
    last = np.append(edges[1:], count) - 1
    return Candles(
        edges,
        ts_open[edges],
        ts_close[last],
        opening[edges],
        np.maximum.reduceat(high, edges),
        np.minimum.reduceat(low, edges),
        closing[last],
    )
