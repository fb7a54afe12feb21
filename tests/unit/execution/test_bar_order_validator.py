"""Every reason of the order validator (6.2)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.execution.bar_order import (
    BASIS_FILL,
    GTD,
    LIMIT,
    MARKET,
    MOC,
    OFFSET_ATR,
    OFFSET_PPB,
    OFFSET_TICKS,
    STOP,
    STOP_LIMIT,
    TRAILING_STOP,
    TRAILING_STOP_LIMIT,
    BarOrder,
    Bracket,
)
from engine.execution.bar_order_validator import BarOrderContext, find_bar_problem
from engine.model.instruments import PPB, ConnectorPair, Instrument
from engine.testing.bar_run import BarRun, bar_columns

GRID = Instrument(
    ConnectorPair("backtest", "X"),
    tick=Decimal("0.05"),
    lot=Decimal("0.1"),
    min_qty=Decimal("0.5"),
    max_qty=Decimal(100),
    min_notional=Decimal(10),
)
UNSHORTABLE = Instrument(
    ConnectorPair("backtest", "X"), tick=Decimal(1), lot=Decimal(1), shortable=False
)


def reason(order: BarOrder, instrument: Instrument | None = GRID, **context: Any) -> str | None:
    context.setdefault("mark", 2000)
    found = find_bar_problem(order, BarOrderContext(instrument, **context))
    return None if found is None else found.value


def test_a_plain_order_passes() -> None:
    assert reason(BarOrder(0, 1, MARKET, 5)) is None
    assert reason(BarOrder(0, -1, LIMIT, 5, limit=2000, post_only=True)) is None
    assert reason(BarOrder(0, 1, MARKET, size_ppb=PPB)) is None


def trailing(**fields: Any) -> BarOrder:
    return BarOrder(0, -1, TRAILING_STOP, 5, **fields)


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (BarOrder(-1, 1, MARKET, 5), "MISSING_FIELD"),
        (BarOrder(0, 0, MARKET, 5), "MISSING_FIELD"),
        (BarOrder(0, 1, -1, 5), "MISSING_FIELD"),
        (BarOrder(0, 2, MARKET, 5), "BAD_SIDE"),
        (BarOrder(0, 1, 9, 5), "BAD_TYPE"),
        (BarOrder(0, 1, MARKET, 5, tif=5), "BAD_TYPE"),
        (BarOrder(0, 1, MARKET, 5, limit=2000), "BAD_TYPE"),
        (BarOrder(0, 1, MOC, 5, stop=2000), "BAD_TYPE"),
        (BarOrder(0, 1, STOP, 5, stop=2000, post_only=True), "BAD_TYPE"),
        (BarOrder(0, 1, MARKET, 5, size_ppb=1), "BAD_TYPE"),
        (BarOrder(0, 1, MARKET, 0), "QTY_NOT_POSITIVE"),
        (BarOrder(0, 1, MARKET, -5), "QTY_NOT_POSITIVE"),
        (BarOrder(0, 1, MARKET, size_ppb=PPB + 1), "QTY_NOT_POSITIVE"),
        (BarOrder(0, 1, MARKET, 4), "QTY_BELOW_MIN"),
        (BarOrder(0, 1, MARKET, 1001), "QTY_ABOVE_MAX"),
        (BarOrder(0, 1, LIMIT, 5), "PRICE_REQUIRED"),
        (BarOrder(0, 1, STOP, 5), "PRICE_REQUIRED"),
        (BarOrder(0, 1, LIMIT, 5, limit=0), "PRICE_NOT_POSITIVE"),
        (BarOrder(0, 1, STOP, 5, stop=-1), "PRICE_NOT_POSITIVE"),
        (BarOrder(0, 1, STOP_LIMIT, 5, stop=2000), "STOP_LIMIT_INCOMPLETE"),
        (BarOrder(0, 1, STOP_LIMIT, 5, limit=2000), "STOP_LIMIT_INCOMPLETE"),
        (trailing(), "TRAIL_INVALID"),
        (trailing(trail_unit=OFFSET_TICKS), "TRAIL_INVALID"),
        (trailing(trail_unit=9, trail_value=1), "TRAIL_INVALID"),
        (trailing(trail_unit=OFFSET_PPB, trail_value=PPB), "TRAIL_INVALID"),
        (trailing(trail_unit=OFFSET_ATR, trail_value=PPB), "TRAIL_INVALID"),
        (
            BarOrder(0, 1, TRAILING_STOP_LIMIT, 5, trail_unit=1, trail_value=1, limit_offset=-1),
            "TRAIL_INVALID",
        ),
        (BarOrder(0, 1, MARKET, 5, bracket=Bracket(sl_trail_unit=2)), "TRAIL_INVALID"),
        (BarOrder(0, 1, MARKET, 5, tif=GTD), "EXPIRE_REQUIRED"),
        (BarOrder(0, 1, MARKET, 5, tif=GTD, expire_ns=7), "EXPIRED_ON_ARRIVAL"),
        (BarOrder(0, 1, LIMIT, 5, limit=2000, bracket=Bracket(sl=2000)), "BRACKET_INVERTED"),
        (BarOrder(0, 1, LIMIT, 5, limit=2000, bracket=Bracket(tp=2000)), "BRACKET_INVERTED"),
        (BarOrder(0, -1, STOP, 5, stop=2000, bracket=Bracket(sl=1999)), "BRACKET_INVERTED"),
        (BarOrder(0, -1, STOP, 5, stop=2000, bracket=Bracket(tp=2001)), "BRACKET_INVERTED"),
        (BarOrder(0, 1, MARKET, 5, bracket=Bracket(sl=0)), "PRICE_NOT_POSITIVE"),
        (
            BarOrder(0, 1, MARKET, 5, bracket=Bracket(sl=0, sl_unit=3, basis=BASIS_FILL)),
            "BRACKET_INVERTED",
        ),
        (BarOrder(0, 1, MARKET, 5, reduce_only=True), "REDUCE_ONLY_NO_POSITION"),
        (BarOrder(0, 1, LIMIT, 5, limit=399), "MIN_NOTIONAL"),
        (BarOrder(0, 1, STOP, 5, stop=399), "MIN_NOTIONAL"),
    ],
)
def test_reasons(order: BarOrder, code: str) -> None:
    assert reason(order, arrival_ns=7) == code


def test_reasons_of_the_context() -> None:
    order = BarOrder(0, -1, MARKET, 5)
    assert reason(order, None) == "UNKNOWN_SYMBOL"
    assert reason(order, is_stopped=True) == "CONTAINER_STOPPED"
    assert reason(order, is_halted=True) == "RISK_HALTED"
    assert reason(order, is_halted=True, net_lots=5) is None
    assert reason(order, is_duplicate=True) == "DUPLICATE_CLIENT_ID"
    assert reason(order, is_oco_closed=True) == "OCO_GROUP_CLOSED"
    assert reason(order, mark=399) == "MIN_NOTIONAL"
    assert reason(order, mark=None) is None
    # A close of the whole position, and a reduction, may be small.
    assert reason(order, mark=399, net_lots=5) is None
    reduction = BarOrder(0, -1, MARKET, 5, reduce_only=True)
    assert reason(reduction, mark=399, net_lots=9) is None
    assert reason(BarOrder(0, 1, LIMIT, 5, limit=-3), allow_nonpositive=True) == "MIN_NOTIONAL"
    assert reason(BarOrder(0, 1, LIMIT, 5, limit=-2000), allow_nonpositive=True) is None


def test_short_sales() -> None:
    sell = BarOrder(0, -1, MARKET, 5)
    assert reason(sell, is_margin=False) == "SHORT_NOT_ALLOWED"
    assert reason(sell, is_margin=False, net_lots=5) is None
    assert reason(sell, is_margin=False, net_lots=8, working_sell_lots=4) == "SHORT_NOT_ALLOWED"
    assert reason(sell, UNSHORTABLE) == "NOT_SHORTABLE"
    assert reason(sell, UNSHORTABLE, net_lots=5) is None
    assert reason(BarOrder(0, 1, MARKET, 5), is_margin=False) is None


def test_orders_of_one_oco_group_do_not_add_up_as_short_sales() -> None:
    columns = bar_columns([(100, 100, 100, 100)] * 3)
    orders = [
        BarOrder(0, -1, LIMIT, 5, limit=11000, oco_group=1),
        BarOrder(0, -1, STOP, 5, stop=9000, oco_group=1),
        BarOrder(0, -1, STOP, 5, stop=9000),
    ]
    played = BarRun(
        columns,
        script={0: [BarOrder(0, 1, MARKET, 5)], 1: orders},
        account={"account": "cash"},
    ).run()
    assert [order.status.name for order in orders] == ["ROUTED", "ROUTED", "REJECTED"]
    assert orders[2].reason == "SHORT_NOT_ALLOWED"
    assert played.broker.rejections == {"SHORT_NOT_ALLOWED": 1}


def test_client_ids() -> None:
    played = BarRun(bar_columns([(100, 100, 100, 100)])).run()
    broker = played.broker
    first = BarOrder(0, 1, MARKET, 1, client_id="mine")
    assert broker.submit(first, now_ns=1)
    # The same order again is no second order (7.1), another one with its id is refused.
    assert broker.submit(first, now_ns=1)
    assert len(broker.orders) == 1
    second = BarOrder(0, 1, MARKET, 1, client_id="mine")
    assert not broker.submit(second, now_ns=1)
    assert second.reason == "DUPLICATE_CLIENT_ID"
    third = BarOrder(0, 1, MARKET, 1)
    broker.submit(third, now_ns=1)
    assert third.client_id == "bt-O00000002"
    assert broker.order("mine") is first
    assert broker.order("bt-O00000002") is third
    assert broker.order("bt-O00000009") is None
    assert not broker.submit(BarOrder(5, 1, MARKET, 1), now_ns=1)
    assert broker.orders[3].reason == "UNKNOWN_SYMBOL"
