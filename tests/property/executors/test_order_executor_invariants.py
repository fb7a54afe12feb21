"""Invariants for the order executor over random venues."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.executors.order_config import OrderExecutorUpdate
from engine.executors.order_executor import OrderExecutor
from engine.executors.status import CloseType
from engine.testing.rough_bench import Move, RoughBench

FIELDS = {"connector_name": "paper", "trading_pair": "BTC-USDT", "price": "50"}

configs = st.fixed_dictionaries(
    {
        "side": st.sampled_from(["BUY", "SELL"]),
        "amount": st.sampled_from(["0.03", "0.113", "2"]),
        "execution_strategy": st.sampled_from(["MARKET", "LIMIT", "LIMIT_MAKER", "LIMIT_CHASER"]),
        "chaser_config": st.fixed_dictionaries(
            {
                "distance": st.sampled_from(["0.001", "0.01", "0.03"]),
                "refresh_threshold": st.sampled_from(["0.002", "0.02"]),
            }
        ),
    }
)
moves = st.lists(
    st.one_of(
        st.tuples(st.just("price"), st.integers(470, 530)),
        st.tuples(st.just("price"), st.integers(497, 503)),
        st.tuples(st.just("wait"), st.sampled_from([0, 1, 5, 31])),
        st.tuples(st.just("fill"), st.integers(0, 10**6)),
        st.tuples(st.just("fill"), st.integers(0, 10**6)),
        st.tuples(st.just("end"), st.sampled_from(["cancel", "reject"])),
        st.tuples(st.just("reject"), st.integers(1, 3)),
        st.tuples(st.just("deaf"), st.booleans()),
        st.tuples(st.just("late"), st.booleans()),
        st.tuples(st.just("update"), st.sampled_from(["48", "50.5"])),
        st.tuples(st.just("stop"), st.sampled_from([None, True, False])),
    ),
    max_size=30,
)


def make(fields: dict[str, Any], seed: int) -> tuple[RoughBench[OrderExecutor], OrderExecutor]:
    bench = RoughBench(OrderExecutor, "order_executor", FIELDS, draws=random.Random(seed))
    bench.price(500, 501)
    return bench, bench.create(**fields)


def do(bench: RoughBench[OrderExecutor], executor: OrderExecutor, move: Move) -> None:
    if move[0] == "update":
        bench.update(executor, OrderExecutorUpdate(price=move[1]))
    else:
        bench.do(executor, move)
    check(bench, executor)


def check(bench: RoughBench[OrderExecutor], executor: OrderExecutor) -> None:
    """Check what holds at every instant."""
    live = executor._orders.live()
    assert len(live) <= 1
    if executor.is_done:
        assert executor.close_type is not None
        assert executor.snapshot().closed_ns is not None
        assert live == []
    at_ns = executor.wakes.at_ns
    assert at_ns is None or at_ns > bench.venue.now_ns()


def check_end(bench: RoughBench[OrderExecutor], executor: OrderExecutor) -> None:
    """Check that nothing is lost, nothing counted twice, nothing left open."""
    assert executor.is_done
    assert bench.venue.live() == []
    filled = sum(fill.lots for fill in bench.venue.fills)
    assert bench.open_lots().get("paper", 0) == bench.held_lots().get("paper", 0)
    allowed = (
        {CloseType.POSITION_HOLD, CloseType.FAILED}
        if executor.held_position_orders
        else {
            CloseType.EARLY_STOP,
            CloseType.FAILED,
        }
    )
    assert executor.close_type in allowed
    report = bench.orchestrator.get_all_reports().get("main")
    if filled and report is not None:
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
        do(bench, executor, move)
    bench.calm_down()
    bench.stop(executor)
    bench.advance(20)
    check_end(bench, executor)


@settings(max_examples=40, deadline=None)
@given(configs, moves, st.integers(0, 10**6))
def test_without_trouble_all_of_it_is_filled(
    fields: dict[str, Any], script: list[Move], seed: int
) -> None:
    bench, executor = make(fields, seed)
    for move in script:
        if move[0] not in {"stop", "reject", "end"}:
            do(bench, executor, move)
    bench.calm_down()
    for price in (470, 540):
        bench.price(price, price + 1)
        bench.advance(10)
    if executor.config.execution_strategy.takes_price or executor.is_done:
        assert executor.close_type is CloseType.POSITION_HOLD
        assert executor.totals.entry_lots >= executor.amount_lots - 22


@settings(max_examples=40, deadline=None)
@given(configs, moves, st.integers(0, 10**6), st.integers(0, 29))
def test_a_restart_at_any_instant_loses_nothing(
    fields: dict[str, Any], script: list[Move], seed: int, at: int
) -> None:
    bench, executor = make(fields, seed)
    for move in script[:at]:
        do(bench, executor, move)
    if executor.is_done:
        return
    fresh, again = make(fields, seed)
    fresh.venue = bench.venue
    fresh.orchestrator = type(bench.orchestrator)(strategy=bench.venue)
    bench.venue.events.clear()
    fresh.orchestrator.resume(
        executor.config, executor.runtime_state(), bench.orders(), list(bench.venue.fills)
    )
    fresh.pump()
    found = fresh.orchestrator.find(executor.executor_id)
    assert isinstance(found, OrderExecutor)
    again = found
    for move in script[at:]:
        do(fresh, again, move)
    fresh.calm_down()
    fresh.stop(again)
    fresh.advance(20)
    check_end(fresh, again)
