"""ORD-5: in live a fill is never discarded, and late or repeated news change nothing wrongly."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import permutations

import pytest

from engine.execution.order_manager import IllegalTransition, OrderManager, OverFillError
from engine.execution.outbox_broker import OutboxBroker
from engine.execution.reasons import ReasonCode
from engine.execution.reports import (
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderReport,
)
from engine.flow.errors import ExistsError
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import (
    CancelRequest,
    Fill,
    OrderRequest,
    OrderStatus,
    OrderType,
    PositionAction,
    TradeType,
)

MARKET = ConnectorPair("fake", "ACME-USD")
GRID = {MARKET: Instrument(MARKET, tick=Decimal("0.01"), lot=Decimal(1))}
BUY = OrderRequest(
    "O1", MARKET, TradeType.BUY, OrderType.LIMIT, 10, 1000, PositionAction.OPEN, 1, "X", "strategy"
)
ACCEPTED = OrderAccepted("O1", 1)
CANCELLED = OrderCancelled("O1", 1, ReasonCode.USER)
EXPIRED = OrderExpired("O1", 1, ReasonCode.GTD)
REJECTED = OrderRejected("O1", 1, ReasonCode.VENUE, "no")


def filled(number: int, lots: int) -> OrderFilled:
    notional = GRID[MARKET].notional_atoms(1000, lots)
    return OrderFilled(
        Fill(
            f"T{number}", "O1", "X", "strategy", MARKET, TradeType.BUY, lots, 1000, notional, 0,
            is_maker=True, ts_ns=number,
        )
    )  # fmt: skip


def manager(*, is_live: bool = True) -> OrderManager:
    made = OrderManager(instruments=GRID, is_live=is_live)
    made.admit(BUY, now_ns=0)
    return made


@pytest.mark.parametrize("ending", [CANCELLED, EXPIRED], ids=["cancelled", "expired"])
@pytest.mark.parametrize(
    ("lots", "status"), [(10, OrderStatus.FILLED), (4, None)], ids=["whole", "part"]
)
def test_a_fill_of_an_order_that_is_over_is_booked_and_flagged(
    ending: OrderReport, lots: int, status: OrderStatus | None
) -> None:
    orders = manager()
    orders.apply(ACCEPTED)
    over = orders.apply(ending)
    assert over is not None
    late = orders.apply(filled(1, lots))
    assert late is not None
    assert (late.late_fill, late.overfill, late.filled_lots) == (True, False, lots)
    assert late.status is (status or over.status)
    assert orders.apply(filled(1, lots)) is None
    assert orders.duplicate_fills == 1
    assert orders.working_lots(MARKET) == (0, 0)
    assert sum(orders.endings.values()) == 1


def test_a_fill_that_is_too_large_is_booked_and_flagged() -> None:
    orders = manager()
    orders.apply(ACCEPTED)
    orders.apply(filled(1, 8))
    over = orders.apply(filled(2, 5))
    assert over is not None
    assert (over.status, over.overfill, over.late_fill) == (OrderStatus.FILLED, True, False)
    assert (over.filled_lots, over.is_open) == (13, False)
    assert orders.open_count == 0
    assert orders.working_lots(MARKET) == (0, 0)


def test_in_simulation_both_are_errors() -> None:
    orders = manager(is_live=False)
    orders.apply(ACCEPTED)
    with pytest.raises(OverFillError):
        orders.apply(filled(1, 11))
    orders.apply(CANCELLED)
    with pytest.raises(IllegalTransition):
        orders.apply(filled(2, 1))


@pytest.mark.parametrize(
    "news",
    list(permutations([ACCEPTED, filled(1, 4), filled(2, 6), CANCELLED])),
    ids=lambda news: "-".join(type(one).__name__[5:] for one in news),
)
def test_the_order_of_the_news_does_not_matter(news: tuple[OrderReport, ...]) -> None:
    orders = manager()
    for one in news:
        orders.apply(one)
        orders.apply(one)
    order = orders.get_order("O1")
    assert (order.status, order.filled_lots) == (OrderStatus.FILLED, 10)
    assert orders.open_count == 0
    assert orders.working_lots(MARKET) == (0, 0)


def test_a_rejection_after_a_fill_is_too_late_to_be_true() -> None:
    orders = manager()
    orders.apply(filled(1, 4))
    assert orders.apply(REJECTED) is None
    assert orders.get_order("O1").status is OrderStatus.PARTIAL


def test_an_adopted_order_is_routed_and_not_validated() -> None:
    orders = OrderManager(instruments=GRID, is_live=True)
    odd = replace(BUY, lots=0 + 3, limit_ticks=7)
    order = orders.adopt(odd, now_ns=5)
    assert order.status is OrderStatus.ROUTED
    assert orders.adopt(odd, now_ns=6) == order
    with pytest.raises(ExistsError):
        orders.adopt(replace(odd, lots=4), now_ns=6)


@pytest.mark.parametrize(
    ("lots", "status", "working"),
    [(20, OrderStatus.PARTIAL, 16), (5, OrderStatus.PARTIAL, 1), (4, OrderStatus.FILLED, 0)],
)
def test_the_venue_says_how_large_an_order_is(lots: int, status: OrderStatus, working: int) -> None:
    orders = manager()
    orders.apply(ACCEPTED)
    orders.apply(filled(1, 4))
    order = orders.amend("O1", lots=lots, limit_ticks=990, now_ns=9)
    assert (order.request.lots, order.request.limit_ticks, order.status) == (lots, 990, status)
    assert orders.working_lots(MARKET) == (working, 0)
    assert orders.open_count == (1 if working else 0)
    if not working:
        with pytest.raises(IllegalTransition, match="cannot be amended"):
            orders.amend("O1", lots=5, limit_ticks=990, now_ns=9)


def test_an_outbox_gives_each_order_once_and_follows_the_book() -> None:
    orders, outbox = manager(), OutboxBroker(GRID)
    for _ in range(2):
        assert outbox.submit(BUY, now_ns=0) == ()
    assert outbox.take() == [BUY]
    assert outbox.take() == []
    assert outbox.open_orders() == (BUY,)
    outbox.cancel("O1", now_ns=1)
    assert outbox.take() == [CancelRequest("O1", MARKET, "X")]
    for report in (ACCEPTED, filled(1, 10)):
        order = orders.apply(report)
        assert order is not None
        outbox.note(order)
    outbox.note_fill(filled(1, 10).fill)
    assert outbox.open_orders() == ()
    assert outbox.net_lots(MARKET) == 10
    outbox.cancel("O1", now_ns=2)
    assert outbox.take() == []
    outbox.forget("O1")
    assert outbox.submit(BUY, now_ns=3) == ()
