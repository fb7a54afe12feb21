"""Performance report."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from engine.executors.held_order import HeldOrder
from engine.executors.info import ExecutorInfo
from engine.executors.performance import PerformanceReport, performance_report, summed
from engine.executors.position_hold import PositionHold, PositionKey
from engine.executors.status import CloseType, RunnableStatus
from engine.model.orders import TradeType
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench, bench_instrument


@pytest.fixture
def info(bench: ExecutorBench) -> ExecutorInfo:
    """The report of a running executor."""
    return bench.create().executor_info


def running(info: ExecutorInfo, net: str, filled: str) -> ExecutorInfo:
    return replace(info, net_pnl_quote=Decimal(net), filled_amount_quote=Decimal(filled))


def done(info: ExecutorInfo, close_type: CloseType, net: str, filled: str) -> ExecutorInfo:
    return replace(
        running(info, net, filled), status=RunnableStatus.TERMINATED, close_type=close_type
    )


def bucket() -> PositionHold:
    hold = PositionHold(PositionKey("main", BENCH_MARKET), bench_instrument())
    for name, side, lots, ticks, fee in (
        ("1", TradeType.BUY, 10_000, 1000, 100_000_000),
        ("2", TradeType.SELL, 4_000, 1100, 44_000_000),
    ):
        hold.add(HeldOrder(name, BENCH_MARKET, side, lots, lots * ticks * 10_000, fee))
    return hold


def test_the_worked_example(info: ExecutorInfo) -> None:
    cached = PerformanceReport(realized_pnl_quote=Decimal(12), volume_traded=Decimal(5000))
    kept = replace(done(info, CloseType.POSITION_HOLD, "0", "0"), is_handed_over=True)
    report = performance_report(
        cached,
        [running(info, "3", "400"), done(info, CloseType.TAKE_PROFIT, "5", "210"), kept],
        [bucket().summary(2060)],
        total_amount_quote=Decimal(1000),
    )
    assert report.realized_pnl_quote == Decimal("55.56")
    assert report.unrealized_pnl_quote == 21
    assert report.global_pnl_quote == Decimal("76.56")
    assert report.volume_traded == 7050
    assert report.global_pnl_pct.quantize(Decimal("1E-8")) == Decimal("0.01085957")
    assert report.win_rate == 1
    assert report.close_type_counts == {CloseType.TAKE_PROFIT: 1, CloseType.POSITION_HOLD: 1}
    assert (report.active, report.done) == (1, 2)
    assert report.total_fees_quote == Decimal("1.44")
    assert report.return_on_capital == Decimal("0.07656")
    assert report.realized_pnl_pct + report.unrealized_pnl_pct == report.global_pnl_pct


def test_without_volume_or_capital_the_ratios_are_zero_or_none() -> None:
    report = PerformanceReport()
    assert (report.global_pnl_pct, report.win_rate) == (Decimal(0), Decimal(0))
    assert report.return_on_capital is None


def test_losses_lower_the_win_rate(info: ExecutorInfo) -> None:
    infos = [
        done(info, CloseType.STOP_LOSS, "-1", "1"),
        done(info, CloseType.TAKE_PROFIT, "1", "1"),
        done(info, CloseType.EARLY_STOP, "0", "0"),
    ]
    report = performance_report(PerformanceReport(), infos, [])
    assert (report.wins, report.losses, report.win_rate) == (1, 1, Decimal("0.5"))


def test_totals_over_controllers(info: ExecutorInfo) -> None:
    one = performance_report(
        PerformanceReport(),
        [done(info, CloseType.STOP_LOSS, "-1", "100")],
        [],
        total_amount_quote=Decimal(10),
    )
    two = performance_report(
        PerformanceReport(),
        [done(info, CloseType.STOP_LOSS, "3", "300")],
        [],
    )
    total = summed([one, two])
    assert total.realized_pnl_quote == 2
    assert total.global_pnl_pct == Decimal("0.005")
    assert total.close_type_counts == {CloseType.STOP_LOSS: 2}
    assert total.total_amount_quote == 10


def test_archiving_does_not_change_the_report(bench: ExecutorBench) -> None:
    for keep in (True, False):
        bench.stop(bench.create(), keep=keep)
    bench.create()
    before = bench.orchestrator.get_performance_report("main")
    bench.advance(2)
    assert len(bench.orchestrator.executors()) == 1
    after = bench.orchestrator.get_performance_report("main")
    assert after == before


def test_the_report_names_every_controller(bench: ExecutorBench) -> None:
    bench.create()
    bench.orchestrator.restore_performance("old", PerformanceReport(wins=3))
    reports = bench.orchestrator.get_all_reports()
    assert list(reports) == ["main", "old"]
    assert reports["old"].performance.wins == 3
    assert len(reports["main"].executors) == 1
