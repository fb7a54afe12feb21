"""What comes of a study, as one value and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.optimization.analyzer import OptimizationReport
from engine.optimization.collector import OptimizationResultsCollector, shown_parameters
from engine.optimization.honesty import DEFLATED_SHARPE_SOURCE, OVERFITTING_SOURCE, Honesty
from engine.optimization.optimization_executor import StudyProgress
from engine.optimization.trials import StudyIdentity, TrialRecord, TrialStatus
from engine.optimization.walk_forward import FoldResult, StitchedCurve, summary


@dataclass(frozen=True, slots=True)
class Judgement:
    """A trial on the first part of the data, and on the last part that comes after it."""

    index: int
    parameters: Mapping[str, Any]
    metric: str
    in_sample: float | None
    out_of_sample: float | None

    @property
    def decay(self) -> float | None:
        """Return the share of the metric that is lost out of sample, None if it is undefined."""
        if self.in_sample is None or self.in_sample <= 0 or self.out_of_sample is None:
            return None
        return 1 - self.out_of_sample / self.in_sample


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What came of a study; see `Honesty` for how far to believe it."""

    collector: OptimizationResultsCollector
    report: OptimizationReport
    progress: StudyProgress
    is_cancelled: bool
    judged: tuple[Judgement, ...] = ()
    rank_correlation: float | None = None
    honesty: Honesty = field(default_factory=Honesty)
    front: tuple[TrialRecord, ...] = ()
    folds: tuple[FoldResult, ...] = ()
    stitched: StitchedCurve | None = None
    """The tests of the folds one after another."""
    notes: tuple[str, ...] = ()
    identity: StudyIdentity | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def deflated_sharpe(self) -> float | None:
        """Return how likely the best is more than luck, a probability."""
        return self.honesty.deflated_sharpe

    @property
    def best_reproduced(self) -> bool | None:
        """Return whether a run of the best trial alone gave the same fingerprint."""
        return self.honesty.reproduced

    def to_json(self) -> dict[str, Any]:
        """Return the object that the command line prints."""
        collector, objective, report = self.collector, self.collector.objective, self.report
        counts = collector.counts()
        best = collector.best
        done = counts[TrialStatus.DONE] + counts[TrialStatus.PRUNED]
        return {
            "status": "CANCELLED" if self.is_cancelled else "COMPLETED",
            "best": None
            if best is None
            else {
                "index": best.index,
                "parameters": shown_parameters(best.parameters),
                "objective": objective.value(best),
                "metrics": dict(best.metrics),
                "fingerprint": best.fingerprint,
                "reproduced": self.best_reproduced,
            },
            "objective": {"metric": objective.metric, "direction": objective.direction.value},
            "trials": len(collector),
            "failed": len(collector) - done - counts[TrialStatus.CANCELLED],
            "counts": {status.value: count for status, count in counts.items()},
            "seconds": self.progress.seconds,
            "trials_per_second": self.progress.trials_per_s,
            "resumed": self.progress.resumed,
            "table_hash": collector.table_hash(),
            "deflated_sharpe": self.deflated_sharpe,
            "deflated_sharpe_source": DEFLATED_SHARPE_SOURCE,
            "overfitting_probability": self.honesty.overfitting,
            "overfitting_source": OVERFITTING_SOURCE,
            "monte_carlo": self.honesty.monte_carlo,
            "out_of_sample": [
                {
                    "index": item.index,
                    "parameters": shown_parameters(item.parameters),
                    "metric": item.metric,
                    "in_sample": item.in_sample,
                    "out_of_sample": item.out_of_sample,
                    "decay": item.decay,
                }
                for item in self.judged
            ],
            "rank_correlation": self.rank_correlation,
            "importance": dict(report.importance),
            "marginals": {
                name: [[_plain(value), mean] for value, mean in means]
                for name, means in report.marginals.items()
            },
            "worst": None if report.worst is None else report.worst.index,
            "median": report.median,
            "mean_duration_s": report.mean_duration_s,
            "plateau": None if report.plateau is None else report.plateau.index,
            "plateau_score": None if report.plateau is None else report.plateau.score,
            "best_stability": None
            if report.best_stability is None
            else report.best_stability.score,
            "pareto_front": [record.index for record in self.front],
            "walk_forward": summary(self.folds, objective, self.stitched) if self.folds else None,
            "notes": list(self.notes),
            "manifest": dict(self.manifest),
            "rows": collector.rows(),
        }


def _plain(value: object) -> bool | int | str:
    return value if isinstance(value, bool | int | str) else str(value)
