"""The equity of a walk-forward: its tests run again, one after another (OPT-17)."""

from __future__ import annotations

from collections.abc import Sequence

from engine.optimization.backtest_trials import BacktestTrials
from engine.optimization.sample_split import sampled
from engine.optimization.trial_runner import IsCancelled, Trial
from engine.optimization.walk_forward import FoldResult, StitchedCurve, stitch


def curve_of(
    folds: Sequence[FoldResult], trials: BacktestTrials, *, bar_ns: int, is_cancelled: IsCancelled
) -> StitchedCurve | None:
    """Return the tests of *folds* as one curve; None without a test.

    Tables keep no curves, so each test is run again, alone.

    Raises:
        TrialCancelledError: it was cancelled.
        EngineError: a test that went well before raised.
    """
    parts, periods = [], 0.0
    for fold in folds:
        if fold.test is None:
            continue
        trial = Trial(fold.test.index, fold.test.parameters, fold.fold.test)
        result = trials.result(trial, is_cancelled=is_cancelled)
        stamps, equity = sampled(result, bar_ns=bar_ns)
        if len(stamps):
            parts.append((stamps, equity, result.initial_atoms / 10**result.money_precision))
            periods = float(result.metrics.basis.get("periods_per_year") or 0)
    return stitch(parts, periods=periods)
