from __future__ import annotations

import numpy as np

from engine.backtest.monte_carlo import (
    BOOTSTRAP_STREAM,
    PERCENTILES,
    bootstrapped_returns,
    shuffled_trades,
    uniforms,
)
from engine.model.draws import uniform

PNL = np.random.default_rng(1).normal(10, 100, 60)
RETURNS = np.random.default_rng(2).normal(0.001, 0.01, 100)


def test_the_draws_are_those_of_the_engine_det_3() -> None:
    rows, columns = np.arange(3, dtype=np.uint64), np.arange(4, dtype=np.uint64)
    found = uniforms(42, rows, columns)
    expected = [[uniform(42, BOOTSTRAP_STREAM, a, b) for b in range(4)] for a in range(3)]
    assert found.tolist() == expected


def test_shuffling_keeps_the_sum_and_spreads_the_drawdown_opt_19() -> None:
    bands = shuffled_trades(PNL, initial=10_000, paths=200, seed=3)
    assert bands.percentiles == PERCENTILES
    assert np.allclose(bands.final, 10_000 + PNL.sum())
    assert (np.diff(bands.max_drawdown) > 0).all()
    assert bands.curve.shape == (5, 60)
    assert np.allclose(bands.curve[:, -1], 10_000 + PNL.sum())


def test_blocks_of_returns_spread_the_end_opt_19() -> None:
    bands = bootstrapped_returns(RETURNS, paths=200, seed=3, points=10)
    assert (np.diff(bands.final) > 0).all()
    assert bands.curve.shape == (5, 10)
    assert bands.steps[0] == 0
    assert bands.steps[-1] == 99
    assert bands.final[0] < np.prod(1 + RETURNS) < bands.final[-1]


def test_one_block_of_everything_is_a_rotation() -> None:
    bands = bootstrapped_returns(RETURNS, paths=5, seed=3, block=100)
    assert np.allclose(bands.final, np.prod(1 + RETURNS))


def test_the_seed_decides_and_paths_do_not_depend_on_each_other() -> None:
    one = bootstrapped_returns(RETURNS, paths=70, seed=3)
    again = bootstrapped_returns(RETURNS, paths=70, seed=3)
    other = bootstrapped_returns(RETURNS, paths=70, seed=4)
    assert one.curve.tobytes() == again.curve.tobytes()
    assert one.curve.tobytes() != other.curve.tobytes()


def test_without_trades_there_is_nothing_to_shuffle() -> None:
    bands = shuffled_trades(np.zeros(0), initial=100.0)
    assert np.isnan(bands.final).all()
    assert bands.curve.shape == (5, 0)
