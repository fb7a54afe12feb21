"""The result of a backtest: complete, immutable, free of its container (COORD-5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, unique
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from engine.backtest.metric_series import DepthWalk, drawdowns, equity_values
from engine.backtest.metrics import Metrics
from engine.backtest.sampling import min_max_places
from engine.backtest.trade_log import TRADE_DTYPE
from engine.containers.container_metrics import ContainerMetrics
from engine.model.bar_columns import BarColumns, FloatArray, IntArray, picked, release_pages
from engine.model.run_tables import EQUITY_DTYPE, FILL_DTYPE, ORDER_DTYPE, Table


@unique
class ResultStatus(Enum):
    """How a run ended. CANCELLED has what was done so far."""

    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    BANKRUPT = "BANKRUPT"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class InstrumentFacts:
    """What is needed to read the integers of one symbol."""

    symbol: str
    tick: Decimal
    lot: Decimal
    multiplier: Decimal
    atoms_per_tick_lot: int
    settlement: str = "spot"

    @classmethod
    def of(cls, bars: BarColumns) -> Self:
        """Return the facts of the instrument of *bars*."""
        one = bars.instrument
        return cls(
            bars.symbol,
            one.tick,
            one.lot,
            one.multiplier,
            one.atoms_per_tick_lot,
            one.settlement.value,
        )


@dataclass(frozen=True, slots=True, eq=False)
class BacktestResult:
    """What a run gave.

    Tables are structured arrays (`engine.model.run_tables`, `TRADE_DTYPE`) and non-writable; their
    ``symbol`` counts in ``instruments``. ``config`` is the effective configuration as JSON values.
    ``data_report`` has the report of each symbol. ``order_notes`` has one mapping for each order
    (reason, role, tag, ...) or is empty. ``events`` is None unless they were recorded. ``flags``
    holds what qualifies the result, such as ``optimistic: same_close`` or ``lookahead: failed``.
    ``splits`` has the results of the windows of a split run.
    """

    status: ResultStatus
    run_id: str
    config: Mapping[str, Any]
    run_hash: str
    data_hash: str
    fingerprint: str
    engine: str
    metrics: Metrics
    instruments: tuple[InstrumentFacts, ...]
    container_metrics: ContainerMetrics
    data_report: Mapping[str, Any] = field(default_factory=dict)
    equity: Table = field(default_factory=lambda: np.zeros(0, dtype=EQUITY_DTYPE))
    trades: Table = field(default_factory=lambda: np.zeros(0, dtype=TRADE_DTYPE))
    fills: Table = field(default_factory=lambda: np.zeros(0, dtype=FILL_DTYPE))
    orders: Table = field(default_factory=lambda: np.zeros(0, dtype=ORDER_DTYPE))
    order_notes: Sequence[Mapping[str, Any]] = ()
    events: tuple[Mapping[str, Any], ...] | None = None
    orders_by_state: Mapping[str, int] = field(default_factory=dict)
    rejections: Mapping[str, int] = field(default_factory=dict)
    """Refused signals and orders that were REJECTED, by reason."""
    cancellations: Mapping[str, int] = field(default_factory=dict)
    """Orders that EXPIRED, or were CANCELLED by anything but the strategy itself, by reason."""
    warnings: tuple[str, ...] = ()
    flags: Mapping[str, Any] = field(default_factory=dict)
    cost_banner: str = ""
    envelope: Mapping[str, Any] | None = None
    splits: Mapping[str, BacktestResult] = field(default_factory=dict)
    error: str | None = None
    currency: str = "USD"
    money_precision: int = 8
    initial_atoms: int = 0
    bars: int = 0
    bars_per_second: float | None = None
    shortfall_atoms: int = 0
    log: tuple[Mapping[str, Any], ...] = ()
    """What the run noted, see `engine.backtest.run_log`."""

    def __post_init__(self) -> None:
        for name in ("equity", "trades", "fills", "orders"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)
        for name in (
            "config",
            "data_report",
            "orders_by_state",
            "rejections",
            "cancellations",
            "flags",
            "splits",
        ):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def is_partial(self) -> bool:
        """Whether the run ended before its data did."""
        return self.status in (ResultStatus.CANCELLED, ResultStatus.FAILED)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the symbols in the order of declaration."""
        return tuple(one.symbol for one in self.instruments)

    @property
    def final_equity(self) -> Decimal:
        """Return the last equity sample, the initial cash before the first."""
        samples = self.equity["equity_atoms"]
        atoms = int(samples[-1]) if len(samples) else self.initial_atoms
        return self.money(atoms)

    @property
    def equity_curve(self) -> FloatArray:
        """Return the equity samples in currency."""
        return equity_values(self.equity["equity_atoms"], self.money_precision)

    @property
    def drawdown(self) -> FloatArray:
        """Return the drawdown at each equity sample as a positive fraction."""
        return drawdowns(self.equity_curve)

    def equity_sample(self, buckets: int) -> tuple[IntArray, FloatArray]:
        """Return (stamps, equity): at most ``2 * buckets`` samples, the extremes among them."""
        return self._sampled(lambda equity: equity, buckets)

    def drawdown_sample(self, buckets: int) -> tuple[IntArray, FloatArray]:
        """Return (stamps, drawdown as a positive fraction), chosen in the same way."""
        return self._sampled(DepthWalk().take, buckets)

    def _sampled(
        self, made_of: Callable[[FloatArray], FloatArray], buckets: int
    ) -> tuple[IntArray, FloatArray]:
        samples = self.equity

        def values(rows: slice) -> FloatArray:
            release_pages(samples)
            return made_of(equity_values(samples["equity_atoms"][rows], self.money_precision))

        places, kept = min_max_places(len(samples), values, buckets)
        return picked(samples["ts"], places), kept

    @property
    def ambiguous_fills(self) -> int:
        """Return how many fills depend on the order of the extremes in their bar (FILL-23)."""
        return int(np.count_nonzero(self.fills["ambiguous"]))

    @property
    def dominant_rejection(self) -> str | None:
        """Return why most signals and orders came to nothing when nothing was filled (ORD-7)."""
        counts = Counter(self.rejections)
        counts.update(self.cancellations)
        if len(self.fills) or not counts:
            return None
        return max(sorted(counts), key=lambda reason: counts[reason])

    def money(self, atoms: int) -> Decimal:
        """Return *atoms* as money, exact."""
        return Decimal(atoms).scaleb(-self.money_precision)

    def to_json(self) -> dict[str, Any]:
        """Return the one object that ``--json`` prints.

        Every metric by its name, money as text, statistics as numbers, null where undefined.
        """
        summary: dict[str, Any] = {
            **self.metrics.to_json(),
            "status": self.status.value,
            "partial": self.is_partial,
            "final_equity": f"{self.final_equity:f}",
            "n_trades": len(self.trades),
            "fills": len(self.fills),
            "orders_by_state": dict(self.orders_by_state),
            "rejections": dict(self.rejections),
            "cancellations": dict(self.cancellations),
            "ambiguous_fills": self.ambiguous_fills,
            "engine": self.engine,
            "bars": self.bars,
            "bars_per_second": self.bars_per_second,
            "fingerprint": self.fingerprint,
            "data_report": dict(self.data_report),
            "run_id": self.run_id,
            "run_hash": self.run_hash,
            "data_hash": self.data_hash,
            "currency": self.currency,
            "initial_cash": f"{self.money(self.initial_atoms):f}",
            "shortfall": f"{self.money(self.shortfall_atoms):f}",
            "undefined": dict(self.metrics.reasons),
            "basis": dict(self.metrics.basis),
            "flags": dict(self.flags),
            "costs": self.cost_banner,
            "warnings": list(self.warnings),
            "log": [dict(one) for one in self.log],
            "error": self.error,
        }
        if self.dominant_rejection is not None:
            summary["no_fill_reason"] = self.dominant_rejection
        if self.envelope is not None:
            summary["envelope"] = dict(self.envelope)
        if self.splits:
            summary["splits"] = {name: one.to_json() for name, one in self.splits.items()}
        return summary
