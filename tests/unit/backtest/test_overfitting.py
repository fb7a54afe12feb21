from __future__ import annotations

import math
from itertools import combinations
from statistics import NormalDist

import numpy as np
import pytest

from engine.backtest.metrics import MetricInputs, MetricSettings, compute_metrics
from engine.backtest.overfitting import (
    deflated_sharpe,
    expected_best_sharpe,
    normal_cdf,
    per_period_sharpe,
    probabilistic_sharpe,
    probability_of_overfitting,
    sample_deviation,
    sharpe_moments,
)
from engine.model.bar_columns import DAY_NS


def test_the_normal_law() -> None:
    assert normal_cdf(0.0) == 0.5
    assert normal_cdf(1.6448536269514722) == pytest.approx(0.95, abs=1e-12)
    assert normal_cdf(-1.6448536269514722) == pytest.approx(0.05, abs=1e-12)


def test_moments_of_a_sample() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0])
    skew, kurtosis = sharpe_moments(values)
    assert skew == pytest.approx(0.0, abs=1e-15)
    assert kurtosis == pytest.approx((2 * 1.5**4 + 2 * 0.5**4) / 4 / 1.25**2)


def test_the_example_of_the_paper_on_the_deflated_sharpe_ratio() -> None:
    # Bailey, Lopez de Prado (2014), "A numerical example": 100 trials, variance 1/2 a year, 1250
    # daily returns, annual Sharpe ratio 2.5, skewness -3, kurtosis 10: SR0 0.1132, DSR 0.9004.
    deviation = math.sqrt(0.5 / 250)
    trials = np.random.default_rng(1).standard_normal(100)
    trials = (trials - trials.mean()) / trials.std(ddof=1) * deviation
    benchmark = expected_best_sharpe(trials.tolist())
    assert benchmark is not None
    assert benchmark == pytest.approx(0.1132, abs=5e-5)
    value = probabilistic_sharpe(
        2.5 / math.sqrt(250), benchmark=benchmark, returns=1250, skew=-3, kurtosis=10
    )
    assert value == pytest.approx(0.9004, abs=5e-5)


def test_the_formula_of_opt_18_by_hand() -> None:
    returns = np.array([0.02, -0.01, 0.015, 0.005, -0.004, 0.011])
    trials = [0.1, 0.3, -0.2, 0.25]
    n, g = 4, 0.5772157
    z = {0.75: 0.6744897501960817, 1 - 1 / (4 * math.e): 1.3287219496247635}
    second = 1 - 1 / (n * math.e)
    spread = float(np.std(trials, ddof=1))
    expected = spread * ((1 - g) * z[0.75] + g * z[second])
    assert expected_best_sharpe(trials) == pytest.approx(expected, rel=1e-6)
    sharpe = returns.mean() / returns.std(ddof=1)
    away = returns - returns.mean()
    variance = (away**2).mean()
    skew, kurtosis = (away**3).mean() / variance**1.5, (away**4).mean() / variance**2
    top = (sharpe - expected) * math.sqrt(5)
    bottom = math.sqrt(1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2)
    assert deflated_sharpe(returns, trials) == pytest.approx(normal_cdf(top / bottom), rel=1e-6)


def test_trials_whose_ratio_is_not_known_were_tried_too() -> None:
    returns = np.array([0.02, -0.01, 0.015, 0.005, -0.004, 0.011])
    trials = [0.1, 0.3, -0.2, 0.25]
    n, g = 12, 0.5772157
    spread = float(np.std(trials, ddof=1))
    z = [NormalDist().inv_cdf(1 - 1 / n), NormalDist().inv_cdf(1 - 1 / (n * math.e))]
    expected = spread * ((1 - g) * z[0] + g * z[1])
    assert expected_best_sharpe(trials, unseen=8) == pytest.approx(expected, rel=1e-9)
    few, many = deflated_sharpe(returns, trials), deflated_sharpe(returns, trials, unseen=8)
    assert few is not None
    assert many is not None
    assert many < few


def test_what_cannot_be_judged_is_none() -> None:
    flat = np.full(5, 0.01)
    assert expected_best_sharpe([0.1]) is None
    assert deflated_sharpe(np.array([0.1, 0.2]), [0.1]) is None
    assert deflated_sharpe(flat, [0.1, 0.2]) is None
    assert per_period_sharpe(flat) is None
    assert sample_deviation(flat) == 0.0
    assert sample_deviation(flat[:1]) is None
    assert probabilistic_sharpe(1.0, benchmark=0, returns=9, skew=9, kurtosis=1) is None


def test_psr_and_dsr_are_metrics_of_a_run() -> None:
    rng = np.random.default_rng(2)
    equity = np.cumprod(np.concatenate(([100.0], 1 + rng.normal(0.001, 0.01, 400))))
    inputs = MetricInputs(
        ts_close=np.arange(401, dtype=np.int64) * DAY_NS,
        equity_atoms=np.round(equity * 1e8).astype(np.int64),
        initial_atoms=100 * 10**8,
    )
    alone = compute_metrics(inputs)
    assert alone.reasons["dsr"] == "NO_TRIALS"
    searched = compute_metrics(inputs, MetricSettings(sr_trials=(0.01, 0.1, 0.05)))
    psr, dsr = searched["psr"], searched["dsr"]
    assert isinstance(psr, float)
    assert isinstance(dsr, float)
    assert 0.5 < psr < 1
    assert dsr < psr


def brute_force_pbo(
    returns: np.ndarray[tuple[int, int], np.dtype[np.float64]], blocks: int
) -> float:
    parts = np.array_split(returns, blocks)
    below = total = 0
    for half in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[index] for index in half])
        outside = np.concatenate([parts[index] for index in range(blocks) if index not in half])
        scores = [one.mean(axis=0) / one.std(axis=0, ddof=1) for one in (inside, outside)]
        below += scores[1][scores[0].argmax()] < np.median(scores[1])
        total += 1
    return below / total


@pytest.mark.parametrize("blocks", [4, 6, 8])
def test_the_probability_of_overfitting_is_that_of_all_splits(blocks: int) -> None:
    returns = np.random.default_rng(blocks).normal(0.0, 0.01, (101, 7))
    expected = brute_force_pbo(returns, blocks)
    assert probability_of_overfitting(returns, blocks=blocks) == pytest.approx(expected, abs=1e-12)


def test_a_trial_that_is_really_better_is_no_overfitting() -> None:
    returns = np.random.default_rng(5).normal(0.0, 0.01, (320, 10))
    returns[:, 3] += 0.01
    assert probability_of_overfitting(returns) == 0.0


def test_splits_need_blocks_trials_and_time() -> None:
    returns = np.zeros((100, 3))
    assert probability_of_overfitting(returns[:, :1]) is None
    assert probability_of_overfitting(returns[:20]) is None
    with pytest.raises(ValueError, match="blocks: 5 is not an even number"):
        probability_of_overfitting(returns, blocks=5)
