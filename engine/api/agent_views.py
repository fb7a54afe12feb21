"""Views of agents and of the engine that runs them: frozen read models for the console.

Durations are seconds, instants ``int`` nanoseconds since the epoch, UTC; both are only shown. What
counts down (``next_in_s``, ``running_s``) is as of the publication. ``None`` means "not known" or
"not applicable".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

PRIORITIES: Final = ("critical", "high", "normal", "low", "idle")
"""Words of the priorities, the strongest first; their places are their levels."""

AgentOrigin = Literal["engine", "session", "operator"]
"""Who brought an agent: the engine's own work, the session file, or somebody while it ran."""


@dataclass(frozen=True, slots=True)
class IntervalView:
    """Why an agent runs as often as it does.

    Each factor lies in 0.5 to 1.5, below 1 means more often; ``adjustment`` is their weighted mean,
    ``smoothed`` its moving average, ``backoff`` the multiplier after failures in a row.
    """

    seconds: float
    base_s: float
    performance: float
    market: float
    system: float
    adjustment: float
    smoothed: float
    backoff: float
    reason: str
    """What moves it, in a few words; empty if nothing does."""


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One line of the agents table."""

    id: str
    type: str
    origin: AgentOrigin
    status: str
    """initialized, starting, running, stopping, stopped, error."""
    priority: str
    repeats: bool
    running_s: float | None
    """How long its cycle has been running; None while none runs."""
    limit_s: float
    """After how long a cycle is timed out."""
    last_started_ns: int | None
    last_ended_ns: int | None
    last_run_s: float | None
    mean_run_s: float | None
    p95_run_s: float | None
    next_in_s: float | None
    """Until the next cycle; None if none is queued, negative if it is late."""
    interval: IntervalView | None
    run_times: tuple[float, ...] = ()
    """Last run times in seconds, oldest first, at most 24: for a sparkline."""
    intervals: tuple[float, ...] = ()
    """Last intervals in seconds, oldest first, at most 24: for a sparkline."""
    runs: int = 0
    errors: int = 0
    timeouts: int = 0
    skipped: int = 0
    coalesced: int = 0
    failures_in_row: int = 0
    reliability: float = 1.0
    last_error: str = ""
    is_overdue: bool = False
    is_stuck: bool = False
    note: str = ""
    """What the agent says about its last cycle, in one line."""


@dataclass(frozen=True, slots=True)
class AgentRunRow:
    """One run of an agent. ``outcome`` is the state in which its task ended."""

    number: int
    started_ns: int
    duration_s: float
    outcome: str
    error: str = ""
    interval_s: float | None = None
    """The interval that followed it."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class AgentLogRow:
    """One log line of an agent."""

    ts_ns: int
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class AgentDetail:
    """Everything about one agent. Runs: the last 100, newest first. Log: newest first."""

    row: AgentRow
    summary: str
    """What agents of this type do, in one sentence."""
    runs: tuple[AgentRunRow, ...] = ()
    log: tuple[AgentLogRow, ...] = ()
    config: tuple[tuple[str, str], ...] = ()
    """(name, value) pairs; secrets show as asterisks."""
    metrics: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One task that waits: ``state`` is delayed, ready or parked."""

    task_id: str
    agent_id: str
    task_type: str
    priority: str
    state: str
    due_in_s: float


@dataclass(frozen=True, slots=True)
class RateWindowRow:
    """The rate window of one API: *used* of *limit* starts in the last *window_s*.

    ``limit`` is None where there is none; ``closed_for_s`` says how long the venue has closed it.
    """

    api: str
    used: int
    limit: int | None
    window_s: float
    waiting: int = 0
    closed_for_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PoolView:
    """Figures of the resource pool that all agents share."""

    connections: int = 0
    """Connections in use."""
    connections_max: int = 0
    requests: int = 0
    attempts: int = 0
    retries: int = 0
    errors: int = 0
    error_rate: float = 0.0
    cache_size: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    cache_hit_rate: float = 0.0
    cache_evictions: int = 0
    rate_limit_wait_s: float = 0.0
    windows: tuple[RateWindowRow, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadView:
    """Load of the machine, each 0 to 1; None is not measured."""

    cpu: float | None = None
    memory: float | None = None
    network: float | None = None
    io: float | None = None


@dataclass(frozen=True, slots=True)
class MarketConditionView:
    """The market as the adaptive scheduler sees it; ``age_s`` None: never told."""

    volatility: float = 0.5
    trading_volume: float = 0.5
    trend: float = 0.0
    liquidity: float = 0.5
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert of the execution engine or of one of its agents."""

    raised_ns: int
    level: str
    text: str
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class SchedulingView:
    """The execution engine, its queue and its pool. ``health`` is ok, degraded or critical."""

    running: bool = False
    health: str = "ok"
    health_note: str = ""
    agents_running: int = 0
    agents_total: int = 0
    agents_failed: int = 0
    slots_used: int = 0
    slots_total: int = 0
    slots_reserved: int = 0
    queued: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(PRIORITIES, 0))
    """Tasks that wait, by priority word."""
    delayed: int = 0
    ready: int = 0
    parked: int = 0
    oldest_ready_s: float = 0.0
    completed: int = 0
    failed: int = 0
    timed_out: int = 0
    cancelled: int = 0
    skipped: int = 0
    coalesced: int = 0
    abandoned: int = 0
    dispatch_p50_ms: float | None = None
    dispatch_p99_ms: float | None = None
    run_p50_ms: float | None = None
    run_p99_ms: float | None = None
    loop_lag_ms: float = 0.0
    uptime_s: float = 0.0
    load: LoadView = LoadView()
    market: MarketConditionView = MarketConditionView()
    pool: PoolView = PoolView()
    queue: tuple[QueueRow, ...] = ()
    """The next tasks, at most 50, in the order in which they are due."""
    alerts: tuple[AlertRow, ...] = ()
    """Newest first."""
    control_api: str = ""
    """Address of the control API, or why it does not run; empty if it is off."""
    tick_p50_ms: float | None = None
    tick_p95_ms: float | None = None
    tick_trend: tuple[float, ...] = ()
    """Recent p95 of the tick time in milliseconds, oldest first, at most 24."""
