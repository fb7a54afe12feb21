"""Views: frozen read models for the console. Rows are values; nothing here refers to live objects.

Prices, amounts and money are ``Decimal`` and exact. Every ``*_pct`` is a fraction (0.01 = 1 %).
Times are ``int`` nanoseconds since the epoch, UTC. ``None`` means "not known" or "not applicable".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from engine.api.agent_views import (
    AgentDetail,
    AgentLogRow,
    AgentRow,
    AgentRunRow,
    AlertRow,
    IntervalView,
    PoolView,
    QueueRow,
    RateWindowRow,
    SchedulingView,
)
from engine.api.health import EngineState, HealthView, StopReport

__all__ = [
    "AgentDetail",
    "AgentLogRow",
    "AgentRow",
    "AgentRunRow",
    "AlertRow",
    "BarrierRow",
    "CommandRow",
    "ConfigField",
    "EngineState",
    "EquityView",
    "ExecutorDetail",
    "ExecutorPage",
    "ExecutorRow",
    "ExecutorTypeView",
    "FillRow",
    "FlowStateView",
    "FormCheck",
    "FormField",
    "HealthView",
    "IntervalView",
    "LogRow",
    "MarketRow",
    "OrderRow",
    "PerformanceView",
    "PoolView",
    "PositionRow",
    "QueueRow",
    "RateWindowRow",
    "SchedulingView",
    "SessionRow",
    "StopReport",
    "TimelineRow",
]


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session.

    ``mode`` is paper, live, replay or backtest; ``state`` is created, running, halted, stopping,
    stopped or failed.
    """

    id: str
    name: str
    mode: str
    state: str
    started_ns: int
    now_ns: int
    markets: tuple[str, ...]
    equity: Decimal
    initial_equity: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    fees: Decimal
    currency: str
    speed: str
    executors: dict[str, int]
    """Lifecycle word -> number of executors, active and archived."""
    inputs: int
    alerts: int = 0
    controllers: dict[str, str] = field(default_factory=dict)
    """Id of each controller -> running, stopped or failed (asked no more after failures)."""
    funding: Decimal = Decimal(0)
    """Of perpetuals; positive when more was received than paid, no part of the PnL above."""


@dataclass(frozen=True, slots=True)
class MarketRow:
    """Newest quote of one market. ``age_s`` is None before the first quote."""

    connector_name: str
    trading_pair: str
    bid: Decimal | None
    ask: Decimal | None
    mid: Decimal | None
    change_pct: Decimal | None
    """Mid against the first mid of the session."""
    quote_ns: int | None
    source_ns: int | None
    """Stamp in the source file, for replayed data; None for a synthetic market."""
    trend: tuple[float, ...] = ()
    """Last mids, oldest first, at most 32: for a sparkline."""


@dataclass(frozen=True, slots=True)
class ExecutorRow:
    """One line of the executor table."""

    id: str
    type: str
    """Short name: position, grid, ..."""
    controller_id: str
    connector_name: str
    trading_pair: str
    side: str
    """BUY or SELL."""
    lifecycle: str
    """created, running, shutting_down, failed, terminated."""
    close_type: str | None
    amount: Decimal
    """Configured amount in base."""
    filled_amount: Decimal
    """Opened amount in base."""
    entry_price: Decimal | None
    mark_price: Decimal | None
    net_pnl_quote: Decimal
    net_pnl_pct: Decimal
    fees_quote: Decimal
    volume_quote: Decimal
    created_ns: int
    closed_ns: int | None
    age_s: float
    trend: tuple[float, ...] = ()
    """Last samples of net PnL, oldest first, at most 12."""
    retries: int = 0
    last_error: str = ""
    stale_price: bool = False


@dataclass(frozen=True, slots=True)
class ExecutorPage:
    """A window of executor rows. ``version`` changes whenever any row may have changed."""

    rows: tuple[ExecutorRow, ...]
    start: int
    matching: int
    total: int
    version: int
    filter_error: str = ""


@dataclass(frozen=True, slots=True)
class BarrierRow:
    """One barrier or wake condition of an executor.

    ``distance_pct`` is how far the mark is from ``price`` as a fraction of the mark, None for a
    barrier in time; ``at_ns`` is the instant of a barrier in time.
    """

    name: str
    kind: Literal[
        "entry",
        "stop_loss",
        "take_profit",
        "trailing_stop",
        "time_limit",
        "level",
        "next_slot",
        "maker",
        "hedge",
        "arbitrage",
    ]
    price: Decimal | None
    distance_pct: Decimal | None
    at_ns: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One order."""

    client_order_id: str
    executor_id: str | None
    role: str
    """entry, take_profit, close, strategy."""
    connector_name: str
    trading_pair: str
    side: str
    order_type: str
    price: Decimal | None
    amount: Decimal
    filled_amount: Decimal
    average_price: Decimal | None
    state: str
    reason: str
    created_ns: int
    updated_ns: int


@dataclass(frozen=True, slots=True)
class FillRow:
    """One fill. ``fee_quote`` is positive when we pay."""

    fill_id: str
    client_order_id: str
    executor_id: str | None
    role: str
    trading_pair: str
    side: str
    price: Decimal
    amount: Decimal
    quote: Decimal
    fee_quote: Decimal
    is_maker: bool
    ts_ns: int


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One thing that happened to an executor."""

    ts_ns: int
    text: str
    level: str = "info"


@dataclass(frozen=True, slots=True)
class ConfigField:
    """One validated configuration value; nested fields have dotted names."""

    name: str
    value: str
    is_default: bool
    unit: str = ""


@dataclass(frozen=True, slots=True)
class ExecutorDetail:
    """Everything about one executor. Orders, fills and timeline: newest first."""

    row: ExecutorRow
    config: tuple[ConfigField, ...]
    barriers: tuple[BarrierRow, ...]
    orders: tuple[OrderRow, ...]
    fills: tuple[FillRow, ...]
    timeline: tuple[TimelineRow, ...]
    max_retries: int
    updatable: bool
    info: tuple[tuple[str, str], ...] = ()
    """custom_info as (name, value) text pairs."""


@dataclass(frozen=True, slots=True)
class PositionRow:
    """One position of the account: a market's net one, or a hedged market's long or short."""

    connector_name: str
    trading_pair: str
    amount: Decimal
    """Signed, in base."""
    entry_price: Decimal | None
    mark_price: Decimal | None
    unrealized_pnl: Decimal
    realized_pnl: Decimal
    fees: Decimal
    held: Decimal
    """Signed part that no executor manages (position holds)."""
    side: str = "BOTH"
    """LONG or SHORT of a hedged market."""


@dataclass(frozen=True, slots=True)
class PerformanceView:
    """Performance report of a session, summed over its controllers."""

    realized_pnl: Decimal
    unrealized_pnl: Decimal
    global_pnl: Decimal
    global_pnl_pct: Decimal
    """PnL per traded volume."""
    volume: Decimal
    fees: Decimal
    win_rate: Decimal
    wins: int
    losses: int
    close_types: dict[str, int]
    active: int
    done: int
    funding: Decimal = Decimal(0)
    """Of perpetuals; positive when more was received than paid, part of ``global_pnl`` only."""


@dataclass(frozen=True, slots=True)
class EquityView:
    """Equity samples for a curve, oldest first; float because it is only drawn."""

    times_ns: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FlowStateView:
    """State panel of one ``flow.Executor``: counts by status and its ``inspect_state()`` text."""

    name: str
    counts: dict[str, int]
    text: str


@dataclass(frozen=True, slots=True)
class FlowEventRow:
    """One event of a ``flow.Executor``: when it was made, what it does, how it went."""

    id: str
    created_ns: int
    kind: str
    subject: str
    status: str
    duration_ms: float | None
    outcome: str


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One operator command with its outcome. ``status`` is a flow status word."""

    id: str
    ts_ns: int
    actor: str
    kind: str
    target: str
    status: str
    reason: str
    duration_ms: float | None


@dataclass(frozen=True, slots=True)
class LogRow:
    """One log line. ``seq`` grows by one, so a reader can ask for what is new."""

    seq: int
    ts_ns: int
    level: str
    """debug, info, warning, error."""
    source: str
    text: str
    executor_id: str | None = None


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of a form made from a configuration model.

    ``kind`` says which control fits: text, choice, number, percent, duration. ``name`` is dotted
    for nested fields (``triple_barrier_config.stop_loss``). ``help`` says what is accepted.
    """

    name: str
    label: str
    kind: Literal["text", "choice", "number", "percent", "duration"]
    required: bool
    default: str = ""
    unit: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()
    group: str = ""
    many: bool = False
    """Whether several values are given, with commas or blanks between them."""


@dataclass(frozen=True, slots=True)
class ExecutorTypeView:
    """One executor type that can be created: its registered type string, short title, form."""

    type: str
    title: str
    summary: str
    fields: tuple[FormField, ...]


@dataclass(frozen=True, slots=True)
class FormCheck:
    """What the engine understands of a half-filled form.

    ``errors`` maps field names to one sentence each; the empty name is about the whole form.
    ``understood`` maps field names to the value as it was read. ``preview`` is a list of (label,
    value) pairs: resulting barrier prices, notional, fees, balance needed. ``values`` is what to
    send in the command when there are no errors.
    """

    errors: dict[str, str] = field(default_factory=dict)
    understood: dict[str, str] = field(default_factory=dict)
    preview: tuple[tuple[str, str], ...] = ()
    values: dict[str, object] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the form can be sent."""
        return not self.errors
