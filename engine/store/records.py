"""Rows of the store as values.

Prices, amounts and money are `Decimal` and exact, fees are positive when we pay, every `*_pct` is a
fraction. `*_ns` are nanoseconds since the epoch, UTC. Field names are the columns' names. Mappings
hold JSON values; a `Decimal` in one is stored as its text and comes back as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum, unique
from typing import Any


@unique
class SessionStatus(StrEnum):
    """Where a session stands, as far as the store knows."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether the session is over."""
        return self in {self.STOPPED, self.INTERRUPTED, self.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One session.

    `config_text` is the resolved configuration without secrets. `updated_ns` is when the row was
    last written; a session that was cut off ends there. The counts are of rows; `inputs` counts
    journal entries.
    """

    session_id: str
    name: str
    mode: str
    status: SessionStatus
    started_ns: int
    updated_ns: int
    ended_ns: int | None = None
    config_hash: str
    config_text: str
    code_version: str
    seed: int
    currency: str
    initial_equity: Decimal
    equity: Decimal
    realized_pnl: Decimal = Decimal(0)
    unrealized_pnl: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    executors: int = 0
    orders: int = 0
    fills: int = 0
    inputs: int = 0
    journal_hash: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionUpdate:
    """What changes in a session's row while it runs and when it ends."""

    session_id: str
    status: SessionStatus
    updated_ns: int
    ended_ns: int | None = None
    equity: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    fees: Decimal
    executors: int
    orders: int
    fills: int
    inputs: int
    journal_hash: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One input of a session; `seq` grows by one from the first entry of the session."""

    session_id: str
    seq: int
    ts_ns: int
    kind: str
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorRecord:
    """One trading executor.

    `state` is the blob from which it can be resumed, in the form `state_version`; `final_info` is
    its last report, None before it is archived.
    """

    session_id: str
    executor_id: str
    controller_id: str
    type: str
    status: str
    close_type: str | None = None
    created_ns: int
    updated_ns: int
    closed_ns: int | None = None
    config: Mapping[str, object]
    state: Mapping[str, object] = field(default_factory=dict)
    state_version: int = 1
    final_info: Mapping[str, object] | None = None
    net_pnl_quote: Decimal = Decimal(0)
    net_pnl_pct: Decimal = Decimal(0)
    fees_quote: Decimal = Decimal(0)
    filled_amount_quote: Decimal = Decimal(0)
    is_archived: bool = False
    is_handed_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecord:
    """One order. `price` is None for a market order; `executor_id` is None for a strategy's.

    `filled_quote` is the exact notional of the fills, so the average price needs no rounding here.
    """

    session_id: str
    client_order_id: str
    executor_id: str | None
    role: str
    connector_name: str
    trading_pair: str
    side: str
    order_type: str
    price: Decimal | None
    amount: Decimal
    filled_amount: Decimal = Decimal(0)
    filled_quote: Decimal = Decimal(0)
    fee_quote: Decimal = Decimal(0)
    state: str
    reason: str = ""
    created_ns: int
    updated_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRecord:
    """One fill. `fee_base` is the part of the fee taken in base; `fee_quote` contains its value."""

    session_id: str
    fill_id: str
    client_order_id: str
    executor_id: str | None
    role: str
    connector_name: str
    trading_pair: str
    side: str
    price: Decimal
    amount: Decimal
    quote: Decimal
    fee_quote: Decimal
    fee_base: Decimal = Decimal(0)
    is_maker: bool
    ts_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRecord:
    """One position of a market: its net one (BOTH), or a hedged market's LONG or SHORT.

    `held` is the signed part that no executor manages.
    """

    session_id: str
    connector_name: str
    trading_pair: str
    side: str = "BOTH"
    amount: Decimal
    entry_price: Decimal | None
    mark_price: Decimal | None
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    fees: Decimal
    held: Decimal = Decimal(0)
    updated_ns: int
    funding: Decimal = Decimal(0)
    """Positive when more was received than paid; no part of the realized PnL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityRecord:
    """One sample of a session's equity."""

    session_id: str
    ts_ns: int
    equity: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    fees: Decimal
    funding: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceRecord:
    """One sample of a controller's performance report."""

    session_id: str
    controller_id: str
    ts_ns: int
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    volume: Decimal
    fees: Decimal
    wins: int
    losses: int
    active: int
    done: int
    close_types: Mapping[str, object]
    funding: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestRecord:
    """One finished backtest; its tables lie in `folder`, relative to the data directory.

    `status` is how it ended, `summary` what its report says as JSON values.
    """

    backtest_id: str
    name: str
    status: str
    engine: str
    created_ns: int
    finished_ns: int
    run_hash: str
    fingerprint: str
    bars: int
    final_equity: Decimal | None
    folder: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One operator command or change of state; `finished_ns` is None while it is unfinished.

    The audit is append-only: the end of an event is a further record with the same `event_id`.
    """

    event_id: str
    kind: str
    actor: str
    target: str
    session_id: str | None
    requested_ns: int
    finished_ns: int | None
    status: str
    reason: str = ""
