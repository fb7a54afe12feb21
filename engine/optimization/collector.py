"""The results of a study as one table (OPT-14, OPT-15)."""

from __future__ import annotations

import hashlib
import json
import pathlib
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum, unique
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from engine.flow.errors import ConfigurationError
from engine.optimization.constraint import ParameterValue
from engine.optimization.objective import MetricValue, Objective, metric_names, number
from engine.optimization.space import ParameterSpace
from engine.optimization.trials import TrialRecord, TrialStatus, plain_parameters

if TYPE_CHECKING:
    import polars as pl


@unique
class CellRule(StrEnum):
    """How a cell of a heatmap is made of the combinations that fall into it."""

    BEST = "best"
    MAX = "max"
    MEAN = "mean"
    MEDIAN = "median"
    BEST_INDEX = "best_index"


@dataclass(frozen=True, slots=True)
class Heatmap:
    """A metric over two parameters: ``cells[row][column]``, None where nothing was computed."""

    x: str
    y: str
    metric: str
    columns: tuple[ParameterValue, ...]
    rows: tuple[ParameterValue, ...]
    cells: tuple[tuple[float | None, ...], ...]


class OptimizationResultsCollector:
    """Holds one record for each trial; the first record of an index stays."""

    def __init__(self, space: ParameterSpace, objective: Objective) -> None:
        self.space = space
        self.objective = objective
        self._records: dict[int, TrialRecord] = {}
        self._counts = dict.fromkeys(TrialStatus, 0)
        self._best: TrialRecord | None = None

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, index: int) -> bool:
        return index in self._records

    def add(self, record: TrialRecord) -> bool:
        """Keep *record*; return False if its trial is already there."""
        if record.index in self._records:
            return False
        self._records[record.index] = record
        self._counts[record.status] += 1
        best = self._best
        if self.objective.value(record) is not None and (
            best is None or self.objective.rank_key(record) < self.objective.rank_key(best)
        ):
            self._best = record
        return True

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """Return all records by index."""
        return tuple(self._records[index] for index in sorted(self._records))

    @property
    def best(self) -> TrialRecord | None:
        """Return the best trial so far, O(1); None if the objective is undefined for all."""
        return self._best

    def counts(self) -> dict[TrialStatus, int]:
        """Return the number of trials by status, every status present; O(1)."""
        return dict(self._counts)

    def sorted(self, by: str, *, descending: bool = False) -> tuple[TrialRecord, ...]:
        """Return all records by the parameter or metric *by*; those without a value come last.

        Ties keep the order of the index.
        """
        is_parameter = by in self.space.names
        known: list[tuple[tuple[int, float, str], TrialRecord]] = []
        unknown: list[TrialRecord] = []
        for record in self.records:
            value = record.parameters[by] if is_parameter else record.metrics.get(by)
            if value is None:
                unknown.append(record)
            else:
                known.append((_sort_key(value), record))
        known.sort(key=itemgetter(0), reverse=descending)
        return (*(record for _, record in known), *unknown)

    def rows(self) -> list[dict[str, Any]]:
        """Return the table: index, parameters, status, metrics and error of each trial."""
        return [
            {
                "index": record.index,
                "parameters": shown_parameters(record.parameters),
                "status": record.status.value,
                "objective": self.objective.value(record),
                "metrics": dict(record.metrics),
                "fingerprint": record.fingerprint,
                "error": record.error
                and {
                    "type": record.error.type,
                    "message": record.error.message,
                    "stage": record.error.stage,
                },
            }
            for record in self.records
        ]

    def table_hash(self) -> str:
        """Return the SHA-256 of the table with the fingerprints; durations are not in it."""
        digest = hashlib.sha256()
        for record in self.records:
            row = [
                record.index,
                plain_parameters(record.parameters),
                record.status.value,
                dict(record.metrics),
                record.fingerprint,
            ]
            digest.update(json.dumps(row, sort_keys=True, separators=(",", ":")).encode())
            digest.update(b"\n")
        return digest.hexdigest()

    def frame(self) -> pl.DataFrame:
        """Return the table as a data frame: index, status, one column per parameter and metric."""
        import polars as pl

        records = self.records
        columns: dict[str, list[Any]] = {
            "index": [record.index for record in records],
            "status": [record.status.value for record in records],
        }
        for name in self.space.names:
            columns[name] = _one_type([record.parameters[name] for record in records])
        for name in metric_names(record.metrics for record in records):
            label = f"metric_{name}" if name in columns else name
            columns[label] = _one_type([record.metrics.get(name) for record in records])
        columns["error"] = [record.error and record.error.message for record in records]
        columns["fingerprint"] = [record.fingerprint for record in records]
        return pl.DataFrame(columns, strict=False, infer_schema_length=None)

    def export(self, folder: pathlib.Path, name: str = "trials") -> tuple[pathlib.Path, ...]:
        """Write the table as CSV and Parquet into *folder* and return the files."""
        folder.mkdir(parents=True, exist_ok=True)
        frame = self.frame()
        csv, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
        frame.write_csv(csv)
        frame.write_parquet(parquet)
        return csv, parquet

    def heatmap(
        self, x: str, y: str, *, metric: str | None = None, rule: CellRule = CellRule.BEST
    ) -> Heatmap:
        """Return *metric* over the parameters *x* (columns) and *y* (rows).

        The other parameters are aggregated by *rule*: ``best`` takes the combination that the
        objective ranks first, whether high or low is good, and ``best_index`` its number; ``max``
        takes the largest value, which is the worst one where low is good.

        Raises:
            ConfigurationError: a parameter is unknown, or both are the same.
        """
        values = {parameter.name: parameter.values for parameter in self.space.parameters}
        for name in (x, y):
            if name not in values:
                raise ConfigurationError(
                    f"heatmap: {name!r} is no parameter; parameters are {', '.join(values)}"
                )
        if x == y:
            raise ConfigurationError(f"heatmap: {x!r} is on both axes, name two parameters")
        chosen = metric or self.objective.metric
        cells: dict[tuple[object, object], list[TrialRecord]] = {}
        for record in self.records:
            if record.status is TrialStatus.DONE:
                key = (record.parameters[y], record.parameters[x])
                cells.setdefault(key, []).append(record)
        aggregate = self._aggregate(chosen, rule)
        return Heatmap(
            x,
            y,
            chosen,
            values[x],
            values[y],
            tuple(
                tuple(aggregate(cells.get((row, column), ())) for column in values[x])
                for row in values[y]
            ),
        )

    def _aggregate(
        self, metric: str, rule: CellRule
    ) -> Callable[[Sequence[TrialRecord]], float | None]:
        if rule is CellRule.BEST_INDEX:
            return self._best_index
        if rule is CellRule.BEST:
            return partial(self._of_best, metric)

        def aggregate(records: Sequence[TrialRecord]) -> float | None:
            found = [number(record.metrics.get(metric)) for record in records]
            values = [value for value in found if value is not None]
            return _REDUCE[rule](values) if values else None

        return aggregate

    def _best_index(self, records: Sequence[TrialRecord]) -> float | None:
        best = self.objective.best(records)
        return None if best is None else float(best.index)

    def _of_best(self, metric: str, records: Sequence[TrialRecord]) -> float | None:
        ranked = sorted(records, key=self.objective.rank_key)
        values = (number(record.metrics.get(metric)) for record in ranked)
        return next((value for value in values if value is not None), None)


_REDUCE: Final[dict[CellRule, Callable[[Sequence[float]], float]]] = {
    CellRule.MAX: max,
    CellRule.MEAN: statistics.fmean,
    CellRule.MEDIAN: statistics.median,
}


def shown_parameters(parameters: Mapping[str, ParameterValue]) -> dict[str, Any]:
    """Return *parameters* as JSON values for people; decimals are text."""
    return {
        name: value if isinstance(value, bool | int | str) else str(value)
        for name, value in parameters.items()
    }


def _sort_key(value: ParameterValue | MetricValue) -> tuple[int, float, str]:
    found = number(str(value) if isinstance(value, Decimal) else value)
    return (1, 0.0, str(value)) if found is None else (0, found, "")


def _one_type(values: Iterable[ParameterValue | MetricValue]) -> list[Any]:
    """Return *values* as numbers if they all are, else as text: a column has one type."""
    known = list(values)
    if any(isinstance(value, str | bool) for value in known):
        return [None if value is None else str(value) for value in known]
    if any(not isinstance(value, int) for value in known if value is not None):
        return [None if value is None else float(value) for value in known]
    return known
