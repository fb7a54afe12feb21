"""A metric over two parameters as a map with a cursor: cells, neighbourhood, colours. No widget."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from tui.state.trial_source import metric_names, number_of

if TYPE_CHECKING:
    from engine.api.optimization_views import StudyDetail, TrialRow

CellT = TypeVar("CellT")

RULES: Final = ("best", "mean", "median")
"""What a cell shows where other parameters make several trials fall into it."""
COLORS: Final = 7
_FRAGILE: Final = 0.35
_FLAT: Final = 0.2
_HIGH: Final = 0.66
_UNKNOWN_STATES: Final = frozenset({"FAILED", "OOM", "TIMEOUT"})


@dataclass(frozen=True, slots=True)
class Axes:
    """What a map shows. An empty ``y`` is a study of one parameter: a map of one row."""

    x: str
    y: str
    metric: str
    rule: str = "best"
    fixed: tuple[tuple[str, str], ...] = ()
    """Other parameters that are held at one value: a slice through the space."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What lies one step around a cell, the diagonals too.

    ``verdict`` is ``lone peak`` for a good cell whose neighbours are much worse: its parameters
    have to be hit exactly, which the future will not do; ``plateau`` for one that loses little;
    empty for cells that nobody would pick.
    """

    low: float | None
    high: float | None
    known: int
    failed: int
    verdict: str = ""


class HeatMap:
    """Cells of a study under ``axes``, and the cursor that walks over them."""

    def __init__(self, detail: StudyDetail) -> None:
        self.detail = detail
        self.axes = default_axes(detail)
        self.row = self.column = 0
        self._is_placed = False
        self._show()

    # --- what it is made of ----------------------------------------------------------------------

    def take(self, detail: StudyDetail) -> None:
        """Take a newer state of the study; the cursor stays."""
        if detail.trials is not self.detail.trials:
            self.detail = detail
            self._show()
        self.detail = detail

    def choose(self, axes: Axes) -> None:
        """Show something else; the cursor goes to the best cell."""
        self.axes = axes
        self._is_placed = False
        self._show()

    def _show(self) -> None:
        axes, detail = self.axes, self.detail
        sliced = _slice(detail, axes)
        self.columns, self.rows, self.cells, self.indexes = _cells(sliced, axes)
        self.failed = _failed_cells(sliced, axes)
        known = [value for row in self.cells for value in row if value is not None]
        self.low, self.high = min(known, default=0.0), max(known, default=0.0)
        self.best = self._best_cell()
        self.row = min(self.row, max(0, len(self.rows) - 1))
        self.column = min(self.column, max(0, len(self.columns) - 1))
        if not self._is_placed and self.best is not None:
            self.to_best()

    def _best_cell(self) -> tuple[int, int] | None:
        sign = -1.0 if self.prefers_low else 1.0
        cells = [
            (sign * value, -row, -column)
            for row, values in enumerate(self.cells)
            for column, value in enumerate(values)
            if value is not None
        ]
        if not cells:
            return None
        _, row, column = max(cells)
        return (-row, -column)

    @property
    def prefers_low(self) -> bool:
        """Whether low values are the better ones."""
        if self.axes.metric == self.detail.row.metric:
            return self.detail.direction == "minimize"
        return "drawdown" in self.axes.metric or self.axes.metric.endswith("volatility")

    @property
    def shows_objective(self) -> bool:
        """Whether the map is of what the study looks for."""
        return self.axes.metric == self.detail.row.metric

    # --- the cursor ------------------------------------------------------------------------------

    def move(self, columns: int, rows: int) -> None:
        """Move the cursor; it stops at the edges."""
        self._is_placed = True
        self.row = max(0, min(self.row + rows, len(self.rows) - 1))
        self.column = max(0, min(self.column + columns, len(self.columns) - 1))

    def put(self, row: int, column: int) -> None:
        """Put the cursor on a cell."""
        self.row, self.column = row, column
        self.move(0, 0)

    def to_best(self) -> None:
        """Put the cursor on the best cell."""
        if self.best is not None:
            self.row, self.column = self.best

    @property
    def value(self) -> float | None:
        """The value under the cursor."""
        return self._at(self.row, self.column)

    @property
    def trial(self) -> TrialRow | None:
        """The best trial of the cell under the cursor, or one that failed there."""
        if not self.rows or not self.columns:
            return None
        index = self.indexes[self.row][self.column]
        if index is None:
            return self.failed.get((self.row, self.column))
        return next((one for one in self.detail.trials if one.index == index), None)

    def _at(self, row: int, column: int) -> float | None:
        inside = 0 <= row < len(self.rows) and 0 <= column < len(self.columns)
        return self.cells[row][column] if inside else None

    # --- what is said of a cell ------------------------------------------------------------------

    def share(self, value: float) -> float:
        """Return where *value* lies between the lowest (0) and the highest (1) of the map."""
        span = self.high - self.low
        return (value - self.low) / span if span > 0 and math.isfinite(span) else 0.5

    def neighbourhood(self, row: int, column: int) -> Neighbourhood:
        """Return what lies around a cell and what that says of it."""
        places = [
            (row + down, column + right)
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
            if (down or right)
            and 0 <= row + down < len(self.rows)
            and 0 <= column + right < len(self.columns)
        ]
        values = [value for place in places if (value := self._at(*place)) is not None]
        failed = sum(place in self.failed for place in places)
        found = Neighbourhood(
            min(values, default=None), max(values, default=None), len(values), failed
        )
        here = self._at(row, column)
        if here is None or not values:
            return found
        return replace(found, verdict=self._verdict(here, values))

    def _verdict(self, here: float, around: Sequence[float]) -> str:
        goodness = 1 - self.share(here) if self.prefers_low else self.share(here)
        loss = abs(self.share(here) - self.share(statistics.fmean(around)))
        if goodness < _HIGH or self.high <= self.low:
            return ""
        if loss > _FRAGILE:
            return "lone peak"
        return "plateau" if loss <= _FLAT else ""


def default_axes(detail: StudyDetail) -> Axes:
    """Return the first two parameters that vary, and what the study looks for."""
    names = sorted(detail.parameters, key=lambda name: len(detail.parameters[name]) < 2)
    x = names[0] if names else ""
    return Axes(x, names[1] if len(names) > 1 else "", detail.row.metric)


def map_metrics(detail: StudyDetail) -> tuple[str, ...]:
    """Return what a map can show, the objective first."""
    return tuple(dict.fromkeys((detail.row.metric, *metric_names(detail.trials))))


_Cells = tuple[tuple[float | None, ...], ...]
_Indexes = tuple[tuple[int | None, ...], ...]


def _cells(
    detail: StudyDetail, axes: Axes
) -> tuple[tuple[str, ...], tuple[str, ...], _Cells, _Indexes]:
    """Return columns, rows, values, and the index of the best trial of each cell."""
    from engine.api.optimization_views import heatmap_of

    if axes.x not in detail.parameters:
        return (), (), (), ()
    other = axes.y or axes.x
    best = heatmap_of(detail, axes.x, other, rule="best_index")
    indexes: _Indexes = tuple(
        tuple(None if index is None else int(index) for index in row) for row in best.cells
    )
    metric = "" if axes.metric == detail.row.metric else axes.metric
    if axes.rule == "best":
        values = _of_best(detail, indexes, metric)
    else:
        values = heatmap_of(detail, axes.x, other, metric=metric, rule=axes.rule).cells
    if axes.y:
        return best.columns, best.rows, values, indexes
    return best.columns, ("",), (_diagonal(values),), (_diagonal(indexes),)


def _slice(detail: StudyDetail, axes: Axes) -> StudyDetail:
    """Return the study with only those trials that lie in the slice of *axes*."""
    fixed = [(name, value) for name, value in axes.fixed if name not in (axes.x, axes.y)]
    if not fixed:
        return detail
    trials = tuple(
        trial
        for trial in detail.trials
        if all(str(trial.parameters.get(name)) == value for name, value in fixed)
    )
    return replace(detail, trials=trials)


def _of_best(detail: StudyDetail, indexes: _Indexes, metric: str) -> _Cells:
    trials = {trial.index: trial for trial in detail.trials}

    def value(index: int | None) -> float | None:
        if index is None:
            return None
        trial = trials[index]
        return number_of(trial.metrics.get(metric)) if metric else trial.objective

    return tuple(tuple(value(index) for index in row) for row in indexes)


def _diagonal(cells: Sequence[Sequence[CellT]]) -> tuple[CellT, ...]:
    return tuple(row[place] for place, row in enumerate(cells))


def _failed_cells(detail: StudyDetail, axes: Axes) -> dict[tuple[int, int], TrialRow]:
    """Return by cell a trial that failed there."""
    if axes.x not in detail.parameters:
        return {}
    places = {
        name: {str(value): place for place, value in enumerate(values)}
        for name, values in detail.parameters.items()
    }
    found: dict[tuple[int, int], TrialRow] = {}
    for trial in detail.trials:
        if trial.status not in _UNKNOWN_STATES:
            continue
        column = places[axes.x].get(str(trial.parameters.get(axes.x)))
        row = 0 if not axes.y else places[axes.y].get(str(trial.parameters.get(axes.y)))
        if row is not None and column is not None:
            found.setdefault((row, column), trial)
    return found
