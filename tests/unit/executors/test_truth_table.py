"""Transitions of all eight types: every reachable state, every move, every stop.

The states are found by a search: from each new state each move is made. A state is what can be
seen of an executor from outside; the search goes on as long as new ones are found, up to a depth.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Hashable, Iterator
from typing import Any

import pytest

from engine.executors.base import ExecutorBase
from engine.executors.factory import ExecutorFactory, load_builtin_executors
from engine.executors.order_roles import kind_of
from engine.executors.status import CloseType, RunnableStatus
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair
from engine.testing.executor_bench import bench_instrument
from engine.testing.rough_bench import Move, RoughBench

load_builtin_executors()
R, C = RunnableStatus, CloseType
VENUES = tuple(
    bench_instrument(market=ConnectorPair(name, "BTC-USDT"), taker_ppb=1_000_000)
    for name in ("alpha", "beta")
)
COMMON = {"connector_name": "alpha", "trading_pair": "BTC-USDT", "side": "BUY"}
TWO = {"buying_market": "alpha:BTC-USDT", "selling_market": "beta:BTC-USDT", "order_amount": "1"}
BARRIERS = {"stop_loss": "0.05", "take_profit": "0.05", "time_limit": 120}
TYPES: dict[str, dict[str, Any]] = {
    "position_executor": COMMON
    | {
        "amount": "1",
        "entry_price": "50",
        "triple_barrier_config": BARRIERS
        | {"take_profit_order_type": "LIMIT", "trailing_stop": "0.02,0.01"},
    },
    "progressive_executor": COMMON
    | {
        "amount": "1",
        "entry_price": "50",
        "pnl_relaxation": "0",
        "triple_barrier_config": BARRIERS
        | {"apr_yield": "1", "trailing_stop": "0.02,0.01,0.04:0.5"},
    },
    "dca_executor": COMMON
    | {
        "amounts_quote": "10,20",
        "prices": "50,49",
        "stop_loss": "0.05",
        "take_profit": "0.05",
        "trailing_stop": "0.02,0.01",
        "time_limit": 120,
    },
    "grid_executor": COMMON
    | {
        "start_price": "48",
        "end_price": "52",
        "limit_price": "46",
        "total_amount_quote": "100",
        "min_spread_between_orders": "0.03",
        "triple_barrier_config": BARRIERS
        | {"take_profit": "0.01", "take_profit_order_type": "LIMIT"},
    },
    "twap_executor": COMMON
    | {"total_amount_quote": "40", "total_duration": 30, "order_interval": 30},
    "order_executor": COMMON
    | {
        "amount": "1",
        "execution_strategy": "LIMIT_CHASER",
        "chaser_config": {"distance": "0.001", "refresh_threshold": "0.01"},
    },
    "arbitrage_executor": TWO | {"min_profitability": "0.005"},
    "xemm_executor": TWO
    | {
        "maker_side": "BUY",
        "min_profitability": "0.001",
        "target_profitability": "0.01",
        "max_profitability": "0.03",
    },
}
MOVES: tuple[Move, ...] = (
    ("price", 500),
    ("fill", -1),
    ("price", 530),
    ("price", 515),
    ("wait", 121),
    ("price", 470),
    ("price2", 515),
    ("fill", 20),
    ("end", "cancel"),
    ("end", "reject"),
    ("reject", 1),
    ("deaf", True),
    ("wait", 31),
    ("stop", True),
    ("stop", False),
)
DEPTH, MOST_STATES = 5, 160
"""Of the search, so that it takes a second or two for each type."""
LONG_NS = 120 * SECOND_NS

STARTS = {
    (R.NOT_STARTED, R.RUNNING, None),
    (R.RUNNING, R.TERMINATED, C.INSUFFICIENT_BALANCE),
    (R.RUNNING, R.TERMINATED, C.EXPIRED),
    (R.SHUTTING_DOWN, R.TERMINATED, C.FAILED),
    (R.RUNNING, R.TERMINATED, C.FAILED),
}
"""What every type may do: begin, refuse at the start, give up."""
_CLOSING = {
    "position_executor": (C.STOP_LOSS, C.TRAILING_STOP, C.TAKE_PROFIT, C.TIME_LIMIT),
    "progressive_executor": (C.STOP_LOSS, C.TRAILING_STOP, C.TAKE_PROFIT, C.TIME_LIMIT),
    "dca_executor": (C.STOP_LOSS, C.TRAILING_STOP, C.TAKE_PROFIT, C.TIME_LIMIT),
    "grid_executor": (C.STOP_LOSS, C.TRAILING_STOP, C.TAKE_PROFIT, C.TIME_LIMIT),
    "twap_executor": (C.COMPLETED,),
    "order_executor": (),
    "arbitrage_executor": (C.COMPLETED,),
    "xemm_executor": (C.COMPLETED,),
}
REACHED = {
    "position_executor": {C.STOP_LOSS, C.TRAILING_STOP, C.TAKE_PROFIT, C.TIME_LIMIT},
    "progressive_executor": {C.STOP_LOSS, C.TRAILING_STOP, C.TAKE_PROFIT, C.TIME_LIMIT},
    "dca_executor": {C.TAKE_PROFIT, C.TIME_LIMIT},
    "grid_executor": {C.TAKE_PROFIT},
    "twap_executor": {C.COMPLETED},
    "order_executor": set[CloseType](),
    "arbitrage_executor": {C.COMPLETED},
    "xemm_executor": {C.COMPLETED},
}
"""Close types of 9.1 that the search must have seen, besides those of stops."""
Bench = RoughBench[ExecutorBase]
Change = tuple[RunnableStatus, RunnableStatus, CloseType | None]


def allowed(type_name: str) -> set[Change]:
    """Return the rows of the table: from, to, and the close type at that moment."""
    stops = (C.EARLY_STOP, C.POSITION_HOLD)
    return (
        STARTS
        | {(R.RUNNING, R.SHUTTING_DOWN, one) for one in (*_CLOSING[type_name], *stops, C.FAILED)}
        | {(R.SHUTTING_DOWN, R.TERMINATED, one) for one in (*_CLOSING[type_name], *stops)}
        # Before its first order an executor on two venues has nothing to shut down.
        | (
            {(R.RUNNING, R.TERMINATED, C.EARLY_STOP)}
            if "order_amount" in TYPES[type_name]
            else set()
        )
    )


class Watch:
    """An executor after some moves, and every change of status that it made."""

    def __init__(self, type_name: str, moves: tuple[Move, ...]) -> None:
        kind = ExecutorFactory.registrations()[type_name].executor_class
        self.bench: Bench = RoughBench(
            kind, type_name, TYPES[type_name], *VENUES, draws=random.Random(1)
        )
        self.bench.price(500, 501, market=0)
        self.bench.price(500, 501, market=1)
        self.executor = self.bench.create()
        self.changes: list[Change] = [(R.NOT_STARTED, R.RUNNING, None)]
        self._status = R.RUNNING
        self._note()
        for move in moves:
            self.do(move)

    def do(self, move: Move) -> None:
        """Make a move and note what it changed."""
        self.bench.do(self.executor, move)
        self._note()

    def _note(self) -> None:
        now = self.executor.status
        if now is not self._status:
            path = [self._status, now]
            has_skipped = self._has_shut_down and now is R.TERMINATED
            if self._status is R.RUNNING and has_skipped:  # through SHUTTING_DOWN in one go
                path.insert(1, R.SHUTTING_DOWN)
            close_type = self.executor.close_type
            self.changes += [(one, other, close_type) for one, other in itertools.pairwise(path)]
            self._status = now

    @property
    def _has_shut_down(self) -> bool:
        return self.executor.snapshot().closing_since_ns is not None

    @property
    def state(self) -> Hashable:
        """Return what the search tells states apart by."""
        live = sorted(
            (kind_of(order.request.role), order.is_cancel_requested, bool(order.filled_lots))
            for order in self.bench.venue.live()
        )
        opened = {name: lots for name, lots in self.bench.open_lots().items() if lots}
        return (
            self.executor.status,
            self.executor.close_type,
            tuple(live),
            tuple(sorted(opened)),
            min(self.executor.retries, 1),
            self.bench.venue.is_deaf,
            tuple(quote.bid_ticks for quote in self.bench.venue.quotes.values()),
            self.bench.venue.now_ns() >= self.executor.config.created_ns + LONG_NS,
        )


def reachable(type_name: str) -> Iterator[tuple[tuple[Move, ...], Watch]]:
    """Yield a shortest way to each state, and the executor there."""
    known: set[Hashable] = set()
    ways: list[tuple[Move, ...]] = [()]
    while ways and len(known) < MOST_STATES:
        way = ways.pop(0)
        watch = Watch(type_name, way)
        if watch.state in known:
            continue
        known.add(watch.state)
        yield way, watch
        if len(way) < DEPTH:
            ways += [(*way, move) for move in MOVES]


@pytest.mark.parametrize("type_name", TYPES)
def test_no_illegal_transition_and_no_stuck_state(type_name: str) -> None:
    table, seen = allowed(type_name), set[Change]()
    for way, watch in reachable(type_name):
        seen |= set(watch.changes)
        assert set(watch.changes) <= table, way
        for keep in (None, True, False):
            ended = Watch(type_name, way)
            check_that_a_stop_ends_it(ended, keep=keep)
            assert set(ended.changes) <= table, (way, keep)
            seen |= set(ended.changes)
    assert {close for _, _, close in seen} >= REACHED[type_name]


def check_that_a_stop_ends_it(watch: Watch, *, keep: bool | None) -> None:
    """Stop at a venue that is prompt again: it ends in bounded steps, with nothing left open."""
    bench, executor = watch.bench, watch.executor
    before = executor.close_type
    bench.calm_down()
    watch.do(("stop", keep))
    for _ in range(4):
        watch.do(("wait", 31))
    assert executor.is_done
    assert bench.venue.live() == []
    assert executor.close_type is not None
    assert executor.snapshot().closed_ns is not None
    if before is not None and executor.close_type is not before:  # the first one wins (9.1)
        assert executor.close_type in {C.EARLY_STOP, C.COMPLETED, C.FAILED}
    held = bench.held_lots()
    left = sum(bench.open_lots().values())
    assert sum(held.values()) == left
    is_kept = executor.is_handed_over or bool(executor.held_position_orders)
    assert bool({lots for lots in held.values() if lots}) <= is_kept
    assert all(lot == 0 for lot in held.values()) or is_kept


@pytest.mark.parametrize("type_name", TYPES)
def test_a_terminated_executor_never_changes_again(type_name: str) -> None:
    watch = Watch(type_name, ())
    watch.bench.calm_down()
    watch.do(("stop", False))
    watch.do(("wait", 31))
    assert watch.executor.is_done
    before = (watch.executor.close_type, watch.executor.snapshot().closed_ns)
    for move in MOVES:
        watch.do(move)
        assert watch.executor.status is R.TERMINATED
    assert (watch.executor.close_type, watch.executor.snapshot().closed_ns) == before
