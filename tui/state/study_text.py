"""What is said of one study: its head, and the panel below the list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from tui.formatting import (
    UNKNOWN,
    clean,
    clip,
    format_duration,
    format_share,
)
from tui.state.backtest_source import progress_bar
from tui.state.backtest_text import config_lines
from tui.state.study_source import (
    parameters_text,
    study_state,
    trials_per_s,
    value_text,
)
from tui.state.text import Line, Span, ends, line_width
from tui.state.trial_source import number_of

if TYPE_CHECKING:
    from engine.api.optimization_views import StudyDetail, StudyRow

_LIKELY: Final = 0.95
_DOUBTFUL: Final = 0.8
_OVERFITTED: Final = 0.5
"""A probability of overfitting above it: the best in sample is worse than the median later."""
_NEXT: Final = {
    "queued": "It waits for the study before it. x takes it out of the queue.",
    "running": "enter watches it; s holds it; x ends it and keeps what was done.",
    "held": "s lets it go on; x ends it and keeps what was done.",
    "completed": "enter opens table, heat map, in-sample against out-of-sample.",
    "cancelled": "R goes on where it was ended; no finished trial runs again.",
    "interrupted": "R goes on where it was cut off; no finished trial runs again.",
    "failed": "R tries again; the finished trials are kept.",
}
_BAR: Final = 24
_WIDE: Final = 96


def headline(row: StudyRow, width: int) -> Line:
    """Return state, progress and speed of a study in one line."""
    word, role = study_state(row)
    if row.status.value == "running":
        left = "" if row.left_s is None else f"  {format_duration(row.left_s)} left"
        cells = _BAR if width >= _WIDE else _BAR // 2
        word = f"{progress_bar(row.progress, cells)} {format_share(row.progress)}"
        more = f"   {row.done:,} of {row.total:,} trials  {trials_per_s(row)}{left}"
    else:
        more = f"   {row.done:,} of {row.total:,} trials"
    failed = (f"  {'✗ ' if row.failed else ''}{row.failed:,} failed",
              "error" if row.failed else "dim")  # fmt: skip
    return ends(((f" {word}", role), (more, ""), failed), ((row.id, "dim"), (" ", "")), width)


def best_line(detail: StudyDetail) -> Line:
    """Return the best trial so far."""
    row = detail.row
    if row.best is None:
        text = "no trial has a result yet"
        if row.status.is_final:
            text = f"no trial has a {clean(row.metric)} that counts"
        return ((" best ", "dim"), (text, "dim"))
    objective = f"{clean(row.metric)} {value_text(row.best.objective)}"
    return (
        (" best ", "dim"), (objective, "bold"),
        (f"  {parameters_text(row.best.parameters)}", "accent"),
        (f"  #{row.best.index}", "dim"),
        (f"  looks for the {'lowest' if detail.direction == 'minimize' else 'highest'}", "dim"),
    )  # fmt: skip


def honesty_line(detail: StudyDetail, width: int) -> Line:
    """Return how far the best can be believed: trials, deflated Sharpe, out of sample.

    The probability of overfitting is left out where there is no room for it.

    The deflated Sharpe ratio is the probability that the best is more than the luck of so many
    trials: Bailey and López de Prado (2014), "The Deflated Sharpe Ratio".
    """
    report, row = detail.report, detail.row
    spans: list[Span] = [
        (" trials ", "dim"),
        (f"{report.get('trials') or len(detail.trials):,}", "bold"),
        ("   deflated Sharpe ", "dim"),
    ]
    deflated, overfitted = (
        number_of(report.get(name)) for name in ("deflated_sharpe", "overfitting_probability")
    )
    if deflated is None:
        waits = not row.status.is_final
        spans.append(("known at the end" if waits else UNKNOWN, "dim"))
    else:
        sign, role = (
            ("✓", "ok") if deflated >= _LIKELY else ("⚠", "warn") if deflated >= _DOUBTFUL
            else ("⚠ luck?", "warn bold")
        )  # fmt: skip
        spans.append((f"{100 * deflated:.1f}% {sign}", role))
    judged = report.get("out_of_sample") or ()
    if judged:
        first = judged[0]
        spans += [
            ("   in ", "dim"), (value_text(number_of(first.get("in_sample"))), ""),
            (" out ", "dim"), (value_text(number_of(first.get("out_of_sample"))), "bold"),
        ]  # fmt: skip
        spans.append(decay_span(number_of(first.get("decay"))))
    if overfitted is not None:
        doubt = overfitted > _OVERFITTED
        more: list[Span] = [
            ("   overfit ", "dim"),
            (f"{100 * overfitted:.0f}%{' ⚠' if doubt else ''}", "warn" if doubt else ""),
        ]
        if line_width((*spans, *more)) <= width:
            spans += more
    return tuple(spans)


def decay_span(decay: float | None) -> Span:
    """Return how much of the metric was lost out of sample."""
    if decay is None:
        return ("", "")
    if decay <= 0:
        return ("  ✓ kept", "ok")
    shown = min(decay, 9.99)
    return (f"  {'⚠ ' if shown > 0.5 else ''}decay {100 * shown:.0f}%",
            "warn" if shown > 0.5 else "dim")  # fmt: skip


def fact_lines(detail: StudyDetail, width: int) -> list[Line]:
    """Return the head of a study: state, best, honesty."""
    lines = [headline(detail.row, width), best_line(detail), honesty_line(detail, width)]
    if detail.row.error:
        lines[1] = ((f" ✗ {clip(detail.row.error, width - 4)}", "error"),)
    return lines


def panel_lines(detail: StudyDetail, width: int, height: int) -> tuple[Line, ...]:
    """Return the panel for the row under the cursor."""
    row = detail.row
    lines = fact_lines(detail, width)
    space = "  ".join(f"{name} {_range_text(values)}" for name, values in detail.parameters.items())
    if height > 5:
        lines.append(((" varies ", "dim"), (clip(space, width - 9), "")))
        lines += config_lines(detail.backtest, width)[: max(0, height - 6)]
    lines.append(((f" {_NEXT.get(row.status.value, '')}", "dim"),))
    return tuple(lines[:height])


def _range_text(values: Sequence[Any]) -> str:
    if len(values) > 3:
        return clean(f"{values[0]}..{values[-1]} ({len(values)})")
    return clean(",".join(map(str, values)))
