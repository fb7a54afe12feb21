"""The executor table: its columns, and its rows from the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.formatting import (
    direction,
    format_decimal,
    format_duration,
    format_percent,
    format_signed_money,
    raw_text,
    short_id,
    sparkline,
)
from tui.state.columns import Column, raw_of
from tui.state.console import ConsoleState
from tui.state.table import Query, Window
from tui.state.text import Span

if TYPE_CHECKING:
    from engine.api.views import ExecutorRow

_STATES: Final[dict[str, Span]] = {
    "created": ("○ created", "accent"),
    "running": ("● running", "ok"),
    "shutting_down": ("◌ closing", "warn"),
    "failed": ("✗ failed", "error"),
    "terminated": ("✓ ended", "dim"),
}
_ENDS: Final[dict[str, str]] = {
    "TAKE_PROFIT": "✓ take profit",
    "STOP_LOSS": "✓ stop loss",
    "TRAILING_STOP": "✓ trailing",
    "TIME_LIMIT": "✓ time limit",
    "EARLY_STOP": "✓ stopped",
    "POSITION_HOLD": "✓ held",
    "EXPIRED": "✓ expired",
    "INSUFFICIENT_BALANCE": "✗ no balance",
    "FAILED": "✗ failed",
}


def state_span(row: ExecutorRow) -> Span:
    """Return an executor's state as shape, word and role."""
    if row.close_type and row.lifecycle in {"terminated", "failed"}:
        text = _ENDS.get(row.close_type, f"✓ {row.close_type.lower().replace('_', ' ')}")
        return (text, "error" if text.startswith("✗") else "dim")
    return _STATES.get(row.lifecycle, (row.lifecycle, ""))


def _is_over(row: ExecutorRow) -> bool:
    return row.lifecycle in {"terminated", "failed"}


def _quiet(row: ExecutorRow) -> str:
    return "dim" if _is_over(row) else ""


def _mark(row: ExecutorRow) -> Span:
    return (format_decimal(row.mark_price), "stale" if row.stale_price else _quiet(row))


def _side(row: ExecutorRow) -> Span:
    return (row.side, _quiet(row))


def _amount(row: ExecutorRow) -> Span:
    partial = 0 < row.filled_amount < row.amount
    shown = row.filled_amount or row.amount
    return (format_decimal(shown), "warn" if partial else _quiet(row))


def _note(row: ExecutorRow) -> Span:
    if row.last_error:
        return (row.last_error, "error")
    return (f"retry {row.retries}" if row.retries else "", "warn")


def _way(row: ExecutorRow) -> str:
    return direction(row.net_pnl_quote)


COLUMNS: Final[tuple[Column[ExecutorRow], ...]] = (
    Column("id", "Id", 8, lambda r: (short_id(r.id), "bold" if not _is_over(r) else "dim"),
           letter="i", frozen=True, raw=lambda r: r.id),
    Column("type", "Type", 8, lambda r: (r.type, _quiet(r)), letter="t", rank=5),
    Column("pair", "Pair", 9, lambda r: (r.trading_pair, _quiet(r)), letter="r", rank=1),
    Column("side", "Side", 4, _side, letter="d", rank=2),
    Column("state", "State", 13, state_span, letter="s", live=True,
           raw=lambda r: r.close_type or r.lifecycle),
    Column("amount", "Amount", 10, _amount, "right", letter="m", rank=7,
           raw=lambda r: raw_text(r.filled_amount or r.amount)),
    Column("entry", "Entry", 11, lambda r: (format_decimal(r.entry_price), _quiet(r)), "right",
           letter="e", rank=4,
           raw=raw_of("entry_price")),
    Column("mark", "Mark", 11, _mark, "right", letter="k", rank=4, live=True,
           raw=raw_of("mark_price")),
    Column("pnl", "PnL", 12, lambda r: (format_signed_money(r.net_pnl_quote), _way(r)), "right",
           letter="p", live=True,
           raw=raw_of("net_pnl_quote")),
    Column("pnl_pct", "PnL%", 8, lambda r: (format_percent(r.net_pnl_pct), _way(r)), "right",
           letter="c", live=True,
           raw=raw_of("net_pnl_pct")),
    Column("trend", "Trend", 10,
           lambda r: (sparkline(r.trend, 10), "dim" if _is_over(r) else "spark"), rank=6,
           raw=raw_of("trend")),
    Column("age", "Age", 6, lambda r: (format_duration(r.age_s), "dim"), "right", letter="a",
           rank=3,
           raw=raw_of("age_s")),
    Column("fees", "Fees", 8, lambda r: (format_decimal(r.fees_quote, 2), "dim"), "right",
           letter="f", rank=8, live=True,
           raw=raw_of("fees_quote")),
    Column("controller", "Controller", 10, lambda r: (r.controller_id, "dim"), rank=9),
    Column("note", "Note", 12, _note, rank=10, flexible=True),
)  # fmt: skip


class ExecutorSource:
    """Rows of the executor table of the session in view."""

    noun = "executors"
    columns = COLUMNS
    home = Query("created", descending=True)
    tail = False

    def __init__(self, console: ConsoleState) -> None:
        self._console = console

    def window(self, query: Query, start: int, count: int) -> Window[ExecutorRow]:
        """Return the rows ``start`` to ``start + count``; nothing before there is a session."""
        session = self._console.session
        if not session:
            return Window()
        page = self._console.engine.executors(
            session,
            sort=query.sort,
            descending=query.descending,
            filter_text=query.filter_text,
            start=start,
            count=count,
        )
        return Window(page.rows, page.start, page.matching, page.total, page.filter_error)

    def index_of(self, query: Query, row_id: str) -> int | None:
        """Return where the executor is, or None."""
        session = self._console.session
        if not session:
            return None
        return self._console.engine.executor_index(
            session,
            row_id,
            sort=query.sort,
            descending=query.descending,
            filter_text=query.filter_text,
        )

    def row_id(self, row: ExecutorRow) -> str:
        """Return the executor's id."""
        return row.id

    def find(self, row_id: str) -> ExecutorRow | None:
        """Return the executor's row as it is now, or None."""
        session = self._console.session
        detail = self._console.engine.executor(session, row_id) if session else None
        return None if detail is None else detail.row
