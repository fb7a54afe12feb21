"""What else could have happened: shuffled trades and bootstrapped returns (OPT-19)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.model.bar_columns import FloatArray

BOOTSTRAP_STREAM: Final = 5
PERCENTILES: Final = (5.0, 25.0, 50.0, 75.0, 95.0)
_PATHS_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """Percentiles over simulated paths.

    ``final`` and ``max_drawdown`` have one value for each of ``percentiles``; ``curve`` is of shape
    (percentiles, steps), the percentiles of the equity after each step, ``steps`` says which.
    """

    percentiles: tuple[float, ...]
    final: FloatArray
    max_drawdown: FloatArray
    curve: FloatArray
    steps: NDArray[np.int64]


def shuffled_trades(
    pnl: FloatArray, *, initial: float, paths: int = 1000, seed: int = 0, points: int = 200
) -> Bands:
    """Return the bands of equity when the trades come in random order.

    Args:
        pnl: net result of each trade, in currency.
        initial: equity before the first one.
        paths: number of orders drawn.
        seed: the draws are keyed by it (DET-3), path and trade.
        points: most steps of the curve.
    """

    def make(first: int, count: int) -> FloatArray:
        keys = uniforms(seed, _grid(first, count), np.arange(len(pnl), dtype=np.uint64))
        order = np.argsort(keys, axis=1, kind="stable")
        return initial + np.cumsum(pnl[order], axis=1)

    return _bands(make, len(pnl), initial, paths, points)


def bootstrapped_returns(
    returns: FloatArray,
    *,
    initial: float = 1.0,
    paths: int = 1000,
    seed: int = 0,
    block: int | None = None,
    points: int = 200,
) -> Bands:
    """Return the bands of equity when blocks of returns are drawn with replacement.

    Args:
        returns: simple returns per period.
        initial: equity before the first one.
        paths: number of series drawn.
        seed: the draws are keyed by it (DET-3), path and block.
        block: length of a block, the root of the number of returns if None; blocks wrap around.
        points: most steps of the curve.

    Source:
        Politis, Romano (1992), "A Circular Block-Resampling Procedure for Stationary Data".
    """
    count = len(returns)
    length = block or max(1, round(math.sqrt(count)))
    blocks = -(-count // length)

    def make(first: int, paths_now: int) -> FloatArray:
        draws = uniforms(seed, _grid(first, paths_now), np.arange(blocks, dtype=np.uint64))
        starts = np.floor(draws * count).astype(np.int64)
        places = (starts[:, :, None] + np.arange(length)) % count
        chosen = returns[places.reshape(paths_now, -1)[:, :count]]
        return initial * np.cumprod(1.0 + chosen, axis=1)

    return _bands(make, count, initial, paths, points)


def _bands(
    simulate: Callable[[int, int], FloatArray],
    length: int,
    initial: float,
    paths: int,
    points: int,
) -> Bands:
    if not length or paths < 1:
        nothing = np.full(len(PERCENTILES), np.nan)
        empty = np.zeros((len(PERCENTILES), 0))
        return Bands(PERCENTILES, nothing, nothing, empty, np.zeros(0, dtype=np.int64))
    steps = np.unique(np.linspace(0, length - 1, min(points, length)).astype(np.int64))
    finals: list[FloatArray] = []
    worst: list[FloatArray] = []
    curves: list[FloatArray] = []
    for first in range(0, paths, _PATHS_AT_ONCE):
        equity = simulate(first, min(_PATHS_AT_ONCE, paths - first))
        peaks = np.maximum.accumulate(np.maximum(equity, initial), axis=1)
        finals.append(equity[:, -1])
        worst.append((1.0 - equity / peaks).max(axis=1))
        curves.append(equity[:, steps])
    return Bands(
        PERCENTILES,
        np.percentile(np.concatenate(finals), PERCENTILES),
        np.percentile(np.concatenate(worst), PERCENTILES),
        np.percentile(np.concatenate(curves), PERCENTILES, axis=0),
        steps,
    )


def _grid(first: int, count: int) -> NDArray[np.uint64]:
    return np.arange(first, first + count, dtype=np.uint64)


def uniforms(seed: int, a: NDArray[np.uint64], b: NDArray[np.uint64]) -> FloatArray:
    """Return the draws u(seed, 5, a, b) of every pair, shape (len(a), len(b)) (DET-3)."""
    base = _mix(_mix(np.array([seed % 2**64], dtype=np.uint64)) ^ np.uint64(BOOTSTRAP_STREAM))
    rows = _mix(base ^ a)
    state = _mix(rows[:, None] ^ b[None, :])
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return `engine.model.draws.mix` of each value."""
    z = value + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
