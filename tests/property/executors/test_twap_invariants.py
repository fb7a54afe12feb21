"""Invariants for the TWAP executor over random venues."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.executors.status import CloseType
from engine.executors.twap_executor import TWAPExecutor
from engine.testing.rough_bench import Move, RoughBench

FIELDS = {
    "connector_name": "paper",
    "trading_pair": "BTC-USDT",
    "total_amount_quote": "40",
    "order_interval": 10,
}
configs = st.fixed_dictionaries(
    {
        "side": st.sampled_from(["BUY", "SELL"]),
        "mode": st.sampled_from(["MAKER", "TAKER"]),
        "total_duration": st.sampled_from([5, 20, 65]),
        "limit_order_buffer": st.sampled_from(["0", "0.003", "0.02"]),
        "order_resubmission_time": st.sampled_from([None, 1, 7]),
    }
)
moves = st.lists(
    st.one_of(
        st.tuples(st.just("price"), st.integers(470, 530)),
        st.tuples(st.just("wait"), st.sampled_from([0, 1, 5, 10, 31])),
        st.tuples(st.just("fill"), st.integers(0, 10**6)),
        st.tuples(st.just("fill"), st.integers(0, 10**6)),
        st.tuples(st.just("end"), st.sampled_from(["cancel", "reject"])),
        st.tuples(st.just("reject"), st.integers(1, 3)),
        st.tuples(st.just("deaf"), st.booleans()),
        st.tuples(st.just("late"), st.booleans()),
        st.tuples(st.just("stop"), st.sampled_from([None, True, False])),
    ),
    max_size=30,
)


def make(
    fields: dict[str, Any], seed: int, *, is_matching: bool = False
) -> tuple[RoughBench[TWAPExecutor], TWAPExecutor]:
    bench = RoughBench(TWAPExecutor, "twap_executor", FIELDS, draws=random.Random(seed))
    bench.venue.is_matching = is_matching
    bench.price(500, 501)
    return bench, bench.create(**fields)


def check(bench: RoughBench[TWAPExecutor], executor: TWAPExecutor) -> None:
    """Check what holds at every instant."""
    live = executor._orders.live()
    roles = [order.request.role for order in live]
    assert len(roles) == len(set(roles))
    if executor.is_done:
        assert executor.close_type is not None
        assert executor.snapshot().closed_ns is not None
        assert live == []
    at_ns = executor.wakes.at_ns
    assert at_ns is None or at_ns > bench.venue.now_ns()


def check_end(bench: RoughBench[TWAPExecutor], executor: TWAPExecutor) -> None:
    """Check that nothing is lost, nothing counted twice, nothing left open."""
    assert executor.is_done
    assert bench.venue.live() == []
    assert bench.open_lots().get("paper", 0) == bench.held_lots().get("paper", 0)
    report = bench.orchestrator.get_all_reports()["main"]
    money = bench.venue.instrument(executor.market).money(bench.account_atoms())
    assert report.performance.global_pnl_quote == money


@settings(max_examples=80, deadline=None)
@given(configs, moves, st.integers(0, 10**6))
def test_nothing_is_lost_and_a_stop_ends_it(
    fields: dict[str, Any], script: list[Move], seed: int
) -> None:
    bench, executor = make(fields, seed)
    check(bench, executor)
    for move in script:
        bench.do(executor, move)
        check(bench, executor)
    bench.calm_down()
    bench.stop(executor)
    bench.advance(20)
    check_end(bench, executor)


@settings(max_examples=50, deadline=None)
@given(configs, st.lists(st.integers(470, 530), min_size=12, max_size=12), st.integers(0, 10**6))
def test_a_quiet_venue_completes_it_near_the_total(
    fields: dict[str, Any], prices: list[int], seed: int
) -> None:
    bench, executor = make(fields, seed, is_matching=True)
    for price in prices:
        bench.price(price, price + 1)
        bench.advance(8)
        check(bench, executor)
    if executor.config.mode.name == "TAKER":
        assert executor.close_type is CloseType.COMPLETED
    if executor.close_type is CloseType.COMPLETED:
        spent = bench.venue.instrument(executor.market).money(executor.totals.entry_atoms)
        # The price may move by a tenth between the sizing of a part and its last fill.
        assert abs(spent - 40) < (4 if executor.config.mode.name == "TAKER" else 6)
        check_end(bench, executor)


@settings(max_examples=40, deadline=None)
@given(configs, moves, st.integers(0, 10**6), st.integers(0, 29))
def test_a_restart_at_any_instant_loses_nothing(
    fields: dict[str, Any], script: list[Move], seed: int, at: int
) -> None:
    bench, executor = make(fields, seed)
    for move in script[:at]:
        bench.do(executor, move)
    if executor.is_done:
        return
    fresh, _ = make(fields, seed)
    fresh.venue = bench.venue
    fresh.orchestrator = type(bench.orchestrator)(strategy=bench.venue)
    bench.venue.events.clear()
    fresh.orchestrator.resume(
        executor.config, executor.runtime_state(), bench.orders(), list(bench.venue.fills)
    )
    fresh.pump()
    again = fresh.orchestrator.find(executor.executor_id)
    assert isinstance(again, TWAPExecutor)
    for move in script[at:]:
        fresh.do(again, move)
        check(fresh, again)
    fresh.calm_down()
    fresh.stop(again)
    fresh.advance(20)
    check_end(fresh, again)
