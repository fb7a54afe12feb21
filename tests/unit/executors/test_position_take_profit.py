"""The resting limit take profit."""

from __future__ import annotations

import pytest

from engine.executors.position_info import PositionCustomInfo
from engine.executors.status import CloseType, RunnableStatus
from engine.model.orders import OrderState, OrderType
from engine.testing.executor_bench import ExecutorBench


def test_it_rests_and_its_fill_is_the_close(bench: ExecutorBench) -> None:
    bench.price(500)
    executor = bench.create(take_profit="0.03", take_profit_order_type="LIMIT")
    request = bench.venue.last("take_profit").request
    assert (request.lots, request.limit_ticks, request.order_type) == (2000, 515, OrderType.LIMIT)
    bench.price(516)
    assert (executor.close_type, executor.is_done) == (CloseType.TAKE_PROFIT, True)
    assert [order.role for order in executor.snapshot().orders] == ["entry", "take_profit"]
    assert executor.retries == 0


@pytest.mark.parametrize(
    ("side", "take_profit", "bid", "ask", "placed"),
    [("BUY", "0.0001", 500, 507, 507), ("SELL", "0.0001", 493, 500, 493)],
)
def test_a_maker_take_profit_never_crosses(
    manual_bench: ExecutorBench, side: str, take_profit: str, bid: int, ask: int, placed: int
) -> None:
    bench = manual_bench
    bench.price(bid, ask)
    bench.create(side=side, take_profit=take_profit, take_profit_order_type="LIMIT_MAKER")
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    assert bench.venue.last("take_profit").request.limit_ticks == placed


def test_the_price_is_rounded_away_from_a_worse_one(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    bench.create(take_profit="0.0301", take_profit_order_type="LIMIT")
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    assert bench.venue.last("take_profit").request.limit_ticks == 516


def test_more_entry_fills_resize_it(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(
        entry_price="50",
        open_order_type="LIMIT",
        take_profit="0.02",
        take_profit_order_type="LIMIT",
    )
    bench.venue.fill("O-2", 500, 500)
    bench.pump()
    assert bench.venue.last("take_profit").request.lots == 500
    bench.venue.fill("O-2", 1500, 500)
    bench.pump()
    states = [
        (order.request.lots, order.state)
        for order in bench.venue.orders.values()
        if order.request.role == "take_profit"
    ]
    assert states == [(500, OrderState.CANCELED), (2000, OrderState.OPEN)]
    assert executor.status is RunnableStatus.RUNNING


def test_a_partial_take_profit_counts_in_the_remainder(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(take_profit="0.02", take_profit_order_type="LIMIT", stop_loss="0.05")
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    bench.venue.fill(bench.venue.last("take_profit").request.client_order_id, 700, 510)
    bench.pump()
    bench.price(457)
    assert executor.status is RunnableStatus.RUNNING
    bench.price(455)
    assert executor.close_type is CloseType.STOP_LOSS
    assert bench.venue.last("close").request.lots == 1300


def test_the_close_waits_until_the_take_profit_is_cancelled(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(take_profit="0.02", take_profit_order_type="LIMIT", stop_loss="0.05")
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    bench.venue.is_deaf = True
    bench.price(470)
    resting = bench.venue.last("take_profit").request.client_order_id
    assert executor.status is RunnableStatus.SHUTTING_DOWN
    assert len(bench.venue.orders) == 2
    bench.venue.fill(resting, 500, 510)
    bench.venue.cancel(resting)
    bench.pump()
    assert bench.venue.last("close").request.lots == 1500


def test_an_unconfirmed_cancel_is_sent_again_every_five_seconds(
    manual_bench: ExecutorBench,
) -> None:
    bench = manual_bench
    executor = bench.create(take_profit="0.02", take_profit_order_type="LIMIT")
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    bench.venue.is_deaf = True
    bench.stop(executor)
    assert len(bench.venue.cancels) == 1
    bench.advance(12)
    assert len(bench.venue.cancels) == 3


def test_it_leaves_and_comes_back_with_the_bounds(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    bench.create(
        entry_price="50",
        open_order_type="LIMIT",
        take_profit="0.1",
        take_profit_order_type="LIMIT",
        activation_bounds="0.05",
    )
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    assert len(bench.venue.orders) == 1
    bench.price(524)
    resting = bench.venue.last("take_profit")
    assert (resting.request.limit_ticks, resting.is_open) == (550, True)
    bench.price(523)
    assert bench.venue.last("take_profit").state is OrderState.CANCELED
    bench.price(530)
    assert bench.venue.last("take_profit").is_open


def test_a_failing_take_profit_falls_back_to_the_market(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(take_profit="0.02", take_profit_order_type="LIMIT")
    bench.venue.fill("O-2", 2000, 500)
    bench.venue.rejections = 10**6
    bench.pump()
    bench.advance(1000)
    tried = [o for o in bench.venue.orders.values() if o.request.role == "take_profit"]
    assert len(tried) == 11
    assert executor.status is RunnableStatus.RUNNING
    assert executor.retries == 0
    bench.venue.rejections = 0
    bench.price(510)
    assert executor.close_type is CloseType.TAKE_PROFIT
    assert bench.venue.last("close").request.order_type is OrderType.MARKET


def test_a_take_profit_that_the_venue_cancels_comes_back(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    bench.create(take_profit="0.02", take_profit_order_type="LIMIT")
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    bench.venue.cancel(bench.venue.last("take_profit").request.client_order_id)
    bench.pump()
    bench.advance(1)
    assert bench.venue.last("take_profit").is_open


def test_dust_after_a_partial_take_profit_ends_it(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(take_profit="0.02", take_profit_order_type="LIMIT")
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    resting = bench.venue.last("take_profit").request.client_order_id
    bench.venue.fill(resting, 1995, 510)
    bench.venue.cancel(resting)
    bench.pump()
    assert (executor.close_type, executor.is_done) == (CloseType.TAKE_PROFIT, True)
    assert PositionCustomInfo.from_executor(
        executor
    ).residual_amount_base == bench.venue.instrument(executor.market).qty(5)


def test_the_entry_is_cancelled_when_the_take_profit_completes(
    manual_bench: ExecutorBench,
) -> None:
    bench = manual_bench
    executor = bench.create(
        entry_price="50",
        open_order_type="LIMIT",
        take_profit="0.02",
        take_profit_order_type="LIMIT",
    )
    bench.venue.fill("O-2", 500, 500)
    bench.pump()
    bench.venue.fill(bench.venue.last("take_profit").request.client_order_id, 500, 510)
    bench.pump()
    assert bench.venue.orders["O-2"].state is OrderState.CANCELED
    assert (executor.close_type, executor.is_done) == (CloseType.TAKE_PROFIT, True)
