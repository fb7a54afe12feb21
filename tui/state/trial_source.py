"""The trials of one study as a table source: any parameter, any metric, pinned rows on top."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len

from tui.formatting import UNKNOWN, clean
from tui.state.backtest_text import metric_text
from tui.state.columns import Column
from tui.state.row_filter import RowFilter, RowFilterError
from tui.state.table import Query, Window
from tui.state.text import Span

if TYPE_CHECKING:
    from engine.api.optimization_views import StudyDetail, TrialRow

_STATES: Final = {
    "DONE": ("✓ done", "ok"),
    "PRUNED": ("· stopped early", "dim"),
    "CANCELLED": ("◌ cancelled", "warn"),
    "FAILED": ("✗ failed", "error"),
    "OOM": ("✗ no memory", "error"),
    "TIMEOUT": ("✗ too long", "error"),
}
_TITLES: Final = {
    "sharpe": "Sharpe", "total_return": "Return", "max_drawdown": "MaxDD", "n_trades": "Trades",
    "win_rate": "Win", "profit_factor": "PF", "sortino": "Sortino", "calmar": "Calmar",
    "cagr": "CAGR", "in_sample_sharpe": "In", "out_of_sample_sharpe": "Out",
    "volatility": "Vol", "exposure": "Expo", "final_equity": "Equity",
}  # fmt: skip
_FIRST: Final = (
    "sharpe", "in_sample_sharpe", "out_of_sample_sharpe", "total_return", "max_drawdown",
    "n_trades", "win_rate", "profit_factor", "sortino", "calmar", "cagr", "volatility",
    "exposure", "final_equity",
)  # fmt: skip
_LETTERS: Final = (string.ascii_lowercase + string.ascii_uppercase + string.digits).replace("q", "")
"""Letters to sort by; q closes the menu."""
_FIELD: Final = re.compile(r"[A-Za-z_]\w*")


def trial_state(trial: TrialRow) -> Span:
    """Return how a trial ended: a shape and a word."""
    return _STATES.get(trial.status, (trial.status.lower(), ""))


def number_of(value: object) -> float | None:
    """Return a metric or a parameter as a number; money comes as text. None for words."""
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


def metric_names(trials: Iterable[TrialRow], objective: str = "") -> tuple[str, ...]:
    """Return the metrics that some trial has as a number, the objective and best known first."""
    found: dict[str, None] = {}
    for trial in trials:
        for name, value in trial.metrics.items():
            if name not in found and number_of(value) is not None:
                found[name] = None
    first = [name for name in (objective, *_FIRST) if name in found]
    return tuple(dict.fromkeys((*first, *found)))


def trial_number(text: str | None) -> int | None:
    """Return the index that a row's id stands for."""
    return int(text) if text is not None and text.isdecimal() else None


class TrialSource:
    """Rows of the table of a study.

    Args:
        detail: the study; ``take`` gives a newer one.
        pinned: ids of rows that stay on top, whatever filter and order say.
    """

    noun = "trials"
    tail = False

    def __init__(self, detail: StudyDetail, pinned: Callable[[], Collection[str]]) -> None:
        self._pinned = pinned
        self._detail = detail
        self._places = {str(trial.index): trial for trial in detail.trials}
        self.metrics = metric_names(detail.trials, detail.row.metric)
        falling = detail.direction != "minimize"
        self.home = Query(sort="objective", descending=falling)
        self.columns: tuple[Column[TrialRow], ...] = ()
        self._keys: dict[str, Callable[[TrialRow], object]] = {}
        self._filter: RowFilter[TrialRow] = RowFilter(texts={}, numbers={})
        self._version = 0
        self._ordered: tuple[object, list[TrialRow]] = (None, [])
        self._arrange()

    def take(self, detail: StudyDetail) -> None:
        """Take a newer state of the study; new metrics become columns."""
        if detail.trials is self._detail.trials:
            self._detail = detail
            return
        self._detail = detail
        self._version += 1
        self._places = {str(trial.index): trial for trial in detail.trials}
        metrics = metric_names(detail.trials, detail.row.metric)
        if (metrics, self._has_errors) != (self.metrics, self._had_errors):
            self.metrics = metrics
            self._arrange()

    def window(self, query: Query, start: int, count: int) -> Window[TrialRow]:
        """Return the rows ``start`` to ``start + count``: pinned ones, then those that pass."""
        total = len(self._detail.trials)
        try:
            rows = self._matching(query)
        except RowFilterError as error:
            return Window((), start, 0, total, str(error))
        return Window(tuple(rows[start : start + count]), start, len(rows), total)

    def index_of(self, query: Query, row_id: str) -> int | None:
        """Return where the trial is under *query*, or None."""
        try:
            rows = self._matching(query)
        except RowFilterError:
            return None
        return next((place for place, row in enumerate(rows) if str(row.index) == row_id), None)

    def row_id(self, row: TrialRow) -> str:
        """Return the trial's index as text."""
        return str(row.index)

    def find(self, row_id: str) -> TrialRow | None:
        """Return the trial, or None."""
        return self._places.get(row_id)

    def _matching(self, query: Query) -> list[TrialRow]:
        pinned = tuple(self._pinned())
        key = (query, pinned, self._version)
        if self._ordered[0] == key:
            return self._ordered[1]
        passes = self._filter.parse(query.filter_text)
        read = self._keys.get(query.sort)
        trials: list[TrialRow] = list(self._detail.trials)
        if read is not None:
            known = [trial for trial in trials if read(trial) is not None]
            known.sort(key=read, reverse=query.descending)  # type: ignore[arg-type]  # one column holds one kind of value
            trials = [*known, *(trial for trial in trials if read(trial) is None)]
        on_top = [trial for trial in trials if str(trial.index) in pinned]
        rest = [trial for trial in trials if str(trial.index) not in pinned and passes(trial)]
        self._ordered = (key, [*on_top, *rest])
        return self._ordered[1]

    # --- columns ---------------------------------------------------------------------------------

    def _arrange(self) -> None:
        """Make columns, orders and filter fields of the parameters and metrics there are."""
        self._had_errors = self._has_errors
        detail = self._detail
        objective = detail.row.metric
        letters = iter(_LETTERS)
        columns: list[Column[TrialRow]] = [
            Column("index", "#", 5, lambda trial: (f"{trial.index:,}", "dim"), "right",
                   letter=next(letters), frozen=True),
            Column("state", "State", 9, trial_state, letter=next(letters), rank=4),
        ]  # fmt: skip
        keys: dict[str, Callable[[TrialRow], object]] = {
            "index": lambda trial: trial.index,
            "state": lambda trial: trial.status,
        }
        for name, values in detail.parameters.items():
            width = max(cell_len(clean(name)), *(len(clean(str(one))) for one in values), 4)
            column = f"parameter {name}"
            columns.append(
                Column(column, clean(name), min(width, 14), _parameter(name), "right",
                       letter=next(letters, ""))
            )  # fmt: skip
            keys[column] = _order(values, name)
        columns.append(
            Column("objective", _title(objective), max(8, len(_title(objective)) + 1),
                   lambda trial: _shown(objective, trial.objective, "bold"), "right",
                   letter=next(letters, ""), live=True)
        )  # fmt: skip
        keys["objective"] = lambda trial: trial.objective
        for place, name in enumerate(name for name in self.metrics if name != objective):
            title = _title(name)
            columns.append(
                Column(f"metric {name}", title, self._width_of(name, title), _metric(name),
                       "right", letter=next(letters, ""), rank=5 + place, live=True)
            )  # fmt: skip
            keys[f"metric {name}"] = _reader(name)
        columns.append(
            Column("note", "What it said", 34 if self._has_errors else 10,
                   lambda trial: (clean(trial.error), "error"), flexible=True,
                   rank=1 if self._has_errors else 100)
        )  # fmt: skip
        self.columns = tuple(columns)
        self._keys = keys
        self._filter = RowFilter(texts=self._texts(), numbers=self._numbers())

    def _width_of(self, name: str, title: str) -> int:
        """Return the cells of a metric's column: a return above 100 % needs one more."""
        least = 7
        if name == "total_return":
            values = [number_of(trial.metrics.get(name)) for trial in self._detail.trials]
            least = 8 if any(value is not None and value >= 1 for value in values) else 7
        return max(least, min(len(title) + 1, 16))

    @property
    def _has_errors(self) -> bool:
        return any(trial.error for trial in self._detail.trials)

    def _texts(self) -> Mapping[str, Callable[[Any], str]]:
        found: dict[str, Callable[[Any], str]] = {
            "state": lambda trial: f"{trial.status.lower()} {trial_state(trial)[0]}",
            "error": lambda trial: trial.error,
        }
        for name, values in self._detail.parameters.items():
            if any(number_of(value) is None for value in values):
                found[_field(name)] = _word(name)
        return found

    def _numbers(self) -> Mapping[str, Callable[[Any], float | None]]:
        found: dict[str, Callable[[Any], float | None]] = {"index": lambda trial: trial.index}
        found |= {_field(name): _reader(name) for name in self.metrics}
        found["objective"] = lambda trial: trial.objective
        found["took"] = lambda trial: trial.duration_s
        for name, values in self._detail.parameters.items():
            if all(number_of(value) is not None for value in values):
                found[_field(name)] = _parameter_number(name)
        return found


def _field(name: str) -> str:
    """Return the last word of a name, as it is written in a filter."""
    words = _FIELD.findall(name)
    return (words[-1] if words else name).lower()


def _title(metric: str) -> str:
    return _TITLES.get(metric, clean(metric).replace("_", " "))


def _shown(metric: str, value: object, role: str = "") -> Span:
    if value is None:
        return (UNKNOWN, "dim")
    return (metric_text(metric, value), role)


def _metric(name: str) -> Callable[[TrialRow], Span]:
    return lambda trial: _shown(name, trial.metrics.get(name))


def _reader(name: str) -> Callable[[TrialRow], float | None]:
    return lambda trial: number_of(trial.metrics.get(name))


def _parameter(name: str) -> Callable[[TrialRow], Span]:
    return lambda trial: (clean(str(trial.parameters.get(name, ""))), "accent")


def _parameter_number(name: str) -> Callable[[TrialRow], float | None]:
    return lambda trial: number_of(trial.parameters.get(name))


def _word(name: str) -> Callable[[TrialRow], str]:
    return lambda trial: str(trial.parameters.get(name, ""))


def _order(values: Collection[object], name: str) -> Callable[[TrialRow], object]:
    """Return the order of a parameter: that of its declaration, for words have none."""
    places = {str(value): place for place, value in enumerate(values)}
    return lambda trial: places.get(str(trial.parameters.get(name)))
