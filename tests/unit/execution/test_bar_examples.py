"""The worked micro-examples of bar matching, to the digit."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.execution.bar_order import (
    LIMIT,
    MARKET,
    OFFSET_PPB,
    STOP,
    STOP_LIMIT,
    BarOrder,
    Bracket,
)
from engine.testing.bar_run import BarRun, bar_columns

FIRST = (100, 100, 100, 100)
UP = (103, 106, 101, 105)


def run(
    order: BarOrder, *bars: tuple[float, float, float, float], path: str = "pessimistic"
) -> BarRun:
    return BarRun(bar_columns([FIRST, *bars]), script={0: [order]}, path=path).run()


@pytest.mark.parametrize(
    ("bars", "order", "price"),
    [
        ([UP], BarOrder(0, 1, MARKET, 1), "103"),
        ([UP], BarOrder(0, 1, LIMIT, 1, limit=10200), "102"),
        ([(97, 99, 96, 98)], BarOrder(0, 1, LIMIT, 1, limit=9900), "97"),
        ([UP], BarOrder(0, 1, STOP, 1, stop=10200), "103"),
        ([UP], BarOrder(0, 1, STOP, 1, stop=10450), "104.5"),
        ([(90, 92, 88, 91)], BarOrder(0, -1, STOP, 1, stop=9500), "90"),
        (
            [(106, 108, 105, 107), (107, 107.5, 103, 104)],
            BarOrder(0, 1, STOP_LIMIT, 1, stop=10400, limit=10450),
            "104.5",
        ),
    ],
    ids=["market", "limit", "limit gap", "stop gap", "stop", "sell stop gap", "stop limit"],
)
def test_one_order(
    bars: list[tuple[float, float, float, float]], order: BarOrder, price: str
) -> None:
    played = run(order, *bars)
    assert played.prices() == [(order.side, Decimal(price))]
    assert played.states() == [("FILLED", "")]


def test_the_gapped_stop_limit_fills_on_the_second_bar() -> None:
    order = BarOrder(0, 1, STOP_LIMIT, 1, stop=10400, limit=10450)
    played = run(order, (106, 108, 105, 107), (107, 107.5, 103, 104))
    assert [fill.bar for fill in played.fills] == [2]
    assert played.fills[0].is_maker


@pytest.mark.parametrize(
    ("path", "price", "role"),
    [
        ("pessimistic", "95", "stop_loss"),
        ("adaptive", "103", "take_profit"),
        ("ohlc", "103", "take_profit"),
        ("olhc", "95", "stop_loss"),
    ],
)
def test_stop_and_target_in_one_bar(path: str, price: str, role: str) -> None:
    entry = BarOrder(0, 1, MARKET, 1, bracket=Bracket(sl=9500, tp=10300))
    played = run(entry, (100, 104, 94, 99), path=path)
    assert played.prices() == [(1, Decimal(100)), (-1, Decimal(price))]
    assert played.fills[1].order.role == role
    # FILL-23: the other path would fill the other exit; the entry at the open is certain.
    assert [fill.is_ambiguous for fill in played.fills] == [False, True]
    assert played.broker.ambiguous_fills == 1


def test_a_tie_of_the_adaptive_path_goes_low_first() -> None:
    entry = BarOrder(0, 1, MARKET, 1, bracket=Bracket(sl=9600, tp=10400))
    assert run(entry, (100, 105, 95, 99), path="adaptive").prices()[1] == (-1, Decimal(96))


def test_trailing_exit_of_three_percent() -> None:
    bracket = Bracket(sl_trail_unit=OFFSET_PPB, sl_trail_value=30_000_000)
    played = run(BarOrder(0, 1, MARKET, 1, bracket=bracket), (100, 104, 99, 100.5))
    assert played.prices()[1] == (-1, Decimal("100.88"))
    assert played.fills[1].order.extreme == 10400
