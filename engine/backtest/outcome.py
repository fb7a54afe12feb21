"""Collects the result of a run from its container, before the container is torn down (COORD-1)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

import numpy as np

from engine.backtest.assembly import BuiltRun, RunRequest, actions_of
from engine.backtest.benchmark_prices import BenchmarkPrices
from engine.backtest.config import BacktestConfig, SimulatedBrokerSection
from engine.backtest.control import RunControl
from engine.backtest.metrics import MetricInputs, Metrics, MetricSettings, compute_metrics
from engine.backtest.peak_memory import peak_rss_bytes
from engine.backtest.results import BacktestResult, InstrumentFacts, ResultStatus
from engine.backtest.run_hash import plain
from engine.backtest.run_history import RunHistory, run_history
from engine.backtest.trade_log import TradeLog, build_trades, consistency_gap, open_pnl_atoms
from engine.containers.container_metrics import ContainerMetrics
from engine.execution.bar_settings import FillTiming
from engine.execution.cost_settings import (
    DEFAULT_MAKER_PPB,
    DEFAULT_TAKER_PPB,
    CommissionSettings,
    NoSlippageSettings,
    SlippageSettings,
)
from engine.execution.cost_text import FREE_WARNING, cost_banner, is_free
from engine.execution.reasons import ReasonCode
from engine.flow.errors import OperationError
from engine.model.bar_columns import BarColumns, IntArray, blocks
from engine.model.orders import OrderStatus
from engine.model.run_tables import Table, fingerprint

_OWN_WISH: Final = ReasonCode.USER.value
"""The one reason that is not counted: the strategy cancelled the order itself (ORD-7)."""


class InconsistentResultError(OperationError):
    """Trades and equity of a result do not agree (COORD-7)."""


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """When a run began, on the wall and in CPU time."""

    wall_ns: int
    cpu_s: float

    @classmethod
    def start(cls, wall_ns: int) -> Stopwatch:
        """Return the beginning."""
        return cls(wall_ns, time.process_time())


@dataclass(frozen=True, slots=True)
class RawRun:
    """Integer tables of a run, whichever path made them."""

    fills: Table
    equity: Table
    orders: Table
    order_notes: Sequence[Mapping[str, Any]]
    rejections: Mapping[str, int]
    """Refused signals and orders that were REJECTED, by reason."""
    cancellations: Mapping[str, int]
    """Orders that EXPIRED, or were CANCELLED by anything but the strategy itself, by reason."""
    status: ResultStatus
    bars_done: int
    costs_atoms: int
    """Funding, borrow and interest paid, less dividends."""
    funding_atoms: int
    shortfall_atoms: int
    final_equity_atoms: int
    open_marks: tuple[int, ...]
    engine: str
    values: IntArray | None = None
    """Notional of each fill in the account's currency; None if all is quoted in it."""
    quote_values: IntArray | None = None
    """Notional of each fill in the instrument's currency, if they may differ."""
    open_worth: tuple[int, ...] | None = None
    """What is open at its mark, by symbol, if it cannot be told from the marks alone."""
    error: str | None = None
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    """Why the compiled path was not taken, every reason; empty if it was."""
    has_half_marks: bool = False
    """Marks are mids of quotes, which may lie between two ticks: open PnL is not whole then."""


def collect(
    built: BuiltRun,
    *,
    status: ResultStatus,
    error: str | None = None,
    history: RunHistory | None = None,
) -> RawRun:
    """Return what the event path left; *history* has taken what came before the end."""
    broker, account = built.broker, built.account
    history = history or run_history(built)
    fills, equity, orders = broker.tables(history.finish())
    rejections = Counter(built.risk.rejections)
    rejections.update(broker.rejections)
    cancellations = {
        reason: count for reason, count in broker.cancellations.items() if reason != _OWN_WISH
    }
    warnings = []
    if broker.unknown_volume_fills:
        warnings.append(f"{broker.unknown_volume_fills} fills on bars of unknown volume")
    return RawRun(
        fills=fills,
        equity=equity,
        orders=orders,
        order_notes=history.notes(),
        rejections=dict(sorted(rejections.items())),
        cancellations=dict(sorted(cancellations.items())),
        status=status,
        bars_done=built.run.done,
        costs_atoms=account.funding + account.borrow - account.dividends - account.interest,
        funding_atoms=account.funding,
        shortfall_atoms=broker.shortfall_atoms,
        final_equity_atoms=account.equity,
        open_marks=tuple(position.mark for position in account.positions),
        engine="events",
        **_converted(built, fills, history.values),
        error=error,
        warnings=tuple(warnings),
    )


def _converted(built: BuiltRun, fills: Table, values: IntArray | None) -> dict[str, Any]:
    """Return what is known only at the rates of its time, with instruments in other currencies."""
    account = built.account
    if values is None:
        return {}
    scales = np.array([one.scale for one in account.positions], dtype=np.int64)
    return {
        "values": values,
        "quote_values": fills["lots"] * fills["ticks"] * scales[fills["symbol"]],
        "open_worth": tuple(one.worth(one.lots, one.mark) for one in account.positions),
    }


def make_result(
    raw: RawRun,
    *,
    request: RunRequest,
    columns: Sequence[BarColumns],
    run_id: str,
    run_hash: str,
    effective: Mapping[str, Any],
    first_decision_bar: int,
    base_metrics: ContainerMetrics,
    stopwatch: Stopwatch,
    control: RunControl,
    wall_ns: int,
    events: tuple[Mapping[str, Any], ...] | None = None,
) -> BacktestResult:
    """Return the complete result; it holds no reference into a container.

    Raises:
        InconsistentResultError: trades and equity do not agree.
    """
    config = request.config
    account = config.components.portfolio.params
    initial = int(account.initial_cash.scaleb(account.money_precision))
    log = build_trades(
        raw.fills,
        columns,
        matching=account.trade_matching.value,
        actions=actions_of(config),
        values=raw.values,
        quote_values=raw.quote_values,
    )
    if raw.status is not ResultStatus.BANKRUPT and not (raw.has_half_marks and log.open_lots):
        _check_consistency(raw, log, columns, initial)
    metrics = compute_metrics(
        metric_inputs(raw, log, columns, initial, first_decision_bar, account.money_precision),
        metric_settings(config),
    )
    mark = fingerprint(raw.fills, raw.equity, raw.orders)
    states = Counter(OrderStatus(int(state)).name for state in raw.orders["state"])
    elapsed = control.elapsed_s()
    ambiguous = int(np.count_nonzero(raw.fills["ambiguous"]))
    final_atoms = int(raw.equity["equity_atoms"][-1]) if len(raw.equity) else initial
    container_metrics = replace(
        base_metrics,
        params={one.kind: plain(one.params) for one in config.components.all_strategies},
        status=raw.status.value,
        started_wall=stopwatch.wall_ns,
        finished_wall=wall_ns,
        execution_time_s=elapsed,
        cpu_time_s=time.process_time() - stopwatch.cpu_s,
        peak_rss_bytes=peak_rss_bytes(),
        bars_processed=raw.bars_done,
        orders_by_state=dict(sorted(states.items())),
        orders_generated=len(raw.orders),
        fills_executed=len(raw.fills),
        ambiguous_fills=ambiguous,
        final_equity=columns[0].instrument.money(final_atoms),
        max_drawdown=_number(metrics, "max_drawdown"),
        sharpe=_number(metrics, "sharpe"),
        fingerprint=mark,
        data_report=request.data.report,
    )
    return BacktestResult(
        status=raw.status,
        run_id=run_id,
        config=effective,
        run_hash=run_hash,
        data_hash=request.data.data_hash,
        fingerprint=mark,
        engine=raw.engine,
        metrics=metrics,
        instruments=tuple(InstrumentFacts.of(one) for one in columns),
        container_metrics=container_metrics,
        data_report=request.data.report,
        equity=raw.equity,
        trades=log.trades,
        fills=raw.fills,
        orders=raw.orders,
        order_notes=raw.order_notes,
        events=events,
        orders_by_state=dict(sorted(states.items())),
        rejections=raw.rejections,
        cancellations=raw.cancellations,
        warnings=(
            *raw.warnings,
            *_skipped_errors(config, base_metrics.errors),
            *_cost_warnings(config),
        ),
        flags=_flags(config, raw),
        cost_banner=cost_banner(*cost_models(config), venues=_DEFAULT_FEES),
        error=raw.error,
        currency=account.currency,
        money_precision=account.money_precision,
        initial_atoms=initial,
        bars=raw.bars_done,
        bars_per_second=raw.bars_done / elapsed if elapsed > 0 else None,
        shortfall_atoms=raw.shortfall_atoms,
    )


def _check_consistency(
    raw: RawRun, log: TradeLog, columns: Sequence[BarColumns], initial: int
) -> None:
    gap = consistency_gap(
        log,
        equity_change_atoms=raw.final_equity_atoms - initial,
        open_pnl=open_pnl_atoms(log.open_lots, raw.open_marks, columns, worth=raw.open_worth),
        other_atoms=raw.costs_atoms,
    )
    if gap:
        raise InconsistentResultError(
            f"trades and equity differ by {gap} atoms: the result cannot be trusted (COORD-7)"
        )


def metric_inputs(
    raw: RawRun,
    log: TradeLog,
    columns: Sequence[BarColumns],
    initial: int,
    first_decision_bar: int,
    money_precision: int,
) -> MetricInputs:
    """Return what the metrics of *raw* are computed of."""
    scales = np.array([one.instrument.atoms_per_tick_lot for one in columns], dtype=object)
    fills = raw.fills
    notional = (
        int(np.abs(raw.values).sum())
        if raw.values is not None
        else sum(
            abs(int(ticks)) * int(lots) * int(scales[symbol])
            for ticks, lots, symbol in zip(
                fills["ticks"].tolist(),
                fills["lots"].tolist(),
                fills["symbol"].tolist(),
                strict=True,
            )
        )
    )
    first = columns[0]
    decision = min(first_decision_bar, len(first) - 1)
    return MetricInputs(
        ts_close=raw.equity["ts"],
        equity_atoms=raw.equity["equity_atoms"],
        initial_atoms=initial,
        money_precision=money_precision,
        trades=log.trades,
        turnover_atoms=notional,
        fees_atoms=int(fills["fee_atoms"].sum()),
        slippage_atoms=int(fills["slippage_atoms"].sum()),
        funding_atoms=raw.funding_atoms,
        bars=len(raw.equity),
        exposed_bars=_exposed_bars(raw.equity),
        bar_ns=min(one.duration_ns for one in columns),
        benchmark_ts=first.ts_close,
        benchmark_close=BenchmarkPrices(first),
        decision_ns=int(first.ts_close[decision]) if len(first) else None,
    )


def _exposed_bars(equity: Table) -> int:
    parts = blocks(len(equity), equity)
    return sum(int(np.count_nonzero(equity["exposed"][part])) for part in parts)


def metric_settings(config: BacktestConfig) -> MetricSettings:
    """Return how the metrics of a run of *config* are annualised."""
    section = config.metrics
    sessions = config.data[0].sessions_per_year
    return MetricSettings(
        risk_free=float(section.risk_free),
        periods_per_year=(
            None if section.periods_per_year is None else int(section.periods_per_year)
        ),
        sessions_per_year=None if sessions is None else int(sessions),
        annualise_short=section.annualise_short,
    )


def _number(metrics: Metrics, name: str) -> float | None:
    value = metrics[name]
    return None if value is None else float(value)


def _flags(config: BacktestConfig, raw: RawRun) -> dict[str, Any]:
    flags: dict[str, Any] = {}
    section = config.components.broker
    if (
        isinstance(section, SimulatedBrokerSection)
        and section.params.fill_timing is FillTiming.THIS_CLOSE
    ):
        flags["optimistic"] = "same_close"
    if raw.status in (ResultStatus.CANCELLED, ResultStatus.FAILED):
        flags["partial"] = True
    if raw.refusals:
        flags["not_compiled"] = list(raw.refusals)
    return flags


_DEFAULT_FEES: Final = {
    "default": (
        Decimal(DEFAULT_MAKER_PPB).scaleb(-9).normalize(),
        Decimal(DEFAULT_TAKER_PPB).scaleb(-9).normalize(),
    )
}
"""What `maker_taker` without rates charges in a backtest."""


def cost_models(config: BacktestConfig) -> tuple[SlippageSettings, CommissionSettings]:
    """Return the slippage and the commission that *config* assumes."""
    section = config.components.broker
    if isinstance(section, SimulatedBrokerSection):
        return section.params.slippage_model, section.params.commission_model
    return NoSlippageSettings(), section.params.commission_model


def _skipped_errors(config: BacktestConfig, count: int) -> tuple[str, ...]:
    if config.stop_on_error or not count:
        return ()
    return (f"{count} errors of components were skipped (stop_on_error: false)",)


def _cost_warnings(config: BacktestConfig) -> tuple[str, ...]:
    free = is_free(*cost_models(config), venues=_DEFAULT_FEES)
    return (FREE_WARNING,) if free else ()
