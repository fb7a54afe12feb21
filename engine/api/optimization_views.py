"""What the console sees of studies: immutable rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any


@unique
class StudyStatus(StrEnum):
    """Where a study stands."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """Its process ended in the middle: it can be resumed."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more comes of it by itself."""
        return self not in (StudyStatus.QUEUED, StudyStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial in the table of a study. Metrics are numbers, money as text, None if undefined."""

    index: int
    parameters: Mapping[str, Any]
    status: str
    objective: float | None
    metrics: Mapping[str, Any]
    fingerprint: str = ""
    error: str = ""
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study in a list. ``left_s`` and ``best`` are None while they are not known."""

    id: str
    name: str
    status: StudyStatus
    created_ns: int
    source: str
    metric: str = ""
    done: int = 0
    total: int = 0
    failed: int = 0
    trials_per_s: float = 0.0
    left_s: float | None = None
    best: TrialRow | None = None
    finished_ns: int | None = None
    error: str = ""

    @property
    def progress(self) -> float:
        """Return how much is done, 0 to 1."""
        return self.done / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class StudyDetail:
    """A study with its table, in the order of the combinations, and its final report.

    ``parameters`` has by name the values in the order of the declaration. ``report`` is what
    ``quarterdeck optimize --json`` prints, without the rows; empty while the study runs.
    """

    row: StudyRow
    parameters: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    direction: str = "maximize"
    trials: tuple[TrialRow, ...] = ()
    report: Mapping[str, Any] = field(default_factory=dict)
    backtest: Mapping[str, Any] = field(default_factory=dict)
    """Effective configuration of the backtest that is varied."""
    base_dir: str = ""


@dataclass(frozen=True, slots=True)
class HeatmapView:
    """A metric over two parameters; ``cells[row][column]`` is None where nothing was computed."""

    x: str
    y: str
    metric: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[tuple[float | None, ...], ...]
    best: tuple[int, int] | None = None
    """Row and column of the best cell."""


def heatmap_of(
    detail: StudyDetail, x: str, y: str, *, metric: str = "", rule: str = "max"
) -> HeatmapView:
    """Return a metric of the study's trials over two of its parameters.

    Other parameters are aggregated by *rule*: ``max``, ``mean``, ``median`` or ``best_index``.

    Raises:
        KeyError: *x* or *y* is no parameter of the study.
    """
    import statistics

    columns, rows = detail.parameters[x], detail.parameters[y]
    found: dict[tuple[int, int], list[tuple[float, int]]] = {}
    places = {
        name: {str(value): place for place, value in enumerate(values)}
        for name, values in detail.parameters.items()
    }
    for trial in detail.trials:
        value = trial.objective if not metric else _number(trial.metrics.get(metric))
        if value is None or trial.status not in {"DONE", "PRUNED"}:
            continue
        cell = (places[y][str(trial.parameters[y])], places[x][str(trial.parameters[x])])
        found.setdefault(cell, []).append((value, trial.index))
    sign = -1.0 if detail.direction == "minimize" else 1.0
    rules: dict[str, Callable[[list[tuple[float, int]]], float]] = {
        "max": lambda items: max(value for value, _ in items),
        "mean": lambda items: statistics.fmean(value for value, _ in items),
        "median": lambda items: statistics.median(value for value, _ in items),
        "best_index": lambda items: float(max(items, key=lambda one: (sign * one[0], -one[1]))[1]),
    }
    made = {cell: rules[rule](items) for cell, items in found.items()}
    best = max(found, key=lambda cell: max(sign * value for value, _ in found[cell]), default=None)
    return HeatmapView(
        x,
        y,
        metric or detail.row.metric,
        tuple(str(value) for value in columns),
        tuple(str(value) for value in rows),
        tuple(
            tuple(made.get((row, column)) for column in range(len(columns)))
            for row in range(len(rows))
        ),
        best,
    )


def _number(value: object) -> float | None:
    match value:
        case bool() | None:
            return None
        case int() | float():
            return float(value)
        case str():
            try:
                return float(value)
            except ValueError:
                return None
        case _:
            return None
