"""The agents as a table source: sorted and filtered here, for there are few."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tui.formatting import format_run_time, sparkline
from tui.state.columns import Column
from tui.state.console import ConsoleState
from tui.state.row_filter import RowFilter, RowFilterError
from tui.state.table import Query, Window
from tui.state.text import Span

if TYPE_CHECKING:
    from engine.api.views import AgentRow

_LEVELS: Final = {"critical": 0, "high": 1, "normal": 2, "low": 3, "idle": 4}
_PRIORITY_ROLES: Final = {"critical": "bold", "high": "bold", "low": "dim", "idle": "dim"}
_STATES: Final = {
    "initialized": ("○ new", "dim"),
    "starting": ("◌ starting", "accent"),
    "running": ("● idle", "ok"),
    "stopping": ("◌ stopping", "warn"),
    "stopped": ("· stopped", "dim"),
    "error": ("✗ error", "error bold"),
}


def state_span(row: AgentRow) -> Span:
    """Return what an agent is doing: a shape, a word, a role."""
    if row.is_stuck:
        return ("✗ stuck", "error bold")
    if row.running_s is not None:
        return (f"◆ run {format_run_time(row.running_s)}", "accent bold")
    if row.is_overdue and row.status == "running":
        return ("⚠ overdue", "warn bold")
    if row.status == "running" and not row.repeats and row.next_in_s is None:
        return ("‖ paused", "warn")
    return _STATES.get(row.status, (row.status, ""))


def state_word(row: AgentRow) -> str:
    """Return the words by which a state can be filtered."""
    words = [row.status, state_span(row)[0].split(" ", 1)[-1].split(" ")[0]]
    return " ".join((*words, "overdue" if row.is_overdue else "")).strip()


def next_text(row: AgentRow) -> str:
    """Return when the next cycle is due; ``late`` with how much."""
    if row.next_in_s is None:
        return "--"
    return "now" if 0 <= row.next_in_s < 0.05 else format_run_time(row.next_in_s)


def why(row: AgentRow) -> Span:
    """Return the most telling short text about an agent."""
    if row.failures_in_row:
        return (f"✗ {row.last_error or 'failed'}", "error")
    if row.status in ("stopped", "initialized"):
        return ("s starts it", "dim")
    if row.status == "running" and not row.repeats:
        return ("u lets it go on, R runs it once", "dim")
    interval = row.interval
    because = ""
    if interval is not None and interval.reason:
        because = f"x{interval.adjustment * interval.backoff:.2f}: {interval.reason}"
    return (" · ".join(part for part in (row.note, because) if part), "dim")


def _fail(row: AgentRow) -> Span:
    count = row.errors + row.timeouts
    return (f"{count:,}", "error bold" if row.failures_in_row else "warn" if count else "dim")


def _next(row: AgentRow) -> Span:
    late = row.next_in_s is not None and row.next_in_s < -1
    return (next_text(row), "warn" if late else "")


def _every(row: AgentRow) -> Span:
    return ("--" if row.interval is None else format_run_time(row.interval.seconds), "")


def _quiet(row: AgentRow) -> str:
    return "dim" if row.status != "running" else ""


def _known(read: Callable[[Any], float | None]) -> Callable[[Any], float]:
    """Return a key to sort by: what is not known counts as 0."""
    return lambda row: read(row) or 0.0


_NUMBERS: Final[Mapping[str, Callable[[Any], float | None]]] = {
    "runs": lambda row: row.runs,
    "took": lambda row: row.last_run_s,
    "mean": lambda row: row.mean_run_s,
    "p95": lambda row: row.p95_run_s,
    "every": lambda row: None if row.interval is None else row.interval.seconds,
    "next": lambda row: row.next_in_s,
    "fail": lambda row: row.errors + row.timeouts,
    "timeouts": lambda row: row.timeouts,
    "merged": lambda row: row.coalesced,
}
_TEXTS: Final[Mapping[str, Callable[[Any], str]]] = {
    "id": lambda row: row.id,
    "type": lambda row: row.type,
    "origin": lambda row: row.origin,
    "state": state_word,
    "priority": lambda row: row.priority,
    "error": lambda row: row.last_error,
    "note": lambda row: row.note,
}
_KEYS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "agent": lambda row: row.id,
    "state": state_word,
    "priority": lambda row: _LEVELS.get(row.priority, 9),
    "last": lambda row: row.last_started_ns or 0,
    **{name: _known(read) for name, read in _NUMBERS.items()},
}
_HOME: Final = Query()


class AgentSource:
    """Rows of the agents table."""

    noun = "agents"
    home = _HOME
    tail = False

    def __init__(self, console: ConsoleState) -> None:
        self._console = console
        self._filter: RowFilter[AgentRow] = RowFilter(texts=_TEXTS, numbers=_NUMBERS)
        self.columns: tuple[Column[AgentRow], ...] = (
            Column("agent", "Agent", 18, lambda r: (r.id, f"bold {_quiet(r)}"), letter="a",
                   frozen=True),
            Column("state", "State", 12, state_span, letter="s", live=True),
            Column("priority", "Prio", 8,
                   lambda r: (r.priority, _PRIORITY_ROLES.get(r.priority, "")), letter="p", rank=5),
            Column("last", "Last run", 8, self._last, "right", letter="l", rank=4, live=True),
            Column("took", "Took", 7, lambda r: (format_run_time(r.last_run_s), ""), "right",
                   letter="t", rank=1, live=True),
            Column("p95", "p95", 7, lambda r: (format_run_time(r.p95_run_s), "dim"), "right",
                   letter="9", rank=7, live=True),
            Column("every", "Every", 7, _every, "right", letter="e", live=True),
            Column("next", "Next", 7, _next, "right", letter="n", live=True),
            Column("fail", "Fail", 5, _fail, "right", letter="f", live=True),
            Column("timeouts", "T/out", 5, lambda r: (f"{r.timeouts:,}", "dim"), "right", rank=11,
                   letter="o", live=True),
            Column("merged", "Merged", 6, lambda r: (f"{r.coalesced:,}", "dim"), "right", rank=12,
                   letter="m", live=True),
            Column("runs", "Runs", 7, lambda r: (f"{r.runs:,}", "dim"), "right", letter="r",
                   rank=9, live=True),
            Column("trend", "Run time", 12, lambda r: (sparkline(r.run_times, 12), "spark"),
                   rank=6),
            Column("intervals", "Interval", 12, lambda r: (sparkline(r.intervals, 12), "spark"),
                   rank=10),
            Column("why", "Why and what", 14, why, rank=2, flexible=True),
        )  # fmt: skip

    def window(self, query: Query, start: int, count: int) -> Window[AgentRow]:
        """Return the rows ``start`` to ``start + count`` of those that pass the filter."""
        rows = self._console.engine.agents()
        try:
            matching = self._matching(rows, query)
        except RowFilterError as error:
            return Window((), start, 0, len(rows), str(error))
        return Window(tuple(matching[start : start + count]), start, len(matching), len(rows))

    def index_of(self, query: Query, row_id: str) -> int | None:
        """Return where the agent is under *query*, or None."""
        try:
            rows = self._matching(self._console.engine.agents(), query)
        except RowFilterError:
            return None
        return next((place for place, row in enumerate(rows) if row.id == row_id), None)

    def row_id(self, row: AgentRow) -> str:
        """Return the agent's id."""
        return row.id

    def find(self, row_id: str) -> AgentRow | None:
        """Return the agent's row as it is now, or None."""
        detail = self._console.engine.agent(row_id)
        return None if detail is None else detail.row

    def _matching(self, rows: tuple[AgentRow, ...], query: Query) -> list[AgentRow]:
        found = list(filter(self._filter.parse(query.filter_text), rows))
        key = _KEYS.get(query.sort)
        if key is not None:
            found.sort(key=key, reverse=query.descending)
        return found

    def _last(self, row: AgentRow) -> Span:
        if row.last_started_ns is None:
            return ("never", "dim")
        return (self._console.stamp(row.last_started_ns, None, millis=False), "dim")
