"""What a study says: totals, what matters, where it is flat, how far to believe it (OPT 16.4)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.optimization.collector import OptimizationResultsCollector
from engine.optimization.constraint import ParameterValue
from engine.optimization.trials import TrialRecord, TrialStatus


@dataclass(frozen=True, slots=True)
class Stability:
    """A combination, its value, and the mean over its one-step neighbours and itself."""

    index: int
    value: float
    score: float
    neighbours: int


@dataclass(frozen=True, slots=True)
class OptimizationReport:
    """What `OptimizationAnalyzer` found; None wherever nothing could be computed.

    ``marginals`` has by parameter the mean objective of each value, in the order of the values.
    ``importance`` is each parameter's share of the objective's variance that its marginal means
    explain; the shares need not add up to 1.
    """

    totals: Mapping[TrialStatus, int]
    best: TrialRecord | None
    worst: TrialRecord | None
    median: float | None
    mean_duration_s: float | None
    marginals: Mapping[str, tuple[tuple[ParameterValue, float | None], ...]]
    importance: Mapping[str, float | None]
    plateau: Stability | None
    best_stability: Stability | None


class OptimizationAnalyzer:
    """Reads a collector; it never fails on empty or failed studies."""

    def __init__(self, collector: OptimizationResultsCollector) -> None:
        self._collector = collector
        self._space = collector.space
        self._objective = collector.objective
        self._values: dict[int, float] = {}
        for record in collector.records:
            value = self._objective.value(record)
            if value is not None:
                self._values[record.index] = value

    def report(self) -> OptimizationReport:
        """Return everything at once."""
        records = self._collector.records
        ranked = sorted(
            (record for record in records if record.index in self._values),
            key=self._objective.rank_key,
        )
        done = [item.duration_s for item in records if item.status is TrialStatus.DONE]
        scores = self.stabilities()
        best = ranked[0] if ranked else None
        return OptimizationReport(
            totals=self._collector.counts(),
            best=best,
            worst=ranked[-1] if ranked else None,
            median=statistics.median(self._values.values()) if self._values else None,
            mean_duration_s=statistics.fmean(done) if done else None,
            marginals=self.marginals(),
            importance=self.importance(),
            plateau=min(scores, key=self._plateau_key, default=None),
            best_stability=None
            if best is None
            else next(item for item in scores if item.index == best.index),
        )

    def marginals(self) -> dict[str, tuple[tuple[ParameterValue, float | None], ...]]:
        """Return by parameter the mean objective of each value, None where there is none."""
        groups: list[list[list[float]]] = [
            [[] for _ in item.values] for item in self._space.parameters
        ]
        for index, value in self._values.items():
            for place, position in enumerate(self._space.positions_at(index)):
                groups[place][position].append(value)
        return {
            parameter.name: tuple(
                (value, statistics.fmean(found) if found else None)
                for value, found in zip(parameter.values, groups[place], strict=True)
            )
            for place, parameter in enumerate(self._space.parameters)
        }

    def importance(self) -> dict[str, float | None]:
        """Return by parameter the share of the variance that its marginal means explain.

        Source:
            First-order index of the functional ANOVA; Hutter, Hoos, Leyton-Brown (2014), "An
            Efficient Approach for Assessing Hyperparameter Importance", ICML.
        """
        total = statistics.pvariance(self._values.values()) if len(self._values) > 1 else 0.0
        if not total:
            return dict.fromkeys(self._space.names)
        centre = statistics.fmean(self._values.values())
        shares: dict[str, float | None] = {}
        for place, parameter in enumerate(self._space.parameters):
            groups: dict[int, list[float]] = {}
            for index, value in self._values.items():
                groups.setdefault(self._space.positions_at(index)[place], []).append(value)
            between = statistics.fmean(
                (statistics.fmean(found) - centre) ** 2 for found in groups.values() for _ in found
            )
            shares[parameter.name] = between / total
        return shares

    def stabilities(self) -> tuple[Stability, ...]:
        """Return the stability of each combination with a value, by index."""
        return tuple(self._stability(index) for index in sorted(self._values))

    def _stability(self, index: int) -> Stability:
        values = [self._values[index]]
        positions = self._space.positions_at(index)
        for place, parameter in enumerate(self._space.parameters):
            for position in (positions[place] - 1, positions[place] + 1):
                if 0 <= position < len(parameter.values):
                    near = self._space.index_of(
                        (*positions[:place], position, *positions[place + 1 :])
                    )
                    if near is not None and near in self._values:
                        values.append(self._values[near])
        return Stability(index, self._values[index], statistics.fmean(values), len(values) - 1)

    def _plateau_key(self, item: Stability) -> tuple[float, int]:
        return self._objective.cost(item.score), item.index


def rank_correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation of two equally long samples, ties at their mean rank.

    None for fewer than two pairs, or if one sample is constant.
    """
    if len(left) < 2:
        return None
    try:
        return statistics.correlation(_ranks(left), _ranks(right))
    except statistics.StatisticsError:
        return None


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        stop = start
        while stop < len(order) and values[order[stop]] == values[order[start]]:
            stop += 1
        for place in order[start:stop]:
            ranks[place] = (start + stop - 1) / 2
        start = stop
    return ranks
