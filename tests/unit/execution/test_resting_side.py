"""Resting orders: order of matching, and counted costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.execution.live_order import LiveOrder
from engine.execution.resting_side import RestingSide
from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderRequest, OrderType, PositionAction, TradeType

REQUEST = OrderRequest(
    client_order_id="O",
    market=ConnectorPair("paper", "ACME-USD"),
    side=TradeType.BUY,
    order_type=OrderType.LIMIT,
    lots=1,
    limit_ticks=1,
    position_action=PositionAction.OPEN,
    leverage=1,
    owner_id="X",
    role="entry",
)


def order(name: str) -> LiveOrder:
    return LiveOrder(replace(REQUEST, client_order_id=name))


def names(orders: list[tuple[LiveOrder, int]]) -> list[str]:
    return [item.request.client_order_id for item, _ in orders]


@pytest.mark.parametrize(("sign", "opposite", "expected"), [(1, 20, "cab"), (-1, 20, "dab")])
def test_reached_orders_come_by_price_then_arrival(sign: int, opposite: int, expected: str) -> None:
    side = RestingSide(sign)
    for name, ticks in [("a", 20), ("b", 20), ("c", 30), ("d", 10)]:
        side.add(order(name), ticks)
    assert side.is_reached(opposite)
    assert names(side.reached(opposite)) == list(expected)
    assert [limit for _, limit in side.reached(opposite)][1:] == [20, 20]


def test_an_empty_side_is_never_reached() -> None:
    assert not RestingSide(1).is_reached(-(10**9))


def test_discarding_is_exact_and_idempotent() -> None:
    side = RestingSide(1)
    first, second = order("a"), order("b")
    side.add(first, 10)
    side.add(second, 10)
    for _ in range(2):
        side.discard(first, 10)
    side.discard(first, 99)
    assert names(side.reached(0)) == ["b"]
    side.discard(second, 10)
    assert side.keys == []


class CountedTicks(int):
    """A price that counts how often it is compared."""

    compared = 0

    def __lt__(self, other: int) -> bool:
        CountedTicks.compared += 1
        return int(self) < other

    def __ge__(self, other: int) -> bool:
        CountedTicks.compared += 1
        return int(self) >= other

    def __mul__(self, other: int) -> CountedTicks:
        return CountedTicks(int(self) * other)

    __rmul__ = __mul__


@pytest.mark.parametrize("resting", [100, 10_000])
def test_a_quote_that_reaches_nothing_costs_one_comparison(resting: int) -> None:
    side = RestingSide(1)
    for ticks in range(resting):
        side.add(order(f"O{ticks}"), CountedTicks(ticks))
    CountedTicks.compared = 0
    assert not side.is_reached(resting)
    assert CountedTicks.compared == 1
    assert names(side.reached(resting - 2)) == [f"O{resting - 1}", f"O{resting - 2}"]
    assert CountedTicks.compared <= 1 + resting.bit_length()
