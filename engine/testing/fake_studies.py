"""Studies of the fake console engine: one for each state, one with everything in its report."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

from engine.api.optimization_views import StudyDetail, StudyRow, StudyStatus, TrialRow
from engine.testing.fake_rows import NOW_NS, SECOND_NS

_MINUTE: Final = 60 * SECOND_NS
_FAST: Final = (5, 8, 10, 12, 15, 20)
_SLOW: Final = (40, 60, 80, 100, 120)
_BACKTEST: Final[dict[str, Any]] = {
    "name": "sma-cross-spx",
    "mode": "BACKTEST_SINGLE",
    "engine": "auto",
    "seed": 42,
    "data": [{"symbol": "SPX", "path": "data/sp500-1d.csv", "bar": "1d"}],
    "components": {
        "strategy": {"class": "sma_cross", "params": {"fast": 10, "slow": 30}},
        "portfolio": {"class": "Portfolio", "params": {"initial_cash": "100000"}},
    },
}
_BANDS: Final = {
    "paths": 500,
    "shuffled_trades": {"percentiles": [5.0, 25.0, 50.0, 75.0, 95.0],
                        "total_return": [0.97] * 5,
                        "max_drawdown": [0.11, 0.14, 0.17, 0.21, 0.29]},
    "bootstrapped_returns": {"percentiles": [5.0, 25.0, 50.0, 75.0, 95.0],
                             "total_return": [0.12, 0.55, 0.96, 1.51, 2.64],
                             "max_drawdown": [0.13, 0.17, 0.21, 0.26, 0.36]},
}  # fmt: skip
_ERROR: Final = "sma_cross raised at bar 812: ZeroDivisionError: division by zero"


def make_studies() -> dict[str, StudyDetail]:
    """Return studies by id: queued and running ones first, then the newest."""
    done = _completed()
    made = (
        replace(_small("opt-7c2d19aa", "donchian-spx", StudyStatus.QUEUED, 0, 1), trials=()),
        _running(),
        done,
        _folded(),
        _small("opt-51b3c870", "rsi-reversion", StudyStatus.INTERRUPTED, 11, 95),
        _small("opt-2a90fd14", "bracket-eurusd", StudyStatus.CANCELLED, 7, 260),
        _failed(),
    )
    return {detail.row.id: detail for detail in made}


def _sharpe(fast: int, slow: int) -> float:
    """Return a hill around 12/80 with a lone peak at 5/120."""
    hill = 1.7 * math.exp(-(((fast - 12) / 7) ** 2) - ((slow - 80) / 45) ** 2) - 0.2
    return round(hill + (1.4 if (fast, slow) == (5, 120) else 0.0), 4)


def _trial(index: int, fast: int, slow: int) -> TrialRow:
    value = _sharpe(fast, slow)
    inside, outside = round(value * 1.1, 4), round(value * 0.7 - 0.02 * (index % 5), 4)
    return TrialRow(
        index,
        {"fast": fast, "slow": slow},
        "DONE",
        value,
        {
            "sharpe": value, "total_return": round(value * 0.31, 4),
            "max_drawdown": round(0.26 - value * 0.08, 4), "n_trades": 120 - fast * 3 - slow // 4,
            "win_rate": round(0.38 + value / 20, 4), "profit_factor": round(1 + value / 2, 3),
            "sortino": round(value * 1.4, 4), "exposure": 0.63,
            "in_sample_sharpe": inside, "out_of_sample_sharpe": outside,
            "fees_total": "94.00",
        },
        fingerprint=f"{index:08x}",
        duration_s=0.21,
    )  # fmt: skip


def _trials() -> list[TrialRow]:
    pairs = [(fast, slow) for fast in _FAST for slow in _SLOW]
    trials = [_trial(index, fast, slow) for index, (fast, slow) in enumerate(pairs)]
    bad = next(place for place, pair in enumerate(pairs) if pair == (20, 40))
    trials[bad] = replace(
        trials[bad], status="FAILED", objective=None, metrics={}, fingerprint="", error=_ERROR
    )
    return trials


def _row(
    study_id: str, name: str, status: StudyStatus, trials: list[TrialRow], minutes: int, total: int
) -> StudyRow:
    known = [trial for trial in trials if trial.objective is not None]
    created_ns = NOW_NS - minutes * _MINUTE
    return StudyRow(
        study_id, name, status, created_ns, "sample_configs/optimization.yaml",
        metric="sharpe", done=len(trials), total=total,
        failed=sum(trial.status in {"FAILED", "OOM", "TIMEOUT"} for trial in trials),
        best=max(known, key=lambda trial: trial.objective or 0.0, default=None),
        finished_ns=created_ns + 21 * SECOND_NS if status.is_final else None,
    )  # fmt: skip


def _detail(
    row: StudyRow, trials: list[TrialRow], report: dict[str, Any] | None = None
) -> StudyDetail:
    return StudyDetail(
        row,
        parameters={"fast": _FAST, "slow": _SLOW},
        trials=tuple(trials),
        report=report or {},
        backtest=_BACKTEST,
        base_dir="sample_configs",
    )


def _completed() -> StudyDetail:
    trials = _trials()
    row = _row("opt-1ff93efb", "sma-cross-spx", StudyStatus.COMPLETED, trials, 12, 30)
    ranked = sorted(
        (trial for trial in trials if trial.objective is not None),
        key=lambda trial: -trial.metrics["in_sample_sharpe"],
    )
    judged = [
        {
            "index": trial.index,
            "parameters": dict(trial.parameters),
            "metric": "sharpe",
            "in_sample": trial.metrics["in_sample_sharpe"],
            "out_of_sample": trial.metrics["out_of_sample_sharpe"],
            "decay": 1 - trial.metrics["out_of_sample_sharpe"] / trial.metrics["in_sample_sharpe"],
        }
        for trial in ranked[:10]
    ]
    best = row.best
    report = {
        "id": row.id, "status": "COMPLETED", "trials": 30, "failed": 1, "seconds": 21.0,
        "deflated_sharpe": 0.7814, "out_of_sample": judged, "rank_correlation": 0.936,
        "deflated_sharpe_source": "Bailey, Lopez de Prado (2014), The Deflated Sharpe Ratio",
        "overfitting_probability": 0.253,
        "overfitting_source": "Bailey et al. (2017), The Probability of Backtest Overfitting",
        "monte_carlo": _BANDS,
        "importance": {"fast": 0.327, "slow": 0.588}, "plateau": best.index if best else None,
        "walk_forward": None, "table_hash": "14d10157e9de192a", "resumed": 0,
        "notes": ["30 trials were compared: the best of many is partly luck"],
        "manifest": {"seed": 42, "parallelism": "process", "bars": 5_031, "engine": "1.0.0"},
    }  # fmt: skip
    return _detail(row, trials, report)


def _running() -> StudyDetail:
    trials = _trials()[:19]
    row = _row("opt-9e04b6d2", "sma-cross-fine", StudyStatus.RUNNING, trials, 1, 30)
    return _detail(replace(row, trials_per_s=4.9, left_s=2.24), trials)


def _folded() -> StudyDetail:
    trials = _trials()
    row = _row("opt-c4417e0b", "sma-walk-forward", StudyStatus.COMPLETED, trials, 40, 30)
    folds = []
    for number in range(4):
        inside, outside = 1.2 - number * 0.15, 0.9 - number * 0.33
        test = 2_000 + number * 500
        folds.append({
            "fold": number, "train": [test - 2_000, test], "test": [test, test + 500],
            "parameters": {"fast": _FAST[number], "slow": _SLOW[number]},
            "in_sample": inside, "out_of_sample": outside,
            "in_sample_return": inside / 10, "out_of_sample_return": outside / 10,
            "efficiency": outside / inside, "total_return": outside / 20,
            "index": number * len(_SLOW) + number,
        })  # fmt: skip
    growth = [1 + 0.0912 * step / 199 + 0.03 * math.sin(step / 12) for step in range(200)]
    days = [f"20{20 + step // 100}-{1 + step % 100 // 9:02}-15T00:00:00Z" for step in range(200)]
    equity = [list(point) for point in zip(days, growth, strict=True)]
    walk = {
        "folds": folds,
        "stitched_return": 0.0912,
        "stitched": {"sharpe": 0.61, "total_return": 0.0912, "max_drawdown": 0.112,
                     "equity": equity},
        "tables": [_fold_table(trials, number) for number in range(4)],
    }  # fmt: skip
    report = {
        "id": row.id, "status": "COMPLETED", "trials": 30, "failed": 1, "seconds": 64.0,
        "deflated_sharpe": 0.3117, "out_of_sample": [], "rank_correlation": None,
        "importance": {"fast": None, "slow": None}, "walk_forward": walk, "notes": [],
        "manifest": {"seed": 42, "parallelism": "process", "bars": 4_000, "engine": "1.0.0"},
    }  # fmt: skip
    return _detail(row, trials, report)


def _fold_table(trials: list[TrialRow], number: int) -> list[dict[str, Any]]:
    """Return what a training found: the trials of the table, each fold a little lower."""
    return [
        {
            "index": trial.index, "parameters": dict(trial.parameters), "status": trial.status,
            "objective": None if trial.objective is None else trial.objective - number / 10,
        }
        for trial in trials
    ]  # fmt: skip


def _small(study_id: str, name: str, status: StudyStatus, count: int, minutes: int) -> StudyDetail:
    trials = _trials()[:count]
    return _detail(_row(study_id, name, status, trials, minutes, 30), trials)


def _failed() -> StudyDetail:
    row = _row("opt-0d6be3f5", "my-strategy", StudyStatus.FAILED, [], 1_500, 30)
    error = "tcp://10.0.0.7:8786: no scheduler answers within 5 s; start one or leave cluster away"
    return _detail(replace(row, error=error), [])
