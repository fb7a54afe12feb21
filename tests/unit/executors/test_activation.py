"""Activation bounds: inclusive, exact in half ticks."""

from __future__ import annotations

from fractions import Fraction

import pytest

from engine.executors.activation import ALWAYS, ActivationWindow, activation_window
from engine.executors.wake_conditions import PriceField, PriceTrigger
from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderType, TradeType

MARKET = ConnectorPair("paper", "BTC-USDT")
TENTH = (Fraction("0.1"),)


@pytest.mark.parametrize(
    ("side", "order_type", "bounds", "low", "high"),
    [
        (TradeType.BUY, OrderType.LIMIT, ("0.1",), None, 2000),
        (TradeType.SELL, OrderType.LIMIT, ("0.25",), 1440, None),
        (TradeType.BUY, OrderType.MARKET, ("0.1", "0.2"), 1620, 2160),
        (TradeType.SELL, OrderType.MARKET, ("0.1", "0.2"), 1440, 1980),
        (TradeType.BUY, OrderType.LIMIT, ("1",), None, None),
    ],
)
def test_the_window_of_an_order_at_900(
    side: TradeType,
    order_type: OrderType,
    bounds: tuple[str, ...],
    low: int | None,
    high: int | None,
) -> None:
    window = activation_window(Fraction(900), side, order_type, tuple(map(Fraction, bounds)))
    assert (window.low, window.high) == (low, high)


def test_bounds_are_inclusive() -> None:
    window = ActivationWindow(10, 20)
    assert [window.contains(mid) for mid in (9, 10, 20, 21)] == [False, True, True, False]


def test_without_bounds_an_order_always_works() -> None:
    assert activation_window(Fraction(900), TradeType.BUY, OrderType.LIMIT, None) is ALWAYS
    assert ALWAYS.contains(1)
    assert ALWAYS.edge_triggers(MARKET, 1) == ()


@pytest.mark.parametrize(
    ("mid", "edges"),
    [
        (5, [(True, 10)]),
        (25, [(False, 20)]),
        (15, [(False, 9), (True, 21)]),
    ],
)
def test_edges_watch_what_changes_the_answer(mid: int, edges: list[tuple[bool, int]]) -> None:
    assert ActivationWindow(10, 20).edge_triggers(MARKET, mid) == tuple(
        PriceTrigger(MARKET, PriceField.MID, is_above=above, level=level) for above, level in edges
    )


def test_a_limit_window_is_decided_exactly() -> None:
    window = activation_window(Fraction(1000), TradeType.BUY, OrderType.LIMIT, TENTH)
    exact = Fraction(2000) / (1 - TENTH[0])
    assert window.high is not None
    assert window.high <= exact < window.high + 1
