"""The performance that is kept up equals the one that is computed again from every report."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from engine.executors.actions import ExecutorAction
from engine.executors.factory import ExecutorFactory
from engine.executors.performance import PerformanceReport, performance_report
from engine.executors.running_money import RunningMoney
from engine.executors.snapshot import ExecutorSnapshot
from engine.model.instruments import ConnectorPair
from engine.model.quotes import QuoteTick
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench, bench_instrument

MARKET: dict[str, Any] = {"connector_name": "paper", "trading_pair": "BTC-USDT"}


def fields_of(kind: str, draw: random.Random) -> dict[str, Any]:
    side = draw.choice(["BUY", "SELL"])
    match kind:
        case "position_executor":
            barriers = {
                "open_order_type": draw.choice(["MARKET", "LIMIT"]),
                "stop_loss": f"0.0{draw.randint(1, 9)}",
                "take_profit": f"0.0{draw.randint(1, 9)}",
            }
            fields: dict[str, Any] = {"amount": str(draw.choice([0.5, 2]))}
            return MARKET | fields | {"side": side, "triple_barrier_config": barriers}
        case "twap_executor":
            return MARKET | {
                "side": side,
                "total_amount_quote": "40",
                "total_duration": 60,
                "order_interval": 10,
                "mode": "TAKER",
            }
        case _:
            raise ValueError(kind)


class FeeInBase(ExecutorBench):
    """Entries of every third order pay a part of their fee in base: PnL is rounded then."""

    def pump(self) -> None:
        venue = self.venue
        for order in venue.live():
            if order.seq % 3 == 0 and order.request.role == "entry":
                lots = min(order.remaining_lots, 7 * 23)
                venue.fill(order.request.client_order_id, lots, 503, fee_atoms=11, fee_base_lots=3)
        super().pump()


def create(bench: ExecutorBench, kind: str, controller: str, draw: random.Random) -> None:
    config_type = ExecutorFactory.get_config_type(kind)
    config = config_type(**fields_of(kind, draw))
    action = ExecutorAction.create(config, controller_id=controller)
    assert bench.orchestrator.execute_action(action).ok
    bench.pump()


def check(bench: ExecutorBench) -> None:
    """Compare with a full recomputation over all reports."""
    orchestrator = bench.orchestrator
    for name, report in orchestrator.get_all_performance().items():
        infos = [one.executor_info for one in orchestrator.executors(name)]
        full = performance_report(
            orchestrator._archive.performance(name), infos, report.positions_summary
        )
        assert report == full
        assert orchestrator.get_performance_report(name) == full


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("bench_type", [ExecutorBench, FeeInBase])
def test_it_equals_a_full_recomputation(bench_type: type[ExecutorBench], seed: int) -> None:
    draw = random.Random(seed)
    bench = bench_type(bench_instrument(maker_ppb=100_000, taker_ppb=200_000))
    bench.venue.fill_cap_lots = draw.choice([None, 700])
    price = 500
    for step in range(60):
        if draw.random() < 0.5:
            kind = draw.choice(["position_executor", "position_executor", "twap_executor"])
            create(bench, kind, draw.choice(["one", "two"]), draw)
        bench.advance(draw.choice([0, 0.4, 3]))
        price += draw.choice([-9, -3, -1, 0, 1, 3, 9])
        bench.price(price, price + draw.randint(0, 3))
        if step % 3 == 0:
            check(bench)
        for executor in bench.orchestrator.executors():
            if executor.is_active and draw.random() < 0.02:
                keep = draw.random() < 0.5
                bench.orchestrator.execute_action(
                    ExecutorAction.stop(
                        executor.executor_id, executor.controller_id, keep_position=keep
                    )
                )
                bench.pump()
    check(bench)
    bench.orchestrator.begin_stop(keep_positions=False)
    bench.pump()
    bench.advance(60)
    check(bench)


def test_without_a_quote_what_is_open_counts_as_unchanged() -> None:
    bench = ExecutorBench()
    executor = bench.create(amount="2", stop_loss="0.5")
    bench.venue.quotes.clear()
    check(bench)
    assert executor.is_active


def counted(quotes: list[ConnectorPair]) -> Callable[[ConnectorPair], QuoteTick | None]:
    def quote_of(market: ConnectorPair) -> QuoteTick | None:
        quotes.append(market)
        return QuoteTick(market, 0, 500, 501, 1, 1)

    return quote_of


def snapshots(count: int) -> list[ExecutorSnapshot]:
    bench = ExecutorBench()
    return [bench.create(amount="2", stop_loss="0.4").snapshot() for _ in range(count)]


@pytest.mark.parametrize("count", [2, 200])
def test_a_report_asks_for_one_mark_whatever_the_number_of_executors(count: int) -> None:
    money = RunningMoney()
    for snapshot in snapshots(count):
        money.put(snapshot)
    asked: list[ConnectorPair] = []
    report = money.added_to(performance_report_of_nothing(), counted(asked))
    assert asked == [BENCH_MARKET]
    assert report.active == count


def performance_report_of_nothing() -> PerformanceReport:
    return performance_report(ExecutorBench().orchestrator.archived_performance(), (), ())


def test_what_is_removed_leaves_nothing_behind() -> None:
    money, nothing = RunningMoney(), performance_report_of_nothing()
    for snapshot in snapshots(3):
        money.put(snapshot)
        money.put(snapshot)
        money.remove(snapshot.id)
        money.remove(snapshot.id)
    assert money.added_to(nothing, counted([])) == nothing
