"""What the detail of an agent lists: its runs, its log, its configuration, its counters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from tui.formatting import clean, format_clock, format_date_time, format_run_time
from tui.state.agent_text import outcome_span
from tui.state.detail_text import Column, TabTable

if TYPE_CHECKING:
    from engine.api.views import AgentDetail

_LEVELS: Final = {"warning": "warn", "error": "error", "critical": "error bold", "debug": "dim"}


def runs_table(detail: AgentDetail) -> TabTable:
    """Return the last runs, the slowest first."""
    slowest = sorted(detail.runs, key=lambda run: (-run.duration_s, -run.number))
    rows = tuple(
        (
            (f"{run.number:,}", "dim"),
            (format_clock(run.started_ns), "dim"),
            (format_run_time(run.duration_s), "bold"),
            (f"{outcome_span(run.outcome)[0]} {run.outcome}", outcome_span(run.outcome)[1]),
            ("--" if run.interval_s is None else format_run_time(run.interval_s), "dim"),
            (clean(run.error or run.note), "error" if run.error else ""),
        )
        for run in slowest
    )
    columns = (
        Column("Run", 6, "right", drop=2),
        Column("Started", 8),
        Column("Took ▼", 8, "right"),
        Column("How", 11),
        Column("Then", 7, "right", drop=1),
        Column("What it said", 0),
    )
    return TabTable(columns, rows, "It has not run yet.", len(rows))


def log_table(detail: AgentDetail) -> TabTable:
    """Return the log lines, newest first."""
    rows = tuple(
        (
            (format_date_time(line.ts_ns), "dim"),
            (line.level, _LEVELS.get(line.level, "")),
            (clean(line.text), _LEVELS.get(line.level, "")),
        )
        for line in detail.log
    )
    columns = (Column("Time (UTC)", 19, drop=1), Column("Level", 7, drop=2), Column("Message", 0))
    return TabTable(columns, rows, "It has not logged anything.", len(rows))


def config_table(detail: AgentDetail) -> TabTable:
    """Return the configuration; secrets came as asterisks."""
    return _pairs(detail.config, "It has no configuration.")


def metrics_table(detail: AgentDetail) -> TabTable:
    """Return the agent's own counters."""
    return _pairs(detail.metrics, "It counts nothing.")


def _pairs(pairs: Sequence[tuple[str, str]], empty: str) -> TabTable:
    rows = tuple(((clean(name), "dim"), (clean(value), "")) for name, value in pairs)
    width = max((cell_len(clean(name)) for name, _ in pairs), default=8)
    return TabTable((Column("Name", min(width, 40)), Column("Value", 0)), rows, empty, len(rows))


AGENT_TABS: Final[tuple[tuple[str, Callable[[AgentDetail], TabTable]], ...]] = (
    ("Runs", runs_table),
    ("Log", log_table),
    ("Config", config_table),
    ("Metrics", metrics_table),
)
