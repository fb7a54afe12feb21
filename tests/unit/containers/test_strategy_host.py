"""Strategies in a session: what they see, and where their signals go (STR-1, RISK-1)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from engine.containers.bus import BusKind
from engine.model.bar_view import AnyBar
from engine.model.clock import SECOND_NS
from engine.model.orders import Fill, Order, OrderStatus
from engine.model.quotes import QuoteTick
from engine.strategies.signal_codes import BarOrderType
from engine.strategies.signals import Signal, SignalKind
from engine.strategies.sma_cross import SmaCross, SmaCrossDirection, SmaCrossParams
from engine.strategies.strategy import Strategy
from engine.testing.small_session import (
    MARKET,
    OTHER,
    START_NS,
    SmallSession,
    small_plan,
)


class Diary(Strategy):
    """Writes down what it sees; signals what it is told to at the next quote."""

    def __init__(self, *, warmup: int = 0) -> None:
        super().__init__()
        self.seen: list[tuple[str, Any]] = []
        self.next_signal: Signal | None = None
        self._warmup = warmup

    @property
    def warmup(self) -> int:
        return self._warmup

    def of(self, kind: str) -> list[Any]:
        return [value for name, value in self.seen if name == kind]

    def on_start(self) -> None:
        self.seen.append(("start", self.ctx.instrument(MARKET).tick))

    def on_bar(self, bar: AnyBar) -> None:
        self.seen.append(("bar", self.ctx.history(bar.market, 1)[-1] == bar))

    def on_quote(self, quote: QuoteTick) -> None:
        self.seen.append(("quote", self.ctx.quote(quote.market) == quote))
        if self.next_signal is not None:
            self.ctx.signal(self.next_signal)
            self.next_signal = None

    def on_fill(self, fill: Fill) -> None:
        self.seen.append(("fill", fill.lots))

    def on_order(self, order: Order) -> None:
        self.seen.append(("order", order.status))

    def on_timer(self, now_ns: int) -> None:
        self.seen.append(("timer", (now_ns - START_NS) // SECOND_NS))

    def on_stop(self) -> None:
        self.seen.append(("stop", self.ctx.net_lots(MARKET)))


@pytest.fixture
def diary() -> Diary:
    return Diary()


def session_with(strategy: Strategy, **sections: Any) -> SmallSession:
    session = SmallSession(small_plan(strategies=[(MARKET, strategy)], sections=sections))
    session.begin()
    return session


def test_a_strategy_sees_quotes_and_timers_of_its_session(diary: Diary) -> None:
    session = session_with(diary)
    session.quote(1, "10.00", "10.02")
    session.quote(2, "20.00", "20.02", OTHER)
    session.timer(3)
    assert diary.seen == [("start", Decimal("0.01")), ("quote", True), ("timer", 3)]


def test_bars_come_after_the_warm_up_and_are_the_end_of_the_history() -> None:
    diary = Diary(warmup=2)
    session = session_with(diary)
    for minute in range(6):
        session.quote(60 * minute, "10.00", "10.02")
    assert diary.of("bar") == [True, True, True]


@pytest.mark.parametrize(
    ("signal", "lots"),
    [
        (Signal(MARKET, SignalKind.TARGET_QTY, Decimal("1.5")), 1500),
        (Signal(MARKET, SignalKind.TARGET_QTY, Decimal(2), strength=Decimal("0.5")), 1000),
        (Signal(MARKET, SignalKind.DIRECTION, Decimal(-1)), -1_000_000),
    ],
    ids=["quantity", "strength", "direction"],
)
def test_a_signal_becomes_an_order_by_the_risk_manager(
    diary: Diary, signal: Signal, lots: int
) -> None:
    session = session_with(diary)
    diary.next_signal = signal
    effects = session.quote(1, "9.99", "10.01")
    assert session.container.portfolio.net_lots(MARKET) == lots
    assert [fill.lots for fill in effects.fills] == [abs(lots)]
    assert diary.of("fill") == [abs(lots)]
    assert diary.of("order")[-1] is OrderStatus.FILLED
    (order,) = effects.orders.values()
    assert (order.request.owner_id, order.request.role) == ("strategy", "strategy")
    assert [notice for notice in effects.notices if notice.level == "error"] == []


def test_nobody_but_the_risk_manager_hears_a_signal(diary: Diary) -> None:
    heard: list[BusKind] = []
    session = session_with(diary)
    bus = session.container._scope.bus
    assert len(bus._handlers[BusKind.SIGNAL]) == 1
    for kind in BusKind:
        bus.subscribe(kind, lambda event: heard.append(event.kind), priority=0)
    diary.next_signal = Signal(MARKET, SignalKind.EXIT)
    session.quote(1, "9.99", "10.01")
    assert heard == [BusKind.QUOTE, BusKind.SIGNAL]


def test_a_denied_signal_is_noticed_with_its_reason(diary: Diary) -> None:
    session = session_with(diary, risk={"blocked_symbols": ["AAA-USDT"]})
    diary.next_signal = Signal(MARKET, SignalKind.TARGET_QTY, Decimal(1))
    effects = session.quote(1, "9.99", "10.01")
    assert not effects.fills
    (notice,) = effects.notices
    assert "denied" in notice.text
    assert "risk.blocked_symbols" in notice.text


def test_a_stopped_strategy_sees_and_says_nothing_more(diary: Diary) -> None:
    session = session_with(diary)
    session.quote(1, "9.99", "10.01")
    session.stop(2)
    count = len(diary.seen)
    assert diary.seen[-1] == ("stop", 0)
    diary.next_signal = Signal(MARKET, SignalKind.TARGET_QTY, Decimal(1))
    session.quote(3, "9.99", "10.01")
    session.timer(4)
    session.stop(5)
    diary.ctx.signal(Signal(MARKET, SignalKind.TARGET_QTY, Decimal(1)))
    session.quote(6, "9.99", "10.01")
    assert len(diary.seen) == count
    assert session.container.portfolio.net_lots(MARKET) == 0


def walk(session: SmallSession, price_of: Callable[[int], int]) -> list[int]:
    """Return the position after each of 40 minutes."""
    positions = []
    for minute in range(40):
        price = f"{price_of(minute)}.00"
        session.quote(60 * minute, price, price)
        positions.append(session.container.portfolio.net_lots(MARKET))
    return positions


def valley_and_peak(minute: int) -> int:
    return 100 + abs(minute % 20 - 10)


@pytest.mark.parametrize(
    ("direction", "least"), [(SmaCrossDirection.LONG, 0), (SmaCrossDirection.BOTH, -1)]
)
def test_sma_cross_trades_from_end_to_end(direction: SmaCrossDirection, least: int) -> None:
    strategy = SmaCross(SmaCrossParams(fast=2, slow=5, direction=direction))
    session = session_with(strategy, risk={"sizer": {"kind": "fixed", "qty": "3"}})
    positions = walk(session, valley_and_peak)
    assert max(positions) == 3000
    assert min(positions) == 3000 * least
    assert len(session.container.order_manager.orders()) >= 3
    account = session.container.portfolio.account_snapshot()
    assert account.fees > 0


def test_an_exit_cancels_entries_and_cannot_open_the_other_side(diary: Diary) -> None:
    session = session_with(diary)
    portfolio, orders = session.container.portfolio, session.container.order_manager
    diary.next_signal = Signal(MARKET, SignalKind.ORDER, Decimal(2))
    session.quote(1, "9.99", "10.01")
    diary.next_signal = Signal(
        MARKET, SignalKind.ORDER, Decimal(1), order_type=BarOrderType.LIMIT, limit=Decimal(9)
    )
    session.quote(2, "9.99", "10.01")
    assert [one.request.lots for one in orders.open_orders(market=MARKET)] == [1000]
    diary.next_signal = Signal(MARKET, SignalKind.EXIT)
    effects = session.quote(3, "9.99", "10.01")
    assert [fill.lots for fill in effects.fills] == [2000]
    assert portfolio.net_lots(MARKET) == 0
    assert not orders.open_orders(market=MARKET)
    session.quote(4, "8.99", "9.00")
    assert portfolio.net_lots(MARKET) == 0


def test_a_protective_stop_of_a_strategy_waits_for_its_price(diary: Diary) -> None:
    session = session_with(diary)
    portfolio = session.container.portfolio
    diary.next_signal = Signal(MARKET, SignalKind.ORDER, Decimal(2))
    session.quote(1, "9.99", "10.01")
    diary.next_signal = Signal(
        MARKET,
        SignalKind.ORDER,
        Decimal(-5),
        order_type=BarOrderType.STOP,
        stop=Decimal("9.5"),
        reduce_only=True,
    )
    session.quote(2, "9.99", "10.01")
    assert portfolio.net_lots(MARKET) == 2000
    session.quote(3, "9.49", "9.51")
    # Five were asked for, and a reduction never opens the other side.
    assert portfolio.net_lots(MARKET) == 0


class Twice(Strategy):
    """Wants the same position twice, with the first quote."""

    def on_quote(self, quote: QuoteTick) -> None:
        for _ in range(2):
            self.ctx.signal(Signal(MARKET, SignalKind.TARGET_QTY, Decimal(2)))


def test_two_signals_of_one_instant_see_each_others_orders_risk_5() -> None:
    for sections in ({}, {"risk": {"max_position_size": "3"}}):
        session = session_with(Twice(), **sections)
        session.quote(1, "9.99", "10.01")
        assert session.container.portfolio.net_lots(MARKET) == 2000


def test_a_limit_sees_what_was_ordered_at_the_same_instant() -> None:
    class Piles(Strategy):
        def on_quote(self, quote: QuoteTick) -> None:
            for _ in range(3):
                self.ctx.signal(Signal(MARKET, SignalKind.ORDER, Decimal(2)))

    session = session_with(Piles(), risk={"max_position_size": "5"})
    session.quote(1, "9.99", "10.01")
    assert session.container.portfolio.net_lots(MARKET) == 5000


def test_a_strategy_cancels_its_own_orders_by_their_tag(diary: Diary) -> None:
    session = session_with(diary)
    orders = session.container.order_manager
    for second, tag in enumerate(("one", "two"), start=1):
        diary.next_signal = Signal(
            MARKET,
            SignalKind.ORDER,
            Decimal(second),
            order_type=BarOrderType.LIMIT,
            limit=Decimal(9),
            tag=tag,
        )
        session.quote(second, "9.99", "10.01")
    diary.next_signal = Signal(MARKET, SignalKind.ORDER, cancel="one")
    effects = session.quote(3, "9.99", "10.01")
    assert [one.request.lots for one in orders.open_orders(market=MARKET)] == [2000]
    assert [one.reason for one in effects.orders.values()] == ["USER"]


def test_a_strategy_cannot_open_more_than_it_can_pay_for_fill_28(diary: Diary) -> None:
    session = session_with(diary)
    portfolio, orders = session.container.portfolio, session.container.order_manager
    diary.next_signal = Signal(MARKET, SignalKind.ORDER, Decimal(10_001))
    effects = session.quote(1, "9.99", "10.01")
    assert portfolio.net_lots(MARKET) == 0
    (refused,) = effects.orders.values()
    assert refused.status is OrderStatus.REJECTED
    assert refused.reason.startswith("INSUFFICIENT_FUNDS: it needs 100")
    assert "100000.00000000 is free" in refused.reason
    assert diary.of("order")[-1] is OrderStatus.REJECTED
    diary.next_signal = Signal(MARKET, SignalKind.ORDER, Decimal(9_900))
    session.quote(2, "9.99", "10.01")
    assert portfolio.net_lots(MARKET) == 9_900_000
    # A reversal that is too large closes what there is.
    diary.next_signal = Signal(MARKET, SignalKind.ORDER, Decimal(-40_000))
    effects = session.quote(3, "9.99", "10.01")
    assert portfolio.net_lots(MARKET) == 0
    assert [one.status for one in orders.orders()] == [
        OrderStatus.REJECTED, OrderStatus.FILLED, OrderStatus.FILLED,
    ]  # fmt: skip
    assert any("only closes" in notice.text for notice in effects.notices)
