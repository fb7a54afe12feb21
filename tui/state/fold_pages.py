"""The walk-forward of a study: its folds, the curve of their tests, the trials of one training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from tui.formatting import (
    UNKNOWN,
    fit,
    format_decimal,
    format_percent,
    format_share,
    wrap_words,
)
from tui.state.study_source import parameters_text, value_text
from tui.state.text import Line, Span
from tui.state.trial_source import number_of

if TYPE_CHECKING:
    from engine.api.optimization_views import StudyDetail, TrialRow

_HINT: Final = "method: {kind: walk_forward} in the file judges every fold on later bars."
_BARS: Final = " ▁▂▃▄▅▆▇█"
_CURVE_ROWS: Final = 4
_CURVE_LABEL: Final = 7


def folds_of(detail: StudyDetail) -> Sequence[Mapping[str, Any]]:
    """Return the folds of the report, empty without a walk-forward."""
    return (detail.report.get("walk_forward") or {}).get("folds") or ()


def fold_trials(detail: StudyDetail, place: int) -> StudyDetail:
    """Return the study with the trials of one training; only the objective of each is known.

    Raises:
        IndexError: the report has no such table.
    """
    rows = _tables(detail)[place]
    metric = detail.row.metric
    trials = tuple(_trial(row, metric) for row in rows)
    index = folds_of(detail)[place].get("index")
    best = next((trial for trial in trials if trial.index == index), None)
    return replace(detail, trials=trials, row=replace(detail.row, best=best))


def has_fold_trials(detail: StudyDetail) -> bool:
    """Return whether the report has the trials of each training."""
    return bool(_tables(detail))


def fold_title(detail: StudyDetail, place: int) -> str:
    """Return which training is on show."""
    fold = folds_of(detail)[place]
    start, stop = fold["train"]
    return f"fold {fold['fold']} of {len(folds_of(detail))}, bars {start:,} to {stop:,}"


def _tables(detail: StudyDetail) -> Sequence[Sequence[Mapping[str, Any]]]:
    return (detail.report.get("walk_forward") or {}).get("tables") or ()


def _trial(row: Mapping[str, Any], metric: str) -> TrialRow:
    from engine.api.optimization_views import TrialRow

    value = number_of(row["objective"])
    metrics = {} if value is None else {metric: value}
    return TrialRow(int(row["index"]), row["parameters"], str(row["status"]), value, metrics)


def walk_forward_lines(
    detail: StudyDetail, width: int, chosen: int | None = None
) -> tuple[Line, list[Line]]:
    """Return a strip for each fold: where it was trained and tested, and what came of it.

    The fold *chosen*, whose trials the other pages show, has a mark.
    """
    walk, folds = detail.report.get("walk_forward") or {}, folds_of(detail)
    if not folds:
        text = "Known when the study has ended." if not detail.row.status.is_final else (
            f"This study has no folds. {_HINT}")  # fmt: skip
        return ((), [((f" {one}", "dim"),) for one in wrap_words(text, max(20, width - 2))])
    end = max(int(fold["test"][1]) for fold in folds) or 1
    strip = max(12, min(60, width - 56))
    titles = (
        f" {fit('Fold', 5)}{fit('Bars', strip)}  {fit('In', 7, right=True)} "
        f"{fit('Out', 7, right=True)}  {fit('Kept', 8, right=True)}  Parameters"
    )
    lines = [
        _fold_line(fold, end, strip, is_chosen=place == chosen) for place, fold in enumerate(folds)
    ]
    lines += [(), ((" ░ trained on   █ tested on later bars, above zero   ▓ below it", "dim"),)]
    lines += _stitched_lines(walk, width)
    return ((titles, "head"),), lines


def _fold_line(fold: Mapping[str, Any], end: int, strip: int, *, is_chosen: bool) -> Line:
    inside, outside = number_of(fold.get("in_sample")), number_of(fold.get("out_of_sample"))
    kept, earned = number_of(fold.get("efficiency")), number_of(fold.get("in_sample_return"))
    if earned is None or earned <= 0:
        kept = None  # a share of a loss says nothing
    is_good = (outside or 0) > 0
    number = fit(str(fold["fold"]), 5)
    return (
        (f"▸{number}" if is_chosen else f" {number}", "bold" if is_chosen else "dim"),
        *_strip(fold["train"], fold["test"], end, strip, good=is_good),
        (f"  {fit(value_text(inside), 7, right=True)} ", "dim"),
        (fit(value_text(outside), 7, right=True), "up" if is_good else "down"),
        (f"  {fit(UNKNOWN if kept is None else format_share(kept), 8, right=True)}",
         "ok" if kept is not None and kept >= 0.5 else "warn"),
        (f"  {parameters_text(fold.get('parameters') or {})}", "accent"),
    )  # fmt: skip


def _strip(
    train: Sequence[int], test: Sequence[int], end: int, width: int, *, good: bool
) -> tuple[Span, ...]:
    def at(bar: int) -> int:
        return round(bar / end * width)

    start, middle = at(train[0]), max(at(train[1]), at(train[0]))
    first = max(middle, at(test[0]))
    last = max(first + 1, at(test[1]))
    sign, role = ("█", "up") if good else ("▓", "down")
    return (
        (" " * start, ""), ("░" * (middle - start), "dim"), (" " * (first - middle), ""),
        (sign * (last - first), role), (" " * max(0, width - last), ""),
    )  # fmt: skip


def _stitched_lines(walk: Mapping[str, Any], width: int) -> list[Line]:
    """Return what came of the tests one after another, and their equity as a drawing."""
    total = number_of(walk.get("stitched_return"))
    if total is None:
        return []
    curve = walk.get("stitched") or {}
    spans: list[Span] = [
        (" tests one after another ", "dim"),
        (format_percent(total), "up bold" if total > 0 else "down bold"),
    ]
    for name, title, text in (
        ("sharpe", "Sharpe", format_decimal(number_of(curve.get("sharpe")), 2)),
        ("max_drawdown", "deepest fall", format_share(number_of(curve.get("max_drawdown")) or 0)),
    ):
        if number_of(curve.get(name)) is not None:
            spans += [(f"   {title} ", "dim"), (text, "")]
    points = curve.get("equity") or ()
    lines: list[Line] = [(), tuple(spans)]
    if len(points) > 1:
        lines += _curve(points, max(20, min(120, width - _CURVE_LABEL - 2)))
    return lines


def _curve(points: Sequence[Sequence[Any]], width: int) -> list[Line]:
    """Return equity as bars of eighths, the lowest and highest value beside them."""
    values = [float(value) for _, value in points]
    count = min(width, len(values))
    ends = [round(place * len(values) / count) for place in range(count + 1)]
    heights = [max(values[start:stop]) for start, stop in pairwise(ends)]
    low, high = min(values), max(values)
    most = 8 * _CURVE_ROWS
    # The lowest is seen too: one eighth.
    eighths = [1 + round((one - low) / ((high - low) or 1.0) * (most - 1)) for one in heights]
    lines: list[Line] = []
    for row in reversed(range(_CURVE_ROWS)):
        cells = "".join(_BARS[min(8, max(0, one - 8 * row))] for one in eighths)
        label = {_CURVE_ROWS - 1: high, 0: low}.get(row)
        text = "" if label is None else format_decimal(label, 3)
        lines.append(((f" {fit(text, _CURVE_LABEL - 1, right=True)} ", "dim"), (cells, "spark")))
    first, last = str(points[0][0])[:10], str(points[-1][0])[:10]
    lines.append((
        (" " * (_CURVE_LABEL + 1), ""), (first.ljust(count - len(last)), "dim"), (last, "dim"),
    ))  # fmt: skip
    return lines
