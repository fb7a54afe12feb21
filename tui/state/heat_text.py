"""The heat map as styled lines: tiles of number, shade and colour, legend, neighbourhood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from tui.formatting import clean, clip, fit, format_compact, format_decimal
from tui.state.backtest_text import PERCENTS
from tui.state.heat_map import COLORS, HeatMap
from tui.state.study_source import parameters_text
from tui.state.text import Line, Span
from tui.state.trial_source import number_of, trial_state

if TYPE_CHECKING:
    from engine.api.optimization_views import TrialRow

SHADES: Final = (" ", "░", "▒", "▓", "█")
_WIDEST_LEAST: Final = 14
_WIDEST_TILE: Final = 24
_TALLEST_TILE: Final = 5
_LABEL: Final = 14
_SPARE_LINES: Final = 6
"""Title, column labels, two lines of air, legend, neighbourhood."""


@dataclass(frozen=True, slots=True)
class TilePlan:
    """Where tiles stand: size, the first row and column on show, how many there are room for."""

    label: int
    width: int
    height: int
    top: int
    left: int
    rows: int
    columns: int

    def cell_at(self, line: int, column: int) -> tuple[int, int] | None:
        """Return row and column of the tile at a place of the panel, or None."""
        x, y = column - self.label - 1, line - 2
        if x < 0 or y < 0 or x >= self.columns * self.width or y >= self.rows * self.height:
            return None
        return (self.top + y // self.height, self.left + x // self.width)


def heat_number(metric: str, value: float) -> str:
    """Return a value in few cells: percent, two decimals, or ``26.6k``."""
    if metric in PERCENTS:
        return f"{100 * value:.1f}%"
    return format_compact(value) if abs(value) >= 1_000 else format_decimal(value, 2)


def plan_tiles(heat: HeatMap, width: int, height: int) -> TilePlan:
    """Return tiles as big as there is room for; the cursor's is always among them."""
    metric = heat.axes.metric
    numbers = [heat_number(metric, one) for row in heat.cells for one in row if one is not None]
    names = [clean(one) for one in heat.columns]
    least = max([4, *map(cell_len, numbers), *(cell_len(one) - 2 for one in names)]) + 3
    least = min(least, _WIDEST_LEAST)
    corner = f"{heat.axes.y}\\{heat.axes.x}" if heat.axes.y else heat.axes.x
    label = min(_LABEL, max(map(cell_len, [corner, *map(clean, heat.rows)]), default=4))
    room = max(least, width - label - 2)
    columns = max(1, min(len(heat.columns), room // least))
    size = min(_WIDEST_TILE, max(least, room // columns)) if columns == len(heat.columns) else least
    free = max(1, height - _SPARE_LINES)
    tall = max(1, min(_TALLEST_TILE, free // max(1, len(heat.rows))))
    tall -= tall > 1 and tall % 2 == 0  # the number stands in the middle line
    rows = max(1, min(len(heat.rows), free // tall))
    return TilePlan(
        label, size, tall, _first(heat.row, rows, len(heat.rows)),
        _first(heat.column, columns, len(heat.columns)), rows, columns,
    )  # fmt: skip


def _first(cursor: int, room: int, count: int) -> int:
    """Return the first one on show with the cursor near the middle."""
    return max(0, min(cursor - room // 2, count - room))


def heat_lines(heat: HeatMap, plan: TilePlan, width: int, *, focused: bool) -> list[Line]:
    """Return the map with its legend and what is said of the cell under the cursor."""
    if not heat.columns:
        return [((" This study varies no parameter.", "dim"),)]
    lines = [_title(heat, plan), _labels(heat, plan)]
    for row in range(plan.top, plan.top + plan.rows):
        lines += _row_lines(heat, plan, row, focused=focused)
    return [*lines, (), legend_line(heat, width), cell_line(heat)]


def _title(heat: HeatMap, plan: TilePlan) -> Line:
    axes = heat.axes
    rule = {"best": "best trial of each cell", "mean": "mean of each cell",
            "median": "median of each cell"}[axes.rule]  # fmt: skip
    many = len(heat.detail.parameters) > 2
    spans: list[Span] = [
        (f" {clean(axes.metric)}", "bold"),
        (f"  {rule}" if many else "", "dim"),
        ("  lower is better" if heat.prefers_low else "", "dim"),
    ]
    cut = [f"{name}={value}" for name, value in axes.fixed if name not in (axes.x, axes.y)]
    if cut:
        spans.append((f"  only {clean(' '.join(cut))}", "accent"))
    hidden = []
    if plan.columns < len(heat.columns):
        shown = f"{plan.left + 1}-{plan.left + plan.columns}"
        hidden.append(f"{clean(axes.x)} {shown} of {len(heat.columns)}")
    if plan.rows < len(heat.rows):
        shown = f"{plan.top + 1}-{plan.top + plan.rows}"
        hidden.append(f"{clean(axes.y)} {shown} of {len(heat.rows)}")
    if hidden:
        spans.append((f"  … {', '.join(hidden)}", "warn"))
    return tuple(spans)


def _labels(heat: HeatMap, plan: TilePlan) -> Line:
    axes = heat.axes
    corner = f"{axes.y}\\{axes.x}" if axes.y else axes.x
    spans: list[Span] = [(f"{fit(corner, plan.label, right=True)} ", "dim")]
    for place in range(plan.left, plan.left + plan.columns):
        name = clip(clean(heat.columns[place]), plan.width - 1)
        here = place == heat.column
        spans.append((name.center(plan.width), "bold underline" if here else "head"))
    return tuple(spans)


def _row_lines(heat: HeatMap, plan: TilePlan, row: int, *, focused: bool) -> list[Line]:
    middle = (plan.height - 1) // 2
    lines: list[Line] = []
    for y in range(plan.height):
        name = fit(clean(heat.rows[row]), plan.label, right=True) if y == middle else ""
        role = "bold underline" if row == heat.row else "head"
        spans: list[Span] = [
            (" " * (plan.label - cell_len(name)), ""), (name, role), (" ", ""),
        ]  # fmt: skip
        for column in range(plan.left, plan.left + plan.columns):
            spans += _tile(heat, plan, row, column, is_middle=y == middle, focused=focused)
        lines.append(tuple(spans))
    return lines


def _tile(
    heat: HeatMap, plan: TilePlan, row: int, column: int, *, is_middle: bool, focused: bool
) -> list[Span]:
    value = heat.cells[row][column]
    here = (row, column) == (heat.row, heat.column)
    ground, text = "", ""
    if value is not None:
        share = heat.share(value)
        ground = f"heat-{round(share * (COLORS - 1))}"
        shade = SHADES[round(share * (len(SHADES) - 1))]
        text = heat_number(heat.axes.metric, value) + shade
    elif (row, column) in heat.failed:
        ground, text = "error", "✗"
    else:
        ground, text = "dim", "·"
    if not is_middle:
        return [(" " * plan.width, ground if value is not None else "")]
    text = clip(text, plan.width - 2)
    mark = "●" if (row, column) == heat.best and not here else " "
    left = (plan.width - 2 - cell_len(text)) // 2
    right = plan.width - 2 - cell_len(text) - left
    strong = f"{ground} bold" + (" reverse" if here and focused else "")
    if here:
        return [(" " * left, ground if value is not None else ""), (f"[{text}]", strong),
                (" " * right, ground if value is not None else "")]  # fmt: skip
    return [(f"{mark}{' ' * left}{text}{' ' * right} ", ground)]


def legend_line(heat: HeatMap, width: int) -> Line:
    """Return the scale from lowest to highest, and what the signs mean."""
    metric = heat.axes.metric
    spans: list[Span] = [(f" {heat_number(metric, heat.low)} ", "")]
    for color in range(COLORS):
        shade = SHADES[round(color / (COLORS - 1) * (len(SHADES) - 1))]
        spans.append((f" {shade} ", f"heat-{color}"))
    spans += [(f" {heat_number(metric, heat.high)}", ""), ("   [ ] here", "dim")]
    signs = (("  ● best", "dim"), ("  ✗ failed", "error"), ("  · not run", "dim"))
    for sign in signs:
        if sum(cell_len(text) for text, _ in (*spans, sign)) <= width:
            spans.append(sign)
    return tuple(spans)


def cell_line(heat: HeatMap) -> Line:
    """Return the cell under the cursor and its neighbourhood in one line."""
    if not heat.rows or not heat.columns:
        return ()
    place = _place(heat)
    value = heat.value
    if value is None:
        failed = heat.failed.get((heat.row, heat.column))
        if failed is None:
            return ((f" {place}  ", "bold"), ("no trial here yet", "dim"))
        return ((f" {place}  ", "bold"), (f"✗ {clean(failed.error) or 'failed'}", "error"))
    metric = heat.axes.metric
    near = heat.neighbourhood(heat.row, heat.column)
    spans: list[Span] = [
        (" best " if (heat.row, heat.column) == heat.best else " ", "dim"),
        (f"{place}  ", "bold"),
        (heat_number(metric, value), "bold"),
    ]
    if near.low is not None and near.high is not None:
        low, high = heat_number(metric, near.low), heat_number(metric, near.high)
        spans.append((f"   ±1 step {low}..{high}", ""))
    if near.failed:
        spans.append((f"  ✗ {near.failed} of its neighbours failed", "error"))
    if near.verdict == "lone peak":
        spans.append(("   ⚠ lone peak: fragile", "warn bold"))
    elif near.verdict:
        spans.append((f"   ✓ {near.verdict}", "ok"))
    return tuple(spans)


def _place(heat: HeatMap) -> str:
    axes = heat.axes
    column = f"{axes.x}={heat.columns[heat.column]}"
    return clean(f"{column} {axes.y}={heat.rows[heat.row]}" if axes.y else column)


def side_lines(heat: HeatMap, trial: TrialRow | None, width: int) -> list[Line]:
    """Return what is known of the trial under the cursor, for the panel beside the map."""
    if trial is None:
        return [((" No trial here yet.", "dim"),)]
    word, role = trial_state(trial)
    lines: list[Line] = [
        ((f" #{trial.index} ", "bold"), (word, role)),
        ((f" {clip(parameters_text(trial.parameters), width - 2)}", "accent"),),
    ]
    if trial.error:
        lines.append(((f" {clean(trial.error)}", "error"),))
    for name, title in (("total_return", "return"), ("sharpe", "Sharpe"), ("max_drawdown", "MaxDD"),
                        ("n_trades", "trades")):  # fmt: skip
        value = number_of(trial.metrics.get(name))
        if value is not None:
            shown = f"{value:,.0f}" if name == "n_trades" else heat_number(name, value)
            lines.append(((f" {fit(title, 10)}", "dim"), (shown, "")))
    inside = number_of(trial.metrics.get(f"in_sample_{heat.detail.row.metric}"))
    outside = number_of(trial.metrics.get(f"out_of_sample_{heat.detail.row.metric}"))
    if inside is not None or outside is not None:
        lines.append(
            ((f" {fit('in / out', 10)}", "dim"), (f"{format_decimal(inside, 2)} / ", ""),
             (format_decimal(outside, 2), "bold"))
        )  # fmt: skip
    return lines
