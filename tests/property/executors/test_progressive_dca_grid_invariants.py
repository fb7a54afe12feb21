"""Invariants for progressive, DCA and grid over random venues."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.executors.actions import ExecutorAction
from engine.executors.dca_executor import DCAExecutor
from engine.executors.directional import DirectionalExecutor
from engine.executors.factory import ExecutorFactory
from engine.executors.grid_config import GridExecutorUpdate
from engine.executors.grid_executor import GridExecutor
from engine.executors.orchestrator import ExecutorOrchestrator
from engine.executors.order_roles import kind_of
from engine.executors.progressive_config import ProgressiveExecutorUpdates
from engine.executors.progressive_executor import ProgressiveExecutor
from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.model.quotes import QuoteTick
from engine.testing.executor_bench import BENCH_MARKET
from engine.testing.rough_bench import Move, RoughBench

MARKET = {"connector_name": "paper", "trading_pair": "BTC-USDT"}
Bench = RoughBench[DirectionalExecutor]

progressive = st.fixed_dictionaries(
    {
        "side": st.sampled_from(["BUY", "SELL"]),
        "amount": st.sampled_from(["0.05", "0.113", "2"]),
        "pnl_relaxation": st.sampled_from(["0", "0.5", "0.9"]),
        "triple_barrier_config": st.fixed_dictionaries(
            {
                "open_order_type": st.sampled_from(["MARKET", "LIMIT", "LIMIT_MAKER"]),
                "take_profit_order_type": st.sampled_from(["MARKET", "LIMIT"]),
                "trailing_stop": st.sampled_from(
                    ["", "0.002,0.001", "0.004,0.002,0.001:0.3", "0.004,0.01,0.001:0.5|0.02:0.9"]
                ),
            },
            optional={
                "stop_loss": st.sampled_from(["0.002", "0.01", "0.05"]),
                "take_profit": st.sampled_from(["0.01", "0.05"]),
                "apr_yield": st.sampled_from(["10", "5000", "50000"]),
                "time_limit": st.integers(5, 60),
            },
        ),
    }
)
dca = st.fixed_dictionaries(
    {
        "side": st.sampled_from(["BUY", "SELL"]),
        "mode": st.sampled_from(["MAKER", "TAKER"]),
        "amounts_quote": st.sampled_from(["10", "5,10,20", "1.1,50"]),
    },
    optional={
        "stop_loss": st.sampled_from(["0.002", "0.01", "0.05"]),
        "take_profit": st.sampled_from(["0.002", "0.02"]),
        "trailing_stop": st.sampled_from(["0.004,0.002", "0.01,0.02"]),
        "time_limit": st.integers(5, 60),
    },
)
grid = st.fixed_dictionaries(
    {
        "side": st.sampled_from(["BUY", "SELL"]),
        "total_amount_quote": st.sampled_from(["50", "400"]),
        "max_open_orders": st.sampled_from([1, 3, 10]),
        "min_spread_between_orders": st.sampled_from(["0.004", "0.02"]),
        "triple_barrier_config": st.fixed_dictionaries(
            {
                "take_profit": st.sampled_from(["0.002", "0.01"]),
                "take_profit_order_type": st.sampled_from(["LIMIT", "MARKET"]),
                "open_order_type": st.sampled_from(["LIMIT", "MARKET"]),
            },
            optional={
                "stop_loss": st.sampled_from(["0.01", "0.05"]),
                "trailing_stop": st.sampled_from(["0.004,0.002"]),
                "time_limit": st.integers(5, 60),
            },
        ),
    },
    optional={
        "max_orders_per_batch": st.just(1),
        "order_frequency": st.just(3),
        "activation_bounds": st.sampled_from(["0.005", "0.03"]),
        "keep_position": st.booleans(),
        "limit_price": st.just(True),
    },
)
TYPES: dict[str, tuple[type[DirectionalExecutor], Any]] = {
    "progressive_executor": (ProgressiveExecutor, progressive),
    "dca_executor": (DCAExecutor, dca),
    "grid_executor": (GridExecutor, grid),
}
moves = st.lists(
    st.one_of(
        st.tuples(st.just("price"), st.integers(460, 540)),
        st.tuples(st.just("price"), st.integers(495, 505)),
        st.tuples(st.just("wait"), st.sampled_from([0, 1, 5, 12, 31])),
        st.tuples(st.just("fill"), st.integers(0, 10**6)),
        st.tuples(st.just("fill"), st.integers(0, 10**6)),
        st.tuples(st.just("fill"), st.integers(0, 10**6)),
        st.tuples(st.just("end"), st.sampled_from(["cancel", "reject"])),
        st.tuples(st.just("reject"), st.integers(1, 3)),
        st.tuples(st.just("deaf"), st.booleans()),
        st.tuples(st.just("late"), st.booleans()),
        st.tuples(st.just("update"), st.integers(1, 5)),
        st.tuples(st.just("stop"), st.sampled_from([None, True, False])),
    ),
    max_size=30,
)
CASES = st.sampled_from(sorted(TYPES)).flatmap(
    lambda name: st.tuples(st.just(name), TYPES[name][1])
)


def complete(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return *fields* with what depends on the others."""
    fields = dict(fields)
    is_buy = fields["side"] == "BUY"
    if name == "dca_executor":
        count = len(str(fields["amounts_quote"]).split(","))
        prices = ("50", "49", "48") if is_buy else ("50", "51", "52")
        fields["prices"] = list(prices[:count])
        if fields["mode"] == "TAKER":
            fields["activation_bounds"] = "0.005,0.01"
    if name == "grid_executor":
        has_limit = fields.pop("limit_price", False)
        limit = "46" if is_buy else "54"
        fields |= {"start_price": "47.5", "end_price": "52.5", "limit_price": "0"}
        fields["limit_price"] = limit if has_limit else "0"
    return MARKET | fields


def make(name: str, fields: dict[str, Any], seed: int) -> tuple[Bench, DirectionalExecutor]:
    kind = TYPES[name][0]
    bench: Bench = RoughBench(kind, name, {}, draws=random.Random(seed))
    bench.price(500, 501)
    return bench, bench.create(**complete(name, fields))


def do(bench: Bench, executor: DirectionalExecutor, move: Move) -> None:
    if move[0] != "update":
        bench.do(executor, move)
    elif isinstance(executor, ProgressiveExecutor):
        volatility = Decimal(move[1]) / 200
        bench.update(executor, ProgressiveExecutorUpdates(volatility=volatility))
    elif isinstance(executor, GridExecutor):
        bench.update(executor, GridExecutorUpdate(max_open_orders=move[1]))
    check(bench, executor)


def lots_of(bench: Bench, *, is_entry: bool) -> tuple[int, int]:
    """Return (filled, still pending) lots at the venue of entries or exits."""
    orders = [
        order for order in bench.orders() if (kind_of(order.request.role) == "entry") is is_entry
    ]
    filled = sum(order.filled_lots for order in orders)
    return filled, sum(order.remaining_lots for order in orders if order.is_open)


def check(bench: Bench, executor: DirectionalExecutor) -> None:
    """Check what holds at every instant."""
    opened, entering = lots_of(bench, is_entry=True)
    exited, exiting = lots_of(bench, is_entry=False)
    assert exited + exiting <= opened
    if not isinstance(executor, GridExecutor):
        assert opened + entering <= executor.amount_lots
    live = bench.venue.live()
    assert len([order for order in live if order.request.role == "close"]) <= 1
    if isinstance(executor, GridExecutor):
        roles = [order.request.role for order in live if order.request.role != "close"]
        assert len(roles) == len(set(roles))
    if executor.is_done:
        assert executor.close_type is not None
        assert executor.snapshot().closed_ns is not None
        assert not executor._orders.live()
    at_ns = executor.wakes.at_ns
    assert at_ns is None or at_ns > bench.venue.now_ns()


def finish(bench: Bench, executor: DirectionalExecutor) -> None:
    """Stop it at an obedient venue: it ends, and every fill is counted once."""
    bench.calm_down()
    bench.stop(executor)
    for _ in range(20):
        bench.advance(10)
        bench.price(500, 501)
        check(bench, executor)
    assert executor.is_done
    assert bench.venue.live() == []
    reports = bench.orchestrator.get_all_reports()["main"]
    money = bench.venue.instrument(BENCH_MARKET).money
    assert reports.performance.global_pnl_quote == money(bench.account_atoms())
    assert bench.held_lots().get("paper", 0) == bench.open_lots().get("paper", 0)


@settings(max_examples=120, deadline=None)
@given(CASES, moves, st.integers(0, 10**6))
def test_no_stuck_state_no_lost_fill_no_double_count(
    case: tuple[str, dict[str, Any]], script: list[Move], seed: int
) -> None:
    bench, executor = make(*case, seed)
    check(bench, executor)
    for move in script:
        do(bench, executor, move)
    finish(bench, executor)


@settings(max_examples=60, deadline=None)
@given(CASES, moves, st.integers(0, 10**6), st.integers(0, 29))
def test_a_restart_at_any_instant_goes_on_with_the_same_state(
    case: tuple[str, dict[str, Any]], script: list[Move], seed: int, at: int
) -> None:
    bench, executor = make(*case, seed)
    for move in script[:at]:
        do(bench, executor, move)
    if executor.is_done:
        return
    fresh: Bench = RoughBench(TYPES[case[0]][0], case[0], {}, draws=random.Random(seed))
    fresh.venue = bench.venue
    fresh.orchestrator = ExecutorOrchestrator(strategy=bench.venue)
    bench.venue.events.clear()
    fresh.orchestrator.resume(
        executor.config, executor.runtime_state(), bench.orders(), list(bench.venue.fills)
    )
    fresh.pump()
    again = fresh.orchestrator.find(executor.executor_id)
    assert isinstance(again, TYPES[case[0]][0])
    for move in script[at:]:
        do(fresh, again, move)
    finish(fresh, again)


class PollingOrchestrator(ExecutorOrchestrator):
    """The reference: every active executor looks at every quote."""

    def on_quote(self, quote: QuoteTick) -> None:
        always = PriceTrigger(BENCH_MARKET, PriceField.BID, is_above=True, level=0)
        for executor in self.executors():
            if executor.is_active:
                conditions = WakeConditions((always,), executor.wakes.at_ns)
                self._roster._wakes.update(executor.executor_id, conditions)
        super().on_quote(quote)


def run(kind: type[ExecutorOrchestrator], name: str, cases: list[Any], seed: int) -> list[object]:
    """Run a random session of executors of one type; return all orders and reports."""
    draws = random.Random(seed)
    bench: Bench = RoughBench(TYPES[name][0], name, {}, draws=random.Random(0))
    bench.venue.is_matching = True
    bench.venue.fill_cap_lots = draws.choice([None, 30])
    bench.orchestrator = kind(strategy=bench.venue)
    price = 500
    bench.price(price, price + 1)
    for fields in cases:
        config = ExecutorFactory.get_config_type(name)(**complete(name, fields))
        bench.orchestrator.execute_action(ExecutorAction.create(config))
        bench.pump()
        for _ in range(12):
            bench.advance(draws.choice([0, 0.4, 1, 3]))
            price = min(560, max(440, price + draws.choice([-9, -3, -1, -1, 0, 0, 1, 1, 3, 9])))
            bench.price(price, price + draws.randint(0, 2))
    bench.orchestrator.begin_stop(keep_positions=draws.random() < 0.5)
    bench.pump()
    bench.advance(60)
    orders: list[object] = [
        (order.request, order.created_ns, order.filled_lots, order.status)
        for order in bench.orders()
    ]
    return orders + list(bench.orchestrator.archived_infos("main"))


@pytest.mark.parametrize("name", sorted(TYPES))
@settings(max_examples=12, deadline=None)
@given(st.data(), st.integers(0, 10**6))
def test_waking_equals_polling(name: str, data: st.DataObject, seed: int) -> None:
    cases = data.draw(st.lists(TYPES[name][1], min_size=1, max_size=8))
    assert run(ExecutorOrchestrator, name, cases, seed) == run(
        PollingOrchestrator, name, cases, seed
    )
