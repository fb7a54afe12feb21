"""Invariants of executors over random venues: partial fills, rejections, lost order."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.executors.actions import ExecutorAction
from engine.executors.position_config import PositionExecutorUpdate
from engine.executors.position_executor import PositionExecutor
from engine.model.orders import Fill, Order
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench

barriers = st.fixed_dictionaries(
    {
        "side": st.sampled_from(["BUY", "SELL"]),
        "open_order_type": st.sampled_from(["MARKET", "LIMIT", "LIMIT_MAKER"]),
        "take_profit_order_type": st.sampled_from(["MARKET", "LIMIT", "LIMIT_MAKER"]),
        "amount": st.sampled_from(["0.02", "0.113", "2"]),
    },
    optional={
        "stop_loss": st.sampled_from(["0.002", "0.01", "0.05"]),
        "take_profit": st.sampled_from(["0.002", "0.01", "0.05"]),
        "trailing_stop": st.sampled_from(["0.004,0.002", "0.01,0.02"]),
        "time_limit": st.integers(5, 60),
    },
)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("price"), st.integers(470, 530)),
        st.tuples(st.just("price"), st.integers(497, 503)),
        st.tuples(st.just("wait"), st.sampled_from([0, 1, 5, 12, 31])),
        st.tuples(st.just("fill"), st.integers(0, 10**6)),
        st.tuples(st.just("fill"), st.integers(0, 10**6)),
        st.tuples(st.just("end"), st.sampled_from(["cancel", "reject"])),
        st.tuples(st.just("reject"), st.integers(1, 3)),
        st.tuples(st.just("deaf"), st.booleans()),
        st.tuples(st.just("update"), st.sampled_from(["0.001", "0.03"])),
        st.tuples(st.just("stop"), st.sampled_from([None, True, False])),
        st.tuples(st.just("late"), st.booleans()),
    ),
    max_size=40,
)


class RoughBench(ExecutorBench):
    """Delivers the venue's events late, twice and out of order."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.draw = random.Random(seed)
        self.venue.is_matching = False
        self.is_late = False
        self.delayed: list[Order | Fill] = []

    def pump(self) -> None:
        for _ in range(1_000):
            intents = self.orchestrator.take_intents()
            for intent in intents:
                self.venue.carry_out(intent)
            if not intents and not self.venue.events:
                return
            self.delayed += self.venue.events
            self.venue.events.clear()
            if not self.is_late:
                self.flush()
        raise AssertionError("the executor never rests")

    def flush(self) -> None:
        """Deliver what is delayed, shuffled, some of it twice."""
        events = self.delayed
        self.delayed = []
        self.draw.shuffle(events)
        repeated = [event for event in events if self.draw.random() < 0.2]
        for event in [*events, *repeated]:
            self.deliver(event)

    def do(self, executor: PositionExecutor, step: tuple[str, Any]) -> None:
        """Do one step of a scenario."""
        name, value = step
        if name == "price":
            self.price(value, value + 1)
        elif name == "wait":
            self.advance(value)
        elif name == "fill":
            self.fill_some(value)
        elif name == "end":
            self.end_one(value)
        elif name == "reject":
            self.venue.rejections = value
        elif name == "deaf":
            self.venue.is_deaf = value
        elif name == "late":
            self.is_late = value
            self.flush()
        elif name == "stop":
            self.stop(executor, keep=value)
        elif executor.status.name == "RUNNING":
            payload = PositionExecutorUpdate.model_validate({"stop_loss": value})
            self.orchestrator.execute_action(ExecutorAction.update(executor.executor_id, payload))
        self.pump()

    def fill_some(self, number: int) -> None:
        live = self.venue.live()
        if not live:
            return
        order = live[number % len(live)]
        lots = 1 + number % order.remaining_lots
        quote = self.venue.quotes[BENCH_MARKET]
        limit = order.request.limit_ticks
        ticks = quote.bid_ticks if limit is None else limit
        self.venue.fill(order.request.client_order_id, lots, ticks, fee_atoms=number % 977)

    def end_one(self, how: str) -> None:
        live = [order for order in self.venue.live() if how == "cancel" or not order.filled_lots]
        if not live:
            return
        order_id = live[0].request.client_order_id
        if how == "cancel":
            self.venue.cancel(order_id)
        else:
            self.venue.reject(order_id)


def lots_of(bench: ExecutorBench, *, is_entry: bool) -> tuple[int, int]:
    """Return (filled, still pending) lots at the venue of entries or exits."""
    orders = [
        order
        for order in bench.venue.orders.values()
        if (order.request.role == "entry") is is_entry
    ]
    filled = sum(order.filled_lots for order in orders)
    return filled, sum(order.remaining_lots for order in orders if order.is_open)


def check(bench: ExecutorBench, executor: PositionExecutor) -> None:
    """Check the invariants that hold at every instant."""
    opened, entering = lots_of(bench, is_entry=True)
    exited, exiting = lots_of(bench, is_entry=False)
    assert exited + exiting <= opened
    assert opened + entering <= executor.amount_lots
    closing = [order for order in bench.venue.live() if order.request.role == "close"]
    assert len(closing) <= 1
    if executor.is_done:
        assert executor.close_type is not None
        assert executor.snapshot().closed_ns is not None
        assert not executor._orders.live()
    at_ns = executor.wakes.at_ns
    assert at_ns is None or at_ns > bench.venue.now_ns()


def account_pnl(bench: ExecutorBench) -> int:
    """Return cash flows less fees plus the open lots at the newest mid, in atoms."""
    quote = bench.venue.quotes[BENCH_MARKET]
    k = bench.venue.instrument(BENCH_MARKET).atoms_per_tick_lot
    cash = lots = 0
    for fill in bench.venue.fills:
        cash -= fill.side.sign * fill.notional_atoms + fill.fee_atoms
        lots += fill.side.sign * fill.lots
    return cash + lots * (quote.bid_ticks + quote.ask_ticks) * k // 2


@settings(max_examples=120, deadline=None)
@given(barriers, steps, st.integers(0, 10**6))
def test_no_stuck_state_no_lost_fill_no_double_count(
    fields: dict[str, Any], script: list[tuple[str, Any]], seed: int
) -> None:
    bench = RoughBench(seed)
    executor = bench.create(**fields)
    check(bench, executor)
    for step in script:
        bench.do(executor, step)
        check(bench, executor)

    bench.is_late = bench.venue.is_deaf = False
    bench.venue.rejections = 0
    bench.venue.is_matching = True
    bench.flush()
    bench.pump()
    bench.stop(executor)
    for _ in range(20):
        bench.advance(10)
        bench.price(500, 501)
        check(bench, executor)
    assert executor.is_done
    assert bench.venue.live() == []

    reports = bench.orchestrator.get_all_reports()["main"]
    assert reports.performance.global_pnl_quote == bench.venue.instrument(BENCH_MARKET).money(
        account_pnl(bench)
    )
    net = sum(fill.side.sign * fill.lots for fill in bench.venue.fills)
    held = sum(
        (1 if position.side.name == "BUY" else -1) * position.amount
        for position in reports.positions
    )
    assert held == bench.venue.instrument(BENCH_MARKET).qty(net)


@settings(max_examples=60, deadline=None)
@given(barriers, steps, st.integers(0, 10**6), st.integers(0, 39))
def test_a_restart_at_any_instant_goes_on_with_the_same_state(
    fields: dict[str, Any], script: list[tuple[str, Any]], seed: int, at: int
) -> None:
    bench = RoughBench(seed)
    executor = bench.create(**fields)
    for step in script[:at]:
        bench.do(executor, step)
    if executor.is_done:
        return
    state, config = executor.runtime_state(), executor.config
    fresh = RoughBench(seed)
    fresh.venue = bench.venue
    fresh.orchestrator = type(bench.orchestrator)(strategy=bench.venue)
    bench.venue.events = deque()
    fresh.orchestrator.resume(
        config, state, list(bench.venue.orders.values()), list(bench.venue.fills)
    )
    fresh.pump()
    again = fresh.orchestrator.find(executor.executor_id)
    assert isinstance(again, PositionExecutor)
    for step in script[at:]:
        fresh.do(again, step)
        check(fresh, again)
    fresh.is_late = fresh.venue.is_deaf = False
    fresh.venue.rejections = 0
    fresh.venue.is_matching = True
    fresh.flush()
    fresh.stop(again)
    fresh.advance(200)
    assert again.is_done
    report = fresh.orchestrator.get_performance_report("main")
    assert report.global_pnl_quote == fresh.venue.instrument(BENCH_MARKET).money(account_pnl(fresh))
