"""What the metrics need of an equity curve: a few sums, depths, and its values period by period.

`engine.backtest.kernel_grid` adds up the same values in the same order while it walks a curve once,
so it finds the same bits without keeping the curve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.backtest import metric_series as series
from engine.model.bar_columns import FloatArray, IntArray
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
    """Return the facts of a curve of *equity_atoms* sampled at *ts_close* (ns), O(samples)."""
    ends = series.period_ends(ts_close, bar_ns, calendar)
    equity = series.equity_values(equity_atoms, money_precision)
    if not len(equity):
        return CurveFacts(0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0.0, ts_close[ends], equity)
    total, last, period_values = series.running_sum(equity), float(equity[-1]), equity[ends]
    drawdown = series.drawdowns(equity)
    del equity
    is_below = np.zeros(len(drawdown) + 2, dtype=np.bool_)
    np.greater(drawdown, 0.0, out=is_below[1:-1])
    edges = np.flatnonzero(is_below[1:] != is_below[:-1])
    firsts, stops = edges[::2], edges[1::2]
    longest_ns, spells, depths = 0, 0, 0.0
    if len(firsts):
        sample_after = np.minimum(stops, len(drawdown) - 1)
        longest_ns = int((ts_close[sample_after] - ts_close[firsts - 1]).max())
        # Between two spells the drawdown is 0, so a spell may be taken up to the next one's start.
        deepest = np.maximum.reduceat(drawdown, firsts)[sample_after > firsts]
        spells, depths = len(deepest), series.running_sum(deepest)
    return CurveFacts(
        samples=len(drawdown),
        first_ns=int(ts_close[0]),
        last_ns=int(ts_close[-1]),
        last=last,
        total=total,
        deepest=float(drawdown.max()),
        square_depths=series.running_square_sum(drawdown),
        longest_ns=longest_ns,
        spells=spells,
        depths=depths,
        period_ns=ts_close[ends],
        period_values=period_values,
    )
