"""The studies as a table source, and the words and shapes of their states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tui.formatting import UNKNOWN, clean, clip, format_decimal, format_duration, format_share
from tui.state.backtest_source import BAR_CELLS, progress_bar
from tui.state.columns import Column
from tui.state.console import ConsoleState
from tui.state.row_filter import RowFilter, RowFilterError
from tui.state.table import Query, Window
from tui.state.text import Span

if TYPE_CHECKING:
    from engine.api.optimization_views import StudyRow

_SECOND_NS: Final = 1_000_000_000
_BEST: Final = 13
"""Cells for the best value so far."""
_STATES: Final = {
    "queued": ("○ queued", "dim"),
    "completed": ("✓ done", "ok"),
    "held": ("= held", "warn bold"),
    "cancelled": ("◌ cancelled", "warn"),
    "failed": ("✗ failed", "error bold"),
    "interrupted": ("⚠ cut off", "warn bold"),
}


def study_state(row: StudyRow) -> Span:
    """Return where a study stands: a bar, speed and time left, or a shape and a word."""
    status = row.status.value
    if status == "running":
        left = "" if row.left_s is None else f" {format_duration(row.left_s)}"
        return (f"{progress_bar(row.progress, BAR_CELLS)} {format_share(row.progress)}{left}",
                "accent bold")  # fmt: skip
    word, role = _STATES.get(status, (status, ""))
    if status == "held":
        word = f"{word} {format_share(row.progress)}"
    if status == "completed" and row.finished_ns is not None:
        word = f"{word} {format_duration((row.finished_ns - row.created_ns) / _SECOND_NS)}"
    return (word, role)


def state_words(row: StudyRow) -> str:
    """Return the words by which a state can be filtered."""
    words = {"completed": "done", "interrupted": "cut off"}
    return f"{row.status.value} {words.get(row.status.value, '')}".strip()


def parameters_text(parameters: Mapping[str, Any]) -> str:
    """Return ``fast=10 slow=80``."""
    return clean(" ".join(f"{name}={value}" for name, value in parameters.items()))


def value_text(value: float | None) -> str:
    """Return an objective."""
    return format_decimal(value, 3 if value is not None and abs(value) < 10 else 2)


def trials_per_s(row: StudyRow) -> str:
    """Return the speed of a running study, ``--`` of others."""
    return f"{row.trials_per_s:,.1f}/s" if row.status.value == "running" else UNKNOWN


def _best(row: StudyRow) -> Span:
    if row.best is None:
        return (UNKNOWN, "dim")
    value = value_text(row.best.objective)
    # A long name is cut, never the value.
    return (f"{clip(clean(row.metric), _BEST - 1 - len(value))} {value}", "bold")


def _best_whole(row: StudyRow) -> str:
    if row.best is None:
        return ""
    return f"{clean(row.metric)} {value_text(row.best.objective)}"


def _what(row: StudyRow) -> Span:
    if row.error:
        return (f"✗ {clean(row.error)}", "error")
    if row.status.value in ("interrupted", "cancelled"):
        return (f"R goes on · {parameters_text(row.best.parameters) if row.best else ''}", "dim")
    return (parameters_text(row.best.parameters) if row.best else "", "")


def _failed(row: StudyRow) -> Span:
    return (f"✗ {row.failed:,}" if row.failed else "0", "error" if row.failed else "dim")


def _objective(row: StudyRow) -> float | None:
    return None if row.best is None else row.best.objective


_NUMBERS: Final[Mapping[str, Callable[[Any], float | None]]] = {
    "best": _objective,
    "done": lambda row: row.done,
    "trials": lambda row: row.total,
    "failed": lambda row: row.failed,
    "speed": lambda row: row.trials_per_s,
}
_TEXTS: Final[Mapping[str, Callable[[Any], str]]] = {
    "name": lambda row: row.name,
    "id": lambda row: row.id,
    "state": state_words,
    "metric": lambda row: row.metric,
    "source": lambda row: row.source,
    "error": lambda row: row.error,
}
_KEYS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "name": lambda row: row.name.casefold(),
    "state": lambda row: (row.status.value, row.progress),
    "trials": lambda row: row.total,
    "speed": lambda row: row.trials_per_s,
    "failed": lambda row: row.failed,
    "best": lambda row: -1e300 if _objective(row) is None else _objective(row),
    "when": lambda row: row.created_ns,
}


class StudySource:
    """Rows of the studies table: sorted and filtered here, for there are few."""

    noun = "studies"
    home: Query = Query()
    tail = False

    def __init__(self, console: ConsoleState) -> None:
        self._console = console
        self._filter: RowFilter[StudyRow] = RowFilter(texts=_TEXTS, numbers=_NUMBERS)
        self.columns: tuple[Column[StudyRow], ...] = (
            Column("name", "Study", 19, lambda r: (clean(r.name), "bold"), letter="n",
                   frozen=True),
            Column("state", "State", 17, study_state, letter="s", live=True),
            Column("trials", "Trials", 9, lambda r: (f"{r.done:,}/{r.total:,}", ""), "right",
                   letter="t", live=True),
            Column("speed", "Speed", 8, lambda r: (trials_per_s(r), "dim"), "right", letter="p",
                   rank=4, live=True),
            Column("failed", "Failed", 6, _failed, "right", letter="f", rank=3, live=True),
            Column("best", "Best so far", _BEST, _best, letter="b", live=True,
                   raw=_best_whole),
            Column("what", "Parameters", 13, _what, flexible=True, rank=2),
            Column("when", "When", 11, self._when, "right", letter="w", rank=5),
            Column("id", "Id", 12, lambda r: (r.id, "dim"), rank=6),
        )  # fmt: skip

    def window(self, query: Query, start: int, count: int) -> Window[StudyRow]:
        """Return the rows ``start`` to ``start + count`` of those that pass the filter."""
        rows = self._console.engine.optimizations()
        try:
            matching = self._matching(rows, query)
        except RowFilterError as error:
            return Window((), start, 0, len(rows), str(error))
        return Window(tuple(matching[start : start + count]), start, len(matching), len(rows))

    def index_of(self, query: Query, row_id: str) -> int | None:
        """Return where the study is under *query*, or None."""
        try:
            rows = self._matching(self._console.engine.optimizations(), query)
        except RowFilterError:
            return None
        return next((place for place, row in enumerate(rows) if row.id == row_id), None)

    def row_id(self, row: StudyRow) -> str:
        """Return the study's id."""
        return row.id

    def find(self, row_id: str) -> StudyRow | None:
        """Return the study's row as it is now, or None."""
        detail = self._console.engine.optimization(row_id)
        return None if detail is None else detail.row

    def _matching(self, rows: tuple[StudyRow, ...], query: Query) -> list[StudyRow]:
        found = list(filter(self._filter.parse(query.filter_text), rows))
        key = _KEYS.get(query.sort)
        if key is not None:
            found.sort(key=key, reverse=query.descending)
        return found

    def _when(self, row: StudyRow) -> Span:
        return (self._console.day_stamp(row.created_ns), "dim")
