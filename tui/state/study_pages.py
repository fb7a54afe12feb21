"""The pages of a study: importance, in-sample against out-of-sample, report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len

from tui.formatting import (
    UNKNOWN,
    clean,
    fit,
    format_date_time,
    format_duration,
    format_percent,
    format_share,
    plural,
    wrap_words,
)
from tui.state.backtest_text import config_lines
from tui.state.detail_text import Column, TabTable
from tui.state.study_source import parameters_text, value_text
from tui.state.study_text import decay_span
from tui.state.text import Line, Span
from tui.state.trial_source import number_of

if TYPE_CHECKING:
    from engine.api.optimization_views import StudyDetail

_PARAMETERS: Final = (22, 40)
"""Least and most cells for the parameters of a trial."""
_OUT_HINT: Final = "out_of_sample: 0.3 in the file keeps the last 30 % of the bars for judging."


def importance_lines(detail: StudyDetail, width: int) -> list[Line]:
    """Return how much of the spread of the objective each parameter explains, as bars.

    The shares of single parameters need not sum to 100 %: the rest is their interplay.
    """
    shares = detail.report.get("importance") or {}
    known = {name: value for name, value in shares.items() if number_of(value) is not None}
    if not known:
        text = "Known when the study has ended." if not detail.row.status.is_final else (
            "Nothing to compare: the trials do not differ, or too few have a result.")  # fmt: skip
        return [((f" {text}", "dim"),)]
    names = sorted(known, key=lambda name: -float(known[name]))
    label = min(20, max(8, *map(len, names)))
    room = max(4, width - label - 12)
    lines: list[Line] = []
    for name in names:
        share = min(1.0, max(0.0, float(known[name])))
        lines.append(
            ((f" {fit(clean(name), label)} ", ""), (_bar(share, room), "spark"),
             (f" {format_share(share)}", "bold"))
        )  # fmt: skip
    rest = 1 - sum(float(value) for value in known.values())
    if rest > 0.005:
        lines.append(((f" {fit('together', label)} ", "dim"), (_bar(min(rest, 1.0), room), "dim"),
                      (f" {format_share(min(rest, 1.0))}", "dim")))  # fmt: skip
    return lines


def _bar(share: float, width: int) -> str:
    """Return a bar with eighths; something shows at least a sliver."""
    eighths = round(share * width * 8)
    if share > 0:
        eighths = max(1, eighths)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(width)


def out_of_sample_table(detail: StudyDetail) -> TabTable:
    """Return the best trials on the first bars, and what came of them on the later ones."""
    judged = detail.report.get("out_of_sample") or ()
    scale = max((abs(number_of(item.get(side)) or 0.0) for item in judged
                 for side in ("in_sample", "out_of_sample")), default=0.0)  # fmt: skip
    rows = tuple(
        (
            (str(item.get("index", "")), "dim"),
            (parameters_text(item.get("parameters") or {}), "accent"),
            *_with_bar(item.get("in_sample"), scale, "dim"),
            *_with_bar(item.get("out_of_sample"), scale, "spark"),
            _decay_cell(number_of(item.get("decay"))),
        )
        for item in judged
    )
    longest = max((cell_len(cells[1][0]) for cells in rows), default=0)
    wide = max(_PARAMETERS[0], min(longest, _PARAMETERS[1]))
    columns = (
        Column("#", 5, "right"), Column("Parameters", wide), Column("In", 7, "right"),
        Column("", 10, drop=2), Column("Out", 7, "right"), Column("", 10, drop=1),
        Column("Lost", 14),
    )  # fmt: skip
    if judged:
        empty = ""
    elif not detail.row.status.is_final:
        empty = "Judged when the study has ended."
    else:
        empty = _OUT_HINT
    return TabTable(columns, rows, empty, len(rows))


def _with_bar(value: object, scale: float, role: str) -> tuple[Span, Span]:
    known = number_of(value)
    if known is None or not scale:
        return ((UNKNOWN, "dim"), ("", ""))
    bar = _bar(abs(known) / scale, 10)
    return ((value_text(known), "bold"), (bar, role if known >= 0 else "down"))


def _decay_cell(decay: float | None) -> Span:
    if decay is None:
        return (UNKNOWN, "dim")
    text, role = decay_span(decay)
    return (text.strip(), role)


def correlation_line(detail: StudyDetail) -> Line:
    """Return how the order of trials in sample agrees with that out of sample."""
    value = number_of(detail.report.get("rank_correlation"))
    if value is None:
        return ()
    if value > 0.5:
        agrees = "good ones stayed good"
    else:
        agrees = "the order says little about later" if value > -0.2 else "good ones became bad"
    return ((" rank correlation of in and out ", "dim"), (f"{value:+.2f}", "bold"),
            (f"  {agrees}", "dim" if value > 0.5 else "warn"))  # fmt: skip


def _luck_pairs(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what else could have come of the best trial: the bands of its Monte Carlo."""
    pairs = []
    for key, name in (("shuffled_trades", "trades shuffled"),
                      ("bootstrapped_returns", "returns redrawn")):  # fmt: skip
        bands = found.get(key)
        if bands:
            low, high = bands["total_return"][0], bands["total_return"][-1]
            falls = bands["max_drawdown"]
            text = (f"fall {format_share(falls[2])} (median) to {format_share(falls[-1])} (95 %), "
                    f"return {format_percent(low)} to {format_percent(high)}")  # fmt: skip
            pairs.append((name, text))
    return pairs


def _facts(detail: StudyDetail) -> list[tuple[str, str]]:
    row, report = detail.row, detail.report
    pairs: list[tuple[str, str]] = [
        ("file", row.source),
        ("started", format_date_time(row.created_ns)),
        (
            "trials",
            f"{plural(row.done, 'trial')} of {row.total:,}, {row.failed:,} without a result",
        ),
    ]
    if report.get("resumed"):
        pairs.append(("resumed", f"{report['resumed']:,} trials were finished before"))
    if number_of(report.get("seconds")) is not None:
        pairs.append(("took", format_duration(number_of(report.get("seconds")))))
    for name, values in detail.parameters.items():
        pairs.append((f"varies {name}", ", ".join(map(str, values))))
    for name, value in (report.get("manifest") or {}).items():
        pairs.append((str(name).replace("_", " "), str(value)))
    overfitted = number_of(report.get("overfitting_probability"))
    if number_of(report.get("deflated_sharpe")) is not None:
        pairs.append(("deflated Sharpe", str(report.get("deflated_sharpe_source", ""))))
    if overfitted is not None:
        pairs.append(("overfitting", (f"{format_share(overfitted)} of splits: the best of one half "
                       "is below the median of the other")))  # fmt: skip
        pairs.append(("", str(report.get("overfitting_source", ""))))
    front = report.get("pareto_front") or ()
    if front:
        pairs.append(("Pareto front", ", ".join(f"#{index}" for index in front)))
    pairs += _luck_pairs(report.get("monte_carlo") or {})
    if detail.html_path:
        pairs.append(("HTML report", detail.html_path))
    if report.get("table_hash"):
        pairs.append(("table hash", str(report["table_hash"])))
    return pairs


def report_lines(detail: StudyDetail, width: int) -> list[Line]:
    """Return what was run on what, with which seed, and the notes of the report."""
    report = detail.report
    lines: list[Line] = []
    for note in report.get("notes") or ():
        for place, text in enumerate(wrap_words(str(note), max(20, width - 4))):
            lines.append(((f"{'   ' if place else ' ⚠ '}{text}", "warn"),))
    pairs = _facts(detail)
    label = min(18, max(len(clean(name)) for name, _ in pairs))
    room = max(20, width - label - 4)
    for name, value in pairs:
        for place, text in enumerate(wrap_words(clean(value), room) or [""]):
            shown = "" if place else clean(name)
            lines.append(((f" {fit(shown, label)}  ", "dim"), (text, "")))
    return [*lines, (), *config_lines(detail.backtest, width)]
