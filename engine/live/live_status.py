"""What can be said of a live strategy, and what is counted of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from engine.live.circuit_breaker import BreakerState
from engine.live.health import HealthLevel
from engine.live.live_state import LiveState
from engine.model.instruments import ConnectorPair


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """What can be said of one live strategy."""

    id: str
    state: LiveState
    equity: Decimal
    allocated_capital: Decimal
    positions: Mapping[ConnectorPair, int]
    errors: int
    orders: int
    rejects: int
    fills: int
    breaker: BreakerState
    health: HealthLevel
    reasons: tuple[str, ...]
    queue_depth: int
    dropped_quotes: int
    alerts: tuple[str, ...]
    open_orders: int = 0
    late_fills: int = 0
    refused: int = 0


@dataclass(slots=True)
class LiveCounters:
    """Counts of one live strategy since its start."""

    errors: int = 0
    in_a_row: int = 0
    error_times: deque[int] = field(default_factory=deque)
    orders: int = 0
    rejects: int = 0
    refused: int = 0
    """Orders that breakers and guards did not let out."""
    fills: int = 0
    dropped: int = 0
