"""Books that agree say nothing; each kind of disagreement is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.containers.reconciliation import (
    MarketBooks,
    executor_lots,
    order_differences,
    position_differences,
)
from engine.model.orders import STRATEGY_ROLE, PositionSide
from engine.testing.small_session import MARKET, OTHER, SmallSession, instrument_of

BOOKS = MarketBooks(instrument_of(MARKET), account=5, broker=5, held=2, executors=3)
LIMIT = {"entry_price": "9.00", "triple_barrier_config": {"stop_loss": "0.1"}}


def begin() -> SmallSession:
    session = SmallSession()
    session.begin()
    session.quote(1, "9.99", "10.01")
    return session


def test_equal_books_have_no_difference() -> None:
    assert position_differences([BOOKS]) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"broker": 4}, "sim:AAA-USDT: the account holds 0.005, the broker 0.004"),
        ({"executors": 4}, "sim:AAA-USDT: the account holds 0.005, executors 0.004 and position"),
        ({"held": -2}, "and position holds -0.002"),
    ],
)
def test_a_difference_names_market_and_amounts(changes: dict[str, Any], text: str) -> None:
    (found,) = position_differences([replace(BOOKS, **changes)])
    assert text in found.text
    assert found.subject == "sim:AAA-USDT"


def test_what_nobody_reports_is_not_compared() -> None:
    assert position_differences([replace(BOOKS, executors=None, held=9)]) == []


def test_a_session_agrees_at_every_step_of_a_life() -> None:
    session = begin()
    assert session.container.differences() == ()
    first = session.create()
    session.create(side="SELL", amount="1", **LIMIT, activation_bounds=None)
    for second, bid in enumerate(("9.99", "9.50", "9.10", "8.50", "8.00"), start=2):
        session.quote(second, bid, f"{float(bid) + 0.02:.2f}")
        assert session.container.differences() == ()
    assert session.snapshot(first).is_done


def test_a_kept_position_is_held_and_agrees() -> None:
    session = begin()
    session.act("stop", executor_id=session.create(), keep_position=True)
    session.quote(2, "9.99", "10.01")
    assert session.published().held_lots[MARKET, PositionSide.BOTH] == 2000
    assert session.container.differences() == ()


def test_orders_are_compared_both_ways_and_with_their_owners() -> None:
    session = begin()
    executor_id = session.create(**LIMIT)
    (order,) = session.container.order_manager.open_orders()
    order_id = order.request.client_order_id
    assert order_differences([order], [order_id], [executor_id]) == []
    lost, foreign = order_differences([order], ["F-1"], [executor_id])
    assert lost.text == f"order {order_id} is open in the book and not at the broker"
    assert foreign.text == "order F-1 is open at the broker and not in the book"
    (orphan,) = order_differences([order], [order_id], [])
    assert orphan.text == f"order {order_id} belongs to {executor_id}, which is over"
    of_strategy = replace(order, request=replace(order.request, role=STRATEGY_ROLE))
    assert order_differences([of_strategy], [order_id], []) == []


def test_an_executor_holds_what_it_opened_until_it_is_over() -> None:
    session = begin()
    executor_id = session.create()
    snapshot = session.snapshot(executor_id)
    assert executor_lots([snapshot], [MARKET, OTHER]) == {MARKET: 2000, OTHER: 0}
    session.act("stop", executor_id=executor_id)
    session.quote(2, "9.99", "10.01")
    assert executor_lots([session.snapshot(executor_id)], [MARKET])[MARKET] == 0
