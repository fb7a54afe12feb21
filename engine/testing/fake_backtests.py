"""Backtests and containers of the fake console engine: one for each state of a backtest."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from engine.api.backtest_views import BacktestDetail, BacktestRow, BacktestStatus, ContainerRow
from engine.testing.fake_rows import NOW_NS, SECOND_NS

if TYPE_CHECKING:
    from engine.testing.fake_result import FakeResult

_HOUR: Final = 3_600 * SECOND_NS
_MIB: Final = 2**20
_DONE: Final[tuple[tuple[str, int, float, float, float, int, int], ...]] = (
    # name, minutes ago, return, Sharpe, drawdown, trades, seed of the curve
    ("sma-cross-spx", 12, 0.3342, 0.22, 0.2087, 88, 3),
    ("sma-cross-spx fast=20", 31, 0.4121, 0.31, 0.1712, 61, 11),
    ("donchian-spx", 95, -0.0823, -0.11, 0.3145, 44, 29),
    ("bracket-eurusd", 260, 0.0571, 0.48, 0.0604, 212, 47),
)
_CONFIG: Final[dict[str, Any]] = {
    "name": "sma-cross-spx",
    "mode": "BACKTEST_SINGLE",
    "engine": "auto",
    "seed": 42,
    "data": [{"symbol": "SPX", "path": "data/sp500-1d.csv", "bar": "1d"}],
    "components": {
        "strategy": {"class": "sma_cross", "params": {"fast": 10, "slow": 30}},
        "portfolio": {"class": "Portfolio", "params": {"initial_cash": "100000"}},
    },
}


def make_backtests() -> dict[str, BacktestDetail]:
    """Return backtests by id: queued and running ones first, then the newest."""
    running = BacktestRow(
        "bt-0000000000109-9", "grid-eurusd", BacktestStatus.RUNNING, NOW_NS - 21 * SECOND_NS,
        "sample_configs/backtest-executors.yaml", bars_done=612_000, bars_total=1_000_000,
        bars_per_second=52_300.0, seconds_left=7.4,
    )  # fmt: skip
    queued = BacktestRow(
        "bt-0000000000110-10", "rsi-reversion", BacktestStatus.QUEUED, NOW_NS - 3 * SECOND_NS,
        "sample_configs/backtest.yaml",
    )  # fmt: skip
    rows = [queued, running]
    for place, (name, minutes, total, sharpe, fall, trades, _) in enumerate(_DONE):
        ended = _ended(place, name, minutes, BacktestStatus.COMPLETED)
        rows.append(_with_figures(ended, total, sharpe, fall, trades))
    cut_off = _ended(5, "scripted-spx", 300, BacktestStatus.CANCELLED)
    rows.append(replace(_with_figures(cut_off, 0.0204, 0.4, 0.031, 9), bars_done=1_920))
    broke = _ended(6, "levered-spx", 1_500, BacktestStatus.BANKRUPT)
    rows.append(_with_figures(broke, -1.0, -1.9, 1.0, 17))
    failed = _ended(7, "my-strategy", 1_600, BacktestStatus.FAILED)
    rows.append(replace(
        failed, bars_done=3_117,
        error="my_strategy.py:41: strategy raised at bar 3117: ZeroDivisionError: division by zero",
    ))  # fmt: skip
    return {row.id: make_backtest(row) for row in rows}


def make_backtest(row: BacktestRow) -> BacktestDetail:
    """Return the detail of *row*."""
    has_result = row.status.is_final and row.final_equity is not None
    summary: dict[str, Any] = {}
    if has_result:
        summary = {
            "status": row.status.value.upper(),
            "partial": row.status is BacktestStatus.CANCELLED,
            "final_equity": str(row.final_equity),
            "total_return": row.total_return,
            "cagr": 0.0145, "sharpe": row.sharpe, "sortino": 0.302, "calmar": 0.07,
            "max_drawdown": row.max_drawdown, "max_drawdown_duration": 3_981.0,
            "n_trades": row.n_trades, "win_rate": 0.4205, "profit_factor": 1.3756,
            "volatility": 0.0789, "exposure": 0.6275, "fees_total": "176.00",
            "engine": row.engine, "bars": row.bars_done, "bars_per_second": row.bars_per_second,
            "rejections": {"PENDING_ORDER": 2}, "ambiguous_fills": 0,
            "warnings": ["SPX: 1,090 gaps, the longest 7 days"],
        }  # fmt: skip
    return BacktestDetail(
        row=row,
        summary=summary,
        config=_CONFIG | {"name": row.name},
        base_dir="sample_configs",
        folder=f"backtests/{row.id}",
        log=("12:04:20 queued", "12:04:21 running", f"12:04:31 {row.status.value}"),
    )


def make_result(detail: BacktestDetail | None) -> FakeResult | None:
    """Return the tables of a backtest that has some."""
    if detail is None or not detail.summary:
        return None
    from engine.testing.fake_result import FakeResult

    seeds = {name: seed for name, _, _, _, _, _, seed in _DONE}
    row = detail.row
    return FakeResult(
        seed=seeds.get(row.name, 5),
        days=1_500,
        trades=row.n_trades or 0,
        metrics=detail.summary,
        final=float(row.final_equity or 0),
    )


def make_containers() -> tuple[ContainerRow, ...]:
    """Return the containers of a session and of a running backtest."""
    return (
        ContainerRow(
            "main", "paper", "running",
            ("market_data", "portfolio", "broker", "risk_manager", "orchestrator"), 71_211,
            0, 0, NOW_NS - 76 * _HOUR, "main", 4_117, 96 * _MIB, 1,
        ),
        ContainerRow(
            "backtest_bt-0000000000109-9", "BACKTEST_SINGLE", "running",
            ("data_handler", "portfolio", "broker", "risk_manager", "strategy"), 1_902_331,
            612_000, 1_000_000, NOW_NS - 21 * SECOND_NS, "bt-0000000000109-9", 5_220, 148 * _MIB,
        ),
    )  # fmt: skip


def _with_figures(
    row: BacktestRow, total: float, sharpe: float, fall: float, trades: int
) -> BacktestRow:
    return replace(
        row,
        final_equity=Decimal(math.floor(10_000_000 * (1 + total))).scaleb(-2),
        total_return=total,
        sharpe=sharpe,
        max_drawdown=fall,
        n_trades=trades,
        engine="compiled" if trades % 2 else "events",
    )


def _ended(place: int, name: str, minutes: int, status: BacktestStatus) -> BacktestRow:
    created_ns = NOW_NS - minutes * 60 * SECOND_NS
    return BacktestRow(
        f"bt-{100 - place:013d}-{8 - place}", name, status, created_ns,
        "sample_configs/backtest.yaml", bars_done=5_031, bars_total=5_031,
        bars_per_second=55_990.0, finished_ns=created_ns + 2 * SECOND_NS, fingerprint="b2123c54",
    )  # fmt: skip
