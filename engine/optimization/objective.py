"""What a study looks for: a metric, a direction, and filters (OPT-4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum, unique
from typing import TypeAlias

from engine.optimization.trials import TrialRecord, TrialStatus

MetricValue: TypeAlias = "float | int | str | None"
"""A metric as records hold it; money is text, exact."""


MetricFunction: TypeAlias = "Callable[[Mapping[str, MetricValue]], float | int | None]"
"""Makes one number of a trial's metrics; None if it has none."""


@unique
class Direction(StrEnum):
    """Which end of a metric is better."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


@dataclass(frozen=True, slots=True)
class Objective:
    """The metric that is optimised.

    A trial with fewer round trips than *min_trades*, or a deeper drawdown than *max_drawdown*
    (a fraction), ranks as if the metric were undefined: behind all others.
    """

    metric: str = "sharpe"
    direction: Direction = Direction.MAXIMIZE
    min_trades: int = 0
    max_drawdown: float | None = None
    function: MetricFunction | None = field(default=None, compare=False)
    """Makes *metric* of the others; the records that are ranked have it already."""

    def value(self, record: TrialRecord) -> float | None:
        """Return the metric of *record*, None if it is undefined or filtered out."""
        if record.status is not TrialStatus.DONE:
            return None
        metrics = record.metrics
        if (number(metrics.get("n_trades")) or 0) < self.min_trades:
            return None
        depth = number(metrics.get("max_drawdown"))
        if self.max_drawdown is not None and (depth is None or depth > self.max_drawdown):
            return None
        return number(metrics.get(self.metric))

    def rank_key(self, record: TrialRecord) -> tuple[bool, float, int]:
        """Return what sorts records from the best to the worst; ties go to the lowest index."""
        value = self.value(record)
        if value is None:
            return True, 0.0, record.index
        return False, self.cost(value), record.index

    def cost(self, value: float) -> float:
        """Return *value* so that less is better."""
        return -value if self.direction is Direction.MAXIMIZE else value

    def best(self, records: Iterable[TrialRecord]) -> TrialRecord | None:
        """Return the best of *records*, None if the metric is undefined for all of them."""
        best = min(records, key=self.rank_key, default=None)
        return None if best is None or self.value(best) is None else best


def number(value: MetricValue) -> float | None:
    """Return a metric as a finite number, None if it is undefined."""
    match value:
        case bool() | None:
            return None
        case str():
            try:
                found = float(Decimal(value))
            except InvalidOperation:
                return None
        case _:
            found = float(value)
    return found if math.isfinite(found) else None


def is_function(name: str) -> bool:
    """Return whether *name* is an import path of a function, not the name of a metric."""
    parts = name.replace(":", ".").split(".")
    return len(parts) > 1 and all(part.isidentifier() for part in parts)


def metric_names(rows: Iterable[Mapping[str, MetricValue]]) -> tuple[str, ...]:
    """Return the names of all metrics, in the order in which they first appear."""
    return tuple(dict.fromkeys(name for row in rows for name in row))
