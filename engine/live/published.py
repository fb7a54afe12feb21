"""What a session publishes: one immutable value that readers on other threads work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.executors.performance import PerformanceReport
from engine.executors.position_hold import PositionSummary
from engine.executors.snapshot import ExecutorSnapshot
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Fill, Order, PositionSide
from engine.model.quotes import QuoteTick
from engine.portfolio.snapshots import AccountSnapshot, FreeFunds


@dataclass(frozen=True, slots=True)
class PublishedMarket:
    """One market: newest quote, twice its first mid in ticks, recent mids by second."""

    instrument: Instrument
    quote: QuoteTick | None
    first_mid_twice: int
    trend: tuple[tuple[int, int], ...]
    """(ts_ns, twice the mid in ticks), oldest first."""


@dataclass(frozen=True, slots=True)
class ExecutorCounts:
    """How many executors there are by lifecycle word, by type and by close type."""

    lifecycles: Mapping[str, int] = field(default_factory=dict)
    types: Mapping[str, int] = field(default_factory=dict)
    close_types: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PublishedSession:
    """State of a session after some input; ``version`` grows with every publication."""

    version: int
    id: str
    name: str
    mode: str
    state: str
    problem: str
    speed: str
    started_ns: int
    now_ns: int
    inputs: int
    events: int
    queue: int
    tick_ms: float | None
    lag_ms: float | None
    markets: Mapping[ConnectorPair, PublishedMarket]
    account: AccountSnapshot
    free: FreeFunds
    executors: Mapping[str, ExecutorSnapshot]
    """Executors in memory by id, in the order of their creation."""
    archived: Mapping[str, ExecutorSnapshot]
    """The newest archived ones, in the order in which they were archived."""
    archived_performance: PerformanceReport
    executor_counts: ExecutorCounts
    """Of all executors of the session, also of those that are no longer in memory."""
    membership: int
    """Differs from the last publication's if executors came or went."""
    positions_held: tuple[PositionSummary, ...]
    held_lots: Mapping[tuple[ConnectorPair, PositionSide], int]
    """Signed lots that no executor manages."""
    orders: Mapping[str, Order]
    fills: tuple[Fill, ...]
    """Newest last, bounded."""
    fill_count: int
    order_count: int
    equity: tuple[tuple[int, float], ...]
    alerts: int
    controllers: Mapping[str, str] = field(default_factory=dict)
    """By id: running, stopped or failed."""
