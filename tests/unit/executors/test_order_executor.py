"""The order executor: prices, remainder, stop, update, restart."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.executors.actions import ActionCode
from engine.executors.order_config import (
    ExecutionStrategy,
    OrderExecutorConfig,
    OrderExecutorUpdate,
)
from engine.executors.order_executor import OrderExecutor
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.validation import describe_errors
from engine.model.orders import OrderState, OrderType, PositionAction, TradeType
from engine.testing.type_bench import TypeBench

LIMIT = {
    "connector_name": "paper",
    "trading_pair": "BTC-USDT",
    "side": "BUY",
    "amount": "1",
    "execution_strategy": "LIMIT",
    "price": "49",
}
Bench = TypeBench[OrderExecutor]


@pytest.fixture
def desk() -> Bench:
    """A desk at 50.0 / 50.1 whose venue only acknowledges."""
    bench = TypeBench(OrderExecutor, "order_executor", LIMIT)
    bench.venue.is_matching = False
    bench.price(500, 501)
    return bench


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amount": "0"}, "amount: must be greater than 0, got 0"),
        ({"amount": "much"}, "amount: must be a number, got 'much'"),
        ({"side": "RANGE"}, "side: must be one of BUY, SELL, got RANGE"),
        ({"price": "-1"}, "price: must be greater than 0, got -1"),
        ({"price": None}, "price is required for LIMIT, got None"),
        (
            {"price": None, "execution_strategy": "limit_maker"},
            "price is required for LIMIT_MAKER, got None",
        ),
        (
            {"execution_strategy": "limit_chaser"},
            "chaser_config is required for LIMIT_CHASER, got None",
        ),
        (
            {"execution_strategy": "ICEBERG"},
            "execution_strategy: must be one of LIMIT, LIMIT_MAKER, MARKET, LIMIT_CHASER, got",
        ),
        (
            {"position_action": "both"},
            "position_action: must be one of OPEN, CLOSE, NIL, got 'both'",
        ),
        (
            {"chaser_config": {"distance": 0, "refresh_threshold": 1}},
            "chaser_config.distance: must be greater than 0, got 0",
        ),
        ({"leverage": 0}, "leverage: must be at least 1, got 0"),
        ({"trading_pair": "BTC"}, "trading_pair: must be BASE-QUOTE, for example BTC-USDT"),
        ({"connector_name": ""}, "connector_name: must not be empty, got ''"),
        ({"iceberg": 1}, "iceberg: is not a known field"),
    ],
)
def test_a_wrong_configuration_is_refused_with_field_and_value(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        OrderExecutorConfig.model_validate(LIMIT | changes)
    assert message in "; ".join(map(str, describe_errors(caught.value)))


def test_names_are_read_in_any_case_and_defaults_are_those_of_the_specification() -> None:
    config = OrderExecutorConfig.model_validate(
        LIMIT | {"side": "sell", "execution_strategy": "Market", "chaser_config": ""}
    )
    assert config.execution_strategy is ExecutionStrategy.MARKET
    assert config.side is TradeType.SELL
    assert (config.position_action, config.leverage, config.level_id) == (
        PositionAction.OPEN,
        1,
        None,
    )
    assert OrderExecutorConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("strategy", "side", "price", "order_type", "limit"),
    [
        ("MARKET", "BUY", None, OrderType.MARKET, None),
        ("MARKET", "SELL", None, OrderType.MARKET, None),
        ("LIMIT", "BUY", "52", OrderType.LIMIT, 520),
        ("LIMIT", "BUY", "49.99", OrderType.LIMIT, 499),
        ("LIMIT", "SELL", "49.99", OrderType.LIMIT, 500),
        ("LIMIT_MAKER", "BUY", "52", OrderType.LIMIT_MAKER, 500),
        ("LIMIT_MAKER", "BUY", "49", OrderType.LIMIT_MAKER, 490),
        ("LIMIT_MAKER", "SELL", "48", OrderType.LIMIT_MAKER, 501),
        ("LIMIT_MAKER", "SELL", "53", OrderType.LIMIT_MAKER, 530),
    ],
)
def test_orders_have_the_type_and_price_of_the_strategy(
    desk: Bench,
    strategy: str,
    side: str,
    price: str | None,
    order_type: OrderType,
    limit: int | None,
) -> None:
    desk.create(execution_strategy=strategy, side=side, price=price)
    (order,) = desk.orders()
    request = order.request
    assert (request.order_type, request.limit_ticks, request.side.name) == (order_type, limit, side)
    assert request.lots == 1000


@pytest.mark.parametrize("action", list(PositionAction))
def test_the_position_action_is_the_configured_one(desk: Bench, action: PositionAction) -> None:
    desk.create(position_action=action.name.lower(), leverage=3)
    (order,) = desk.orders()
    assert (order.request.position_action, order.request.leverage) == (action, 3)


def test_the_example_of_the_specification(desk: Bench) -> None:
    executor = desk.create(execution_strategy="MARKET", price=None)
    desk.price(1000, 1000)
    desk.fill(desk.orders()[0], 600, 1000)
    info = executor.executor_info
    assert info.net_pnl_quote == 0
    assert info.filled_amount_quote == 60
    assert info.is_trading
    assert info.custom_info["current_position_average_price"] == "100.0"
    desk.fill(desk.orders()[0], 400, 1100)
    assert (executor.close_type, executor.is_done) == (CloseType.POSITION_HOLD, True)
    info = executor.executor_info
    assert info.custom_info["current_position_average_price"] == "104.0"
    assert {info.net_pnl_quote, info.filled_amount_quote, info.cum_fees_quote} == {Decimal(0)}
    (position,) = desk.orchestrator.get_positions_report()["main"]
    assert (position.amount, position.breakeven_price) == (Decimal(1), Decimal(104))


def test_all_orders_with_fills_are_held(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(desk.orders()[0], 300)
    desk.cancel(desk.orders()[0])
    assert executor.status is RunnableStatus.RUNNING
    desk.advance(1)
    assert [order.request.lots for order in desk.orders()] == [1000, 700]
    desk.fill(desk.orders()[1])
    assert executor.is_done
    assert [held.lots for held in executor.held_position_orders] == [300, 700]
    assert executor.retries == 0


def test_a_stop_keeps_what_is_filled(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(desk.orders()[0], 10)
    desk.stop(executor, keep=False)
    assert (executor.close_type, executor.is_done) == (CloseType.POSITION_HOLD, True)
    assert desk.states() == [OrderState.CANCELED]
    (position,) = desk.orchestrator.get_positions_report()["main"]
    assert position.amount == Decimal("0.01")


@pytest.mark.parametrize("keep", [None, True, False])
def test_a_stop_without_fills_is_an_early_stop(desk: Bench, keep: bool | None) -> None:
    executor = desk.create()
    desk.stop(executor, keep=keep)
    assert (executor.close_type, executor.is_done) == (CloseType.EARLY_STOP, True)
    assert executor.held_position_orders == ()
    assert not executor.is_handed_over


def test_a_fill_that_crosses_the_cancel_of_a_stop_is_held(desk: Bench) -> None:
    executor = desk.create()
    desk.venue.is_deaf = True
    desk.stop(executor)
    assert executor.status is RunnableStatus.SHUTTING_DOWN
    desk.fill(desk.orders()[0], 400)
    desk.advance(5)
    assert len(desk.venue.cancels) == 2
    desk.cancel(desk.orders()[0])
    assert (executor.close_type, executor.is_done) == (CloseType.POSITION_HOLD, True)
    assert [held.lots for held in executor.held_position_orders] == [400]


def test_a_failure_is_counted_and_tried_again_later(desk: Bench) -> None:
    desk.venue.rejections = 2
    executor = desk.create()
    assert executor.retries == 1
    desk.advance(1)
    assert executor.retries == 2
    desk.advance(1.9)
    assert len(desk.orders()) == 2
    desk.advance(0.1)
    assert desk.states() == [OrderState.FAILED, OrderState.FAILED, OrderState.OPEN]
    assert executor.status is RunnableStatus.RUNNING


def test_too_many_failures_end_it_and_hand_over_what_is_filled(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(desk.orders()[0], 250)
    desk.venue.rejections = 10**6
    desk.cancel(desk.orders()[0])
    desk.advance(1000)
    assert len(desk.orders()) == 12
    assert (executor.close_type, executor.retries) == (CloseType.FAILED, 11)
    (position,) = desk.orchestrator.get_positions_report()["main"]
    assert position.amount == Decimal("0.25")
    notices = [notice for notice in desk.orchestrator.take_notices() if notice.level == "error"]
    assert any("goes to the position store" in notice.text for notice in notices)


def test_a_remainder_too_small_to_trade_ends_it(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(desk.orders()[0], 995)
    desk.cancel(desk.orders()[0])
    assert (executor.close_type, executor.is_done) == (CloseType.POSITION_HOLD, True)
    assert [held.lots for held in executor.held_position_orders] == [995]


def test_a_late_fill_of_the_order_before_shrinks_the_working_one(desk: Bench) -> None:
    executor = desk.create()
    desk.cancel(desk.orders()[0])
    desk.advance(1)
    desk.fill(desk.orders()[0], 400)
    assert desk.states() == [OrderState.CANCELED, OrderState.CANCELED, OrderState.OPEN]
    assert desk.orders()[2].request.lots == 600
    assert executor.totals.entry_lots == 400


def test_a_missing_balance_ends_it_before_any_order(desk: Bench) -> None:
    desk.venue.is_funded = False
    executor = desk.create()
    assert executor.close_type is CloseType.INSUFFICIENT_BALANCE
    assert desk.orders() == []
    assert "does not cover BUY 1 paper:BTC-USDT at 49.0" in executor.executor_info.last_error


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount": "0.001"}, "amount 0.001 is below the least amount 0.010 of paper:BTC-USDT"),
        ({"amount": "0.01", "price": "49"}, "is worth 0.49000000, below the least notional 1"),
    ],
)
def test_an_amount_that_can_never_be_placed_fails_at_once(
    desk: Bench, changes: dict[str, str], reason: str
) -> None:
    executor = desk.create(**changes)
    assert (executor.close_type, executor.is_done) == (CloseType.FAILED, True)
    assert reason in executor.executor_info.last_error
    assert desk.orders() == []


@pytest.mark.parametrize("strategy", ["MARKET", "LIMIT_MAKER"])
def test_without_a_price_it_waits_for_the_first_quote(strategy: str) -> None:
    desk = TypeBench(OrderExecutor, "order_executor", LIMIT)
    executor = desk.create(execution_strategy=strategy)
    assert executor.executor_info.stale_price
    assert desk.orders() == []
    desk.price(500, 501)
    assert len(desk.orders()) == 1
    assert not executor.executor_info.stale_price
    assert executor.retries == 0


def test_a_limit_needs_no_quote() -> None:
    desk = TypeBench(OrderExecutor, "order_executor", LIMIT)
    desk.create()
    assert [order.request.limit_ticks for order in desk.orders()] == [490]


def test_an_update_moves_the_order_once_its_cancel_is_confirmed(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(desk.orders()[0], 100)
    desk.venue.is_deaf = True
    assert desk.update(executor, OrderExecutorUpdate(price=Decimal("49.5"))).ok
    assert len(desk.orders()) == 1
    assert len(desk.venue.cancels) == 1
    desk.cancel(desk.orders()[0])
    assert [order.request.limit_ticks for order in desk.orders()] == [490, 495]
    assert desk.orders()[1].request.lots == 900
    assert executor.config.price == Decimal("49.5")
    assert executor.retries == 0


@pytest.mark.parametrize(
    ("changes", "price", "reason"),
    [
        ({"execution_strategy": "MARKET", "price": None}, "49", "MARKET has no limit price"),
        ({"amount": "0.03"}, "20", "price 20 makes the order too small for paper:BTC-USDT"),
    ],
)
def test_an_update_that_does_not_fit_changes_nothing(
    desk: Bench, changes: dict[str, Any], price: str, reason: str
) -> None:
    executor = desk.create(**changes)
    before = executor.config
    result = desk.update(executor, OrderExecutorUpdate(price=Decimal(price)))
    assert result.code is ActionCode.UPDATE_REJECTED
    assert reason in result.message
    assert executor.config == before
    assert desk.venue.cancels == []


def test_only_running_ones_are_updated(desk: Bench) -> None:
    executor = desk.create()
    desk.stop(executor)
    result = desk.update(executor, OrderExecutorUpdate(price=Decimal(50)))
    assert result.code is ActionCode.NOT_RUNNING


def test_a_restart_goes_on_with_the_remainder(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(desk.orders()[0], 100)
    desk.update(executor, OrderExecutorUpdate(price=Decimal(48)))
    fresh, again = desk.reborn(executor)
    assert again.totals == executor.totals
    assert again.status is RunnableStatus.RUNNING
    assert again.config.price == Decimal(48)
    assert len(fresh.orders()) == 2
    fresh.fill(fresh.orders()[1])
    assert (again.close_type, again.is_done) == (CloseType.POSITION_HOLD, True)
    (position,) = fresh.orchestrator.get_positions_report()["main"]
    assert position.amount == 1


def test_a_working_order_is_a_line_of_the_ladder(desk: Bench) -> None:
    executor = desk.create()
    (line,) = executor.snapshot().barriers(500)
    assert line.kind == "entry"
    assert (line.price, line.distance_pct) == (Decimal(49), Decimal("-0.02"))
    assert executor.snapshot().entry_price == 49
    assert executor.snapshot().net_pnl_atoms(600) == 0
    desk.stop(executor)
    assert executor.snapshot().barriers(500) == ()


def test_the_report_names_the_newest_order(desk: Bench) -> None:
    executor = desk.create(level_id="L1")
    info = executor.executor_info
    assert info.custom_info["level_id"] == "L1"
    assert info.custom_info["order_price"] == "49.0"
    assert info.custom_info["remaining_amount"] == "1.000"
    assert info.custom_info["side"] == "BUY"
    assert info.custom_info["order_ids"] == [info.custom_info["order_id"]]
    assert info.side is TradeType.BUY
