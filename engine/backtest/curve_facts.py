"""What the metrics need of an equity curve: a few sums, depths, and its values period by period.

`engine.backtest.kernel_grid` adds up the same values in the same order while it walks a curve once,
so it finds the same bits without keeping the curve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.backtest import metric_series as series
from engine.model.bar_columns import FloatArray, IntArray, blocks, picked
from engine.model.calendar import SessionCalendar


@dataclass(frozen=True, slots=True, eq=False)
class CurveFacts:
    """Facts of the samples of a curve; money is float64 in the account's currency.

    ``total`` is the sum of all samples, ``square_depths`` that of the squared drawdowns, ``depths``
    that of the deepest points of the ``spells`` drawdowns that lasted more than one step; all from
    left to right. ``deepest`` is the largest drawdown, a fraction; ``longest_ns`` the longest time
    from a peak to the first sample at or above it, or to the end. ``period_ns`` and
    ``period_values`` are the samples that returns are taken between.
    """

    samples: int
    first_ns: int
    last_ns: int
    last: float
    total: float
    deepest: float
    square_depths: float
    longest_ns: int
    spells: int
    depths: float
    period_ns: IntArray
    period_values: FloatArray

    @property
    def years(self) -> float:
        """Return the time from the first to the last sample in years of 365.25 days."""
        return float(self.last_ns - self.first_ns) / series.YEAR_NS


def curve_facts(
    ts_close: IntArray,
    equity_atoms: IntArray,
    *,
    money_precision: int,
    bar_ns: int,
    calendar: SessionCalendar | None = None,
) -> CurveFacts:
    """Return the facts of a curve of *equity_atoms* sampled at *ts_close* (ns), O(samples).

    One block of samples is in memory at a time.
    """
    ends = series.period_ends(ts_close, bar_ns, calendar)
    count = len(equity_atoms)
    if not count:
        values = series.equity_values(equity_atoms, money_precision)
        return CurveFacts(0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0.0, ts_close[ends], values)
    total = square_depths = deepest = 0.0
    depth = series.DepthWalk()
    spells = _Spells()
    for rows in blocks(count, ts_close, equity_atoms, rows=series.ROWS_AT_ONCE):
        equity = series.equity_values(equity_atoms[rows], money_precision)
        total = series.running_sum(equity, total)
        depths = depth.take(equity)
        square_depths = series.running_square_sum(depths, square_depths)
        deepest = max(deepest, float(depths.max()))
        spells.take(ts_close[rows], depths)
    spells.end()
    return CurveFacts(
        samples=count,
        first_ns=int(ts_close[0]),
        last_ns=int(ts_close[-1]),
        last=float(series.equity_values(equity_atoms[-1:], money_precision)[0]),
        total=total,
        deepest=deepest,
        square_depths=square_depths,
        longest_ns=spells.longest_ns,
        spells=spells.count,
        depths=spells.depths,
        period_ns=picked(ts_close, ends),
        period_values=series.equity_values(picked(equity_atoms, ends), money_precision),
    )


class _Spells:
    """Drawdowns, block by block: from a peak to the first sample at or above it, or to the end.

    Those of more than one step are counted and their deepest points added up, in order.
    """

    def __init__(self) -> None:
        self.longest_ns = 0
        self.count = 0
        self.depths = 0.0
        self._samples = 0
        self._last_ns = 0
        self._is_open = False
        self._peak_ns = 0
        self._first = 0
        self._deepest = 0.0

    def take(self, ts: IntArray, depths: FloatArray) -> None:
        """Go on with the samples of a block."""
        below = np.empty(len(depths) + 1, dtype=np.bool_)
        below[0] = self._is_open
        np.greater(depths, 0.0, out=below[1:])
        edges = np.flatnonzero(below[1:] != below[:-1])
        if self._is_open:
            stop = int(edges[0]) if len(edges) else len(depths)
            self._deepest = max(self._deepest, float(depths[:stop].max(initial=0.0)))
            if len(edges):
                self._close(ts, edges[:1], np.array([self._peak_ns]), np.array([self._deepest]))
                edges = edges[1:]
        firsts, stops = edges[::2], edges[1::2]
        if len(firsts):
            peaks = np.where(firsts > 0, ts[firsts - 1], self._last_ns)
            # Between two spells the depth is 0, so a spell may be taken up to the next one's start.
            found = np.maximum.reduceat(depths, firsts)
            self._close(ts, stops, peaks[: len(stops)], found[: len(stops)])
            self._peak_ns = int(peaks[-1])
            self._first = self._samples + int(firsts[-1])
            self._deepest = float(found[-1])
        self._is_open = bool(below[-1])
        self._samples += len(depths)
        self._last_ns = int(ts[-1])

    def _close(self, ts: IntArray, stops: IntArray, peaks: IntArray, deepest: FloatArray) -> None:
        if len(stops):
            self.longest_ns = max(self.longest_ns, int((ts[stops] - peaks).max()))
            self.count += len(stops)
            self.depths = series.running_sum(deepest, self.depths)

    def end(self) -> None:
        """Take the spell that the last sample is in, if it has more than one step."""
        if not self._is_open:
            return
        self.longest_ns = max(self.longest_ns, self._last_ns - self._peak_ns)
        if self._samples - 1 > self._first:
            self.count += 1
            self.depths = series.running_sum(np.array([self._deepest]), self.depths)
