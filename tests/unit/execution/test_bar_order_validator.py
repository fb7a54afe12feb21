"""Every reason of the order validator (6.2), and orders as scripts write them (UNIT-5)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.execution.bar_order import (
    BASIS_FILL,
    GTD,
    LIMIT,
    MARKET,
    MOC,
    OFFSET_ATR,
    OFFSET_PPB,
    OFFSET_PRICE,
    OFFSET_TICKS,
    STOP,
    STOP_LIMIT,
    TRAILING_STOP,
    TRAILING_STOP_LIMIT,
    BarOrder,
    Bracket,
)
from engine.execution.bar_order_validator import BarOrderContext, find_bar_problem
from engine.execution.bar_settings import PriceGrid
from engine.execution.order_spec import place_on_grid, read_order_spec
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


def spec(**values: object) -> tuple[BarOrder, str | None]:
    values = {"symbol": "X", "side": "buy", "qty": 1, **values}
    order, problem = place_on_grid(read_order_spec(values), ["X"], [GRID])
    return order, None if problem is None else problem.value


def test_unit_5_prices_and_quantities_off_the_grid() -> None:
    order, _ = spec(type="stop_limit", qty="1.29", limit=100.07, stop="100.02")
    # A buy limit goes down, a buy stop up, a quantity toward zero.
    assert (order.lots, order.limit, order.stop) == (12, 2001, 2001)
    order, _ = spec(type="STOP_LIMIT", side="SELL", limit="100.07", stop="100.02")
    assert (order.limit, order.stop) == (2002, 2000)
    order, _ = spec(type="MARKET_IF_TOUCHED", stop="100.02")
    assert order.stop == 2000
    order, _ = spec(bracket={"sl": "99.99", "tp": "101.01"})
    assert order.bracket is not None
    assert (order.bracket.sl, order.bracket.tp) == (1999, 2021)
    order, _ = spec(side=-1, bracket={"sl": "101.01", "tp": "99.99"})
    assert order.bracket is not None
    assert (order.bracket.sl, order.bracket.tp) == (2021, 1999)


def test_unit_5_a_strict_grid_refuses() -> None:
    values = {"symbol": "X", "side": "buy", "qty": 1, "type": "LIMIT", "limit": "100.07"}
    _, problem = place_on_grid(read_order_spec(values), ["X"], [GRID], price_grid=PriceGrid.STRICT)
    assert problem is not None
    assert problem.value == "PRICE_OFF_GRID"
    columns = bar_columns([(100, 100, 100, 100)])
    played = BarRun(columns, price_grid="strict").run()
    refused = played.broker.submit_spec(read_order_spec({**values, "limit": "100.001"}), now_ns=1)
    assert (refused.status.name, refused.reason) == ("REJECTED", "PRICE_OFF_GRID")
    placed = played.broker.submit_spec(read_order_spec(values), now_ns=1)
    assert (placed.status.name, placed.limit) == ("ROUTED", 10007)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"symbol": None}, "MISSING_FIELD"),
        ({"side": None}, "MISSING_FIELD"),
        ({"qty": None}, "MISSING_FIELD"),
        ({"symbol": "Y"}, "UNKNOWN_SYMBOL"),
        ({"side": "long"}, "BAD_SIDE"),
        ({"type": "ICEBERG"}, "BAD_TYPE"),
        ({"tif": "GTX"}, "BAD_TYPE"),
    ],
)
def test_specs_that_are_no_orders(values: dict[str, object], code: str) -> None:
    assert spec(**values)[1] == code


@pytest.mark.parametrize(
    ("trail", "expected"),
    [
        ({"price": "0.12"}, (OFFSET_PRICE, 3, 0)),
        ({"pct": 3}, (OFFSET_PPB, 30_000_000, 0)),
        ({"bps": 2.5}, (OFFSET_PPB, 250_000, 0)),
        ({"ticks": 7}, (OFFSET_TICKS, 7, 0)),
        ({"atr": 2.5, "n": 20}, (OFFSET_ATR, 2_500_000_000, 20)),
    ],
)
def test_offsets(trail: dict[str, object], expected: tuple[int, int, int]) -> None:
    order, _ = spec(type="TRAILING_STOP", trail=trail, limit_offset="0.06", activation="100.02")
    assert (order.trail_unit, order.trail_value, order.trail_n) == expected
    assert (order.limit_offset, order.activation) == (2, 2000)
    order, _ = spec(bracket={"basis": "fill", "sl": trail, "tp": trail, "sl_trail": trail})
    bracket = order.bracket
    assert bracket is not None
    assert (bracket.sl_unit, bracket.sl, bracket.sl_n) == expected
    assert (bracket.tp_unit, bracket.tp, bracket.tp_n) == expected
    assert (bracket.sl_trail_unit, bracket.sl_trail_value, bracket.sl_trail_n) == expected


def test_the_other_fields_of_a_spec() -> None:
    order, problem = spec(
        qty=None,
        size_pct=0.25,
        tif="gtd",
        expire="2020-01-02",
        reduce_only=True,
        post_only=True,
        oco_group="g",
        oco_mode="cancel",
        tag="t",
        strategy_id="s",
        client_id="c",
    )
    assert problem is None
    assert (order.size_ppb, order.tif, order.expire_ns) == (250_000_000, GTD, 1_577_923_200 * 10**9)
    assert (order.reduce_only, order.post_only, order.oco_group, order.oco_mode) == (
        True,
        True,
        "g",
        2,
    )
    assert (order.tag, order.owner, order.client_id) == ("t", "s", "c")
    assert spec(expire=5)[0].expire_ns == 5


@pytest.mark.parametrize(
    "values",
    [
        {"qauntity": 1},
        {"trail": {}},
        {"trail": {"pct": 1, "ticks": 1}},
        {"bracket": {"sl": {"pct": 1}}},
        {"bracket": {"basis": "fill", "tp": 100}},
        {"limit": "high"},
    ],
)
def test_specs_that_nobody_can_read(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        read_order_spec(values)
