"""What is counted and measured of one container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class ContainerMetrics:
    """Counts and figures of one run; what cannot be computed is None, readers accept None.

    The wall-clock fields (``started_wall`` to ``peak_rss_bytes``) never enter a fingerprint;
    ``started_wall`` and ``finished_wall`` are ns since the epoch.
    """

    container_id: str
    mode: str
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    status: str = ""
    started_wall: int | None = None
    finished_wall: int | None = None
    execution_time_s: float | None = None
    cpu_time_s: float | None = None
    peak_rss_bytes: int | None = None
    bars_processed: int = 0
    events_processed: int = 0
    signals: int = 0
    orders_generated: int = 0
    orders_by_state: Mapping[str, int] = field(default_factory=dict)
    fills_executed: int = 0
    ambiguous_fills: int = 0
    errors: int = 0
    final_equity: Decimal | None = None
    max_drawdown: float | None = None
    sharpe: float | None = None
    fingerprint: str | None = None
    data_report: Mapping[str, Any] = field(default_factory=dict)
