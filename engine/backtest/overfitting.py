"""How likely a Sharpe ratio is luck: PSR, DSR and PBO (OPT-18)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist
from typing import Final

import numpy as np

from engine.backtest.metric_series import running_sum
from engine.model.bar_columns import FloatArray

_NORMAL: Final = NormalDist()
_EULER: Final = 0.5772157
BLOCKS: Final = 16
"""Blocks that time is cut into for the probability of overfitting."""
_ROWS_AT_ONCE: Final = 1 << 14
"""Numbers of an intermediate result: it stays in the cache."""


def normal_cdf(z: float) -> float:
    """Return the standard normal distribution function at *z*."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def sharpe_moments(returns: FloatArray) -> tuple[float, float]:
    """Return (skewness, kurtosis) of *returns* by population moments; a normal law has (0, 3).

    Raises:
        ZeroDivisionError: all returns are equal, or there are none.
    """
    count = len(returns)
    mean = running_sum(returns) / count
    away = returns - mean
    second = running_sum(away**2) / count
    third = running_sum(away**3) / count
    fourth = running_sum(away**4) / count
    return third / second**1.5, fourth / second**2


def probabilistic_sharpe(
    sharpe: float, *, benchmark: float, returns: int, skew: float, kurtosis: float
) -> float | None:
    """Return the probability that the true per-period Sharpe ratio exceeds *benchmark*.

    None where the estimate has no variance. With the Sharpe ratio to expect of the best of n
    trials as the benchmark this is the deflated Sharpe ratio.

    Source:
        Bailey, Lopez de Prado (2012), "The Sharpe Ratio Efficient Frontier", Journal of Risk 15(2).
    """
    spread = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe
    if returns < 2 or spread <= 0.0:
        return None
    return normal_cdf((sharpe - benchmark) * math.sqrt(returns - 1.0) / math.sqrt(spread))


def expected_best_sharpe(trials: Sequence[float], *, unseen: int = 0) -> float | None:
    """Return SR0, the Sharpe ratio that the best of these *trials* has by luck; None below two.

    *unseen* more were tried whose ratios are not known, for example because they were stopped.

    Source:
        Bailey, Lopez de Prado (2014), "The Deflated Sharpe Ratio", Journal of Portfolio
        Management 40(5).
    """
    count = len(trials)
    if count < 2:
        return None
    mean = math.fsum(trials) / count
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in trials) / (count - 1))
    count += unseen
    first = _NORMAL.inv_cdf(1.0 - 1.0 / count)
    second = _NORMAL.inv_cdf(1.0 - 1.0 / (count * math.e))
    return deviation * ((1.0 - _EULER) * first + _EULER * second)


def deflated_sharpe(
    returns: FloatArray, trials: Sequence[float], *, unseen: int = 0
) -> float | None:
    """Return dsr of *returns* picked among *trials*, all Sharpe ratios per period.

    *unseen* is as in `expected_best_sharpe`.

    None for fewer than two trials or returns, or without variance.
    """
    best = expected_best_sharpe(trials, unseen=unseen)
    sharpe = per_period_sharpe(returns)
    if best is None or sharpe is None:
        return None
    skew, kurtosis = sharpe_moments(returns)
    return probabilistic_sharpe(
        sharpe, benchmark=best, returns=len(returns), skew=skew, kurtosis=kurtosis
    )


def per_period_sharpe(returns: FloatArray, *, risk_free: float = 0.0) -> float | None:
    """Return (mean - risk_free) / standard deviation, per period; None without variance."""
    deviation = sample_deviation(returns)
    if not deviation:
        return None
    return (running_sum(returns) / len(returns) - risk_free) / deviation


def sample_deviation(values: FloatArray) -> float | None:
    """Return the standard deviation with n - 1 from the sums of x and x^2; None below two.

    0 where the spread is lost in the rounding of the sums.
    """
    count = len(values)
    if count < 2:
        return None
    first, second = running_sum(values), running_sum(values * values)
    variance = (second - first * first / count) / (count - 1)
    return math.sqrt(variance) if variance > 1e-12 * (first / count) ** 2 else 0.0


def probability_of_overfitting(returns: FloatArray, *, blocks: int = BLOCKS) -> float | None:
    """Return PBO: the share of splits whose in-sample winner is below the out-of-sample median.

    The time axis is cut into *blocks*; every half of them is once in sample. Performance is the
    Sharpe ratio per period, minus infinity without variance. None for fewer than two trials or
    fewer than two returns a block.

    Args:
        returns: shape (time, trials), simple returns per period.
        blocks: an even number.

    Source:
        Bailey, Borwein, Lopez de Prado, Zhu (2017), "The Probability of Backtest Overfitting",
        Journal of Computational Finance 20(4).

    Raises:
        ValueError: *blocks* is odd or below two.
    """
    if blocks < 2 or blocks % 2:
        raise ValueError(f"blocks: {blocks} is not an even number above 0")
    periods, trials = returns.shape
    if trials < 2 or periods < 2 * blocks:
        return None
    parts = np.array_split(returns, blocks)
    first = np.array([part.sum(axis=0) for part in parts])
    second = np.array([(part * part).sum(axis=0) for part in parts])
    return overfitting_of_blocks(periods, first, second)


def block_sums(returns: FloatArray, *, blocks: int = BLOCKS) -> tuple[float, ...]:
    """Return the sums of *returns* in each of *blocks* blocks, then those of their squares.

    Enough of a trial for `overfitting_of_blocks`. Empty for fewer than two returns a block.
    """
    if len(returns) < 2 * blocks:
        return ()
    parts = np.array_split(returns, blocks)
    return (
        *(running_sum(part) for part in parts),
        *(running_sum(part * part) for part in parts),
    )


def overfitting_of_blocks(periods: int, first: FloatArray, second: FloatArray) -> float | None:
    """Return PBO from the sums of blocks; see `probability_of_overfitting`.

    Args:
        periods: returns of each trial; cut into blocks as `numpy.array_split` does.
        first: shape (blocks, trials), the sums of the returns.
        second: the same of the squared returns.
    """
    blocks, trials = first.shape
    if trials < 2 or periods < 2 * blocks:
        return None
    sizes = [periods // blocks + (one < periods % blocks) for one in range(blocks)]
    counts = np.array(sizes, dtype=np.float64)
    # Half of the splits has the first block in sample; the others are what those leave out.
    halves = np.array(list(combinations(range(1, blocks), blocks // 2 - 1)), dtype=np.int64)
    chosen = np.zeros((len(halves), blocks))
    chosen[:, 0] = 1.0
    np.put_along_axis(chosen, halves, 1.0, axis=1)
    below = 0
    step = max(1, _ROWS_AT_ONCE // trials)
    for start in range(0, len(chosen), step):
        inside = chosen[start : start + step]
        scores = _block_sharpes(inside, counts, first, second)
        others = _block_sharpes(1.0 - inside, counts, first, second)
        below += _losers(scores, others) + _losers(others, scores)
    return below / (2 * len(chosen))


def _losers(in_sample: FloatArray, out_of_sample: FloatArray) -> int:
    """Return in how many rows the winner in sample is below the median out of sample."""
    winners = in_sample.argmax(axis=1)
    found = out_of_sample[np.arange(len(winners)), winners]
    return int(np.count_nonzero(found < np.median(out_of_sample, axis=1)))


def _block_sharpes(
    chosen: FloatArray, counts: FloatArray, first: FloatArray, second: FloatArray
) -> FloatArray:
    count = (chosen @ counts)[:, None]
    total, squares = chosen @ first, chosen @ second
    mean = total / count
    variance = (squares - total * mean) / (count - 1.0)
    scores = np.full(mean.shape, -np.inf)
    np.divide(mean, np.sqrt(np.maximum(variance, 0.0)), out=scores, where=variance > 1e-18)
    return scores
