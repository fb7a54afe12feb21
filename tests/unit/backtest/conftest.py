from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from engine.backtest.metrics import MetricInputs, Metrics, MetricSettings, compute_metrics
from engine.backtest.results import BacktestResult, InstrumentFacts, ResultStatus
from engine.backtest.trade_log import build_trades, consistency_gap, open_pnl_atoms
from engine.containers.container_metrics import ContainerMetrics
from engine.markets.bar_loader import load_bar_columns
from engine.markets.bar_options import BarFileOptions, InstrumentTerms
from engine.markets.stamps import parse_bar_duration
from engine.model.bar_columns import BarColumns
from engine.model.run_tables import (
    EQUITY_DTYPE,
    FILL_DTYPE,
    NO_PRICE,
    ORDER_DTYPE,
    Table,
    fingerprint,
)

SAMPLES = Path(__file__).parents[3] / "sample_configs" / "data"
ATOM = 10**8
CASH = 100_000 * ATOM
FAST, SLOW = 10, 30

Example = tuple[BarColumns, BacktestResult]


def crossover(bars: BarColumns, *, lots: int) -> tuple[Table, Table]:
    """Hold *lots* while the mean of 10 closes is above that of 30, from the next open; fee 1."""
    sums = np.concatenate(([0], np.cumsum(bars.close)))
    index = np.arange(SLOW - 1, len(bars))
    fast, slow = (sums[index + 1] - sums[index + 1 - length] for length in (FAST, SLOW))
    wants = np.zeros(len(bars), dtype=np.bool_)
    wants[index] = fast * SLOW > slow * FAST
    worth = bars.instrument.atoms_per_tick_lot
    fills: list[tuple[int, ...]] = []
    equity: list[tuple[int, ...]] = []
    cash, held = CASH, 0
    opens, closes = bars.open.tolist(), bars.close.tolist()
    starts, ends = bars.ts_open.tolist(), bars.ts_close.tolist()
    for bar in range(len(bars)):
        is_exposed = held > 0
        if bar >= SLOW and wants[bar - 1] != is_exposed:
            side = -1 if held else 1
            row = (starts[bar], bar, len(fills), 0, side, 1, lots, opens[bar], ATOM, 0, 0, held > 0)
            fills.append(row)
            cash -= side * lots * opens[bar] * worth + ATOM
            held += side * lots
            is_exposed = True
        equity.append((ends[bar], cash + held * closes[bar] * worth, cash, is_exposed))
    return np.array(fills, dtype=FILL_DTYPE), np.array(equity, dtype=EQUITY_DTYPE)


def metrics_of(
    bars: BarColumns, fills: Table, equity: Table, trades: Table, settings: MetricSettings
) -> Metrics:
    worth = bars.instrument.atoms_per_tick_lot
    return compute_metrics(
        MetricInputs(
            ts_close=equity["ts"],
            equity_atoms=equity["equity_atoms"],
            initial_atoms=CASH,
            trades=trades,
            turnover_atoms=int((fills["lots"] * fills["ticks"]).sum()) * worth,
            fees_atoms=int(fills["fee_atoms"].sum()),
            bars=len(bars),
            exposed_bars=int(equity["exposed"].sum()),
            bar_ns=bars.duration_ns,
            benchmark_ts=bars.ts_close,
            benchmark_close=bars.close_prices(),
            decision_ns=int(bars.ts_close[0]),
        ),
        settings,
    )


def example(name: str, bar: str, lots: int) -> Example:
    loaded = load_bar_columns(
        SAMPLES / name,
        terms=InstrumentTerms(name.partition("-")[0].upper()),
        options=BarFileOptions(bar=parse_bar_duration(bar)),
    )
    bars = loaded.columns
    fills, equity = crossover(bars, lots=lots)
    log = build_trades(fills, [bars])
    change = int(equity["equity_atoms"][-1]) - CASH
    marks = open_pnl_atoms(log.open_lots, [int(bars.close[-1])], [bars])
    assert consistency_gap(log, equity_change_atoms=change, open_pnl=marks) == 0
    orders = np.zeros(len(fills), dtype=ORDER_DTYPE)
    orders["seq"], orders["state"] = fills["order_seq"], 4
    for column in ("side", "lots"):
        orders[column] = fills[column]
    orders["filled_lots"] = fills["lots"]
    orders["limit"] = orders["stop"] = NO_PRICE
    metrics = metrics_of(bars, fills, equity, log.trades, MetricSettings())
    return bars, BacktestResult(
        status=ResultStatus.COMPLETED,
        run_id="backtest_0a1b2c3d",
        config={"strategy": {"class": "sma_cross", "params": {"fast": FAST, "slow": SLOW}}},
        run_hash="0a1b2c3d",
        data_hash=bars.data_hash,
        fingerprint=fingerprint(fills, equity, orders),
        engine="events",
        metrics=metrics,
        instruments=(InstrumentFacts.of(bars),),
        container_metrics=ContainerMetrics(
            "backtest_0a1b2c3d", "BACKTEST_SINGLE", final_equity=Decimal("1.50"), sharpe=None
        ),
        data_report={bars.symbol: loaded.report.to_dict()},
        equity=equity,
        trades=log.trades,
        fills=fills,
        orders=orders,
        order_notes=tuple({"reason": "", "role": "entry", "tag": "</script>"} for _ in fills),
        orders_by_state={"FILLED": len(fills)},
        initial_atoms=CASH,
        bars=len(bars),
        bars_per_second=1234.5,
        cost_banner="1.00 per order, no slippage",
    )


@pytest.fixture(scope="session")
def daily_example() -> Example:
    """Return the S&P 500 from 1999 to 2018 with the result of holding 50 units."""
    return example("sp500-1d.csv", "1d", 50)


@pytest.fixture(scope="session")
def hourly_example() -> Example:
    """Return EUR/USD of 2017 by the hour with the result of holding 50,000 units."""
    return example("eurusd-1h.csv", "1h", 50_000)


@pytest.fixture(scope="session")
def recompute() -> Callable[[Example, MetricSettings], Metrics]:
    """Return what computes the metrics of an example with other settings."""
    return lambda one, settings: metrics_of(
        one[0], one[1].fills, one[1].equity, one[1].trades, settings
    )
