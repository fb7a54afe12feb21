"""One agent, and the engine that runs all of them, as styled lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tui.formatting import (
    clean,
    fit,
    format_clock,
    format_duration,
    format_run_time,
    sparkline,
)
from tui.state.agent_source import next_text, state_span
from tui.state.text import Line, Span, clip_facts, clip_line, ends, line_width

if TYPE_CHECKING:
    from engine.api.views import (
        AgentDetail,
        AgentRow,
        AgentRunRow,
        AlertRow,
        HealthView,
        PoolView,
        RateWindowRow,
        SchedulingView,
    )

_OUTCOMES: Final = {
    "done": ("✓", "ok"), "failed": ("✗", "error"), "timed_out": ("✗", "error"),
    "abandoned": ("✗", "error"), "cancelled": ("·", "warn"), "skipped": ("·", "dim"),
}  # fmt: skip
_HEALTH_SHAPES: Final = {"ok": "●", "degraded": "⚠", "critical": "✗"}
_HEALTH_ROLES: Final = {"ok": "ok", "degraded": "warn", "critical": "error bold"}
_LEVEL_ROLES: Final = {"warning": "warn", "error": "error"}
_BAR_CELLS: Final = 10
_TWO_COLUMNS: Final = 100


def agent_lines(detail: AgentDetail, width: int, height: int) -> tuple[Line, ...]:
    """Return the agent under the cursor: why it runs when, how it fares, its newest runs."""
    row = detail.row
    lines: list[Line] = [
        _name_line(row, width),
        ((f" {detail.summary}", "dim"),),
        *interval_lines(row, width),
        _timing_line(row),
        _counts_line(row),
    ]  # fmt: skip
    if row.last_error:
        role = "error" if row.failures_in_row else "dim"
        lines.append(((" last error ", "dim"), (clean(row.last_error), role)))
    cells = min(60, width - 12)
    if row.run_times and cells >= 8:
        lines.append(((" run time ", "dim"), (sparkline(row.run_times, min(cells, 24)), "spark")))
    if height > len(lines) + 2:
        lines.append(((" Newest runs", "head"),))
        lines += [run_line(run) for run in detail.runs[: height - len(lines)]]
    return tuple(clip_facts(line, width) for line in lines[:height])


def _name_line(row: AgentRow, width: int) -> Line:
    state: Line = (state_span(row), (" ", ""))
    name: Line = ((f" {row.id}", "bold"), (f"  {row.type} · {row.origin}", "dim"))
    return ends(clip_facts(name, width - line_width(state) - 1), state, width)


def run_line(run: AgentRunRow) -> Line:
    """Return one run in one line: when, how it ended, how long it took, what it said."""
    shape, role = outcome_span(run.outcome)
    return (
        (f" {format_clock(run.started_ns)} ", "dim"),
        (f"{shape} {fit(run.outcome, 9)}", role),
        (fit(format_run_time(run.duration_s), 8, right=True), ""),
        (f"  {clean(run.error or run.note)}", "error" if run.error else "dim"),
    )


def outcome_span(outcome: str) -> Span:
    """Return shape and role of how a run ended."""
    return _OUTCOMES.get(outcome, ("·", ""))


def interval_lines(row: AgentRow, width: int) -> list[Line]:
    """Return how the interval comes from its base and the three factors, and why."""
    interval = row.interval
    if interval is None and state_span(row)[0].endswith("paused"):
        return [((" paused: R runs one cycle, u lets it go on", "warn"),)]
    if interval is None:
        return [((" no interval: it runs when it is told to", "dim"),)]
    backoff: Line = (
        ((" x ", "dim"), (f"{interval.backoff:g}", "warn"), (" backoff", "dim"))
        if interval.backoff != 1
        else ()
    )
    line: Line = (
        (" every ", "dim"), (format_run_time(interval.seconds), "bold"),
        (" = ", "dim"), (format_run_time(interval.base_s), ""), (" x ", "dim"),
        (f"{interval.smoothed:.2f}", ""), *backoff,
    )  # fmt: skip
    factors: Line = (
        (" performance ", "dim"), _factor(interval.performance), ("  market ", "dim"),
        _factor(interval.market), ("  system ", "dim"), _factor(interval.system),
    )  # fmt: skip
    because: Line = ((f"  {interval.reason}", "accent"),) if interval.reason else ()
    if line_width(line) + line_width(factors) + line_width(because) + 2 <= width:
        return [(*line, ("  ", ""), *factors, *because)]
    if line_width(factors) + line_width(because) <= width:
        return [line, (*factors, *because)]
    return [(*line, *because), factors]


def _factor(value: float) -> Span:
    return (f"x{value:.2f}", "accent" if value < 0.95 else "warn" if value > 1.05 else "")


def _timing_line(row: AgentRow) -> Line:
    return (
        (" next ", "dim"), (next_text(row), "warn" if row.is_overdue else ""),
        ("  took ", "dim"), (format_run_time(row.last_run_s), ""),
        ("  mean ", "dim"), (format_run_time(row.mean_run_s), ""),
        ("  p95 ", "dim"), (format_run_time(row.p95_run_s), ""),
        ("  limit ", "dim"), (format_run_time(row.limit_s), ""),
    )  # fmt: skip


def _counts_line(row: AgentRow) -> Line:
    spans: list[Span] = [(f" {row.runs:,}", ""), (" runs", "dim")]
    for word, count, role in (
        ("errors", row.errors, "error"), ("timeouts", row.timeouts, "error"),
        ("in a row", row.failures_in_row, "error bold"), ("merged", row.coalesced, ""),
        ("skipped", row.skipped, ""),
    ):  # fmt: skip
        spans += [(f"  {count:,}", role if count else "dim"), (f" {word}", "dim")]
    spans += [("  ok ", "dim"), (f"{row.reliability * 100:.0f} %", "")]
    return tuple(spans)


# --- the engine ----------------------------------------------------------------------------------


def scheduling_lines(view: SchedulingView, width: int, height: int) -> tuple[Line, ...]:
    """Return slots, queue, load, pool and alerts; in two columns where there is room."""
    if not view.running:
        return (((" The execution engine does not run.", "dim"),),)
    engine, pool = _engine_lines(view, width), _pool_lines(view.pool)
    windows, alerts = _window_lines(view.pool), alert_lines(view.alerts)
    if width >= _TWO_COLUMNS:
        left, right = [*engine, *alerts], [*pool, *windows, *queue_lines(view)]
        return _beside(left, right, width)[:height]
    lines = [*engine[:2], *pool, *windows[:2], *alerts[:2], *engine[2:], *windows[2:], *alerts[2:]]
    lines += queue_lines(view)
    first, *others = lines[:height]  # the first has the health: rather clipped than not said
    return (first, *(clip_facts(line, width) for line in others))


def _beside(left: Sequence[Line], right: Sequence[Line], width: int) -> tuple[Line, ...]:
    """Return two columns of lines."""
    half = width // 2
    rows = max(len(left), len(right))
    return tuple(
        ends(
            clip_line(left[n] if n < len(left) else (), half - 1),
            _padded(right[n] if n < len(right) else (), width - half),
            width,
        )
        for n in range(rows)
    )


def _padded(line: Line, width: int) -> Line:
    line = clip_line(line, width)
    return (*line, (" " * (width - line_width(line)), ""))


def _queue_line(view: SchedulingView, width: int) -> Line:
    """Return how many tasks wait at each level; where it is narrow, only the ends are named."""
    spans: list[Span] = [(" queue", "dim")]
    for word, count in view.queued.items():
        spans += [(f" {word} ", "dim"), (f"{count:,}", "" if count else "dim")]
    if line_width(tuple(spans)) <= width:
        return tuple(spans)
    words = tuple(view.queued)
    counts = "/".join(f"{count:,}" for count in view.queued.values())
    return ((" queue ", "dim"), (counts, ""), (f"  {words[0]} to {words[-1]}", "dim"))


def _engine_lines(view: SchedulingView, width: int) -> list[Line]:
    reserved = f"  {view.slots_reserved} slots reserved" if view.slots_reserved else ""
    note = f": {clean(view.health_note)}" if view.health_note else ""
    lines: list[Line] = [
                ((" slots ", "dim"), _bar(view.slots_used, view.slots_total),
         (f" {view.slots_used}/{view.slots_total}", "bold"),
         (f"  {_HEALTH_SHAPES.get(view.health, '·')} {view.health}{note}",
          _HEALTH_ROLES.get(view.health, ""))),
        _queue_line(view, width),
        ((" delayed ", "dim"), (f"{view.delayed:,}", ""), ("  ready ", "dim"),
         (f"{view.ready:,}", "warn" if view.ready > 100 else ""), ("  parked ", "dim"),
         (f"{view.parked:,}", ""), ("  oldest ready ", "dim"),
         (format_run_time(view.oldest_ready_s) if view.oldest_ready_s else "--", ""),
         (reserved, "dim")),
        ((" start ", "dim"), (_quantiles(view.dispatch_p50_ms, view.dispatch_p99_ms), ""),
         ("  run ", "dim"), (_quantiles(view.run_p50_ms, view.run_p99_ms), "")),
        ((" done ", "dim"), (f"{view.completed:,}", ""), ("  failed ", "dim"),
         (f"{view.failed + view.timed_out:,}", "error" if view.failed + view.timed_out else "dim"),
         ("  merged ", "dim"), (f"{view.coalesced:,}", "dim"), ("  abandoned ", "dim"),
         (f"{view.abandoned:,}", "error bold" if view.abandoned else "dim")),
        _load_line(view),
    ]  # fmt: skip
    if view.control_api:
        lines.append(((" control API ", "dim"), (view.control_api, "")))
    return lines


def _load_line(view: SchedulingView) -> Line:
    market = view.market
    age = "never told" if market.age_s is None else f"{format_duration(market.age_s)} old"
    return (
        (" load cpu ", "dim"), (_share(view.load.cpu), ""), (" mem ", "dim"),
        (_share(view.load.memory), ""), ("  lag ", "dim"), (f"{view.loop_lag_ms:.1f}ms", ""),
        ("  market vol ", "dim"), (f"{market.volatility:.2f}", ""), (" act ", "dim"),
        (f"{market.trading_volume:.2f}", ""), (f" {age}", "dim"),
    )  # fmt: skip


def _pool_lines(pool: PoolView) -> list[Line]:
    looked = pool.cache_hits + pool.cache_misses
    lines: list[Line] = [
        ((" connections ", "dim"), (f"{pool.connections}/{pool.connections_max}", "bold"),
         ("  ", ""), (f"{pool.requests:,}", ""), (" requests  ", "dim"),
         (f"{pool.retries:,}", "warn" if pool.retries else "dim"), (" retries  ", "dim"),
         (f"{pool.errors:,}", "error" if pool.errors else "dim"), (" errors", "dim")),
        ((" cache ", "dim"), (f"{pool.cache_size:,}", ""), (" entries  hits ", "dim"),
         (_share(pool.cache_hit_rate) if looked else "--", ""),
         (f" of {looked:,}  waited at gates ", "dim"),
         (format_run_time(pool.rate_limit_wait_s), "")),
    ]  # fmt: skip
    return lines


def _window_lines(pool: PoolView) -> list[Line]:
    """Return the rate windows, the fullest first."""

    def fullness(window: RateWindowRow) -> float:
        return window.closed_for_s + window.used / window.limit if window.limit else -1.0

    names = max((len(window.api) for window in pool.windows), default=0)
    shown = sorted(pool.windows, key=fullness, reverse=True)
    return [_window_line(window, min(names, 16)) for window in shown]


def _window_line(window: RateWindowRow, names: int) -> Line:
    limit = window.limit
    text = f" {window.used:,}" + (f"/{limit:,}" if limit else " no limit")
    full = limit is not None and window.used >= limit * 0.9
    spans: list[Span] = [
        (f" {fit(window.api, names)} ", "dim"),
        _bar(window.used, limit or 0),
        (text, "warn" if full else ""),
        (f" in {format_duration(window.window_s)}", "dim"),
    ]
    if window.waiting:
        spans.append((f"  {window.waiting} wait", "warn"))
    if window.closed_for_s:
        spans.append((f"  closed {format_run_time(window.closed_for_s)}", "error"))
    return tuple(spans)


def alert_lines(alerts: Sequence[AlertRow]) -> list[Line]:
    """Return the alerts that go on, then the newest that are over."""
    shown = sorted(alerts, key=lambda alert: not alert.is_active)
    lines: list[Line] = []
    for alert in shown:
        shape, role = ("⚠", _LEVEL_ROLES.get(alert.level, "warn"))
        if not alert.is_active:
            shape, role = ("·", "dim")
        stamp = format_clock(alert.raised_ns)
        lines.append(((f" {stamp} ", "dim"), (f"{shape} {clean(alert.text)}", role)))
    return lines


def queue_lines(view: SchedulingView) -> list[Line]:
    """Return the tasks that are due next."""
    if not view.queue:
        return []
    lines: list[Line] = [((" Due next", "head"),)]
    for task in view.queue:
        due = task.state if task.state != "delayed" else format_run_time(task.due_in_s)
        lines.append(
            ((f" {fit(due, 8, right=True)}  ", ""), (f"{fit(task.priority, 8)} ", "dim"),
             (clean(task.agent_id), ""), (f" {clean(task.task_type)}", "dim"))
        )  # fmt: skip
    return lines


def health_line(health: HealthView, view: SchedulingView, width: int) -> Line:
    """Return the dashboard's line: pace, queue, agents, store; what matters least goes first."""
    parts: list[Line] = [_agents_part(view)]
    if view.tick_p50_ms is not None and view.tick_p95_ms is not None:
        parts.insert(0, (
            (" tick p50 ", "dim"), (f"{view.tick_p50_ms:.1f}", ""), (" p95 ", "dim"),
            (f"{view.tick_p95_ms:.1f} ms ", ""), (sparkline(view.tick_trend, 12), "spark"),
        ))  # fmt: skip
    elif health.tick_ms is not None:
        parts.insert(0, ((" tick ", "dim"), (f"{health.tick_ms:.1f} ms", "")))
    parts.append(((" queue ", "dim"), (f"{health.queue:,}", "")))
    if health.store_ms is not None:
        parts.append(((" store ", "dim"), (f"{health.store_ms:.1f} ms", "")))
    if view.load.cpu is not None:
        parts.append(((" cpu ", "dim"), (_share(view.load.cpu), "")))
    if view.pool.requests:
        parts.append(((" http ", "dim"), (f"{view.pool.requests:,}", "")))
    line: Line = ()
    for part in parts:
        longer = (*line, *((("  ", ""),) if line else ()), *part)
        if line_width(longer) > width:
            break
        line = longer
    return line


def _agents_part(view: SchedulingView) -> Line:
    role = "error bold" if view.agents_failed else "warn" if view.health != "ok" else ""
    spans: list[Span] = [
        (" agents ", "dim"), (f"{view.agents_running}/{view.agents_total}", role or "bold"),
    ]  # fmt: skip
    if view.agents_failed:
        spans.append((f" ✗ {view.agents_failed} failed", "error"))
    elif view.health != "ok":
        spans.append((f" ⚠ {view.health}", role))
    return tuple(spans)


def _bar(used: int, total: int) -> Span:
    if total <= 0:
        return ("·" * _BAR_CELLS, "dim")
    filled = min(_BAR_CELLS, -(-used * _BAR_CELLS // total))
    role = "warn" if used >= total * 0.9 else "spark"
    return ("▇" * filled + "▁" * (_BAR_CELLS - filled), role)


def _quantiles(half: float | None, most: float | None) -> str:
    if half is None or most is None:
        return "--"
    return f"p50 {format_run_time(half / 1_000)} p99 {format_run_time(most / 1_000)}"


def _share(share: float | None) -> str:
    return "--" if share is None else f"{share * 100:.0f} %"
