"""Walk-forward: the best of each training window is judged on the bars behind it (OPT-17)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.optimization.collector import shown_parameters
from engine.optimization.objective import Objective, number
from engine.optimization.trials import TrialRecord
from engine.optimization.windows import Fold, Span


@dataclass(frozen=True, slots=True)
class FoldResult:
    """One step: the winner of the training, and what it did on the test."""

    fold: Fold
    trained_on: Span
    winner: TrialRecord | None
    test: TrialRecord | None

    def to_plain(self, objective: Objective) -> dict[str, Any]:
        """Return it as JSON values; metrics that are not known are null."""
        return {
            "fold": self.fold.number,
            "train": [self.trained_on.start, self.trained_on.stop],
            "test": [self.fold.test.start, self.fold.test.stop],
            "parameters": None if self.winner is None else shown_parameters(self.winner.parameters),
            "in_sample": None if self.winner is None else objective.value(self.winner),
            "out_of_sample": metric(self.test, objective.metric),
            "in_sample_return": metric(self.winner, "ann_return"),
            "out_of_sample_return": metric(self.test, "ann_return"),
            "efficiency": efficiency(self.winner, self.test),
            "total_return": metric(self.test, "total_return"),
        }


def training_span(fold: Fold) -> Span:
    """Return the span that is trained on: the longest that embargoes leave, the later of equals."""
    return max(fold.train, key=lambda span: (len(span), span.start))


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


def summary(folds: Sequence[FoldResult], objective: Objective) -> Mapping[str, Any]:
    """Return all folds, the stitched return and its curve as JSON values.

    The curve has for each test the bar at which it ends and what one unit has become by then.
    """
    growth, curve = 1.0, []
    for result in folds:
        growth *= 1 + (metric(result.test, "total_return") or 0.0)
        curve.append([result.fold.test.stop, growth])
    return {
        "folds": [result.to_plain(objective) for result in folds],
        "stitched_return": stitched_return(folds),
        "stitched_curve": curve,
    }
