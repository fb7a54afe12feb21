"""Two to four results side by side: curves with letters, metrics with the best one marked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tui.formatting import fit, format_date_time, format_percent
from tui.formatting.backtest_text import metric_title
from tui.state.backtest_text import metric_text
from tui.state.plot import Canvas, Curve, Window, join_bounds
from tui.state.text import Line, Span

LETTERS: Final = "ABCD"
ROLES: Final = ("series-1 bold", "series-2", "series-3", "series-4")
"""A role for each curve; the letter tells them apart without colour."""
_GUTTER: Final = 11
_MORE_IS_BETTER: Final = (
    "total_return", "cagr", "sharpe", "sortino", "calmar", "win_rate", "profit_factor", "payoff",
    "sqn", "expectancy", "best_trade", "worst_trade", "final_equity", "psr",
)  # fmt: skip
_LESS_IS_BETTER: Final = (
    "max_drawdown", "max_drawdown_duration", "volatility", "ulcer", "fees_total",
    "slippage_total",
)  # fmt: skip
ORDER: Final = (
    "total_return", "final_equity", "cagr", "sharpe", "sortino", "calmar", "max_drawdown",
    "max_drawdown_duration", "volatility", "ulcer", "n_trades", "win_rate", "profit_factor",
    "payoff", "expectancy", "sqn", "best_trade", "worst_trade", "exposure", "turnover",
    "fees_total", "slippage_total", "psr", "bars", "engine",
)  # fmt: skip
"""Metrics in the order of the table."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One of the results that are compared; ``curve`` is the gain since the start."""

    name: str
    summary: Mapping[str, Any]
    curve: Curve


def number_of(value: object) -> float | None:
    """Return a metric as a number, or None."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def best_of(name: str, values: Sequence[object]) -> int | None:
    """Return which of *values* is the best for the metric *name*; None if that has no sense."""
    numbers = [number_of(value) for value in values]
    known = [number for number in numbers if number is not None]
    if len(known) < 2 or min(known) == max(known):
        return None
    if name in _MORE_IS_BETTER:
        return numbers.index(max(known))
    if name in _LESS_IS_BETTER:
        return numbers.index(min(known))
    return None


def table_lines(contenders: Sequence[Contender], width: int) -> tuple[Line, list[Line]]:
    """Return header and one line for each metric; ``●`` marks the best one."""
    room = max(12, min(26, (width - 24) // max(1, len(contenders))))
    head: list[Span] = [(fit("Metric", 22), "head")]
    for letter, role, one in zip(LETTERS, ROLES, contenders, strict=False):
        head += [(f" {letter} ", f"{role} reverse"),
                 (fit(f" {one.name}", room - 4), "head"), (" ", "")]  # fmt: skip
    lines: list[Line] = []
    for name in ORDER:
        values = [one.summary.get(name) for one in contenders]
        if all(value is None for value in values):
            continue
        best = best_of(name, values)
        spans: list[Span] = [(fit(metric_title(name), 22), "dim")]
        for place, value in enumerate(values):
            text = metric_text(name, value)
            mark = "●" if place == best else " "
            cell = fit(text, room - 4, right=True)
            spans += [(cell, "bold" if place == best else ""), (f" {mark}", "ok"), ("  ", "")]
        lines.append(tuple(spans))
    return tuple(head), lines


def chart_lines(contenders: Sequence[Contender], width: int, height: int) -> list[Line]:
    """Return all curves over one time axis, each with its letter at its end and along it."""
    known = [one for one in contenders if one.curve.values]
    if not known or height < 3:
        return [(("  There are no curves to draw.", "dim"),)]
    first = min(one.curve.stamps[0] for one in known)
    last = max(one.curve.stamps[-1] for one in known)
    window = Window(first, max(first + 1, last), max(1, width - _GUTTER))
    low, high = join_bounds([one.curve.bounds for one in known])
    canvas = Canvas(window.cells, height - 1, (low, high))
    if low < 0 < high:
        canvas.draw(Curve((first, last), (0.0, 0.0)), window, "dim", every=2)
    for place, one in enumerate(contenders):
        canvas.draw(one.curve, window, ROLES[place])
    for place, one in enumerate(contenders):
        _put_letters(canvas, one.curve, window, place, len(contenders))
    lines: list[Line] = []
    for y, drawn in enumerate(canvas.lines()):
        label = ""
        if y == 0:
            label = format_percent(high)
        elif y == canvas.height - 1:
            label = format_percent(low)
        elif y == canvas.height // 2:
            label = "gain"
        axis: Span = (" ┤" if y in (0, canvas.height - 1) else " │", "dim")
        lines.append(((fit(label, _GUTTER - 2, right=True), "dim"), axis, *drawn))
    stamps = format_date_time(first)[:10], format_date_time(last)[:10]
    gap = " " * max(1, window.cells - 20)
    return [*lines, ((" " * (_GUTTER - 2) + " └", "dim"), (f"{stamps[0]}{gap}{stamps[1]}", "dim"))]


def _put_letters(canvas: Canvas, curve: Curve, window: Window, place: int, count: int) -> None:
    """Put the curve's letter at its end and at places that differ between the curves."""
    if not curve.values:
        return
    step = max(8, window.cells // 4)
    cells = [window.cells - 1, *range(step * (place + 1) // (count + 1), window.cells - 8, step)]
    for cell in cells:
        value = curve.value_at(window.time_of(cell))
        if value is not None and window.time_of(cell) >= curve.stamps[0]:
            row = canvas.row_of(value) // 4
            while (cell, row) in canvas.marks and cell > 0:
                cell -= 1  # noqa: PLW2901 (two curves end in one cell: step to the left)
            canvas.mark(cell, row, LETTERS[place], f"{ROLES[place]} bold")
