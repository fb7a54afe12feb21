"""The chasing order follows the touch (DEV-12)."""

from __future__ import annotations

from typing import Any

import pytest

from engine.executors.order_executor import OrderExecutor
from engine.executors.status import CloseType
from engine.model.orders import OrderState, OrderType
from engine.testing.type_bench import TypeBench

CHASER = {
    "connector_name": "paper",
    "trading_pair": "BTC-USDT",
    "side": "BUY",
    "amount": "1",
    "execution_strategy": "LIMIT_CHASER",
    "chaser_config": {"distance": "0.01", "refresh_threshold": "0.02"},
}


@pytest.fixture
def desk() -> TypeBench[OrderExecutor]:
    """A desk at 100.0 / 100.1 whose venue only acknowledges."""
    bench = TypeBench(OrderExecutor, "order_executor", CHASER)
    bench.venue.is_matching = False
    bench.price(1000, 1001)
    return bench


def limits(desk: TypeBench[OrderExecutor]) -> list[int | None]:
    """Return the limits of all orders, oldest first."""
    return [order.request.limit_ticks for order in desk.orders()]


@pytest.mark.parametrize(("side", "limit"), [("BUY", 990), ("SELL", 1012)])
def test_it_is_placed_behind_the_touch_as_maker(
    desk: TypeBench[OrderExecutor], side: str, limit: int
) -> None:
    desk.create(side=side)
    assert limits(desk) == [limit]
    assert desk.orders()[0].request.order_type is OrderType.LIMIT_MAKER


def test_a_buy_follows_only_when_it_is_strictly_too_far(desk: TypeBench[OrderExecutor]) -> None:
    executor = desk.create()
    desk.price(1010, 1011)  # 1010 - 990 = 20 is not above 20.2
    assert limits(desk) == [990]
    desk.price(1011, 1012)  # 21 is above 20.22
    assert limits(desk) == [990, 1000]
    assert desk.states() == [OrderState.CANCELED, OrderState.OPEN]
    assert executor.retries == 0


def test_exactly_at_the_threshold_it_stays(desk: TypeBench[OrderExecutor]) -> None:
    desk.create(chaser_config={"distance": "0.01", "refresh_threshold": "0.1"})
    desk.price(1100, 1101)  # 110 is not above 110
    assert limits(desk) == [990]
    desk.price(1101, 1102)
    assert limits(desk) == [990, 1089]


def test_a_sell_follows_the_ask_down(desk: TypeBench[OrderExecutor]) -> None:
    desk.create(side="SELL")
    desk.price(992, 993)  # 1012 - 993 = 19 is not above 19.86
    assert limits(desk) == [1012]
    desk.price(991, 992)  # 20 is above 19.84
    assert limits(desk) == [1012, 1002]


def test_a_market_that_comes_nearer_moves_nothing(desk: TypeBench[OrderExecutor]) -> None:
    desk.create()
    desk.price(991, 992)
    assert limits(desk) == [990]


def test_the_new_order_waits_for_the_cancel_and_is_for_the_rest(
    desk: TypeBench[OrderExecutor],
) -> None:
    executor = desk.create()
    desk.venue.is_deaf = True
    desk.price(1050, 1051)
    desk.price(1060, 1061)
    assert limits(desk) == [990]
    assert len(desk.venue.cancels) == 1
    desk.fill(desk.orders()[0], 300)
    desk.cancel(desk.orders()[0])
    assert limits(desk) == [990, 1049]
    assert desk.orders()[1].request.lots == 700
    desk.fill(desk.orders()[1])
    assert (executor.close_type, executor.is_done) == (CloseType.POSITION_HOLD, True)
    assert [held.lots for held in executor.held_position_orders] == [300, 700]


def test_an_unanswered_cancel_is_sent_again(desk: TypeBench[OrderExecutor]) -> None:
    desk.create()
    desk.venue.is_deaf = True
    desk.price(1050, 1051)
    desk.advance(5)
    assert len(desk.venue.cancels) == 2


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_a_distance_above_the_threshold_comes_to_rest(
    desk: TypeBench[OrderExecutor], side: str
) -> None:
    desk.create(side=side, chaser_config={"distance": "0.02", "refresh_threshold": "0.01"})
    assert len(desk.orders()) == 1
    desk.price(1000, 1001)
    assert len(desk.orders()) == 1
    desk.price(1100, 1101)
    desk.price(1000, 1001)
    assert len(desk.orders()) <= 3
    assert [order.state for order in desk.orders()].count(OrderState.OPEN) == 1


@pytest.mark.parametrize("threshold", ["1", "2.5"])
def test_a_threshold_of_everything_never_follows(
    desk: TypeBench[OrderExecutor], threshold: str
) -> None:
    executor = desk.create(chaser_config={"distance": "0.01", "refresh_threshold": threshold})
    assert executor.wakes.prices == ()
    desk.price(10**6, 10**6)
    assert limits(desk) == [990]


def test_it_sleeps_until_the_edge(desk: TypeBench[OrderExecutor]) -> None:
    executor = desk.create()
    (trigger,) = executor.wakes.prices
    assert (trigger.level, trigger.is_above) == (1011, True)


def test_a_chaser_waits_for_the_first_quote() -> None:
    desk = TypeBench(OrderExecutor, "order_executor", CHASER)
    executor = desk.create()
    assert executor.executor_info.stale_price
    desk.price(1000, 1001)
    assert limits(desk) == [990]


def test_the_report_has_its_average(desk: TypeBench[OrderExecutor]) -> None:
    executor = desk.create()
    assert executor.snapshot().entry_price == 99
    info: dict[str, Any] = dict(executor.executor_info.custom_info)
    assert info["execution_strategy"] == "LIMIT_CHASER"
    assert info["current_position_average_price"] is None
