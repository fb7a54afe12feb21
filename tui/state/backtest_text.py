"""What is said about one backtest: headline, key figures, the panel below the list."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len

from tui.formatting import (
    UNKNOWN,
    clean,
    fit,
    format_compact,
    format_date_time,
    format_decimal,
    format_duration,
    format_percent,
    format_share,
    wrap_words,
)
from tui.state.backtest_source import (
    drawdown_text,
    progress_bar,
    ratio_text,
    return_span,
    state_span,
)
from tui.state.text import Line, Span, ends, line_width

if TYPE_CHECKING:
    from engine.api.backtest_views import BacktestDetail, BacktestRow

PERCENTS: Final = frozenset({
    "total_return", "cagr", "ann_return", "volatility", "volatility_geo", "max_drawdown",
    "avg_drawdown", "exposure", "win_rate", "expectancy_pct", "best_trade", "worst_trade",
    "avg_trade", "var_95", "cvar_95", "ulcer", "alpha", "psr", "dsr",
})  # fmt: skip
"""Metrics that are fractions."""
_FALLS: Final = frozenset({"max_drawdown", "avg_drawdown"})
_PLAIN: Final = frozenset({"volatility", "volatility_geo", "exposure", "win_rate", "ulcer", "psr",
                           "dsr"})  # fmt: skip
_WHOLE: Final = frozenset({"max_drawdown_duration", "max_duration", "avg_duration"})
_NEXT: Final = {
    "queued": "It waits for a free worker. x takes it out of the queue.",
    "running": "x ends it and keeps what was done, marked partial.",
    "completed": "enter opens the charts; d runs it again with changes; E exports it.",
    "cancelled": "It was ended early. d runs it again; D deletes it.",
    "bankrupt": "The account was used up. enter shows how; d runs it with smaller sizes.",
    "failed": "d runs it again with changes; D deletes it.",
}


def metric_text(name: str, value: object) -> str:
    """Return a metric for people: percent, money, counts or a ratio."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        try:
            return format_decimal(float(value), 2)
        except ValueError:
            return clean(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if name in _FALLS:
            return drawdown_text(value)
        if name in PERCENTS:
            return format_percent(value, signed=name not in _PLAIN)
        digits = 0 if name in _WHOLE and value.is_integer() else 2 if abs(value) >= 10 else 3
        return format_decimal(value, digits)
    return clean(str(value))


def figures(row: BacktestRow, summary: Mapping[str, Any]) -> tuple[tuple[str, Span], ...]:
    """Return the key figures as (label, value), the most important first."""
    found: list[tuple[str, Span]] = [
        ("return", return_span(row.total_return)),
        ("Sharpe", (ratio_text(row.sharpe), "bold")),
        ("MaxDD", (drawdown_text(row.max_drawdown), "bold")),
        ("trades", (UNKNOWN if row.n_trades is None else f"{row.n_trades:,}", "bold")),
        ("win", (format_percent(summary.get("win_rate"), signed=False), "")),
        ("PF", (ratio_text(summary.get("profit_factor")), "")),
        ("CAGR", (format_percent(summary.get("cagr")), "")),
        ("equity", (format_decimal(row.final_equity, 2), "")),
        ("Sortino", (ratio_text(summary.get("sortino")), "")),
        ("exposure", (format_share(summary.get("exposure")), "")),
    ]
    return tuple(found)


def figure_line(row: BacktestRow, summary: Mapping[str, Any], width: int) -> Line:
    """Return as many key figures as fit into *width*."""
    spans: list[Span] = []
    for label, (text, role) in figures(row, summary):
        part: list[Span] = [(f" {label} ", "dim"), (text, role), (" ", "")]
        if line_width((*spans, *part)) > width:
            break
        spans += part
    return tuple(spans)


def headline(row: BacktestRow, width: int) -> Line:
    """Return state and origin of a backtest in one line."""
    word, role = state_span(row)
    left: Line = (
        (f" {word}", role),
        (f"   {row.engine or 'auto'}", "dim"),
        (f"   {row.bars_done:,} bars" if row.bars_done else "", "dim"),
    )
    right: Line = ((row.id, "dim"), (" ", ""))
    source = clean(row.source)
    if line_width((*left, *right)) + 4 + cell_len(source) > width:  # the file's name says most
        source = PurePath(source).name
    return ends((*left, (f"   {source}", "dim")), right, width)


def progress_lines(row: BacktestRow, width: int) -> tuple[Line, ...]:
    """Return a wide bar with done, total, speed and time left of a running backtest."""
    if row.phase == "compiling":
        text = " Compiling kernels: the first run of this kind takes up to a minute, once."
        return (((text, "accent"),),)
    if row.phase == "collecting":
        return (((f" {row.bars_done:,} bars are done, the report is being made.", "accent"),),)
    if not row.bars_done:
        return (((" Reading the data.", "accent"),),)
    cells = max(10, min(60, width - 12))
    bars = f"{row.bars_done:,} of {row.bars_total:,} bars"
    speed = f"{format_compact(row.bars_per_second)} bars/s"
    where = "" if not row.simulated_ns else f"at {format_date_time(row.simulated_ns)[:10]}"
    left = f"{format_duration(row.seconds_left)} left"
    text = " · ".join(part for part in (bars, speed, where, left) if part)
    bar: Line = ((f" {progress_bar(row.progress, cells)} ", "accent"),
                 (format_share(row.progress), "bold"))  # fmt: skip
    return (bar, ((f" {text}", "dim"),))


def state_lines(detail: BacktestDetail, width: int) -> tuple[Line, ...]:
    """Return what a backtest without a result says, and what to do about it."""
    row = detail.row
    lines: list[Line] = []
    if row.status.value == "running":
        lines += [*progress_lines(row, width), ()]
    if row.error:
        shape = "✗ " if row.status.value == "failed" else "⚠ "
        role = "error" if row.status.value == "failed" else "warn"
        for place, text in enumerate(wrap_words(clean(row.error), max(20, width - 4))):
            lines.append(((f" {'  ' if place else shape}{text}", role),))
    lines.append(((f" {_NEXT.get(row.status.value, '')}", "dim"),))
    return tuple(lines)


def panel_lines(detail: BacktestDetail, width: int, height: int) -> tuple[Line, ...]:
    """Return the panel for the row under the cursor."""
    row = detail.row
    lines: list[Line] = [headline(row, width)]
    if row.final_equity is not None:
        lines.append(figure_line(row, detail.summary, width))
    lines += [*config_lines(detail.config, width)[: max(1, height - 5)]]
    lines += state_lines(detail, width)
    return tuple(lines[:height])


def config_lines(config: Mapping[str, Any], width: int) -> list[Line]:
    """Return what is run on what, one line each."""
    lines: list[Line] = []
    components = config.get("components") or {}
    symbols = [
        f"{entry.get('symbol', '?')} {entry.get('bar', '')}".strip()
        for entry in config.get("data") or ()
        if isinstance(entry, Mapping)
    ]
    parts = [*_named(components.get("strategy")), *_named(config.get("controllers")),
             *_named(config.get("executors"))]  # fmt: skip
    for label, text in (("runs", " · ".join(parts)), ("on", ", ".join(symbols))):
        if text:
            lines.append(((f" {fit(label, 5)}", "dim"), (text, "")))
    del width
    return lines


def _named(value: object) -> list[str]:
    if isinstance(value, Mapping):
        name = value.get("class") or value.get("type") or value.get("kind")
        params = value.get("params") or {}
        plain = [f"{key} {one}" for key, one in params.items()
                 if not isinstance(one, Mapping | list | tuple)]  # fmt: skip
        return [] if not name else [" ".join((str(name), *plain))]
    if isinstance(value, list | tuple):
        return [text for one in value for text in _named(one)]
    return []
