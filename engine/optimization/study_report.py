"""One HTML file about a study that needs no network: what is best, and how far to believe it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from engine.optimization.objective import number
from engine.optimization.sample_split import IN_SAMPLE, OUT_OF_SAMPLE

MOST_ROWS: Final = 20_000
"""Trials in the page, the best first; the tables beside it have all of them."""
_FAILURES: Final = 200
_SHOWN_FRONT: Final = 20
_DIGITS: Final = 8
_METRICS: Final = (
    "sharpe",
    "sortino",
    "calmar",
    "total_return",
    "ann_return",
    "max_drawdown",
    "profit_factor",
    "win_rate",
    "n_trades",
    "exposure",
    "psr",
)
_WIDTH, _HEIGHT, _PAD = 460, 300, 44


def render_study_report(
    summary: Mapping[str, Any],
    *,
    parameters: Mapping[str, Sequence[Any]],
    name: str = "",
    config: str = "",
) -> str:
    """Return the report of a study as one HTML document.

    Everything is inlined; a content security policy forbids any request.

    Args:
        summary: what `StudyResult.to_json` returns.
        parameters: by name the values in the order of the declaration.
        name: label of the study.
        config: its configuration as text.
    """
    template = files("engine.optimization").joinpath("study_template.html").read_text("utf-8")
    parts = {
        "TITLE": html.escape(_title(summary, name)),
        "HEAD": _head(summary, name),
        "VERDICT": _verdict(summary),
        "JUDGED": _judged(summary),
        "SCATTER": _scatter(summary),
        "WALK": _walk_forward(summary),
        "IMPORTANCE": _importance(summary),
        "FAILURES": _failures(summary),
        "CONFIG": html.escape(config),
        "MANIFEST": html.escape(json.dumps(summary.get("manifest") or {}, indent=2)),
        "DATA": _data(summary, parameters),
    }
    # In one pass: what the study is called may look like one of the names.
    return re.sub(r"__([A-Z]+)__", lambda found: parts.get(found[1], found[0]), template)


def _title(summary: Mapping[str, Any], name: str) -> str:
    return f"{name or 'study'} · {summary.get('id', '')}"


def _data(summary: Mapping[str, Any], parameters: Mapping[str, Sequence[Any]]) -> str:
    """Return the table for the script as JSON that cannot end its element."""
    objective = summary["objective"]["metric"]
    rows = _ranked(summary)[:MOST_ROWS]
    seen = dict.fromkeys(name for row in rows for name in row["metrics"])
    split = [one for one in seen if one.startswith((IN_SAMPLE, OUT_OF_SAMPLE))]
    metrics = list(dict.fromkeys((objective, *split, *(one for one in _METRICS if one in seen))))
    places = {
        key: {str(value): place for place, value in enumerate(values)}
        for key, values in parameters.items()
    }
    data = {
        "parameters": [
            [key, [str(value) for value in values]] for key, values in parameters.items()
        ],
        "metrics": metrics,
        "objective": objective,
        "maximize": summary["objective"]["direction"] == "maximize",
        "best": (summary["best"] or {}).get("index"),
        "total": summary["trials"],
        "rows": [
            [
                row["index"],
                row["status"],
                [places[key].get(str(row["parameters"][key]), -1) for key in parameters],
                [_short(row["metrics"].get(one)) for one in metrics],
                _short(row.get("objective")),
            ]
            for row in rows
        ],
        "folds": _fold_data(summary, places),
    }
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")


def _fold_data(
    summary: Mapping[str, Any], places: Mapping[str, Mapping[str, int]]
) -> list[dict[str, Any]]:
    """Return the trials of each training, in the form of the table's rows."""
    walk = summary["walk_forward"] or {}
    return [
        {
            "name": f"fold {fold['fold']}, trained on {fold['train'][0]:,} .. {fold['train'][1]:,}",
            "best": fold["index"],
            "rows": [
                [
                    row["index"],
                    row["status"],
                    [places[key].get(str(row["parameters"][key]), -1) for key in places],
                    [_short(row["objective"])],
                    _short(row["objective"]),
                ]
                for row in rows
            ],
        }
        for fold, rows in zip(walk.get("folds", ()), walk.get("tables") or (), strict=False)
    ]


def _ranked(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    sign = -1.0 if summary["objective"]["direction"] == "maximize" else 1.0

    def key(row: Mapping[str, Any]) -> tuple[bool, float, int]:
        value = row.get("objective")
        return value is None, sign * (value or 0.0), row["index"]

    return sorted(summary["rows"], key=key)


def _head(summary: Mapping[str, Any], name: str) -> str:
    objective = summary["objective"]
    counts = ", ".join(
        f"{count:,} {status.lower()}" for status, count in summary["counts"].items() if count
    )
    lines = [
        f"<h1>{html.escape(name or 'Study')} · {html.escape(str(summary['status']).lower())}</h1>",
        (
            f'<div class="dim">{html.escape(str(summary.get("id", "")))} · {summary["trials"]:,} '
            f"trials ({html.escape(counts)}) · {html.escape(objective['direction'])} "
            f"{html.escape(objective['metric'])} · {summary['seconds']:,.1f} s · table "
            f"{html.escape(summary['table_hash'][:16])}</div>"
        ),
    ]
    lines += [f'<div class="banner">{html.escape(note)}</div>' for note in summary["notes"]]
    return "\n".join(lines)


def _verdict(summary: Mapping[str, Any]) -> str:
    best, metric = summary["best"], summary["objective"]["metric"]
    facts: list[tuple[str, str, str]] = [
        ("Trials compared", f"{summary['trials']:,}", "the best of many is partly luck"),
    ]
    if best is None:
        facts.append(("Best", "none", f"no trial has a {metric} that counts"))
    else:
        parameters = "  ".join(f"{key}={value}" for key, value in best["parameters"].items())
        facts.append(
            (f"Best {metric}", _text(best["objective"]), f"#{best['index']}  {parameters}")
        )
        facts += _in_and_out(summary, best)
    facts += [
        (
            "Deflated Sharpe ratio",
            _percent(summary["deflated_sharpe"], 1),
            f"probability that it is more than luck. {summary['deflated_sharpe_source']}",
        ),
        (
            "Probability of overfitting",
            _percent(summary["overfitting_probability"], 1),
            (
                "share of splits of the time in which the best of one half is below the median of "
                f"the other. {summary['overfitting_source']}"
            ),
        ),
        (
            "Rank correlation in / out",
            _text(summary["rank_correlation"]),
            "over all trials: 1 the ranking holds, 0 it says nothing about later",
        ),
    ]
    if best is not None and best["reproduced"] is not None:
        same = "the same" if best["reproduced"] else "ANOTHER"
        facts.append(("Run of the best alone", same, "fingerprint as in the table"))
    if summary["best_stability"] is not None:
        facts.append(
            (
                "Neighbourhood of the best",
                _text(summary["best_stability"]),
                "mean over it and its one-step neighbours; a plateau stays near the best",
            )
        )
    front = summary["pareto_front"]
    if front:
        shown = ", ".join(f"#{index}" for index in front[:_SHOWN_FRONT])
        more = f" and {len(front) - _SHOWN_FRONT:,} more" if len(front) > _SHOWN_FRONT else ""
        text = f"no other beats them in all objectives: {shown}{more}"
        facts.append(("Pareto front", f"{len(front):,} trials", text))
    facts += _bands(summary)
    return "".join(
        f"<div><span>{html.escape(what)}<br><small>{html.escape(why)}</small></span>"
        f"<b>{html.escape(value)}</b></div>"
        for what, value, why in facts
    )


def _in_and_out(
    summary: Mapping[str, Any], best: Mapping[str, Any]
) -> Iterable[tuple[str, str, str]]:
    judged = summary["out_of_sample"]
    if not judged:
        return
    name, metrics = judged[0]["metric"], best["metrics"]
    yield (
        f"Best: {name} in sample / out",
        (
            f"{_text(number(metrics.get(IN_SAMPLE + name)))} / "
            f"{_text(number(metrics.get(OUT_OF_SAMPLE + name)))}"
        ),
        "the first bars, and the later ones that no choice by them has seen",
    )


def _bands(summary: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    found = summary.get("monte_carlo") or {}
    for key, text in (
        ("shuffled_trades", "trades in another order"),
        ("bootstrapped_returns", "blocks of returns drawn anew"),
    ):
        bands = found.get(key)
        if bands:
            falls = bands["max_drawdown"]
            returns = bands["total_return"]
            yield (
                f"Monte Carlo, {text}",
                f"fall {_percent(falls[2], 1)} .. {_percent(falls[-1], 1)}",
                (
                    f"median and 95 % worst of {found['paths']:,} paths; return "
                    f"{_percent(returns[0], 1)} (5 %) to {_percent(returns[-1], 1)} (95 %)"
                ),
            )


def _judged(summary: Mapping[str, Any]) -> str:
    judged = summary["out_of_sample"]
    if not judged:
        text = "Nothing was judged out of sample."
        if summary["walk_forward"]:
            text = "Each fold was judged on later bars: see Walk-forward."
        return f'<p class="dim">{text}</p>'
    names, metric = list(judged[0]["parameters"]), judged[0]["metric"]
    head = ["#", *names, f"{metric} in sample", f"{metric} out of sample", "change"]
    rows = []
    for item in judged:
        first, later = item["in_sample"], item["out_of_sample"]
        change = None if first is None or later is None else later - first
        mark = "" if change is None else "▲ " if change >= 0 else "▼ "
        rows.append(
            [
                str(item["index"]),
                *(str(item["parameters"][key]) for key in names),
                _text(first),
                _text(later),
                "--" if change is None else f"{mark}{change:+.3f}",
            ]
        )
    return _table(head, rows)


def _scatter(summary: Mapping[str, Any]) -> str:
    """Return in sample against out of sample of every trial, as a drawing."""
    judged = summary["out_of_sample"]
    if not judged:
        return '<p class="dim">Nothing to draw without a part of the data to judge on.</p>'
    name = judged[0]["metric"]
    points = []
    for row in summary["rows"][:MOST_ROWS]:
        x, y = (number(row["metrics"].get(part + name)) for part in (IN_SAMPLE, OUT_OF_SAMPLE))
        if x is not None and y is not None:
            points.append((x, y, row["index"]))
    if len(points) < 2:
        return ""
    best = (summary["best"] or {}).get("index")
    low = min(min(x, y) for x, y, _ in points)
    high = max(max(x, y) for x, y, _ in points)
    span = (high - low) or 1.0

    def at(value: float, *, is_y: bool) -> float:
        share = (value - low) / span
        if is_y:
            return _HEIGHT - _PAD - share * (_HEIGHT - 2 * _PAD)
        return _PAD + share * (_WIDTH - 2 * _PAD)

    dots = "".join(
        f'<circle class="{"best" if index == best else "dot"}" cx="{at(x, is_y=False):.1f}" '
        f'cy="{at(y, is_y=True):.1f}" r="{6 if index == best else 3}"><title>#{index}: in '
        f"{_text(x)}, out {_text(y)}</title></circle>"
        for x, y, index in points
    )
    ends = [at(value, is_y=is_y) for value in (low, high) for is_y in (False, True)]
    line = f'<line class="same" x1="{ends[0]}" y1="{ends[1]}" x2="{ends[2]}" y2="{ends[3]}"/>'
    labels = (
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 8}">{html.escape(name)} in sample</text>'
        f'<text transform="rotate(-90)" x="{-_HEIGHT / 2}" y="14">out of sample</text>'
        f'<text x="{_PAD}" y="{_HEIGHT - 24}">{_text(low)}</text>'
        f'<text x="{_WIDTH - _PAD}" y="{_HEIGHT - 24}">{_text(high)}</text>'
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="in sample against out of '
        f'sample">{line}{dots}{labels}</svg><p class="dim">Each dot is a trial, the large one the '
        "best. On the dashed line it is as good later as before; below it has lost.</p>"
    )


def _walk_forward(summary: Mapping[str, Any]) -> str:
    walk = summary["walk_forward"]
    if not walk:
        return '<p class="dim">No walk-forward in this study.</p>'
    rows = [
        [
            str(fold["fold"]),
            "{:,} .. {:,}".format(*fold["train"]),
            "{:,} .. {:,}".format(*fold["test"]),
            _dates(fold["times"]),
            "--"
            if fold["parameters"] is None
            else " ".join(f"{key}={value}" for key, value in fold["parameters"].items()),
            _text(fold["in_sample"]),
            _text(fold["out_of_sample"]),
            _text(fold["efficiency"]),
            _percent(fold["total_return"], 2),
            _percent(fold["max_drawdown"], 1),
        ]
        for fold in walk["folds"]
    ]
    head = [
        "fold", "trained on bars", "tested on bars", "tested", "chosen", "in sample",
        "out of sample", "efficiency", "return", "fall",
    ]  # fmt: skip
    curve = walk.get("stitched") or {}
    stitched = ""
    if walk["stitched_return"] is not None:
        stitched = (
            f"<p>The tests one after another: <b>{_percent(walk['stitched_return'], 2)}</b>"
            f", Sharpe <b>{_text(curve.get('sharpe'))}</b>"
            f", deepest fall <b>{_percent(curve.get('max_drawdown'), 1)}</b></p>"
        )
    return stitched + _curve(curve.get("equity") or []) + _table(head, rows)


def _dates(times: Sequence[str] | None) -> str:
    return "--" if times is None else f"{times[2][:10]} .. {times[3][:10]}"


def _curve(points: Sequence[tuple[str, float]]) -> str:
    """Return what one unit has become over the tests, as a drawing with its ends."""
    if len(points) < 2:
        return ""
    values = [1.0, *(value for _, value in points)]
    low, high = min(values), max(values)
    span, width, height, left = (high - low) or 1.0, 900, 160, 48

    def at(value: float) -> float:
        return height - 24 - (value - low) / span * (height - 34)

    path = " ".join(
        f"{left + place * (width - left - 10) / (len(values) - 1):.1f},{at(value):.1f}"
        for place, value in enumerate(values)
    )
    labels = (
        f'<text x="{left - 22}" y="{at(high) + 4:.1f}">{high:.3f}</text>'
        f'<text x="{left - 22}" y="{at(low) + 4:.1f}">{low:.3f}</text>'
        f'<text x="{left + 30}" y="{height - 6}">{html.escape(points[0][0][:10])}</text>'
        f'<text x="{width - 40}" y="{height - 6}">{html.escape(points[-1][0][:10])}</text>'
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="equity of the tests one '
        f'after another"><line class="same" x1="{left}" x2="{width - 10}" y1="{at(1.0):.1f}" '
        f'y2="{at(1.0):.1f}"/><polyline class="curve" points="{path}"/>{labels}</svg>'
    )


def _importance(summary: Mapping[str, Any]) -> str:
    known = {key: value for key, value in summary["importance"].items() if value is not None}
    if not known:
        return '<p class="dim">All trials are alike, or too few have a result.</p>'
    blocks = []
    for key, share in sorted(known.items(), key=lambda item: -item[1]):
        means = summary["marginals"].get(key, [])
        cells = "".join(
            f"<tr><td>{html.escape(str(value))}</td><td>{_text(mean)}</td></tr>"
            for value, mean in means
        )
        blocks.append(
            f'<div><div class="bar"><b>{html.escape(key)}</b> {_percent(share, 0)}'
            f'<meter min="0" max="1" value="{min(1.0, max(0.0, share)):.4f}"></meter></div>'
            f"<details><summary>mean {html.escape(summary['objective']['metric'])} of each value"
            f"</summary><table>{cells}</table></details></div>"
        )
    return (
        "".join(blocks) + '<p class="dim">Share of the variance that the means over a parameter '
        "explain (first order of a functional ANOVA: Hutter, Hoos, Leyton-Brown, 2014).</p>"
    )


def _failures(summary: Mapping[str, Any]) -> str:
    failed = [row for row in summary["rows"] if row["error"] or row["status"] == "CANCELLED"]
    if not failed:
        return '<p class="dim">Every trial has a result.</p>'
    rows = [
        [
            str(row["index"]),
            " ".join(f"{key}={value}" for key, value in row["parameters"].items()),
            row["status"],
            (row["error"] or {}).get("stage", ""),
            (row["error"] or {}).get("type", ""),
            (row["error"] or {}).get("message", "not run, or ended with the study"),
        ]
        for row in failed[:_FAILURES]
    ]
    more = len(failed) - len(rows)
    note = f'<p class="dim">and {more:,} more; trials.csv has all</p>' if more else ""
    return _table(["#", "parameters", "status", "where", "error", "message"], rows) + note


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'


def _text(value: float | None) -> str:
    if value is None:
        return "--"
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:,.3f}"


def _percent(value: float | None, digits: int) -> str:
    return "--" if value is None else f"{value * 100:.{digits}f} %"


def _short(value: Any) -> float | None:  # noqa: ANN401 (a metric)
    found = number(value)
    return None if found is None else float(f"{found:.{_DIGITS}g}")
