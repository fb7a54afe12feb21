"""One run read twice: the part of its equity that ranks it, and the later part that judges it.

The first part of a run is what the run would have been had the data ended there, because nothing
in it looks ahead. So every trial has figures in sample and out of sample without being run again;
a position that is open at the cut is carried over it.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from engine.backtest.metric_series import (
    drawdowns,
    equity_values,
    period_ends,
    running_sum,
    simple_returns,
)
from engine.backtest.overfitting import block_sums, sample_deviation
from engine.backtest.results import BacktestResult
from engine.model.bar_columns import FloatArray, IntArray

SPLIT_METRICS: Final = ("sharpe", "total_return", "max_drawdown")
"""Metrics that are given for both parts; they need nothing but the equity."""

IN_SAMPLE: Final = "in_sample_"
OUT_OF_SAMPLE: Final = "out_of_sample_"


def sampled(result: BacktestResult, *, bar_ns: int) -> tuple[IntArray, FloatArray]:
    """Return stamps and equity of the samples of *result* that returns are taken between."""
    stamps = result.equity["ts"]
    ends = period_ends(stamps, bar_ns)
    equity = equity_values(result.equity["equity_atoms"][ends], result.money_precision)
    return stamps[ends], equity


def split_metrics(
    stamps: IntArray, daily: FloatArray, *, cut_ns: int, initial: float, periods: float
) -> dict[str, float | None]:
    """Return the metrics of `SPLIT_METRICS` of samples that end by *cut_ns*, and of later ones.

    Names are those of the metrics behind ``in_sample_`` and ``out_of_sample_``; None where a part
    is too short.

    Args:
        stamps: ends of the samples that returns are taken between, ns.
        daily: the equity there.
        cut_ns: end of the first part.
        initial: the equity before the first sample.
        periods: returns a year, for annual figures; 0 if that is unknown.
    """
    cut = int(np.searchsorted(stamps, cut_ns, side="right"))
    # The later part begins at the last sample of the first one.
    parts = {IN_SAMPLE: daily[:cut], OUT_OF_SAMPLE: daily[max(0, cut - 1) :]}
    starts = {IN_SAMPLE: initial, OUT_OF_SAMPLE: float(daily[cut - 1]) if cut else initial}
    return {
        prefix + name: value
        for prefix, values in parts.items()
        for name, value in figures(values, starts[prefix], periods).items()
    }


def block_figures(daily: FloatArray) -> tuple[float, ...]:
    """Return the number of returns of *daily* and their `block_sums`; empty if it is too short."""
    if len(daily) < 2 or (daily <= 0).any():
        return ()
    returns = simple_returns(daily)
    sums = block_sums(returns)
    return (float(len(returns)), *sums) if sums else ()


def figures(values: FloatArray, start: float, periods: float) -> dict[str, float | None]:
    """Return the metrics of `SPLIT_METRICS` of an equity that began with *start*.

    *periods* are returns a year; None where there are too few values.
    """
    if len(values) < 3 or start <= 0:
        return dict.fromkeys(SPLIT_METRICS)
    returns = simple_returns(values)
    deviation = sample_deviation(returns)
    sharpe = None
    if deviation and periods:
        sharpe = running_sum(returns) / len(returns) / deviation * math.sqrt(periods)
    depth = float(drawdowns(values).max())
    return {
        "sharpe": sharpe,
        "total_return": float(values[-1]) / start - 1,
        "max_drawdown": depth,
    }
