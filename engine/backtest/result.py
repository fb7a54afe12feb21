"""What a backtest leaves behind: values and columns, no reference into the container (COORD-5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum, unique
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from engine.containers.container_metrics import ContainerMetrics
from engine.model.instruments import Instrument

Table: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Columns of one length by name; never one object for each row."""

MetricValue: TypeAlias = int | float | Decimal | None
"""Money is Decimal, statistics are float, counts are int; None: undefined."""


@unique
class ResultStatus(StrEnum):
    """How a backtest ended."""

    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    BANKRUPT = "BANKRUPT"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class SymbolInfo:
    """One traded symbol, in the order of the configuration."""

    name: str
    instrument: Instrument
    bars: int
    first_ts_ns: int
    last_ts_ns: int


EMPTY: Table = {}


@dataclass(frozen=True, slots=True, eq=False)
class BacktestResult:
    """A complete result.

    Tables (columns, integer unless said):

    - ``equity``: ``ts_close`` ns, ``equity_atoms``, one row for each instant (PF-6);
    - ``drawdown``: float64 fractions beside ``equity``;
    - ``fills``: ``ts``, ``bar``, ``order_seq``, ``symbol``, ``side`` (+1, -1), ``liquidity`` (0
      maker, 1 taker), ``lots``, ``ticks``, ``fee_atoms``, ``raw_ticks``, ``ambiguous``, ``role``;
    - ``orders``: ``seq``, ``symbol``, ``side``, ``type``, ``lots``, ``limit``, ``stop``, ``tif``,
      ``state``, ``reason``, ``filled_lots``, ``avg_price``, ``fee_atoms``, ``ts_created``,
      ``bar_created``, ``role``, ``tag``, ``parent``;
    - ``trades``: the round trips of PF-7;
    - ``events``: only with ``record_events``.
    """

    config: Mapping[str, Any]
    run_hash: str
    data_hash: str
    fingerprint: str
    digest64: int
    engine: str
    status: ResultStatus
    seed: int
    currency: str
    money_precision: int
    initial_atoms: int
    final_atoms: int
    symbols: tuple[SymbolInfo, ...]
    equity: Table
    drawdown: npt.NDArray[np.float64]
    fills: Table
    orders: Table
    trades: Table
    metrics: Mapping[str, MetricValue]
    container_metrics: ContainerMetrics
    data_report: Mapping[str, Any]
    metric_reasons: Mapping[str, str] = field(default_factory=dict)
    orders_by_state: Mapping[str, int] = field(default_factory=dict)
    rejections: Mapping[str, int] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    """For example ``optimistic: same_close``, ``lookahead: failed``, ``partial: true``."""
    warnings: tuple[str, ...] = ()
    bars: int = 0
    bars_per_second: float | None = None
    """Wall-clock figure; never part of a hash."""
    error: str = ""
    events: Table = field(default_factory=dict)

    @property
    def final_equity(self) -> Decimal:
        """Return the last equity sample as money, exact."""
        return Decimal(self.final_atoms).scaleb(-self.money_precision)

    @property
    def is_partial(self) -> bool:
        """Whether the run ended before its data did."""
        return self.status in (ResultStatus.CANCELLED, ResultStatus.FAILED)
