"""Invariants for the executors on two venues, over random venues."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.executors.arbitrage_executor import ArbitrageExecutor
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.two_venue_executor import TwoVenueExecutor
from engine.executors.xemm_config import XEMMExecutorConfig
from engine.executors.xemm_executor import XEMMExecutor
from engine.executors.xemm_quoting import XEMMQuoting
from engine.model.instruments import ConnectorPair
from engine.testing.executor_bench import bench_instrument
from engine.testing.rough_bench import Move, RoughBench

VENUES = tuple(
    bench_instrument(market=ConnectorPair(name, "BTC-USDT"), maker_ppb=500_000, taker_ppb=1_000_000)
    for name in ("alpha", "beta")
)
MARKETS = {"buying_market": "alpha:BTC-USDT", "selling_market": "beta:BTC-USDT"}

amounts = st.sampled_from(["0.05", "0.113", "2"])
profits = st.sampled_from(["-0.01", "0", "0.002", "0.01"])
configs = st.one_of(
    st.fixed_dictionaries(
        {
            "type": st.just("arbitrage_executor"),
            "order_amount": amounts,
            "min_profitability": profits,
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("xemm_executor"),
            "order_amount": amounts,
            "maker_side": st.sampled_from(["BUY", "SELL"]),
            "min_profitability": st.sampled_from(["-0.02", "0", "0.001"]),
            "target_profitability": st.sampled_from(["0.001", "0.004"]),
            "max_profitability": st.sampled_from(["0.004", "0.03"]),
        }
    ),
)
moves = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["price", "price2"]), st.integers(470, 530)),
        st.tuples(st.sampled_from(["price", "price2"]), st.integers(497, 503)),
        st.tuples(st.just("wait"), st.sampled_from([0, 1, 5, 31])),
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

Bench = RoughBench[Any]


def make_bench(fields: dict[str, Any], seed: int) -> Bench:
    return RoughBench(TwoVenueExecutor, fields["type"], MARKETS, *VENUES, draws=random.Random(seed))


def make(fields: dict[str, Any], seed: int) -> tuple[Bench, TwoVenueExecutor]:
    bench = make_bench(fields, seed)
    bench.price(500, 501, market=0)
    bench.price(500, 501, market=1)
    return bench, bench.create(**fields)


def check(bench: Bench, executor: TwoVenueExecutor) -> None:
    """Check what holds at every instant."""
    live = executor._orders.live()
    maker = [order for order in live if order.request.role == "maker"]
    assert len(maker) <= 1
    for leg in (executor.home, executor.away):
        legs = [order for order in leg.orders if order.is_live and order.request.role != "hedge"]
        assert len(legs) <= 1
    if isinstance(executor, XEMMExecutor):
        assert executor.unhedged_base >= 0
    if executor.is_done:
        assert executor.close_type is not None
        assert executor.snapshot().closed_ns is not None
        assert live == []
    at_ns = executor.wakes.at_ns
    assert at_ns is None or at_ns > bench.venue.now_ns()


def check_end(bench: Bench, executor: TwoVenueExecutor) -> None:
    """Check that nothing is lost, nothing counted twice, nothing left open."""
    assert executor.is_done
    assert bench.venue.live() == []
    held, opened = bench.held_lots(), bench.open_lots()
    report = bench.orchestrator.get_all_reports()["main"].performance
    if executor.is_handed_over:
        assert {name: lots for name, lots in held.items() if lots} == {
            name: lots for name, lots in opened.items() if lots
        }
        money = VENUES[0].money(bench.account_atoms())
        assert report.global_pnl_quote == money
    else:
        assert sum(held.values()) == sum(opened.values())
        assert all(lots < VENUES[0].min_lots * 3 for lots in map(abs, held.values()))
    fees = sum(fill.fee_atoms for fill in bench.venue.fills)
    volume = sum(fill.notional_atoms for fill in bench.venue.fills)
    assert report.total_fees_quote == VENUES[0].money(fees)
    assert report.volume_traded == VENUES[0].money(volume)


@settings(max_examples=120, deadline=None)
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
    for _ in range(8):
        bench.advance(31)
        check(bench, executor)
    check_end(bench, executor)


@settings(max_examples=60, deadline=None)
@given(configs, moves, st.integers(0, 10**6), st.integers(0, 29))
def test_a_restart_at_any_instant_loses_nothing(
    fields: dict[str, Any], script: list[Move], seed: int, at: int
) -> None:
    bench, executor = make(fields, seed)
    for move in script[:at]:
        bench.do(executor, move)
    if executor.is_done:
        return
    fresh = make_bench(fields, seed)
    fresh.venue = bench.venue
    fresh.orchestrator = type(bench.orchestrator)(strategy=bench.venue)
    bench.venue.events.clear()
    fresh.orchestrator.resume(
        executor.config, executor.runtime_state(), bench.orders(), list(bench.venue.fills)
    )
    fresh.pump()
    again = fresh.orchestrator.find(executor.executor_id)
    assert isinstance(again, TwoVenueExecutor)
    for move in script[at:]:
        fresh.do(again, move)
        check(fresh, again)
    fresh.calm_down()
    fresh.stop(again)
    for _ in range(8):
        fresh.advance(31)
    check_end(fresh, again)


prices = st.lists(
    st.tuples(st.integers(0, 1), st.integers(480, 520), st.integers(1, 3)), max_size=40
)


@settings(max_examples=80, deadline=None)
@given(prices, profits)
def test_an_arbitrage_that_sleeps_misses_nothing(
    path: list[tuple[int, int, int]], least: str
) -> None:
    fields = {"type": "arbitrage_executor", "order_amount": "1", "min_profitability": least}
    bench, executor = make(fields, 1)
    assert isinstance(executor, ArbitrageExecutor)
    for market, bid, spread in path:
        if executor.status is not RunnableStatus.RUNNING:
            return
        bench.price(bid, bid + spread, market=market)
        won = executor.profitability
        assert won is not None
        is_out = executor.status is not RunnableStatus.RUNNING
        assert is_out == (won > Fraction(least))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(450, 550), max_size=30), st.sampled_from(["BUY", "SELL"]))
def test_a_sleeping_maker_is_always_in_its_band(path: list[int], side: str) -> None:
    fields = {
        "type": "xemm_executor",
        "order_amount": "1",
        "maker_side": side,
        "min_profitability": "0.01",
        "target_profitability": "0.02",
        "max_profitability": "0.03",
    }
    bench, executor = make(fields, 1)
    assert isinstance(executor, XEMMExecutor)
    for ticks in path:
        bench.price(ticks, ticks + 1, market=1 if side == "BUY" else 0)
        profit = executor.net_profitability
        assert profit is not None
        assert Fraction("0.01") <= profit <= Fraction("0.03")


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["BUY", "SELL"]),
    st.integers(5, 3000),
    st.fractions(Fraction(1, 20), 20, max_denominator=50),
    st.integers(1, 3000),
)
def test_a_window_decides_as_the_formulas(
    side: str, taker: int, ratio: Fraction, other: int
) -> None:
    config = XEMMExecutorConfig.model_validate(
        MARKETS
        | {
            "order_amount": "1",
            "maker_side": side,
            "min_profitability": "0.01",
            "target_profitability": "0.02",
            "max_profitability": "0.03",
        }
    )
    quoting = XEMMQuoting(config, Fraction("0.002"))
    maker = quoting.maker_ticks(taker, ratio)
    if maker == 1:
        return
    window = quoting.window(maker, ratio)
    assert window.contains(taker)
    profit = quoting.profitability(maker, other, ratio)
    is_same = quoting.maker_ticks(other, ratio) == maker
    stays = Fraction("0.01") <= profit <= Fraction("0.03") or is_same
    assert window.contains(other) == stays


def test_the_truth_table_of_stops() -> None:
    """From every state a stop ends with the close type of 9.1."""
    fields = {"type": "arbitrage_executor", "order_amount": "1", "min_profitability": "0.5"}
    bench, executor = make(fields, 1)
    bench.stop(executor)
    assert (executor.close_type, executor.is_done) == (CloseType.EARLY_STOP, True)
    bench.stop(executor, keep=True)
    assert executor.close_type is CloseType.EARLY_STOP
