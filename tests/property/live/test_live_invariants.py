"""T11: whatever goes wrong between us and a venue, no order is placed twice and no fill is lost.

A strategy of random wishes trades at a venue whose answers are lost, late, repeated and out of
order, whose connection breaks, whose clock is wrong and in whose account somebody else trades; our
process dies and starts again. When all has calmed down the books are the venue's.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine.backtest.strategy_loading import type_of_class
from engine.live.intent_log import MemoryIntentLog
from engine.live.live_state import LiveState
from engine.live.live_strategy import Policy
from engine.live.live_trading_manager import LiveTradingManager
from engine.live.virtual_portfolio import INSIDE
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import TradeType
from engine.model.quotes import QuoteTick
from engine.strategies.catalogue import StrategyType
from engine.strategies.signal_codes import BarOrderType
from engine.strategies.signals import Signal, SignalKind
from engine.strategies.strategy import Strategy
from engine.testing.fake_venue import FakeVenue, NewsFault, SubmitFault

MARKET = ConnectorPair("fake", "ACME-USD")
INSTRUMENT = Instrument(MARKET, tick=Decimal("0.01"), lot=Decimal(1))
NAMES = ("one", "two")


class Wishes(Strategy):
    """Says with each quote what the test wants it to say."""

    def __init__(self, wishes: deque[Signal]) -> None:
        super().__init__()
        self._wishes = wishes

    def on_quote(self, quote: QuoteTick) -> None:
        while self._wishes:
            self.ctx.signal(self._wishes.popleft())


def config(strategy: str) -> dict[str, Any]:
    return {
        "mode": "LIVE_TRADING",
        "circuit_breaker": {"failure_threshold": 1000},
        "components": {
            "strategy": {"class": strategy},
            "portfolio": {"allocated_capital": 50_000, "reconciliation_interval": 60},
            "risk_manager": {"max_orders_per_minute": None, "max_reject_rate": None},
            "broker": {"class": "LiveBroker"},
        },
    }


class LiveMachine(RuleBasedStateMachine):
    """The venue and the account; a restart makes a new manager on the same log."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000 * SECOND_NS
        self.wishes: dict[str, deque[Signal]] = {name: deque() for name in NAMES}
        self.log = MemoryIntentLog()
        self.venue = FakeVenue({MARKET: INSTRUMENT}, cash=Decimal(1_000_000), now_ns=self.clock)
        self.price = 10_000
        self.was_hidden = False
        self.has_left = False
        self.manager = self.start()

    def clock(self) -> int:
        return self.now

    def start(self) -> LiveTradingManager:
        manager = LiveTradingManager(
            instruments={MARKET: INSTRUMENT},
            account_equity=Decimal(1_000_000),
            now_ns=self.clock,
            strategies=self.types(),
            order_router=self.venue,
            intent_log=self.log,
        )
        for name in NAMES:
            manager.add_strategy(name, config(name))
        return manager

    def types(self) -> dict[str, StrategyType]:
        return {name: self.type_of(name) for name in NAMES}

    def type_of(self, name: str) -> StrategyType:
        kind = type_of_class(Wishes, name)
        return StrategyType(kind.name, "", kind.params_model, lambda _: Wishes(self.wishes[name]))

    def move(self, seconds: int, price: int | None = None) -> None:
        self.now += seconds * SECOND_NS
        if price is not None:
            self.price = price
        quote = QuoteTick(MARKET, self.now, self.price, self.price + 2, 10**6, 10**6)
        self.venue.quote(quote)
        self.manager.on_quote(quote)
        self.manager.work()

    @initialize()
    def first_quote(self) -> None:
        self.move(1)

    @rule(seconds=st.integers(1, 20), change=st.integers(-40, 40))
    def quote(self, seconds: int, change: int) -> None:
        self.move(seconds, max(5_000, self.price + change))

    @rule(name=st.sampled_from(NAMES), lots=st.integers(-8, 8))
    def want_position(self, name: str, lots: int) -> None:
        self.wishes[name].append(Signal(MARKET, SignalKind.TARGET_QTY, Decimal(lots)))
        self.move(1)

    @rule(
        name=st.sampled_from(NAMES), lots=st.integers(-5, 5).filter(bool), away=st.integers(1, 60)
    )
    def want_limit(self, name: str, lots: int, away: int) -> None:
        limit = self.price + 2 + away if lots < 0 else self.price - away
        self.wishes[name].append(
            Signal(
                MARKET,
                SignalKind.ORDER,
                Decimal(lots),
                order_type=BarOrderType.LIMIT,
                limit=INSTRUMENT.price(limit),
            )
        )
        self.move(1)

    @rule(fault=st.sampled_from(SubmitFault))
    def spoil_an_order(self, fault: SubmitFault) -> None:
        self.venue.submit_faults.append(fault)

    @rule(faults=st.lists(st.sampled_from(NewsFault), min_size=1, max_size=3))
    def spoil_news(self, faults: list[NewsFault]) -> None:
        self.venue.news_faults.extend(faults)

    @rule()
    def late_things_come(self) -> None:
        self.venue.release()

    @precondition(lambda self: self.venue.is_connected)
    @rule()
    def disconnect(self) -> None:
        self.venue.disconnect()

    @precondition(lambda self: not self.venue.is_connected)
    @rule()
    def connect(self) -> None:
        self.venue.connect()

    @rule(side=st.sampled_from([TradeType.BUY, TradeType.SELL]), lots=st.integers(1, 5))
    def somebody_trades(self, side: TradeType, lots: int) -> None:
        self.venue.trade_by_hand(MARKET, side, lots)

    @rule(lots=st.integers(1, 5), away=st.integers(1, 50))
    def somebody_orders(self, lots: int, away: int) -> None:
        self.venue.order_by_hand(MARKET, TradeType.BUY, lots, self.price - away)

    @rule(pick=st.integers(0, 20))
    def somebody_cancels(self, pick: int) -> None:
        open_ids = sorted(self.venue.open_ids())
        if open_ids:
            self.venue.cancel_by_hand(open_ids[pick % len(open_ids)])

    @rule(seconds=st.integers(-20, 20))
    def the_venues_clock_jumps(self, seconds: int) -> None:
        self.venue.skew_ns = seconds * SECOND_NS

    @rule()
    def fills_lag(self) -> None:
        self.venue.hides_fills = not self.venue.hides_fills
        self.was_hidden = True

    @rule()
    def the_process_dies(self) -> None:
        self.manager = self.start()

    @rule(name=st.sampled_from(NAMES))
    def flatten(self, name: str) -> None:
        self.manager.flatten(name)

    @rule(name=st.sampled_from(NAMES), policy=st.sampled_from(["flatten", "keep", "transfer"]))
    def a_strategy_leaves_and_comes_back(self, name: str, policy: Policy) -> None:
        (other,) = {*NAMES} - {name}
        self.manager.remove_strategy(name, policy, transfer_to=other)
        for _ in range(12):
            self.move(1)
        assert name not in self.manager.strategies
        self.manager.add_strategy(name, config(name))
        self.has_left = True

    @invariant()
    def no_order_is_placed_twice(self) -> None:
        assert all(count == 1 for count in self.venue.placed.values()), self.venue.placed
        sent = [client_order_id for client_order_id, _ in self.venue.sent]
        assert len(sent) == len(set(sent))

    @invariant()
    def no_fill_is_booked_that_was_not_made(self) -> None:
        made = {one.trade_id for one in self.venue.trades}
        for live in self.manager.strategies.values():
            booked = {one.fill_id for one in live.broker.fills()}  # type: ignore[attr-defined]
            assert {one for one in booked if not one.startswith(INSIDE)} <= made

    def teardown(self) -> None:
        for wishes in self.wishes.values():
            wishes.clear()
        self.venue.connect()
        self.venue.hides_fills = False
        self.venue.news_faults.clear()
        self.venue.submit_faults.clear()
        for _ in range(3):
            self.venue.release()
            for _ in range(8):
                self.move(11)
        for _ in range(4):
            self.move(61)
        self.no_order_is_placed_twice()
        book = self.manager.book
        assert book.account_lots(MARKET) == self.venue.lots(MARKET)
        for name, live in self.manager.strategies.items():
            assert live.state is not LiveState.FAILED, live.alerts
            held = live.container.portfolio.net_lots(MARKET)
            assert book.portfolios[name].net_lots(MARKET) == held
            if not self.has_left:
                assert held == self.venue.own_lots(MARKET, f"live_{name}-O"), name
            made = sorted(
                one.trade_id
                for one in self.venue.trades
                if one.client_order_id.startswith(f"live_{name}-O")
            )
            fills = live.broker.fills()  # type: ignore[attr-defined]
            booked = [one.fill_id for one in fills if not one.fill_id.startswith(INSIDE)]
            if not self.has_left:
                assert sorted(booked) == made
            assert len(booked) == len(set(booked))
            assert set(booked) <= set(made)
            here = {
                one.request.client_order_id for one in live.container.order_manager.open_orders()
            }
            there = {one for one in self.venue.open_ids() if one.startswith(f"live_{name}-O")}
            assert here == there
        if not self.was_hidden and not self.has_left:
            assert book.unattributed(MARKET) == self.venue.own_lots(MARKET, "foreign")


@pytest.mark.parametrize("steps", [15, 40])
def test_no_duplicate_order_no_lost_fill_and_equal_ledgers(steps: int) -> None:
    run_state_machine_as_test(
        LiveMachine,
        settings=settings(
            max_examples=40,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
