"""Every reason code of the validator, and what it lets pass."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.execution.order_validator import OrderContext, find_problem
from engine.model.instruments import ConnectorPair, Instrument, Settlement
from engine.model.orders import OrderRequest, OrderType, PositionAction, TradeType

MARKET = ConnectorPair("paper", "ACME-USD")
GRID = Instrument(
    MARKET,
    tick=Decimal("0.01"),
    lot=Decimal("0.1"),
    min_qty=Decimal("0.5"),
    max_qty=Decimal(100),
    min_notional=Decimal(10),
)
LIMIT = OrderRequest(
    client_order_id="O1",
    market=MARKET,
    side=TradeType.BUY,
    order_type=OrderType.LIMIT,
    lots=100,
    limit_ticks=1000,
    position_action=PositionAction.OPEN,
    leverage=1,
    owner_id="X1",
    role="entry",
)
CONTEXT = OrderContext(instrument=GRID, mark_twice=2000)
SPOT = replace(GRID, settlement=Settlement.SPOT)


@pytest.mark.parametrize(
    ("request_changes", "context_changes", "code"),
    [
        ({"client_order_id": ""}, {}, "MISSING_FIELD"),
        ({"owner_id": ""}, {}, "MISSING_FIELD"),
        ({}, {"instrument": None}, "UNKNOWN_SYMBOL"),
        ({"side": TradeType.RANGE}, {}, "BAD_SIDE"),
        ({"leverage": 0}, {}, "BAD_LEVERAGE"),
        ({"order_type": OrderType.MARKET}, {}, "BAD_TYPE"),
        ({"limit_ticks": None}, {}, "PRICE_REQUIRED"),
        ({"order_type": OrderType.LIMIT_MAKER, "limit_ticks": None}, {}, "PRICE_REQUIRED"),
        ({"limit_ticks": 0}, {}, "PRICE_NOT_POSITIVE"),
        ({"limit_ticks": -5}, {}, "PRICE_NOT_POSITIVE"),
        ({"lots": 0}, {}, "QTY_NOT_POSITIVE"),
        ({"lots": -1}, {}, "QTY_NOT_POSITIVE"),
        ({"lots": 4}, {}, "QTY_BELOW_MIN"),
        ({"lots": 1001}, {}, "QTY_ABOVE_MAX"),
        ({"lots": 9}, {}, "MIN_NOTIONAL"),
        (
            {"lots": 9, "order_type": OrderType.MARKET, "limit_ticks": None},
            {"mark_twice": 2001},
            "MIN_NOTIONAL",
        ),
        ({"reduce_only": True}, {}, "REDUCE_ONLY_NO_POSITION"),
        ({"reduce_only": True}, {"net_lots": 5}, "REDUCE_ONLY_NO_POSITION"),
        (
            {"side": TradeType.SELL},
            {"instrument": replace(GRID, shortable=False), "net_lots": 99},
            "NOT_SHORTABLE",
        ),
        (
            {"side": TradeType.SELL},
            {"instrument": SPOT, "net_lots": 150, "working_sell_lots": 51},
            "SHORT_NOT_ALLOWED",
        ),
        ({}, {"is_stopped": True}, "CONTAINER_STOPPED"),
    ],
)
def test_a_bad_order_is_refused_with_its_code(
    request_changes: dict[str, Any], context_changes: dict[str, Any], code: str
) -> None:
    problem = find_problem(replace(LIMIT, **request_changes), replace(CONTEXT, **context_changes))
    assert problem is not None
    assert problem.code == code
    assert problem.text


@pytest.mark.parametrize(
    ("request_changes", "context_changes"),
    [
        ({}, {}),
        ({"lots": 10}, {}),
        ({"order_type": OrderType.MARKET, "limit_ticks": None}, {}),
        ({"lots": 9, "order_type": OrderType.MARKET, "limit_ticks": None}, {"mark_twice": 0}),
        ({"lots": 9, "reduce_only": True}, {"net_lots": -20}),
        ({"lots": 9}, {"net_lots": -9}),
        ({"side": TradeType.SELL}, {}),
        ({"side": TradeType.SELL}, {"instrument": SPOT, "net_lots": 100}),
        ({"side": TradeType.SELL}, {"instrument": SPOT, "is_margin_account": True}),
    ],
    ids=[
        "limit",
        "notional equal to the minimum",
        "market",
        "no mark to value a market order",
        "reduce-only below the minimum notional",
        "close of the whole position below the minimum notional",
        "short of a derivative",
        "spot sell of what is held",
        "spot short in a margin account",
    ],
)
def test_a_good_order_passes(
    request_changes: dict[str, Any], context_changes: dict[str, Any]
) -> None:
    request = replace(LIMIT, **request_changes)
    assert find_problem(request, replace(CONTEXT, **context_changes)) is None


def test_messages_tell_the_values() -> None:
    problem = find_problem(replace(LIMIT, lots=4), CONTEXT)
    assert problem is not None
    assert problem.text == "the amount 0.4 is below 0.5"
