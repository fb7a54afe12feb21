"""Funding of perpetuals: beside the PnL of controllers, never in barriers."""

from __future__ import annotations

from decimal import Decimal

from engine.executors.performance import summed
from engine.executors.position_executor import PositionExecutor
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench

RATE_PPB = 1_000_000
"""0.1 %."""


def test_longs_pay_a_positive_rate_and_shorts_get_it(bench: ExecutorBench) -> None:
    bench.create(controller_id="main")
    before = bench.orchestrator.get_performance_report("main")
    paid = bench.orchestrator.on_funding(BENCH_MARKET, RATE_PPB)
    # 2 at a mid of 50.05 are worth 100.1.
    assert paid == {"main": Decimal("-0.1001")}
    report = bench.orchestrator.get_performance_report("main")
    assert report.funding_quote == Decimal("-0.1001")
    assert report.global_pnl_quote == before.global_pnl_quote - Decimal("0.1001")
    assert report.unrealized_pnl_quote == before.unrealized_pnl_quote
    assert summed([report, report]).funding_quote == Decimal("-0.2002")


def test_holds_count_too_and_opposite_exposures_cancel(bench: ExecutorBench) -> None:
    bench.stop(bench.create(), keep=True)
    assert bench.orchestrator.on_funding(BENCH_MARKET, RATE_PPB) == {"main": Decimal("-0.1001")}
    bench.create(side="SELL", amount="3")
    assert bench.orchestrator.on_funding(BENCH_MARKET, RATE_PPB) == {"main": Decimal("0.05005")}
    report = bench.orchestrator.get_performance_report("main")
    assert report.funding_quote == Decimal("-0.05005")


def test_barriers_do_not_see_it(bench: ExecutorBench) -> None:
    executor: PositionExecutor = bench.create(stop_loss="0.01")
    levels = executor.levels
    bench.orchestrator.on_funding(BENCH_MARKET, 10**9)
    bench.price(500)
    assert executor.is_active
    assert executor.levels == levels
    assert executor.executor_info.cum_fees_quote == 0


def test_without_a_mid_it_is_an_error_that_is_told(bench: ExecutorBench) -> None:
    bench.create()
    bench.price(0, 501)
    assert bench.orchestrator.on_funding(BENCH_MARKET, RATE_PPB) == {}
    texts = [notice.text for notice in bench.orchestrator.take_notices()]
    assert any("cannot be valued without a price" in text for text in texts)
