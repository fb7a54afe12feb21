"""The progressive executor: yield, ladder, partial closes, update."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from engine.executors.actions import ActionCode
from engine.executors.progressive_config import ProgressiveExecutorUpdates
from engine.executors.progressive_executor import ProgressiveExecutor
from engine.executors.status import CloseType, RunnableStatus
from engine.model.orders import OrderState, OrderType, PositionAction
from engine.testing.executor_bench import bench_instrument
from engine.testing.type_bench import TypeBench

Bench = TypeBench[ProgressiveExecutor]
DAY = 86_400
FIELDS: dict[str, Any] = {
    "connector_name": "paper",
    "trading_pair": "BTC-USDT",
    "side": "BUY",
    "amount": "1",
}


def barriers(**fields: Any) -> dict[str, Any]:
    return {"triple_barrier_config": {"open_order_type": "MARKET"} | fields}


@pytest.fixture
def desk() -> Bench:
    """A desk at 100.0 whose venue only acknowledges."""
    bench = TypeBench(ProgressiveExecutor, "progressive_executor", FIELDS)
    bench.venue.is_matching = False
    bench.price(1000)
    return bench


def opened(
    desk: Bench, *, side: str = "BUY", lots: int = 1000, fee_atoms: int = 0, **fields: Any
) -> ProgressiveExecutor:
    """Create an executor and fill its entry at 100.0."""
    executor = desk.create(side=side, **barriers(**fields))
    order = desk.venue.last("entry").request.client_order_id
    desk.venue.fill(order, lots, 1000, fee_atoms=fee_atoms)
    desk.pump()
    return executor


def partials(desk: Bench) -> list[int]:
    return [order.request.lots for order in desk.orders() if order.request.role == "partial_close"]


def test_worked_example_b(desk: Bench) -> None:
    executor = opened(desk, fee_atoms=10_000_000, trailing_stop="0.02,0.005,0.05:0.5")
    desk.price(1160)
    assert executor.pnl_trigger is not None
    desk.price(1060)
    (order,) = [order for order in desk.orders() if order.request.role == "partial_close"]
    assert (order.request.lots, order.request.order_type) == (500, OrderType.MARKET)
    desk.venue.fill(order.request.client_order_id, 500, 1120, fee_atoms=5_600_000)
    desk.pump()
    info = executor.executor_info
    assert (info.net_pnl_quote, info.net_pnl_pct) == (Decimal("8.844"), Decimal("0.08844"))
    assert info.filled_amount_quote == 156
    assert executor.totals.trade_pnl_pct(1060) == Decimal("0.09")
    assert info.custom_info["remaining_amount"] == "0.500"
    assert info.custom_info["realized_amount"] == "0.500"


@pytest.mark.parametrize(("days", "kept", "fired"), [(0, 951, 950), (1, 961, 960), (5, 1001, 1000)])
def test_the_stop_tightens_by_the_yield(desk: Bench, days: int, kept: int, fired: int) -> None:
    executor = opened(desk, stop_loss="0.05", apr_yield="3.65")
    desk.price(1100)
    desk.advance(days * DAY)
    desk.price(kept)
    assert executor.status is RunnableStatus.RUNNING
    assert executor.stop_loss_price == Decimal(fired) / 10
    desk.price(fired)
    assert executor.close_type is CloseType.STOP_LOSS


def test_the_stop_of_a_short_tightens_downwards(desk: Bench) -> None:
    executor = opened(desk, side="SELL", stop_loss="0.05", apr_yield="3.65")
    desk.price(950)
    desk.advance(DAY)
    desk.price(1039)
    assert executor.status is RunnableStatus.RUNNING
    desk.price(1040)
    assert executor.close_type is CloseType.STOP_LOSS


def test_time_alone_can_stop_a_position(desk: Bench) -> None:
    executor = opened(desk, stop_loss="0.05", apr_yield="3.65")
    desk.price(980)
    desk.advance(3 * DAY - 0.001)
    assert executor.status is RunnableStatus.RUNNING
    desk.advance(0.001)
    assert executor.close_type is CloseType.STOP_LOSS


def test_a_level_that_moves_is_watched_without_polling(desk: Bench) -> None:
    opened(desk, stop_loss="0.05", apr_yield="3.65")
    desk.price(1100)
    wakes = 0
    end_ns = desk.venue.now_ns() + DAY * 10**9
    while True:
        due_ns = desk.orchestrator.next_wake_ns()
        if due_ns is None or due_ns > end_ns:
            break
        desk.advance((due_ns - desk.venue.now_ns()) / 10**9)
        wakes += 1
    assert wakes <= 10  # the stop moves by ten ticks in that day


def test_no_yield_means_a_target_of_zero(desk: Bench) -> None:
    executor = opened(desk, stop_loss="0.05")
    desk.advance(400 * DAY)
    assert executor.target_yield == 0
    desk.price(951)
    assert executor.status is RunnableStatus.RUNNING
    desk.price(950)
    assert executor.close_type is CloseType.STOP_LOSS


def test_a_position_that_earns_its_yield_outlives_the_time_limit(desk: Bench) -> None:
    executor = opened(desk, apr_yield="3.65", time_limit=DAY)
    desk.price(1020)
    desk.advance(DAY)
    info = executor.executor_info.custom_info
    assert (info["extended_on_yield"], info["target_yield"]) == (True, "0.01")
    assert executor.status is RunnableStatus.RUNNING
    desk.advance(DAY / 2)
    assert executor.status is RunnableStatus.RUNNING
    desk.price(1016)
    assert executor.status is RunnableStatus.RUNNING
    desk.price(1015)
    assert executor.close_type is CloseType.TIME_LIMIT


def test_an_extension_ends_when_the_target_catches_up(desk: Bench) -> None:
    executor = opened(desk, apr_yield="3.65", time_limit=DAY)
    desk.price(1020)
    desk.advance(2 * DAY - 0.001)
    assert executor.status is RunnableStatus.RUNNING
    desk.advance(0.001)
    assert executor.close_type is CloseType.TIME_LIMIT


def test_a_gain_equal_to_the_target_is_not_extended(desk: Bench) -> None:
    executor = opened(desk, apr_yield="3.65", time_limit=DAY)
    desk.price(1010)
    desk.advance(DAY)
    assert executor.close_type is CloseType.TIME_LIMIT


@pytest.mark.parametrize("mark", [1000, 990])
def test_without_a_gain_the_time_limit_closes(desk: Bench, mark: int) -> None:
    executor = opened(desk, time_limit=60)
    desk.price(mark)
    desk.advance(60)
    assert executor.close_type is CloseType.TIME_LIMIT


def test_a_gain_extends_without_a_yield_too(desk: Bench) -> None:
    executor = opened(desk, time_limit=60)
    desk.price(1001)
    desk.advance(600)
    assert executor.status is RunnableStatus.RUNNING
    desk.price(1000)
    assert executor.close_type is CloseType.TIME_LIMIT


def test_nothing_filled_is_not_extended(desk: Bench) -> None:
    executor = desk.create(
        entry_price="90", triple_barrier_config={"time_limit": 60, "apr_yield": "1"}
    )
    desk.advance(60)
    assert (executor.close_type, executor.is_done) == (CloseType.TIME_LIMIT, True)


def test_the_time_limit_at_the_start_is_expired(desk: Bench) -> None:
    executor = desk.create(timestamp=10, **barriers(time_limit=60))
    assert (executor.close_type, executor.is_done) == (CloseType.EXPIRED, True)


def test_the_take_profit_closes_and_is_inclusive(desk: Bench) -> None:
    executor = opened(desk, take_profit="0.03")
    desk.price(1029)
    assert executor.status is RunnableStatus.RUNNING
    desk.price(1030)
    assert executor.close_type is CloseType.TAKE_PROFIT


def test_the_ladder_comes_before_the_take_profit(desk: Bench) -> None:
    executor = opened(desk, take_profit="0.5", trailing_stop="0.015,0.005,0.05:1")
    desk.price(1120)
    desk.price(1070)
    assert executor.close_type is CloseType.TRAILING_STOP


def test_the_stop_loss_comes_before_the_ladder(desk: Bench) -> None:
    executor = opened(desk, stop_loss="0.01", trailing_stop="0.015,0.005")
    desk.price(1020)
    desk.price(990)
    assert executor.close_type is CloseType.STOP_LOSS


def test_the_ladder_follows_the_worked_example(desk: Bench) -> None:
    executor = opened(desk, trailing_stop="0.015,0.005,0.05:1|0.1:0.91")
    for price, trigger in (
        (1014, None),
        (1060, "0.01"),
        (1120, "0.07"),
        (1080, "0.07"),
        (1071, "0.07"),
    ):
        desk.price(price)
        found = executor.executor_info.custom_info["pnl_trigger"]
        assert found == trigger
    desk.price(1070)
    assert executor.close_type is CloseType.TRAILING_STOP
    assert desk.venue.last("close").request.lots == 1000
    assert executor.ladder_rows[0].hit
    assert not executor.ladder_rows[1].hit


def test_relaxation_and_cap_are_the_executors_own(desk: Bench) -> None:
    executor = desk.create(
        pnl_relaxation="0", max_trailing_pct="0.01", **barriers(trailing_stop="0.01,0.02")
    )
    desk.fill(desk.venue.last("entry"))
    desk.price(1050)
    assert executor.pnl_trigger == Decimal("0.04")


def test_parts_are_closed_until_nothing_is_left(desk: Bench) -> None:
    executor = opened(desk, trailing_stop="0.015,0.005,0.01:0.4")
    for peak, hit, lots in ((1200, 1150, 400), (1200, 1116, 400)):
        desk.price(peak)
        desk.price(hit)
        assert partials(desk)[-1] == lots
        desk.fill(desk.venue.last("partial_close"))
    assert executor.totals.remaining_lots == 200
    desk.price(1200)
    desk.price(950)
    assert executor.close_type is CloseType.TRAILING_STOP
    assert desk.venue.last("close").request.lots == 200
    desk.fill(desk.venue.last("close"))
    assert executor.is_done
    assert executor.retries == 0
    assert executor.executor_info.custom_info["realized_amount"] == "0.800"


def test_parts_that_are_on_their_way_are_not_closed_again(desk: Bench) -> None:
    executor = opened(desk, trailing_stop="0.015,0.005,0.01:0.4")
    desk.price(1200)
    desk.price(1150)
    desk.price(1100)
    assert partials(desk) == [400, 400]
    desk.price(1050)
    assert executor.close_type is CloseType.TRAILING_STOP
    assert executor.status is RunnableStatus.SHUTTING_DOWN
    states = [order.state for order in desk.orders() if order.request.role == "partial_close"]
    assert states == [OrderState.CANCELED, OrderState.CANCELED]
    assert desk.venue.last("close").request.lots == 1000


def test_a_part_too_small_to_trade_is_ignored(desk: Bench) -> None:
    executor = opened(desk, lots=1000, trailing_stop="0.015,0.005,0.01:0.009")
    desk.price(1200)
    desk.price(1150)
    assert partials(desk) == []
    assert executor.status is RunnableStatus.RUNNING
    assert executor.pnl_trigger == Decimal("0.1")


def test_a_part_closes_by_the_rules_of_closing_orders(desk: Bench) -> None:
    opened(desk, trailing_stop="0.015,0.005,0.01:0.4")
    desk.price(1200)
    desk.price(1150)
    request = desk.venue.last("partial_close").request
    assert request.position_action is PositionAction.OPEN  # netted account: never reduce-only
    assert request.side.name == "SELL"


def test_a_cancelled_part_keeps_its_fills(desk: Bench) -> None:
    executor = opened(desk, trailing_stop="0.015,0.005,0.01:0.4")
    desk.price(1200)
    desk.price(1150)
    order = desk.venue.last("partial_close")
    desk.fill(order, 100)
    desk.cancel(order)
    assert (executor.realized_lots, executor.retries) == (100, 0)
    desk.stop(executor)
    assert desk.venue.last("close").request.lots == 900


def test_a_rejected_part_counts_a_retry(desk: Bench) -> None:
    executor = opened(desk, trailing_stop="0.015,0.005,0.01:0.4")
    desk.venue.rejections = 1
    desk.price(1200)
    desk.price(1150)
    assert executor.retries == 1
    assert executor.status is RunnableStatus.RUNNING
    desk.price(1100)
    assert partials(desk) == [400, 400]


def test_a_part_waits_for_the_resting_take_profit(desk: Bench) -> None:
    executor = opened(
        desk,
        take_profit="0.3",
        take_profit_order_type="LIMIT",
        trailing_stop="0.015,0.005,0.01:0.4",
    )
    assert desk.venue.last("take_profit").request.lots == 1000
    desk.price(1200)
    desk.venue.is_deaf = True
    desk.price(1150)
    assert partials(desk) == []
    desk.cancel(desk.venue.last("take_profit"))
    assert partials(desk) == [400]
    assert desk.venue.last("take_profit").request.lots == 600
    desk.fill(desk.venue.last("partial_close"))
    desk.fill(desk.venue.last("take_profit"))
    assert (executor.close_type, executor.is_done) == (CloseType.TAKE_PROFIT, True)
    assert executor.totals.remaining_lots == 0


def test_a_part_ends_the_entry(desk: Bench) -> None:
    executor = desk.create(
        entry_price="100", triple_barrier_config={"trailing_stop": "0.015,0.005,0.01:0.4"}
    )
    entry = desk.venue.last("entry")
    desk.fill(entry, 500)
    desk.price(1200)
    desk.price(1150)
    assert desk.venue.last("entry").state is OrderState.CANCELED
    assert partials(desk) == [200]
    desk.fill(desk.venue.last("partial_close"))
    desk.advance(60)
    assert len([o for o in desk.orders() if o.request.role == "entry"]) == 1
    assert executor.status is RunnableStatus.RUNNING


def test_dust_after_a_part_ends_it(desk: Bench) -> None:
    executor = opened(desk, trailing_stop="0.015,0.005,0.01:0.995")
    desk.price(1200)
    desk.price(1150)
    assert partials(desk) == [995]
    desk.fill(desk.venue.last("partial_close"))
    assert (executor.close_type, executor.is_done) == (CloseType.TRAILING_STOP, True)
    (dust,) = executor.held_position_orders
    assert dust.lots == 5


@pytest.mark.parametrize("keep", [True, False])
def test_a_stop_after_a_part(desk: Bench, keep: bool) -> None:
    executor = opened(desk, trailing_stop="0.015,0.005,0.01:0.4")
    desk.price(1200)
    desk.price(1150)
    desk.fill(desk.venue.last("partial_close"))
    desk.stop(executor, keep=keep)
    if keep:
        assert executor.close_type is CloseType.POSITION_HOLD
        (position,) = desk.orchestrator.get_positions_report()["main"]
        assert position.amount == Decimal("0.6")
        assert executor.executor_info.net_pnl_quote == 0
        return
    desk.fill(desk.venue.last("close"))
    assert (executor.close_type, executor.is_done) == (CloseType.EARLY_STOP, True)
    assert executor.executor_info.net_pnl_quote == Decimal(15)


def test_the_volatility_update_acts_at_once_and_keeps_the_trigger(desk: Bench) -> None:
    executor = opened(desk, stop_loss="0.02", trailing_stop="0.015,0.005,0.05:1")
    desk.price(1120)
    result = desk.update(executor, ProgressiveExecutorUpdates(volatility=Decimal("0.03")))
    assert result.ok
    ladder = executor.config.triple_barrier_config.trailing_stop
    assert ladder is not None
    assert (ladder.activation_pnl_pct, ladder.trailing_pct) == (
        Decimal("0.02475"),
        Decimal("0.00825"),
    )
    assert executor.pnl_trigger == Decimal("0.07")
    assert executor.stop_loss_price == Decimal("96.7")
    desk.price(1070)
    assert executor.close_type is CloseType.TRAILING_STOP


def test_an_update_that_cannot_be_changes_nothing(desk: Bench) -> None:
    executor = opened(desk, trailing_stop="0.015,0.005")
    before = executor.config
    result = desk.update(executor, ProgressiveExecutorUpdates(volatility=Decimal("0.03")))
    assert result.code is ActionCode.UPDATE_REJECTED
    assert "needs a stop loss" in result.message
    assert executor.config is before
    desk.stop(executor)
    late = desk.update(executor, ProgressiveExecutorUpdates(volatility=Decimal("0.03")))
    assert late.code is ActionCode.NOT_RUNNING


def test_a_tighter_update_can_stop_at_once(desk: Bench) -> None:
    executor = opened(desk, stop_loss="0.05")
    desk.price(970)
    desk.update(executor, ProgressiveExecutorUpdates(volatility=Decimal("0.01")))
    assert executor.close_type is CloseType.STOP_LOSS


def test_a_restart_keeps_trigger_hits_and_parts(desk: Bench) -> None:
    executor = opened(desk, stop_loss="0.02", trailing_stop="0.015,0.005,0.01:0.4|0.3:0.5")
    desk.price(1200)
    desk.price(1150)
    desk.fill(desk.venue.last("partial_close"))
    json.dumps(executor.runtime_state())
    fresh, again = desk.reborn(executor)
    assert again.pnl_trigger == executor.pnl_trigger
    assert again.ladder_rows == executor.ladder_rows
    assert again.totals == executor.totals
    assert again.wakes == executor.wakes
    fresh.price(1060)
    assert partials(desk) == [400, 400]


def test_a_part_that_waits_survives_a_restart(desk: Bench) -> None:
    executor = opened(
        desk,
        take_profit="0.3",
        take_profit_order_type="LIMIT",
        trailing_stop="0.015,0.005,0.01:0.4",
    )
    desk.price(1200)
    desk.venue.is_deaf = True
    desk.price(1150)
    fresh, _ = desk.reborn(executor)
    fresh.cancel(desk.venue.last("take_profit"))
    assert partials(desk) == [400]


def test_without_a_price_an_expired_position_waits(desk: Bench) -> None:
    executor = opened(desk, time_limit=60)
    desk.venue.quotes.clear()
    desk.advance(60)
    assert executor.status is RunnableStatus.RUNNING
    assert executor.executor_info.stale_price
    desk.price(1000)
    assert executor.close_type is CloseType.TIME_LIMIT


def test_an_amount_below_the_notional_has_no_barriers() -> None:
    bench = TypeBench(
        ProgressiveExecutor,
        "progressive_executor",
        FIELDS,
        bench_instrument(min_notional=Decimal(50)),
    )
    bench.venue.is_matching = False
    bench.price(1000)
    executor = bench.create(
        entry_price="100",
        triple_barrier_config={"stop_loss": "0.02", "trailing_stop": "0.015,0.005"},
    )
    bench.fill(bench.venue.last("entry"), 400)
    bench.price(900)
    assert executor.status is RunnableStatus.RUNNING
    bench.price(1300)
    assert executor.pnl_trigger is not None
