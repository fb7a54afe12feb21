"""The report of a backtest as lines of text, and its progress as one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

_PERCENT: Final = frozenset(
    {
        "total_return",
        "cagr",
        "ann_return",
        "volatility",
        "volatility_geo",
        "max_drawdown",
        "avg_drawdown",
        "exposure",
        "win_rate",
        "expectancy_pct",
        "best_trade",
        "worst_trade",
        "avg_trade",
        "var_95",
        "cvar_95",
        "ulcer",
        "alpha",
    }
)
"""Figures that are fractions and are shown per hundred."""
_METRICS: Final = (
    ("total_return", "cagr", "ann_return", "volatility"),
    ("sharpe", "sortino", "calmar", "ulcer"),
    ("max_drawdown", "max_drawdown_duration", "avg_drawdown", "exposure"),
    ("n_trades", "win_rate", "profit_factor", "expectancy"),
    ("payoff", "sqn", "kelly", "turnover"),
    ("best_trade", "worst_trade", "avg_trade", "avg_duration"),
    ("max_consecutive_wins", "max_consecutive_losses", "alpha", "beta"),
    ("var_95", "cvar_95", "psr", "dsr"),
    ("fees_total", "slippage_total", "funding_total", "final_equity"),
)
_TITLES: Final = {
    "max_drawdown_duration": "longest drawdown",
    "max_consecutive_wins": "wins in a row",
    "max_consecutive_losses": "losses in a row",
}
"""Names that would not fit into their column."""
_METRIC_CELLS: Final = 28
_WIDE_TRADES: Final = 112
_BRAILLE: Final = 0x2800
_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BAR_WIDTH: Final = 24
_DASH: Final = "-"


class ProgressLike(Protocol):
    """How far a run is."""

    @property
    def bars_done(self) -> int:
        """Bars that were run."""
        ...

    @property
    def bars_total(self) -> int:
        """Bars of the run."""
        ...

    @property
    def bars_per_second(self) -> float | None:
        """The speed so far."""
        ...

    @property
    def seconds_left(self) -> float | None:
        """The time left at this speed."""
        ...

    @property
    def status(self) -> str:
        """What it does: running, or compiling before its first bar."""
        ...


def progress_line(progress: ProgressLike) -> str:
    """Return a bar with percentage, bars per second and time left, or what it waits for."""
    if progress.status == "compiling":
        return "compiling kernels: the first run of this kind takes up to a minute"
    if progress.status == "collecting":
        return f"making the report of {progress.bars_done:,} bars"
    total = progress.bars_total
    share = progress.bars_done / total if total else 0.0
    filled = int(share * _BAR_WIDTH)
    speed, left = progress.bars_per_second, progress.seconds_left
    speed_text = "" if speed is None else f"  {speed:,.0f} bars/s"
    left_text = "" if left is None else f"  {_duration(left)} left"
    bar = "█" * filled + "░" * (_BAR_WIDTH - filled)
    return f"{bar} {share:4.0%}  {progress.bars_done:,}/{total:,}{speed_text}{left_text}"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def report_lines(
    summary: Mapping[str, Any],
    *,
    equity: Sequence[tuple[int, float]],
    drawdown: Sequence[tuple[int, float]],
    trades: Iterable[Any],
    trade_count: int,
    files: Sequence[str] = (),
    width: int = 80,
) -> Iterator[str]:
    """Return metrics, plots and trades of a finished or partial run."""
    yield from _head(summary)
    yield ""
    yield from metric_lines(summary, width=width)
    if len(equity) > 1:
        yield ""
        yield from plot_lines("equity", equity, width=width, height=8)
        yield from plot_lines("drawdown", drawdown, width=width, height=4, is_percent=True)
    yield ""
    yield from trade_table(trades, trade_count, width=width)
    yield from _tail(summary, files)


def _head(summary: Mapping[str, Any]) -> Iterator[str]:
    status = str(summary["status"]).lower()
    partial = "  PARTIAL" if summary["partial"] else ""
    speed = summary["bars_per_second"]
    pace = "" if speed is None else f"  {speed:,.0f} bars/s"
    yield (
        f"{summary['run_id']}  {status}{partial}  {summary['engine']}  "
        f"{summary['bars']:,} bars{pace}"
    )
    yield f"  {summary['costs']}"
    for name, value in summary["flags"].items():
        if value is not None:
            yield f"  {name.replace('_', ' ')}: {_flag(value)}"
    if summary["error"]:
        yield f"  error: {summary['error']}"


def _flag(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{count} {name}" for name, count in value.items()) or "none"
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value))
    return str(value)


def metric_lines(summary: Mapping[str, Any], *, width: int) -> Iterator[str]:
    """Return the metrics as a table of at most four columns in *width* cells."""
    names = [name for row in _METRICS for name in row]
    columns = min(max((width + 2) // (_METRIC_CELLS + 2), 1), len(_METRICS[0]))
    for start in range(0, len(names), columns):
        cells = [_metric(name, summary) for name in names[start : start + columns]]
        yield "  ".join(cells).rstrip()


def metric_title(name: str) -> str:
    """Return the name of a metric as people read it, in at most 16 cells for those we have."""
    return _TITLES.get(name, name.replace("_", " "))


def _metric(name: str, summary: Mapping[str, Any]) -> str:
    title = metric_title(name)
    return f"{title} {_shown(name, summary):>{_METRIC_CELLS - len(title) - 1}}"


def _shown(name: str, summary: Mapping[str, Any]) -> str:
    value = summary.get(name)
    if value is None:
        return _DASH
    if isinstance(value, str):
        return _money(value)
    if isinstance(value, int):
        return f"{value:,}"
    if name in _PERCENT:
        return f"{value * 100:,.2f} %"
    return f"{value:,.3f}" if abs(value) < 1e6 else f"{value:,.0f}"


def _money(text: str) -> str:
    whole, _, cents = text.partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}.{(cents + '00')[:2]}"


def plot_lines(
    title: str,
    points: Sequence[tuple[int, float]],
    *,
    width: int,
    height: int,
    is_percent: bool = False,
) -> Iterator[str]:
    """Return a curve drawn with braille dots, its scale on the left and its dates below."""
    label = 12
    columns = max(10, width - label - 2)
    values = _resampled([value for _, value in points], columns * 2)
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    grid = [[0] * columns for _ in range(height)]
    rows = height * 4
    before: int | None = None
    for place, value in enumerate(values):
        level = min(rows - 1, int((high - value) / span * (rows - 1) + 0.5))
        first = level if before is None else before
        for dot in range(min(first, level), max(first, level) + 1):
            grid[dot // 4][place // 2] |= _DOTS[dot % 4][place % 2]
        before = level
    for number, row in enumerate(grid):
        edge = high if number == 0 else low if number == height - 1 else None
        text = title if height > 2 and number == 1 else ""
        if edge is not None:
            text = f"{edge * 100:.2f} %" if is_percent else f"{edge:,.2f}"
        yield f"{text:>{label}} {''.join(chr(_BRAILLE + dots) for dots in row)}"
    start, end = _date(points[0][0]), _date(points[-1][0])
    yield f"{'':>{label}} {start}{end:>{max(0, columns - len(start))}}"


def _resampled(values: Sequence[float], count: int) -> list[float]:
    if len(values) <= count:
        return [
            values[min(len(values) - 1, place * len(values) // count)] for place in range(count)
        ]
    return [values[place * (len(values) - 1) // (count - 1)] for place in range(count)]


def _date(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%d")


def trade_table(trades: Iterable[Any], count: int, *, width: int) -> Iterator[str]:
    """Return the last round trips, one line each; what matters least goes where it is narrow."""
    rows = list(trades)
    if not rows:
        yield "no closed trades"
        return
    yield f"trades ({len(rows)} of {count:,}, newest last)"
    for row in rows:
        if width < _WIDE_TRADES:
            yield (
                f"  {row.symbol[:8]:<8} {row.side:<5}  "
                f"{row.entry_at[:10]} @ {_trim(row.entry_price):<10} {row.exit_at[:10]} @ "
                f"{_trim(row.exit_price):<10} {_money(row.pnl):>12}"
            )
            continue
        yield (
            f"  {row.symbol[:8]:<8} {row.side:<5} {_trim(row.qty):>10}  "
            f"{row.entry_at} @ {_trim(row.entry_price):<10} {row.exit_at} @ "
            f"{_trim(row.exit_price):<10} {_money(row.pnl):>12}  {row.exit_reason.lower()}"
        )


def _trim(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _tail(summary: Mapping[str, Any], files: Sequence[str]) -> Iterator[str]:
    yield ""
    states = ", ".join(
        f"{count} {name.lower()}" for name, count in summary["orders_by_state"].items()
    )
    fills = f"{summary['fills']:,} fills, {summary['ambiguous_fills']} ambiguous"
    yield f"orders: {states or 'none'}; {fills}"
    if summary["rejections"]:
        listed = ", ".join(f"{count} {name}" for name, count in summary["rejections"].items())
        yield f"refused: {listed}"
    if summary.get("cancellations"):
        listed = ", ".join(f"{count} {name}" for name, count in summary["cancellations"].items())
        yield f"cut short: {listed}"
    if summary.get("no_fill_reason"):
        yield f"nothing was filled, mostly because of {summary['no_fill_reason']}"
    for name, part in (summary.get("splits") or {}).items():
        yield f"{name}: final equity {_money(part['final_equity'])}, {part['n_trades']} trades"
    if summary.get("envelope"):
        edge = summary["envelope"]["final_equity"]
        span = f"{_money(edge['min'])} to {_money(edge['max'])}"
        yield f"envelope of price paths: final equity {span}"
    for warning in summary["warnings"]:
        yield f"warning: {warning}"
    for symbol, report in summary["data_report"].items():
        found = {code: count for code, count in report["counts"].items() if count}
        shown = ", ".join(f"{code} {count}" for code, count in found.items())
        rows = f"{report['rows_kept']:,} of {report['rows_read']:,} rows"
        yield f"data {symbol}: {rows}{'; ' if shown else ''}{shown}"
    yield f"fingerprint {summary['fingerprint']}"
    for path in files:
        yield f"wrote {path}"


def lookahead_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Return the findings of the look-ahead checks, one line each."""
    yield f"look-ahead {report['lookahead']}: {report['bars']:,} bars, {len(report['cuts'])} cuts"
    for one in report["findings"]:
        where = "" if one["bar"] is None else f"  at bar {one['bar']}"
        word = "ok    " if one["passed"] else "FAILED"
        yield f"  {word} {one['test']:<8} {one['subject']}{where}  {one['text']}".rstrip()
    for name, changes in report["recursion"].items():
        shown = ", ".join(
            f"{rows} bars {'-' if change is None else f'{change:.2e}'}"
            for rows, change in changes.items()
        )
        yield f"  recursion {name}: {shown or 'too few bars'}"
