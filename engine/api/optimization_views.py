"""What the console sees of studies: immutable rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any, TypeAlias


@unique
class StudyStatus(StrEnum):
    """Where a study stands."""

    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"
    """No further trials are sent until the operator lets it go on."""
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """Its process ended in the middle: it can be resumed."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more comes of it by itself."""
        return self not in (StudyStatus.QUEUED, StudyStatus.RUNNING, StudyStatus.HELD)


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
    html_path: str = ""
    """The report as one HTML file; empty until the study has ended."""


_Value: TypeAlias = "tuple[tuple[bool, float, int], float, int]"
"""How a trial ranks, its value, its number."""


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
    detail: StudyDetail, x: str, y: str, *, metric: str = "", rule: str = "best"
) -> HeatmapView:
    """Return a metric of the study's trials over two of its parameters.

    Other parameters are aggregated by *rule*: ``best`` (of the trial that the objective ranks
    first), ``best_index`` (its number), ``mean``, ``median``, ``max`` (the largest value, which is
    the worst one where low is good) or ``min``.

    Raises:
        KeyError: *x* or *y* is no parameter of the study.
    """
    import statistics

    columns, rows = detail.parameters[x], detail.parameters[y]
    found: dict[tuple[int, int], list[_Value]] = {}
    places = {
        name: {str(value): place for place, value in enumerate(values)}
        for name, values in detail.parameters.items()
    }
    sign = -1.0 if detail.direction == "minimize" else 1.0
    for trial in detail.trials:
        value = trial.objective if not metric else _number(trial.metrics.get(metric))
        if value is None or trial.status not in {"DONE", "PRUNED"}:
            continue
        cell = (places[y][str(trial.parameters[y])], places[x][str(trial.parameters[x])])
        rank = (trial.objective is not None, sign * (trial.objective or 0.0), -trial.index)
        found.setdefault(cell, []).append((rank, value, trial.index))
    rules: dict[str, Callable[[list[_Value]], float]] = {
        "best": lambda items: max(items)[1],
        "best_index": lambda items: float(max(items)[2]),
        "mean": lambda items: statistics.fmean(value for _, value, _ in items),
        "median": lambda items: statistics.median(value for _, value, _ in items),
        "max": lambda items: max(value for _, value, _ in items),
        "min": lambda items: min(value for _, value, _ in items),
    }
    made = {cell: rules[rule](items) for cell, items in found.items()}
    best = max(found, key=lambda cell: max(found[cell])[0], default=None)
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
