"""The tabs of the viewer beside the trades: months, spread of returns, metrics, log, config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tui.formatting import clean, fit, format_percent
from tui.formatting.backtest_text import metric_title
from tui.formatting.money import direction
from tui.state.backtest_text import metric_text
from tui.state.text import Line, Span

if TYPE_CHECKING:
    from engine.api.backtest_views import BacktestDetail
    from tui.state.result_reader import ResultFacts

TABS: Final = ("Trades", "Months", "Spread", "Metrics", "Log", "Config")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
                  "Dec")  # fmt: skip
_WITH_TOTAL: Final = 86
GROUPS: Final = (
    ("Return", ("total_return", "cagr", "ann_return", "volatility", "final_equity", "exposure",
                "turnover")),
    ("Ratios", ("sharpe", "sortino", "calmar", "psr", "dsr", "alpha", "beta")),
    ("Risk", ("max_drawdown", "max_drawdown_duration", "avg_drawdown", "ulcer", "var_95",
              "cvar_95")),
    ("Trades", ("n_trades", "win_rate", "profit_factor", "expectancy", "expectancy_pct", "payoff",
                "sqn", "kelly", "best_trade", "worst_trade", "avg_trade", "max_duration",
                "avg_duration", "max_consecutive_wins", "max_consecutive_losses")),
    ("Costs", ("fees_total", "slippage_total", "funding_total")),
)  # fmt: skip
"""Metrics in the order of the screen; those that are not here come last."""
_DROPPED: Final = frozenset({"data_report", "fingerprint", "run_id", "flags", "costs", "partial",
                             "warnings", "error"})  # fmt: skip


def month_lines(facts: ResultFacts, width: int) -> tuple[Line, list[Line]]:
    """Return header and rows: a year in each line, per cent, the year's return at the end."""
    with_total = width >= _WITH_TOTAL
    room = 7 if width >= 100 else 5
    head = "Year " + " ".join(fit(name, room, right=True) for name in _MONTHS)
    years = sorted({year for year, _, _ in facts.months}, reverse=True)
    values = {(year, month): value for year, month, value in facts.months}
    lines: list[Line] = []
    for year in years:
        spans: list[Span] = [(f"{year} ", "bold")]
        total = 1.0
        for month in range(1, 13):
            value = values.get((year, month))
            if value is None:
                spans.append((" " * room, ""))
            else:
                total *= 1 + value
                text = f"{value * 100:+.1f}" if abs(value) < 10 else f"{value * 100:+.0f}"
                text = "0.0" if text in ("+0.0", "-0.0") else text
                spans.append((fit(text, room, right=True), direction(value, 4)))
            spans.append((" ", ""))
        if with_total:
            spans.append((fit(format_percent(total - 1), 9, right=True),
                          f"bold {direction(total - 1, 4)}"))  # fmt: skip
        lines.append(tuple(spans))
    header: Line = ((head + ("      Year" if with_total else ""), "head"),)
    return header, lines or [(("No month has ended yet.", "dim"),)]


def spread_lines(facts: ResultFacts, width: int, height: int) -> tuple[Line, list[Line]]:
    """Return header and bars: how the daily returns are spread; the outer bins hold the tails."""
    header: Line = (("Daily return      ", "head"), ("days   ", "head"), ("share", "head"))
    bins = list(facts.spread)
    if not bins:
        return header, [(("There are too few samples for a distribution.", "dim"),)]
    while len(bins) > max(5, height - 1) and len(bins) > 11:
        bins = _halved(bins)
    most = max(count for _, _, count in bins) or 1
    total = sum(count for _, _, count in bins) or 1
    room = max(10, width - 34)
    lines: list[Line] = []
    for low, high, count in bins:
        middle = (low + high) / 2
        bar = "█" * (count * room // most) or ("▏" if count else "")
        way = direction(middle, 5) if low > 0 or high < 0 else "flat"
        lines.append((
            (f"{low * 100:+7.2f}…{high * 100:+.2f}%".ljust(18), "dim"),
            (f"{count:>5,} ", ""), (f"{count / total:>6.1%} ", "dim"), (bar, way),
        ))  # fmt: skip
    return header, lines


def _halved(bins: Sequence[tuple[float, float, int]]) -> list[tuple[float, float, int]]:
    pairs = [bins[place : place + 2] for place in range(0, len(bins), 2)]
    return [(pair[0][0], pair[-1][1], sum(one[2] for one in pair)) for pair in pairs]


def metric_lines(metrics: Mapping[str, Any], width: int) -> tuple[Line, list[Line]]:
    """Return header and groups of metrics, as many side by side as fit."""
    columns = max(1, min(4, width // 36))
    lines: list[Line] = []
    for title, names in _groups(metrics):
        lines.append(((title, "title"),))
        cells = [
            (fit(metric_title(name), 20), fit(metric_text(name, metrics[name]), 13, right=True))
            for name in names
        ]
        for start in range(0, len(cells), columns):
            spans: list[Span] = []
            for label, value in cells[start : start + columns]:
                spans += [(label, "dim"), (value, "bold"), ("  ", "")]
            lines.append(tuple(spans))
    return (("Metric", "head"), ("   -- is undefined for this run", "dim")), lines


def _groups(metrics: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    seen: set[str] = set()
    for title, names in GROUPS:
        present = [name for name in names if name in metrics]
        seen.update(present)
        if present:
            yield title, present
    rest = [
        name
        for name, value in metrics.items()
        if name not in seen and name not in _DROPPED and not isinstance(value, Mapping | list)
    ]
    if rest:
        yield "Other", rest


def log_lines(detail: BacktestDetail, warnings: Sequence[str]) -> tuple[Line, list[Line]]:
    """Return header and what happened: the run's log, its warnings, rejections, its error."""
    lines: list[Line] = [((clean(text), ""),) for text in detail.log]
    summary = detail.summary
    lines += [((f"⚠ {clean(str(text))}", "warn"),)
              for text in dict.fromkeys((*warnings, *(summary.get("warnings") or ())))]  # fmt: skip
    for reason, count in (summary.get("rejections") or {}).items():
        lines.append(((f"⚠ {count:,} orders refused: {clean(str(reason))}", "warn"),))
    for reason, count in (summary.get("cancellations") or {}).items():
        lines.append(((f"{count:,} orders cut short: {clean(str(reason))}", "dim"),))
    for symbol, report in (summary.get("data_report") or {}).items():
        if isinstance(report, Mapping):
            text = (f"{symbol}: {report.get('rows_kept', 0):,} of {report.get('rows_read', 0):,} "
                    f"rows used, {report.get('gap_count', 0):,} gaps")  # fmt: skip
            lines.append(((clean(text), "dim"),))
    states = summary.get("orders_by_state") or {}
    if states:
        text = ", ".join(f"{count:,} {str(name).lower()}" for name, count in states.items())
        lines.append(((f"orders: {text}", "dim"),))
    if summary.get("fingerprint"):
        lines.append(((f"fingerprint {summary['fingerprint']}", "dim"),))
    if detail.row.error:
        lines.append(((f"✗ {clean(detail.row.error)}", "error"),))
    return (("What happened", "head"),), lines or [(("Nothing was noted.", "dim"),)]


def config_lines(config: Mapping[str, Any]) -> tuple[Line, list[Line]]:
    """Return header and the effective configuration, one key in each line."""
    pairs = list(_flat(config))
    width = min(52, max((len(key) for key, _ in pairs), default=8))
    lines: list[Line] = [
        ((fit(key, width), "dim"), ("  ", ""), (clean(value), "")) for key, value in pairs
    ]
    return ((fit("Key", width), "head"), ("  Value", "head")), lines or [
        (("It has no configuration.", "dim"),)
    ]


def _flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, one in value.items():
            yield from _flat(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value):
        for place, one in enumerate(value):
            yield from _flat(one, f"{path}[{place}]")
    else:
        yield path, "--" if value is None else str(value)
