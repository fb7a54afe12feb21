"""Agents and the engine that runs them as views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from engine.agents.session_agent import SessionAgent
from engine.api.agent_views import (
    AgentDetail,
    AgentLogRow,
    AgentOrigin,
    AgentRow,
    AgentRunRow,
    AlertRow,
    IntervalView,
    LoadView,
    MarketConditionView,
    PoolView,
    QueueRow,
    RateWindowRow,
    SchedulingView,
)
from engine.model.clock import from_iso
from engine.scheduling.agent_config import read_cycle_settings
from engine.scheduling.base_agent import BaseAgent
from engine.scheduling.execution_engine import ExecutionEngine
from engine.scheduling.interval_factors import IntervalFactors
from engine.scheduling.run_record import RunRecord

CYCLE: Final = "cycle"
_SPARK: Final = 24
_LOG_LINES: Final = 100
_QUEUE_ROWS: Final = 50
_STRONG: Final = 0.05
_SECRET_WORDS: Final = ("key", "secret", "token", "pass", "private")
_MASK: Final = "********"


class AgentRows:
    """Makes the views of one engine's agents; what has not changed is not made again."""

    def __init__(self, engine: ExecutionEngine) -> None:
        self._engine = engine
        self._runs: dict[str, tuple[RunRecord, tuple[AgentRunRow, ...], float | None]] = {}
        self._notes: dict[str, dict[int, str]] = {}
        """What agents said about their last runs, by the number of the run."""
        self._logs: dict[str, tuple[object, tuple[AgentLogRow, ...]]] = {}

    def forget(self, agent_id: str) -> None:
        """Drop what is kept of an agent that has gone."""
        self._runs.pop(agent_id, None)
        self._notes.pop(agent_id, None)
        self._logs.pop(agent_id, None)

    def detail(self, agent: BaseAgent, *, agent_type: str, origin: AgentOrigin) -> AgentDetail:
        """Return everything about *agent*."""
        stats = self._engine.agent_stats(agent.agent_id)
        runs, p95 = self._run_rows(agent, stats["runs"])
        row = self._row(agent, stats, runs, p95, agent_type=agent_type, origin=origin)
        return AgentDetail(
            row=row,
            summary=getattr(agent, "summary", "") or f"an agent of type {agent_type}",
            runs=runs,
            log=self._log_rows(agent),
            config=flat_config(agent.config),
            metrics=tuple((name, _text(value)) for name, value in dict(agent.metrics).items()),
        )

    def _row(
        self,
        agent: BaseAgent,
        stats: Mapping[str, Any],
        runs: Sequence[AgentRunRow],
        p95: float | None,
        *,
        agent_type: str,
        origin: AgentOrigin,
    ) -> AgentRow:
        agent_id = agent.agent_id
        settings = read_cycle_settings(agent.config, agent_id=agent_id)
        health = self._engine.last_health
        newest = runs[:_SPARK][::-1]
        base = settings.interval or self._engine.scheduler.default_interval
        factors = self._engine.scheduler.last_factors(agent_id, CYCLE)
        return AgentRow(
            id=agent_id,
            type=agent_type,
            origin=origin,
            status=agent.status.value,
            priority=settings.priority.name.lower(),
            repeats=settings.repeat,
            running_s=stats["running_s"],
            limit_s=settings.timeout * self._engine.task_timeout_multiplier,
            last_started_ns=_instant(stats["last_start"]),
            last_ended_ns=_instant(stats["last_end"]),
            last_run_s=stats["last_run_time_s"],
            mean_run_s=stats["mean_run_time_s"],
            p95_run_s=p95,
            next_in_s=stats["next_due_s"],
            interval=None if not settings.repeat else _interval(factors, base, stats),
            run_times=tuple(run.duration_s for run in newest),
            intervals=tuple(run.interval_s for run in newest if run.interval_s is not None),
            runs=stats["runs"],
            errors=stats["errors"],
            timeouts=stats["timeouts"],
            coalesced=stats["coalesced"],
            failures_in_row=stats["failures_in_a_row"],
            reliability=1.0 if stats["reliability"] is None else stats["reliability"],
            last_error=stats["last_error"] or "",
            is_overdue=agent_id in health.overdue,
            is_stuck=any(task_id.startswith(f"{agent_id}:{CYCLE}:") for task_id in health.stuck),
            note=agent.note if isinstance(agent, SessionAgent) else "",
        )

    def _run_rows(
        self, agent: BaseAgent, total: int
    ) -> tuple[tuple[AgentRunRow, ...], float | None]:
        agent_id = agent.agent_id
        history = self._engine.run_history(agent_id)
        if not history:
            return (), None
        known = self._runs.get(agent_id)
        if known is not None and known[0] is history[-1]:
            return known[1], known[2]
        notes = self._notes.setdefault(agent_id, {})
        if history[-1].error is None and isinstance(agent, SessionAgent):
            notes[total] = agent.note
        while len(notes) > len(history):
            del notes[next(iter(notes))]
        rows = tuple(
            AgentRunRow(
                number=total - back,
                started_ns=record.started_ns,
                duration_s=record.duration_s,
                outcome=record.outcome.value,
                error=record.error or "",
                interval_s=record.interval_s,
                note=notes.get(total - back, ""),
            )
            for back, record in enumerate(reversed(history))
        )
        ordered = sorted(row.duration_s for row in rows)
        p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        self._runs[agent_id] = (history[-1], rows, p95)
        return rows, p95

    def _log_rows(self, agent: BaseAgent) -> tuple[AgentLogRow, ...]:
        newest = agent.log_lines(1)
        known = self._logs.get(agent.agent_id)
        if known is not None and newest and known[0] is newest[0]:
            return known[1]
        lines = agent.log_lines(_LOG_LINES)
        rows = tuple(
            AgentLogRow(line.ts_ns, line.level.lower(), line.text) for line in reversed(lines)
        )
        self._logs[agent.agent_id] = (newest[0] if newest else None, rows)
        return rows


def scheduling_view(
    engine: ExecutionEngine,
    rows: Sequence[AgentRow],
    *,
    alerts: tuple[AlertRow, ...],
    control_api: str,
    market_age_s: float | None,
    ticks: tuple[float | None, float | None, tuple[float, ...]],
) -> SchedulingView:
    """Return the engine's figures; *ticks* are p50, p95 and the last p95 values in ms."""
    stats = engine.get_stats()
    report = engine.last_health
    scheduler = stats["scheduler_stats"]
    start, run = stats["dispatch_latency_ms"], stats["run_time_ms"]
    notes = [
        f"{word}: {', '.join(found)}"
        for word, found in (
            ("stuck", report.stuck),
            ("starved", report.starved),
            ("overdue", report.overdue),
        )
        if found
    ]
    if not notes and report.status.value != "ok":
        notes = [f"the loop was {report.loop_lag_ms:,.0f} ms late"]
    return SchedulingView(
        running=stats["running"],
        health=report.status.value,
        health_note="; ".join(notes),
        agents_running=sum(row.status == "running" for row in rows),
        agents_total=len(rows),
        agents_failed=sum(row.status == "error" for row in rows),
        slots_used=stats["running_tasks"],
        slots_total=engine.max_concurrent_tasks,
        slots_reserved=engine.critical_reserve,
        queued=MappingProxyType(
            {name.lower(): count for name, count in stats["queued_by_priority"].items()}
        ),
        delayed=stats["delayed_tasks"],
        ready=stats["ready_tasks"],
        parked=stats["parked_tasks"],
        oldest_ready_s=stats["oldest_ready_age_s"],
        completed=stats["completed_total"],
        failed=stats["failed_total"],
        timed_out=stats["timed_out_total"],
        cancelled=stats["cancelled_total"],
        skipped=stats["skipped_total"],
        coalesced=stats["coalesced_total"],
        abandoned=stats["abandoned"],
        dispatch_p50_ms=start["p50"],
        dispatch_p99_ms=start["p99"],
        run_p50_ms=run["p50"],
        run_p99_ms=run["p99"],
        loop_lag_ms=stats["loop_lag_ms"],
        uptime_s=stats["uptime_s"],
        load=_load(scheduler["system_load"]),
        market=MarketConditionView(**scheduler["market_condition"], age_s=market_age_s),
        pool=_pool(engine, stats["resource_pool_stats"]),
        queue=tuple(
            QueueRow(
                task.id,
                task.agent_id,
                task.task_type,
                task.priority.name.lower(),
                task.state.value,
                task.due_in,
            )
            for task in sorted(
                engine.queue_snapshot(_QUEUE_ROWS), key=lambda task: (task.due_in, task.priority)
            )
        )
        if stats["running"]
        else (),
        alerts=alerts,
        control_api=control_api,
        tick_p50_ms=ticks[0],
        tick_p95_ms=ticks[1],
        tick_trend=ticks[2],
    )


def flat_config(config: Mapping[str, Any], prefix: str = "") -> tuple[tuple[str, str], ...]:
    """Return *config* as (dotted name, text); what may be a secret shows as asterisks."""
    pairs: list[tuple[str, str]] = []
    for name, value in config.items():
        if any(word in str(name).lower() for word in _SECRET_WORDS):
            pairs.append((f"{prefix}{name}", _MASK))
        elif isinstance(value, Mapping):
            pairs.extend(flat_config(value, f"{prefix}{name}."))
        else:
            pairs.append((f"{prefix}{name}", _text(value)))
    return tuple(pairs)


def interval_reason(factors: IntervalFactors, failures: int) -> str:
    """Return in a few words what makes an interval shorter or longer; empty if nothing does."""
    parts: list[tuple[float, str]] = []
    for value, below, above in (
        (factors.market, "lively market", "quiet market"),
        (factors.performance, "quick runs", "slow or failing runs"),
        (factors.system, "idle machine", "busy machine"),
    ):
        if abs(value - 1) > _STRONG:
            parts.append((abs(value - 1), below if value < 1 else above))
    words = [text for _, text in sorted(parts, reverse=True)[:2]]
    if factors.backoff > 1:
        words.insert(0, f"{failures} failures in a row")
    return ", ".join(words)


def _interval(
    factors: IntervalFactors | None, base: float, stats: Mapping[str, Any]
) -> IntervalView:
    if factors is None:
        return IntervalView(base, base, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, "")
    return IntervalView(
        seconds=stats["interval_s"] or factors.interval,
        base_s=base,
        performance=factors.performance,
        market=factors.market,
        system=factors.system,
        adjustment=factors.adjustment,
        smoothed=factors.smoothed,
        backoff=factors.backoff,
        reason=interval_reason(factors, stats["failures_in_a_row"]),
    )


def _pool(engine: ExecutionEngine, stats: Mapping[str, Any]) -> PoolView:
    return PoolView(
        connections=stats["http_connections"],
        connections_max=engine.resource_pool.http_pool_size,
        requests=stats["http_requests"],
        attempts=stats["http_attempts"],
        retries=stats["http_retries"],
        errors=stats["http_errors"],
        error_rate=stats["http_error_rate"],
        cache_size=stats["cache_size"],
        cache_hits=stats["cache_hits"],
        cache_misses=stats["cache_misses"],
        cache_hit_rate=stats["cache_hit_rate"],
        cache_evictions=stats["cache_evictions"],
        rate_limit_wait_s=stats["rate_limit_wait_s"],
        windows=tuple(
            RateWindowRow(
                api,
                window["used"],
                window["limit"],
                window["window_s"],
                window["waiting"],
                window["closed_for_s"],
            )
            for api, window in engine.resource_pool.api_stats().items()
        ),
    )


def _load(load: Mapping[str, float | None]) -> LoadView:
    return LoadView(
        cpu=load["cpu_usage"],
        memory=load["memory_usage"],
        network=load["network_usage"],
        io=load["io_usage"],
    )


def _instant(text: str | None) -> int | None:
    return None if text is None else from_iso(text)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
