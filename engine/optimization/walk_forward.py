"""Walk-forward: the best of each training window is judged on the bars behind it (OPT-17)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from engine.model.bar_columns import FloatArray, IntArray
from engine.model.clock import to_iso
from engine.optimization.collector import shown_parameters
from engine.optimization.objective import Objective, number
from engine.optimization.sample_split import figures
from engine.optimization.trials import TrialRecord
from engine.optimization.windows import Fold, Span

MOST_LISTED: Final = 20_000
"""Trials of all trainings together up to which a summary lists them."""
_CURVE_POINTS: Final = 1_000
_TEST_METRICS: Final = ("total_return", "ann_return", "max_drawdown", "n_trades")


@dataclass(frozen=True, slots=True)
class FoldResult:
    """One step: the winner of the training, and what it did on the test.

    ``times`` are beginning and end of the training and of the test, ns; ``trials`` the whole table
    of the training.
    """

    fold: Fold
    trained_on: Span
    winner: TrialRecord | None
    test: TrialRecord | None
    trials: tuple[TrialRecord, ...] = ()
    times: tuple[int, int, int, int] | None = None

    def to_plain(self, objective: Objective) -> dict[str, Any]:
        """Return it as JSON values; metrics that are not known are null."""
        winner, test = self.winner, self.test
        return {
            "fold": self.fold.number,
            "train": [self.trained_on.start, self.trained_on.stop],
            "test": [self.fold.test.start, self.fold.test.stop],
            "times": None if self.times is None else [to_iso(one) for one in self.times],
            "trials": len(self.trials),
            "index": None if winner is None else winner.index,
            "parameters": None if winner is None else shown_parameters(winner.parameters),
            "in_sample": None if winner is None else objective.value(winner),
            "out_of_sample": metric(test, objective.metric),
            "in_sample_return": metric(winner, "ann_return"),
            "out_of_sample_return": metric(test, "ann_return"),
            "efficiency": efficiency(winner, test),
            **{name: metric(test, name) for name in _TEST_METRICS},
        }

    def table(self, objective: Objective) -> list[dict[str, Any]]:
        """Return the trials of the training as JSON values, without their other metrics."""
        return [
            {
                "index": record.index,
                "parameters": shown_parameters(record.parameters),
                "status": record.status.value,
                "objective": objective.value(record),
            }
            for record in self.trials
        ]


@dataclass(frozen=True, slots=True, eq=False)
class StitchedCurve:
    """The tests one after another: what one unit has become by each sample.

    ``stamps`` are ns; ``metrics`` those of the whole curve, as of a single run.
    """

    stamps: IntArray
    values: FloatArray
    metrics: Mapping[str, float | None] = field(default_factory=dict)

    def points(self) -> list[list[Any]]:
        """Return at most a thousand points as time and value, evenly spread, the last one too."""
        count = len(self.stamps)
        places = np.unique(np.linspace(0, count - 1, min(count, _CURVE_POINTS)).astype(np.int64))
        stamps, values = self.stamps[places].tolist(), self.values[places].tolist()
        return [[to_iso(stamp), value] for stamp, value in zip(stamps, values, strict=True)]


def stitch(
    parts: Sequence[tuple[IntArray, FloatArray, float]], *, periods: float
) -> StitchedCurve | None:
    """Return tests as one curve; each is stamps, equity and the equity that it began with.

    *periods* are returns a year, 0 if that is unknown. None without a test.
    """
    if not parts:
        return None
    growth, grown = 1.0, []
    for _, equity, initial in parts:
        grown.append(growth * (equity / initial))
        growth = float(grown[-1][-1])
    values = np.concatenate(grown)
    return StitchedCurve(
        np.concatenate([stamps for stamps, _, _ in parts]), values, figures(values, 1.0, periods)
    )


def training_span(fold: Fold) -> Span:
    """Return the span that is trained on: the longest that embargoes leave, the later of equals."""
    return max(fold.train, key=lambda span: (len(span), span.start))


def pieces_note(folds: Sequence[FoldResult]) -> Iterator[str]:
    """Yield what an embargo takes of the trainings, if it cuts them into pieces."""
    cut = [fold for fold in folds if len(fold.fold.train) > 1]
    if cut:
        least = min(cut, key=lambda fold: len(fold.trained_on) / _window_length(fold))
        yield (
            f"walk_forward.embargo cuts the training of {len(cut)} folds into pieces: each is "
            f"trained on its longest piece only, fold {least.fold.number} on "
            f"{len(least.trained_on):,} of {_window_length(least):,} bars"
        )


def _window_length(fold: FoldResult) -> int:
    return fold.fold.train[-1].stop - fold.fold.train[0].start


def efficiency(train: TrialRecord | None, test: TrialRecord | None) -> float | None:
    """Return the annual return out of sample over that in sample, None if it is undefined."""
    inside, outside = metric(train, "ann_return"), metric(test, "ann_return")
    return None if not inside or outside is None else outside / inside


def metric(record: TrialRecord | None, name: str) -> float | None:
    """Return a metric of *record* as a number, None if it is undefined."""
    return None if record is None else number(record.metrics.get(name))


def stitched_return(folds: Sequence[FoldResult]) -> float | None:
    """Return the total return of the test windows one after another, None without any."""
    growth = [1 + value for value in _returns(folds)]
    return math.prod(growth) - 1 if growth else None


def _returns(folds: Sequence[FoldResult]) -> Iterator[float]:
    for result in folds:
        value = metric(result.test, "total_return")
        if value is not None:
            yield value


def summary(
    folds: Sequence[FoldResult], objective: Objective, curve: StitchedCurve | None = None
) -> Mapping[str, Any]:
    """Return all folds, the stitched return and its curve as JSON values.

    ``stitched_curve`` has for each test the bar at which it ends and what one unit has become by
    then; ``stitched`` the metrics of the tests one after another and their equity by time.
    ``tables`` are the trials of each training, null if they are too many to list.
    """
    growth, ends = 1.0, []
    for result in folds:
        growth *= 1 + (metric(result.test, "total_return") or 0.0)
        ends.append([result.fold.test.stop, growth])
    is_listed = sum(len(result.trials) for result in folds) <= MOST_LISTED
    return {
        "folds": [result.to_plain(objective) for result in folds],
        "stitched_return": stitched_return(folds),
        "stitched_curve": ends,
        "stitched": None if curve is None else {**curve.metrics, "equity": curve.points()},
        "tables": [result.table(objective) for result in folds] if is_listed else None,
    }
