"""Brackets of strategies in a session: exits come with the fill and go with the position."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from engine.containers.bracket_desk import exits_of
from engine.model.instruments import Instrument
from engine.model.orders import OrderStatus, OrderTrigger, OrderType, TradeType, TriggerKind
from engine.model.quotes import QuoteTick
from engine.strategies.signal_codes import BarOrderType, OffsetUnit, TimeInForce
from engine.strategies.signals import Bracket, Offset, Signal, SignalKind
from engine.strategies.strategy import Strategy
from engine.testing.small_session import MARKET, SmallSession, quote_at, small_plan

GRID = Instrument(MARKET, tick=Decimal("0.01"), lot=Decimal("0.001"))


class Wishes(Strategy):
    """Says at the next quote what the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.next_signal: Signal | None = None

    def on_quote(self, quote: QuoteTick) -> None:
        if self.next_signal is not None:
            self.ctx.signal(self.next_signal)
            self.next_signal = None


class World:
    """A session with one strategy; every order and fill is seen."""

    def __init__(self, **sections: Any) -> None:
        self.wishes = Wishes()
        self.session = SmallSession(
            small_plan(strategies=[(MARKET, self.wishes)], sections=sections)
        )
        self.session.begin()
        self.second = 0

    def quote(self, bid: str, ask: str, *, lots: int = 10**9) -> None:
        self.second += 1
        one = quote_at(self.second, bid, ask)
        self.session.apply(replace(one, bid_lots=lots, ask_lots=lots))

    def wish(self, value: str, bracket: Bracket | None = None, **more: Any) -> None:
        self.wishes.next_signal = Signal(
            MARKET, SignalKind.ORDER, Decimal(value), bracket=bracket, **more
        )

    @property
    def net(self) -> int:
        return self.session.container.portfolio.net_lots(MARKET)

    def working(self) -> list[tuple[str, int, int | None, int | None]]:
        """Return (side, lots, limit, stop) of what works."""
        return [
            (
                one.request.side.name,
                one.request.lots - one.filled_lots,
                one.request.limit_ticks,
                None if one.request.trigger is None else one.request.trigger.stop_ticks,
            )
            for one in self.session.container.order_manager.open_orders(market=MARKET)
        ]

    def reasons(self) -> list[tuple[OrderStatus, int]]:
        orders = self.session.container.order_manager.orders()
        return [(one.status, one.filled_lots) for one in orders]


LONG = Bracket(Decimal("9.50"), Decimal("11.00"))


def entered(**sections: Any) -> World:
    world = World(**sections)
    world.wish("2", LONG)
    world.quote("9.99", "10.01")
    assert world.net == 2000
    return world


def test_the_exits_come_with_the_fill() -> None:
    world = entered()
    assert world.working() == [("SELL", 2000, None, 950), ("SELL", 2000, 1100, None)]


@pytest.mark.parametrize(("bid", "ask"), [("9.40", "9.42"), ("11.05", "11.07")])
def test_one_exit_closes_and_the_other_goes(bid: str, ask: str) -> None:
    world = entered()
    world.quote(bid, ask)
    assert world.net == 0
    assert world.working() == []
    world.quote("11.50", "11.52")
    world.quote("9.00", "9.02")
    assert world.net == 0


def test_a_short_has_them_the_other_way_round() -> None:
    world = World()
    world.wish("-2", Bracket(Decimal("10.50"), Decimal("9.00")))
    world.quote("9.99", "10.01")
    assert world.working() == [("BUY", 2000, None, 1050), ("BUY", 2000, 900, None)]
    world.quote("10.50", "10.52")
    assert (world.net, world.working()) == (0, [])


def test_they_wait_until_a_limited_entry_fills() -> None:
    world = World()
    world.wish("2", LONG, order_type=BarOrderType.LIMIT, limit=Decimal("9.90"))
    world.quote("9.99", "10.01")
    assert world.working() == [("BUY", 2000, 990, None)]
    world.quote("9.88", "9.90")
    assert world.working() == [("SELL", 2000, None, 950), ("SELL", 2000, 1100, None)]


def test_an_exit_signal_takes_them_along_and_is_not_held_up_by_them() -> None:
    world = entered()
    world.wishes.next_signal = Signal(MARKET, SignalKind.EXIT)
    world.quote("9.99", "10.01")
    assert (world.net, world.working()) == (0, [])


def test_a_reversal_takes_them_along_and_has_its_own() -> None:
    world = entered()
    world.wishes.next_signal = Signal(
        MARKET,
        SignalKind.TARGET_QTY,
        Decimal(-1),
        bracket=Bracket(Decimal("10.50"), Decimal("9.00")),
    )
    world.quote("9.99", "10.01")
    assert world.net == -1000
    assert sorted(world.working(), key=str) == [
        ("BUY", 1000, 900, None),
        ("BUY", 1000, None, 1050),
    ]


def test_a_reduction_from_outside_leaves_no_exit_that_opens() -> None:
    world = entered()
    world.wish("-1.5", reduce_only=True)
    world.quote("9.99", "10.01")
    assert world.net == 500
    world.quote("9.40", "9.42")
    assert (world.net, world.working()) == (0, [])


def test_an_entry_that_ends_without_a_fill_leaves_nothing() -> None:
    world = World()
    world.wish("2", LONG, order_type=BarOrderType.LIMIT, limit=Decimal("9.90"), tif=TimeInForce.IOC)
    world.quote("9.99", "10.01")
    assert world.working() == []
    world.quote("9.80", "9.82")
    assert (world.net, world.working()) == (0, [])


@pytest.mark.parametrize(
    ("bracket", "side", "average", "expected"),
    [
        (
            Bracket(
                Offset(Decimal("0.05"), OffsetUnit.PPB), Offset(Decimal("0.1"), OffsetUnit.PPB)
            ),
            1,
            Fraction(1001),
            [950, 1102],  # 950.95 down, 1101.1 up
        ),
        (
            Bracket(
                Offset(Decimal("0.05"), OffsetUnit.PPB), Offset(Decimal("0.1"), OffsetUnit.PPB)
            ),
            -1,
            Fraction(1001),
            [1052, 900],  # 1051.05 up, 900.9 down
        ),
        (
            Bracket(
                Offset(Decimal("0.305"), OffsetUnit.PRICE), Offset(Decimal(7), OffsetUnit.TICKS)
            ),
            1,
            Fraction(2001, 2),
            [969, 1008],  # 1000.5 - 31 down, 1000.5 + 7 up
        ),
        (Bracket(Decimal("9.507"), Decimal("11.003")), 1, Fraction(1000), [950, 1101]),
    ],
    ids=["long", "short", "price-and-ticks", "absolute"],
)
def test_levels_are_rounded_away_and_to_the_passive_side(
    bracket: Bracket, side: int, average: Fraction, expected: list[int]
) -> None:
    stop, target = exits_of(bracket, GRID, side=side, average=average)
    assert stop.trigger is not None
    assert [stop.trigger.stop_ticks, target.limit_ticks] == expected
    assert (stop.order_type, target.order_type) == (OrderType.MARKET, OrderType.LIMIT)
    assert stop.reduce_only
    assert target.reduce_only


def test_a_trailing_stop_begins_at_the_entry() -> None:
    bracket = Bracket(trail=Offset(Decimal("0.03"), OffsetUnit.PPB))
    (trail,) = exits_of(bracket, GRID, side=1, average=Fraction(1000))
    assert trail.trigger == OrderTrigger(
        TriggerKind.TRAILING, trail_ppb=30_000_000, start_ticks=1000
    )
    world = World()
    world.wish("2", bracket)
    world.quote("9.99", "10.01")
    world.quote("10.40", "10.42")
    world.quote("10.10", "10.12")
    assert world.net == 2000
    world.quote("10.08", "10.10")  # 3 % below 10.40 is 10.088, down to 10.08
    assert world.net == 0
    assert world.session.container.order_manager.orders()[-1].request.side is TradeType.SELL


def test_a_trailing_stop_is_tested_from_the_price_of_the_entry() -> None:
    world = World()
    world.wish("2", Bracket(trail=Offset(Decimal("0.03"), OffsetUnit.PPB)))
    world.quote("9.99", "10.01")
    world.quote("9.71", "9.73")
    assert world.net == 2000
    world.quote("9.70", "9.72")  # 3 % below 10.01 is 9.7097, down to 9.70
    assert world.net == 0


def test_a_target_that_fills_in_parts_lowers_the_stop() -> None:
    world = entered(broker={"depth": "synthetic"})
    world.quote("11.00", "11.02", lots=500)
    assert world.net == 1500
    assert sorted(world.working(), key=str) == [
        ("SELL", 1500, 1100, None),
        ("SELL", 1500, None, 950),
    ]
    world.quote("9.40", "9.42")
    assert (world.net, world.working()) == (0, [])


def test_an_entry_that_fills_in_parts_is_protected_part_by_part() -> None:
    world = World(broker={"depth": "synthetic"})
    world.wish("2", LONG, order_type=BarOrderType.LIMIT, limit=Decimal("10.01"))
    world.quote("9.99", "10.01", lots=500)
    assert world.net == 500
    assert [lots for side, lots, _, _ in world.working() if side == "SELL"] == [500, 500]
    world.quote("9.99", "10.01", lots=1500)
    assert world.net == 2000
    exits = [lots for side, lots, _, _ in world.working() if side == "SELL"]
    assert sum(exits) == 4000
    world.quote("9.40", "9.42")
    assert (world.net, world.working()) == (0, [])
