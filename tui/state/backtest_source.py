"""The backtests as a table source, and the words and shapes of their states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from tui.formatting import (
    UNKNOWN,
    direction,
    format_compact,
    format_decimal,
    format_duration,
    format_percent,
    format_share,
)
from tui.state.columns import Column, raw_of, time_of
from tui.state.console import ConsoleState
from tui.state.row_filter import RowFilter, RowFilterError
from tui.state.table import Query, Window
from tui.state.text import Span

if TYPE_CHECKING:
    from engine.api.backtest_views import BacktestRow

BAR_CELLS: Final = 8
_SECOND_NS: Final = 1_000_000_000
_ENDED: Final = {
    "completed": ("✓ done", "ok"),
    "bankrupt": ("✗ bankrupt", "error bold"),
    "failed": ("✗ failed", "error bold"),
    "queued": ("○ queued", "dim"),
}


def progress_bar(share: float, cells: int) -> str:
    """Return a bar of *cells* cells; something that has begun shows at least one."""
    done = min(max(share, 0.0), 1.0)
    filled = max(1, int(done * cells)) if done else 0
    return "▇" * filled + "▁" * (cells - filled)


def state_span(row: BacktestRow) -> Span:
    """Return where a backtest stands: a bar and the time left, or a shape and a word."""
    status = row.status.value
    if status == "running":
        if row.phase == "collecting":
            return ("◌ reporting", "accent bold")
        if not row.bars_done:
            return (f"◌ {row.phase or 'starting'}", "accent bold")
        left = "" if row.seconds_left is None else f" {format_duration(row.seconds_left)}"
        bar = progress_bar(row.progress, BAR_CELLS)
        return (f"{bar} {format_share(row.progress)}{left}", "accent bold")
    if status == "cancelled":
        has_part = row.final_equity is not None
        part = f"◌ partial {format_share(row.progress)}" if has_part else "· cancelled"
        return (part, "warn" if has_part else "dim")
    word, role = _ENDED.get(status, (status, ""))
    if status == "completed" and row.finished_ns is not None:
        word = f"{word} {format_duration((row.finished_ns - row.created_ns) / _SECOND_NS)}"
    return (word, role)


def state_word(row: BacktestRow) -> str:
    """Return the words by which a state can be filtered."""
    words = {"completed": "done", "cancelled": "partial"}
    status = row.status.value
    return f"{status} {words.get(status, '')}".strip()


def return_span(fraction: float | None) -> Span:
    """Return a return with its arrow, sign and colour."""
    if fraction is None:
        return (UNKNOWN, "dim")
    way = direction(fraction, 4)
    arrow = {"up": "▲", "down": "▼", "flat": "·"}[way]
    return (f"{arrow} {format_percent(fraction)}", way)


def drawdown_text(fraction: float | None) -> str:
    """Return the deepest fall, below zero."""
    return format_percent(None if fraction is None else -fraction)


def ratio_text(value: float | None, decimals: int = 2) -> str:
    """Return a plain statistic."""
    return format_decimal(value, decimals)


def note_span(row: BacktestRow) -> Span:
    """Return the most telling short text: the error, the speed, or where it came from."""
    if row.error:
        return (row.error, "error" if row.status.value == "failed" else "warn")
    if row.status.value == "running" and row.bars_per_second is not None:
        bars = f"{row.bars_done:,} of {row.bars_total:,} bars"
        return (f"{bars} · {format_compact(row.bars_per_second)} bars/s", "dim")
    return (PurePath(row.source).name, "dim")


def _known(read: Callable[[Any], float | None]) -> Callable[[Any], float]:
    return lambda row: -1e300 if read(row) is None else float(read(row) or 0)


_NUMBERS: Final[Mapping[str, Callable[[Any], float | None]]] = {
    "return": lambda row: row.total_return,
    "sharpe": lambda row: row.sharpe,
    "drawdown": lambda row: row.max_drawdown,
    "trades": lambda row: row.n_trades,
    "equity": lambda row: None if row.final_equity is None else float(row.final_equity),
    "bars": lambda row: row.bars_total,
    "speed": lambda row: row.bars_per_second,
}
_TEXTS: Final[Mapping[str, Callable[[Any], str]]] = {
    "name": lambda row: row.name,
    "id": lambda row: row.id,
    "state": state_word,
    "source": lambda row: row.source,
    "engine": lambda row: row.engine,
    "error": lambda row: row.error,
}
_KEYS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "name": lambda row: row.name.casefold(),
    "state": lambda row: (row.status.value, row.progress),
    "when": lambda row: row.created_ns,
    "engine": lambda row: row.engine,
    **{name: _known(read) for name, read in _NUMBERS.items()},
}
_HOME: Final = Query()


class BacktestSource:
    """Rows of the backtests table: sorted and filtered here, for there are few."""

    noun = "backtests"
    home = _HOME
    tail = False

    def __init__(self, console: ConsoleState) -> None:
        self._console = console
        self._filter: RowFilter[BacktestRow] = RowFilter(texts=_TEXTS, numbers=_NUMBERS)
        self.columns: tuple[Column[BacktestRow], ...] = (
            Column("name", "Name", 20, lambda r: (r.name, "bold"), letter="n", frozen=True),
            Column("state", "State", 16, state_span, letter="s", live=True,
                   raw=lambda r: r.status.value),
            Column("return", "Return", 10, lambda r: return_span(r.total_return), "right",
                   letter="r", live=True,
                   raw=raw_of("total_return")),
            Column("sharpe", "Sharpe", 6, lambda r: (ratio_text(r.sharpe), ""), "right",
                   letter="p", rank=1, live=True,
                   raw=raw_of("sharpe")),
            Column("drawdown", "MaxDD", 8, lambda r: (drawdown_text(r.max_drawdown), ""),
                   "right", letter="d", live=True,
                   raw=raw_of("max_drawdown")),
            Column("trades", "Trades", 7, _trades, "right", letter="t", rank=2, live=True,
                   raw=raw_of("n_trades")),
            Column("equity", "Equity", 13, lambda r: (format_decimal(r.final_equity, 2), ""),
                   "right", letter="e", rank=6, live=True,
                   raw=raw_of("final_equity")),
            Column("bars", "Bars", 9, lambda r: (f"{r.bars_total:,}" if r.bars_total else UNKNOWN,
                   "dim"), "right", letter="b", rank=8, live=True,
                   raw=raw_of("bars_total")),
            Column("speed", "Bars/s", 7, lambda r: (format_compact(r.bars_per_second), "dim"),
                   "right", letter="v", rank=7, live=True,
                   raw=raw_of("bars_per_second")),
            Column("engine", "Engine", 8, lambda r: (r.engine or UNKNOWN, "dim"), letter="g",
                   rank=5,
                   raw=raw_of("engine")),
            Column("when", "When", 11, self._when, "right", letter="w", rank=4, live=True,
                   raw=time_of("created_ns")),
            Column("note", "What", 14, note_span, rank=3, flexible=True),
        )  # fmt: skip

    def window(self, query: Query, start: int, count: int) -> Window[BacktestRow]:
        """Return the rows ``start`` to ``start + count`` of those that pass the filter."""
        rows = self._console.engine.backtests()
        try:
            matching = self._matching(rows, query)
        except RowFilterError as error:
            return Window((), start, 0, len(rows), str(error))
        return Window(tuple(matching[start : start + count]), start, len(matching), len(rows))

    def index_of(self, query: Query, row_id: str) -> int | None:
        """Return where the backtest is under *query*, or None."""
        try:
            rows = self._matching(self._console.engine.backtests(), query)
        except RowFilterError:
            return None
        return next((place for place, row in enumerate(rows) if row.id == row_id), None)

    def row_id(self, row: BacktestRow) -> str:
        """Return the backtest's id."""
        return row.id

    def find(self, row_id: str) -> BacktestRow | None:
        """Return the backtest's row as it is now, or None."""
        detail = self._console.engine.backtest(row_id)
        return None if detail is None else detail.row

    def _matching(self, rows: tuple[BacktestRow, ...], query: Query) -> list[BacktestRow]:
        found = list(filter(self._filter.parse(query.filter_text), rows))
        key = _KEYS.get(query.sort)
        if key is not None:
            found.sort(key=key, reverse=query.descending)
        return found

    def _when(self, row: BacktestRow) -> Span:
        return (self._console.day_stamp(row.created_ns), "dim")


def _trades(row: BacktestRow) -> Span:
    return (UNKNOWN if row.n_trades is None else f"{row.n_trades:,}", "")
