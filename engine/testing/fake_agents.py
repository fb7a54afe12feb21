"""Agents of the fake console engine: one for each state that the agents screen can meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.api.agent_views import (
    AgentDetail,
    AgentLogRow,
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
from engine.testing.fake_rows import NOW_NS, SECOND_NS

_RUNS: Final = 40
_TIMED_OUT: Final = "TaskTimeout: no end within 36 s"
_REFUSED: Final = "RequestFailed: 4 attempts, the last: ConnectError [Errno 111] refused"


@dataclass(frozen=True, slots=True)
class AgentSpecimen:
    """What a fake agent is made of."""

    id: str
    type: str
    status: str
    priority: str
    base_s: float
    run_s: float
    factors: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Performance, market, system."""
    reason: str = ""
    failures: int = 0
    error: str = ""
    running_s: float | None = None
    next_in_s: float | None = 3.9
    coalesced: int = 0
    is_overdue: bool = False
    note: str = ""
    summary: str = "an agent of the session file"


SPECIMENS: Final = (
    AgentSpecimen("stop-guard:main", "stop_guard", "running", "critical", 2.0, 0.0008,
                  (0.51, 0.70, 0.90), "market active", next_in_s=0.4,
                  note="204 stops armed", summary="watches that every stop can fire"),
    AgentSpecimen("health:main", "session_health", "running", "high", 5.0, 0.0021,
                  (0.51, 0.70, 0.90), "market active", note="tick 0.6 ms, lag 84 ms",
                  summary="watches over the session's pace"),
    AgentSpecimen("feed:main", "feed_staleness", "running", "high", 5.0, 0.0004,
                  (0.50, 0.70, 0.90), "market active", next_in_s=1.2,
                  note="newest quote 84 ms old", summary="watches the age of the quotes"),
    AgentSpecimen("reconcile:main", "reconcile", "running", "normal", 60.0, 3.9,
                  (0.76, 0.70, 0.90), "market active", running_s=4.2, next_in_s=None,
                  coalesced=2, failures=0, note="2 markets agree",
                  summary="compares ledger and executors"),
    AgentSpecimen("performance:main", "performance", "running", "normal", 10.0, 0.0110,
                  (0.52, 0.70, 0.90), "market active", next_in_s=7.5,
                  note="p95 1.9 ms", summary="samples how fast the session is"),
    AgentSpecimen("maintenance:main", "store_maintenance", "running", "idle", 300.0, 0.2140,
                  (0.52, 0.70, 0.90), "market active", next_in_s=231.0,
                  note="journal 4.1 MB", summary="keeps the store small"),
    AgentSpecimen("vol-watch", "VolatilityWatcher", "running", "normal", 15.0, 0.0310,
                  (0.61, 0.70, 0.90), "market active, failures", next_in_s=-312.0, is_overdue=True,
                  note="stop at 2.4 %", summary="moves the stop with the volatility"),
    AgentSpecimen("prices", "HttpPrices", "error", "low", 30.0, 0.4120, (1.25, 0.70, 0.90),
                  "5 failures in a row", failures=5, error=_REFUSED, next_in_s=480.0),
    AgentSpecimen("rebalance", "ExposureRebalancer", "stopped", "normal", 60.0, 0.0250,
                  next_in_s=None, summary="keeps the exposure near its target"),
)  # fmt: skip


def make_agents() -> dict[str, AgentDetail]:
    """Return the specimens by id."""
    return {specimen.id: _detail(number, specimen) for number, specimen in enumerate(SPECIMENS)}


def make_scheduling(rows: tuple[AgentRow, ...]) -> SchedulingView:
    """Return the engine that runs *rows*."""
    return SchedulingView(
        running=True,
        health="degraded",
        health_note="overdue: vol-watch",
        agents_running=sum(row.status == "running" for row in rows),
        agents_total=len(rows),
        agents_failed=sum(row.status == "error" for row in rows),
        slots_used=1,
        slots_total=20,
        slots_reserved=2,
        queued={"critical": 1, "high": 2, "normal": 2, "low": 1, "idle": 1},
        delayed=6,
        ready=0,
        parked=1,
        completed=18_412,
        failed=12,
        timed_out=3,
        cancelled=1,
        skipped=2,
        coalesced=2,
        dispatch_p50_ms=0.12,
        dispatch_p99_ms=0.84,
        run_p50_ms=1.4,
        run_p99_ms=412.0,
        loop_lag_ms=3.1,
        uptime_s=273_600.0,
        load=LoadView(cpu=0.41, memory=0.38),
        market=MarketConditionView(0.8, 0.8, 0.2, 0.6, age_s=4.0),
        pool=PoolView(
            connections=1, connections_max=30, requests=812, attempts=829, retries=17, errors=5,
            error_rate=5 / 812, cache_size=14, cache_hits=1_204, cache_misses=88,
            cache_hit_rate=1_204 / 1_292, cache_evictions=0, rate_limit_wait_s=4.2,
            windows=(
                RateWindowRow("prices", 23, 60, 60.0),
                RateWindowRow("venue", 57, 60, 60.0, waiting=2, closed_for_s=12.0),
                RateWindowRow("default", 4, None, 60.0),
            ),
        ),
        queue=(
            QueueRow("stop-guard:main:cycle:901", "stop-guard:main", "cycle", "critical",
                     "delayed", 0.4),
            QueueRow("feed:main:cycle:907", "feed:main", "cycle", "high", "delayed", 1.2),
            QueueRow("health:main:cycle:902", "health:main", "cycle", "high", "delayed", 3.9),
            QueueRow("reconcile:main:cycle:910", "reconcile:main", "cycle", "normal", "parked",
                     0.0),
        ),
        alerts=(
            AlertRow(NOW_NS - 312 * SECOND_NS, "warning", "agent vol-watch is 312 s overdue"),
            AlertRow(NOW_NS - 900 * SECOND_NS, "error", "agent prices failed 5 times in a row"),
        ),
        control_api="http://127.0.0.1:8787",
        tick_p50_ms=0.6,
        tick_p95_ms=1.9,
        tick_trend=tuple(1.2 + (i * 7 % 5) / 5 for i in range(24)),
    )  # fmt: skip


def _detail(number: int, specimen: AgentSpecimen) -> AgentDetail:
    runs = tuple(_run(number, back, specimen) for back in range(_RUNS))
    return AgentDetail(
        row=_row(number, specimen, runs),
        summary=specimen.summary,
        runs=runs,
        log=_log(specimen),
        config=(
            ("interval", f"{specimen.base_s:g}"),
            ("priority", specimen.priority),
            ("cycle_timeout", "30"),
            ("api_key", "********"),
        ),
        metrics=(("cycles_completed", "1204"), ("cycles_failed", str(specimen.failures))),
    )


def _row(number: int, specimen: AgentSpecimen, runs: tuple[AgentRunRow, ...]) -> AgentRow:
    last = runs[0]
    times = tuple(run.duration_s for run in reversed(runs[:24]))
    interval = _interval(specimen)
    return AgentRow(
        id=specimen.id, type=specimen.type,
        origin="engine" if ":" in specimen.id else "session",
        status=specimen.status, priority=specimen.priority, repeats=True,
        running_s=specimen.running_s, limit_s=36.0, last_started_ns=last.started_ns,
        last_ended_ns=last.started_ns + int(last.duration_s * SECOND_NS),
        last_run_s=last.duration_s, mean_run_s=sum(times) / len(times), p95_run_s=max(times),
        next_in_s=specimen.next_in_s, interval=None if specimen.status == "stopped" else interval,
        run_times=times,
        intervals=tuple(interval.seconds * (1 + (i * (number + 3) % 7) / 20) for i in range(24)),
        runs=1_204 - 100 * number, errors=specimen.failures, timeouts=number % 2 * 3,
        coalesced=specimen.coalesced, failures_in_row=specimen.failures,
        reliability=max(0.5, 1 - specimen.failures / 10),
        last_error=specimen.error or (_TIMED_OUT if number % 2 else ""),
        is_overdue=specimen.is_overdue, note=specimen.note,
    )  # fmt: skip


def _interval(specimen: AgentSpecimen) -> IntervalView:
    performance, market, system = specimen.factors
    adjustment = 0.4 * performance + 0.4 * market + 0.2 * system
    backoff = float(min(2 ** max(0, specimen.failures - 1), 16))
    return IntervalView(
        seconds=round(specimen.base_s * adjustment * backoff, 2), base_s=specimen.base_s,
        performance=performance, market=market, system=system, adjustment=round(adjustment, 3),
        smoothed=round(adjustment, 3), backoff=backoff, reason=specimen.reason,
    )  # fmt: skip


def _run(number: int, back: int, specimen: AgentSpecimen) -> AgentRunRow:
    failed = back < specimen.failures
    slow = 6 if (back + number) % 9 == 0 else 1
    return AgentRunRow(
        number=1_204 - back,
        started_ns=NOW_NS - int((back + 1) * specimen.base_s * SECOND_NS),
        duration_s=round(specimen.run_s * slow * (1 + (back * 5 + number) % 11 / 10), 6),
        outcome="failed" if failed else "done",
        error=specimen.error if failed else "",
        interval_s=_interval(specimen).seconds,
        note="" if failed else specimen.note,
    )


def _log(specimen: AgentSpecimen) -> tuple[AgentLogRow, ...]:
    rows = [AgentLogRow(NOW_NS - 3 * SECOND_NS, "info", specimen.note or "started")]
    if specimen.error:
        rows.insert(0, AgentLogRow(NOW_NS - SECOND_NS, "error", specimen.error))
    return tuple(rows)
