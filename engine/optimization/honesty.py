"""How far the best trial of a study can be believed: run again, deflated, shuffled."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from engine.backtest.metric_series import equity_values, period_ends, simple_returns
from engine.backtest.monte_carlo import Bands, bootstrapped_returns, shuffled_trades
from engine.backtest.overfitting import deflated_sharpe, overfitting_of_blocks
from engine.backtest.results import BacktestResult
from engine.optimization.objective import number
from engine.optimization.trials import TrialRecord, TrialStatus

DEFLATED_SHARPE_SOURCE: Final = (
    "Bailey, Lopez de Prado (2014), The Deflated Sharpe Ratio, "
    "Journal of Portfolio Management 40(5)"
)
OVERFITTING_SOURCE: Final = (
    "Bailey, Borwein, Lopez de Prado, Zhu (2017), The Probability of Backtest Overfitting, "
    "Journal of Computational Finance 20(4)"
)
MOST_COMPARED: Final = 1000
"""Trials that the probability of overfitting is computed from at the most."""
PATHS: Final = 500


@dataclass(frozen=True, slots=True)
class Honesty:
    """What is said against the best trial.

    ``reproduced`` says whether a run of it alone gave the same fingerprint. ``deflated_sharpe`` is
    the probability that its Sharpe ratio is not the luck of having tried so many.
    ``overfitting`` is the share of splits of the time in which the trial that was best on one half
    was below the median on the other. ``monte_carlo`` has by kind percentiles of the return and of
    the deepest fall. None wherever nothing could be computed.
    """

    reproduced: bool | None = None
    deflated_sharpe: float | None = None
    overfitting: float | None = None
    monte_carlo: Mapping[str, Any] | None = None


def luck_of(result: BacktestResult, trials: Iterable[TrialRecord], *, bar_ns: int) -> float | None:
    """Return the deflated Sharpe ratio of *result*, the best of *trials*.

    Trials that were stopped early count: they were tried, though their ratios are not known.

    Source:
        Bailey, Lopez de Prado (2014), "The Deflated Sharpe Ratio", Journal of Portfolio
        Management 40(5).
    """
    periods = result.metrics.basis.get("periods_per_year")
    if not periods:
        return None
    scale = math.sqrt(float(periods))
    tried = list(trials)
    sharpes = [number(item.metrics.get("sharpe")) for item in tried]
    stopped = sum(item.status is TrialStatus.PRUNED for item in tried)
    per_period = [value / scale for value in sharpes if value is not None]
    return deflated_sharpe(_returns(result, bar_ns), per_period, unseen=stopped)


def overfitting_of(trials: Sequence[TrialRecord]) -> float | None:
    """Return the probability of overfitting of *trials*; None if too few can be compared.

    Those that ran on the same number of returns are compared; of more than `MOST_COMPARED` so many
    that are evenly spread over the table.

    Source:
        Bailey, Borwein, Lopez de Prado, Zhu (2017), "The Probability of Backtest Overfitting",
        Journal of Computational Finance 20(4).
    """
    known = [item.blocks for item in trials if item.blocks]
    if not known:
        return None
    length = max(blocks[0] for blocks in known)
    same = [blocks[1:] for blocks in known if blocks[0] == length]
    if len(same) > MOST_COMPARED:
        step = len(same) / MOST_COMPARED
        same = [same[int(place * step)] for place in range(MOST_COMPARED)]
    sums = np.array(same, dtype=np.float64).T
    half = len(sums) // 2
    return overfitting_of_blocks(int(length), sums[:half], sums[half:])


def monte_carlo_of(result: BacktestResult, *, bar_ns: int, seed: int) -> dict[str, Any]:
    """Return what else could have come of *result*: shuffled trades, drawn blocks of returns.

    By kind the percentiles of the return and of the deepest fall, as fractions; None without trades
    or returns. The draws are keyed by *seed*.
    """
    initial = float(result.money(result.initial_atoms))
    scale = float(10**result.money_precision)
    pnl = result.trades["pnl_atoms"].astype(np.float64) / scale
    return {
        "paths": PATHS,
        "shuffled_trades": _bands(
            shuffled_trades(pnl, initial=initial, paths=PATHS, seed=seed, points=1), initial
        ),
        "bootstrapped_returns": _bands(
            bootstrapped_returns(_returns(result, bar_ns), paths=PATHS, seed=seed, points=1), 1.0
        ),
    }


def _bands(bands: Bands, initial: float) -> dict[str, Any] | None:
    if not np.isfinite(bands.final).all():
        return None
    return {
        "percentiles": list(bands.percentiles),
        "total_return": [float(value) / initial - 1 for value in bands.final],
        "max_drawdown": [float(value) for value in bands.max_drawdown],
    }


def _returns(result: BacktestResult, bar_ns: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    ends = period_ends(result.equity["ts"], bar_ns)
    equity = equity_values(result.equity["equity_atoms"], result.money_precision)
    return simple_returns(equity[ends])
