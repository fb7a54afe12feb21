"""The TWAP executor: plan, slots, renewal, failure, end, report."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.executors.status import CloseType, RunnableStatus
from engine.executors.twap_config import TWAPExecutorConfig, TWAPMode
from engine.executors.twap_executor import TWAPExecutor
from engine.executors.validation import describe_errors
from engine.model.orders import OrderState, OrderType, TradeType
from engine.testing.type_bench import TypeBench

TWAP = {
    "connector_name": "paper",
    "trading_pair": "BTC-USDT",
    "side": "BUY",
    "total_amount_quote": "1300",
    "total_duration": 3600,
    "order_interval": 300,
}
MAKER = {"mode": "MAKER", "limit_order_buffer": "0.01", "order_resubmission_time": 60}
Bench = TypeBench[TWAPExecutor]


@pytest.fixture
def desk() -> Bench:
    """A desk at 100.0 / 100.0 whose venue only acknowledges."""
    bench = TypeBench(TWAPExecutor, "twap_executor", TWAP)
    bench.venue.is_matching = False
    bench.price(1000)
    return bench


@pytest.fixture
def market(desk: Bench) -> Bench:
    """The same desk with a venue that fills."""
    desk.venue.is_matching = True
    return desk


def lots(desk: Bench) -> list[int]:
    """Return the lots of all orders, oldest first."""
    return [order.request.lots for order in desk.orders()]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"total_amount_quote": "0"}, "total_amount_quote: must be greater than 0, got 0"),
        ({"total_duration": 0}, "total_duration: must be at least 1, got 0"),
        ({"order_interval": -5}, "order_interval: must be at least 1, got -5"),
        ({"mode": "maker"}, "limit_order_buffer is required in MAKER mode, got None"),
        ({"mode": "PASSIVE"}, "mode: must be one of MAKER, TAKER, got 'PASSIVE'"),
        ({"limit_order_buffer": "-0.1"}, "limit_order_buffer: must not be negative, got -0.1"),
        (
            {"order_resubmission_time": -1},
            "order_resubmission_time: must be at least 1, got -1",
        ),
        ({"side": "range"}, "side: must be one of BUY, SELL, got RANGE"),
        ({"leverage": 0}, "leverage: must be at least 1, got 0"),
    ],
)
def test_a_wrong_configuration_is_refused_with_field_and_value(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        TWAPExecutorConfig.model_validate(TWAP | changes)
    assert message in "; ".join(map(str, describe_errors(caught.value)))


@pytest.mark.parametrize(
    ("duration", "interval", "count"), [(3600, 300, 13), (10, 3, 4), (9, 3, 4), (2, 5, 1)]
)
def test_the_number_of_parts(duration: int, interval: int, count: int) -> None:
    config = TWAPExecutorConfig.model_validate(
        TWAP | {"total_duration": duration, "order_interval": interval}
    )
    assert config.number_of_orders == count
    assert config.order_amount_quote == Decimal(1300) / count
    assert config.order_type is OrderType.MARKET
    assert TWAPExecutorConfig.model_validate_json(config.model_dump_json()) == config


def test_a_buffer_of_zero_is_allowed() -> None:
    config = TWAPExecutorConfig.model_validate(TWAP | {"mode": "maker", "limit_order_buffer": 0})
    assert (config.mode, config.order_type) == (TWAPMode.MAKER, OrderType.LIMIT)
    assert config.order_resubmission_time is None


def test_the_example_of_the_specification(market: Bench) -> None:
    executor = market.create()
    assert lots(market) == [1000]
    for _ in range(11):
        market.advance(300)
    assert lots(market) == [1000] * 12
    assert executor.status is RunnableStatus.RUNNING
    info = executor.executor_info
    assert info.custom_info["slots_done"] == 12
    assert info.filled_amount_quote == 1200
    market.advance(300)
    assert (executor.close_type, executor.is_done) == (CloseType.COMPLETED, True)
    assert [held.lots for held in executor.held_position_orders] == [1000] * 13
    assert executor.is_handed_over
    (position,) = market.orchestrator.get_positions_report()["main"]
    assert (position.amount, position.side) == (Decimal(13), TradeType.BUY)
    assert executor.executor_info.filled_amount_quote == 0


def test_slots_are_due_from_the_start_and_it_sleeps_between(market: Bench) -> None:
    executor = market.create()
    start_ns = market.venue.now_ns()
    assert executor.wakes.at_ns == start_ns + 300 * 10**9
    assert executor.wakes.prices == ()
    market.price(1100)
    assert len(market.orders()) == 1
    assert executor.executor_info.custom_info["next_slot_at"] == start_ns / 10**9 + 300
    (line,) = executor.snapshot().barriers(1100)
    assert (line.kind, line.at_ns) == ("next_slot", start_ns + 300 * 10**9)


def test_later_slots_share_what_is_left(market: Bench) -> None:
    market.create(total_amount_quote="300", total_duration=20, order_interval=10)
    assert lots(market) == [1000]
    market.price(800)  # the next part of 100 buys more
    market.advance(10)
    assert lots(market) == [1000, 1250]
    market.price(1250)
    market.advance(10)
    assert lots(market) == [1000, 1250, 800]


def test_several_due_slots_are_filled_at_once() -> None:
    desk = TypeBench(TWAPExecutor, "twap_executor", TWAP)
    executor = desk.create(total_amount_quote="500", total_duration=40, order_interval=10)
    desk.advance(25)
    assert executor.executor_info.stale_price
    assert desk.orders() == []
    desk.price(1000)
    assert lots(desk) == [1000, 1000, 1000]
    assert executor.retries == 0


def test_the_live_remainder_is_not_traded_twice(desk: Bench) -> None:
    desk.create(total_amount_quote="300", total_duration=20, order_interval=10, **MAKER)
    desk.fill(desk.orders()[0], 400)
    desk.advance(10)
    # executed 39.6, live 59.4 at 99, so 201 is left for two slots at the mid of 100
    assert lots(desk) == [1000, 1005]


@pytest.mark.parametrize(("side", "limit"), [("BUY", 990), ("SELL", 1011)])
def test_makers_rest_at_the_buffer_from_the_mid(desk: Bench, side: str, limit: int) -> None:
    desk.price(1000, 1001)
    desk.create(side=side, **MAKER)
    request = desk.orders()[0].request
    assert (request.order_type, request.limit_ticks) == (OrderType.LIMIT, limit)
    assert request.lots == 999


def test_a_maker_is_renewed_only_after_its_time_and_its_cancel(desk: Bench) -> None:
    executor = desk.create(total_duration=1, order_interval=5, **MAKER)
    desk.fill(desk.orders()[0], 2000)
    desk.price(1100)
    desk.advance(60)
    assert desk.venue.cancels == []
    desk.venue.is_deaf = True
    desk.advance(1)
    assert len(desk.venue.cancels) == 1
    assert len(desk.orders()) == 1
    desk.fill(desk.orders()[0], 1000)
    desk.cancel(desk.orders()[0])
    assert lots(desk) == [13000, 10000]
    assert desk.orders()[1].request.limit_ticks == 1089
    desk.fill(desk.orders()[1])
    assert (executor.close_type, executor.retries) == (CloseType.COMPLETED, 0)
    assert sum(held.lots for held in executor.held_position_orders) == 13000


def test_without_a_renewal_time_a_maker_rests(desk: Bench) -> None:
    desk.create(total_duration=1, order_interval=5, mode="MAKER", limit_order_buffer="0.01")
    desk.advance(10_000)
    assert desk.states() == [OrderState.OPEN]


def test_a_failure_empties_only_its_own_slot(market: Bench) -> None:
    executor = market.create(total_amount_quote="300", total_duration=20, order_interval=10)
    market.venue.rejections = 1
    market.advance(10)
    assert market.states() == [OrderState.FILLED, OrderState.FAILED]
    assert executor.retries == 1
    market.advance(1)
    assert lots(market) == [1000, 1000, 1000]
    market.advance(9)
    assert lots(market) == [1000, 1000, 1000, 1000]
    assert executor.close_type is CloseType.COMPLETED
    assert executor.totals.entry_lots == 3000


def test_too_many_failures_hand_over_what_is_filled(market: Bench) -> None:
    executor = market.create(total_amount_quote="300", total_duration=20, order_interval=10)
    market.venue.rejections = 10**6
    market.advance(2000)
    assert executor.max_retries == 15
    assert (executor.close_type, executor.retries) == (CloseType.FAILED, 16)
    (position,) = market.orchestrator.get_positions_report()["main"]
    assert position.amount == 1


def test_an_order_that_the_venue_cancels_is_placed_again_for_its_rest(desk: Bench) -> None:
    executor = desk.create(total_duration=1, order_interval=5)
    desk.fill(desk.orders()[0], 5000)
    desk.cancel(desk.orders()[0])
    desk.advance(1)
    assert lots(desk) == [13000, 8000]
    assert executor.retries == 0


def test_a_late_fill_shrinks_the_rest(desk: Bench) -> None:
    desk.create(total_duration=1, order_interval=5)
    desk.cancel(desk.orders()[0])
    desk.fill(desk.orders()[0], 4000)
    desk.advance(1)
    assert lots(desk) == [13000, 9000]


def test_it_does_not_complete_before_everything_is_filled(desk: Bench) -> None:
    executor = desk.create(total_duration=1, order_interval=5)
    desk.advance(100)
    assert executor.status is RunnableStatus.RUNNING
    desk.fill(desk.orders()[0])
    assert executor.close_type is CloseType.COMPLETED


@pytest.mark.parametrize("keep", [None, True, False])
def test_a_stop_keeps_what_is_filled(desk: Bench, keep: bool | None) -> None:
    executor = desk.create(**MAKER)
    desk.fill(desk.orders()[0], 500)
    desk.stop(executor, keep=keep)
    assert (executor.close_type, executor.is_done) == (CloseType.POSITION_HOLD, True)
    assert desk.states() == [OrderState.CANCELED]
    assert [held.lots for held in executor.held_position_orders] == [500]


def test_a_stop_with_nothing_filled_is_an_early_stop(desk: Bench) -> None:
    executor = desk.create(**MAKER)
    desk.stop(executor, keep=True)
    assert (executor.close_type, executor.is_done) == (CloseType.EARLY_STOP, True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"total_amount_quote": "1.3"}, "0.001 is below the least amount 0.010"),
        ({"total_amount_quote": "12.9", "total_duration": 3599}, "too small for paper:BTC-USDT"),
    ],
)
def test_parts_below_the_minimums_fail_before_the_start(
    desk: Bench, changes: dict[str, Any], reason: str
) -> None:
    executor = desk.create(**changes)
    if reason.startswith("too"):
        assert executor.status is RunnableStatus.RUNNING  # 12.9 / 12 is above both minimums
        return
    assert (executor.close_type, executor.is_done) == (CloseType.FAILED, True)
    assert reason in executor.executor_info.last_error
    assert desk.orders() == []


def test_the_notional_minimum_is_compared_with_quote(desk: Bench) -> None:
    desk.price(50)
    executor = desk.create(total_amount_quote="12", total_duration=3600)
    assert executor.close_type is CloseType.FAILED
    assert "the least notional is 1" in executor.executor_info.last_error


def test_minimums_are_checked_at_the_first_quote() -> None:
    desk = TypeBench(TWAPExecutor, "twap_executor", TWAP)
    executor = desk.create(total_amount_quote="1.3")
    assert executor.status is RunnableStatus.RUNNING
    desk.price(1000)
    assert executor.close_type is CloseType.FAILED


def test_a_missing_balance_ends_it_before_any_order(desk: Bench) -> None:
    desk.venue.is_funded = False
    executor = desk.create()
    assert executor.close_type is CloseType.INSUFFICIENT_BALANCE
    assert "BUY for 1300 USDT of paper:BTC-USDT" in executor.executor_info.last_error
    assert desk.orders() == []


def test_a_slot_that_became_too_small_is_skipped(desk: Bench) -> None:
    executor = desk.create(total_amount_quote="3", total_duration=10, order_interval=10)
    desk.fill(desk.orders()[0], 15, 1950)  # 2.9 of 3
    desk.advance(10)
    assert (executor.close_type, len(desk.orders())) == (CloseType.COMPLETED, 1)


@pytest.mark.parametrize(("side", "net"), [("BUY", "9.98"), ("SELL", "-10.02")])
def test_while_it_runs_the_fills_are_compared_with_the_mid(
    desk: Bench, side: str, net: str
) -> None:
    executor = desk.create(side=side, total_duration=1, order_interval=5, **MAKER)
    order_id = desk.orders()[0].request.client_order_id
    desk.venue.fill(order_id, 1000, 1000, fee_atoms=2_000_000)
    desk.pump()
    desk.price(1095, 1105)
    info = executor.executor_info
    assert info.net_pnl_quote == Decimal(net)
    assert info.net_pnl_pct == Decimal(net) / 100
    assert info.filled_amount_quote == 100
    assert info.cum_fees_quote == Decimal("0.02")
    assert info.is_trading
    snapshot = executor.snapshot()
    assert snapshot.net_pnl_atoms(1100) == Decimal(net) * 10**8
    assert snapshot.net_return(1100) == float(Decimal(net) / 100)
    assert snapshot.mark_of(desk.venue.quote(executor.market)) == 1100


def test_it_takes_no_update(desk: Bench) -> None:
    executor = desk.create()
    with pytest.raises(ValueError, match="TWAPExecutorConfig takes no updates"):
        desk.update(executor, {"mode": "MAKER"})


def test_a_restart_keeps_the_plan(desk: Bench) -> None:
    executor = desk.create(total_amount_quote="300", total_duration=20, order_interval=10, **MAKER)
    desk.fill(desk.orders()[0])
    desk.advance(10)
    desk.fill(desk.orders()[1], 300)
    fresh, again = desk.reborn(executor)
    assert again.totals == executor.totals
    assert again.wakes == executor.wakes
    assert again.slots_done == 1
    fresh.advance(10)
    assert len(fresh.orders()) == 3
    fresh.fill(fresh.orders()[1])
    fresh.fill(fresh.orders()[2])
    assert again.close_type is CloseType.COMPLETED
    (position,) = fresh.orchestrator.get_positions_report()["main"]
    assert position.amount == fresh.venue.instrument(again.market).qty(again.totals.entry_lots)


def test_a_restart_after_a_pause_catches_up(market: Bench) -> None:
    executor = market.create(total_amount_quote="500", total_duration=40, order_interval=10)
    market.orchestrator.take_intents()
    state_before = executor.slots_done
    market.venue.clock.advance_to(market.venue.now_ns() + 25 * 10**9)
    fresh, again = market.reborn(executor)
    assert state_before == 1
    assert lots(fresh) == [1000, 1000, 1000]
    assert again.slots_done == 3
