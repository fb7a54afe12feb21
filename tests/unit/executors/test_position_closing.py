"""Shutdown, retries, dust, hand-over."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.executors.status import CloseType, RunnableStatus
from engine.model.orders import OrderState, TradeType
from engine.testing.executor_bench import ExecutorBench


def filled(bench: ExecutorBench, lots: int = 2000, **fields: str) -> str:
    """Create an executor, fill its entry at 50.0, return its id."""
    executor = bench.create(**fields)
    bench.venue.fill(bench.venue.last("entry").request.client_order_id, lots, 500)
    bench.pump()
    return executor.executor_id


@pytest.mark.parametrize("keep", [None, False])
def test_a_stop_flattens_unless_asked_to_keep(bench: ExecutorBench, keep: bool | None) -> None:
    executor = bench.create()
    bench.stop(executor, keep=keep)
    assert (executor.close_type, executor.is_done) == (CloseType.EARLY_STOP, True)
    assert executor.totals.remaining_lots == 0
    assert executor.retries == 0
    assert not bench.orchestrator.get_positions_report()


def test_a_stop_can_keep_the_position(bench: ExecutorBench) -> None:
    executor = bench.create()
    bench.stop(executor, keep=True)
    assert (executor.close_type, executor.is_done) == (CloseType.POSITION_HOLD, True)
    (position,) = bench.orchestrator.get_positions_report()["main"]
    assert (position.side, position.amount) == (TradeType.BUY, Decimal(2))
    info = executor.executor_info
    assert (info.net_pnl_quote, info.filled_amount_quote, info.cum_fees_quote) == (
        Decimal(0),
        Decimal(0),
        Decimal(0),
    )
    assert info.is_handed_over


def test_keeping_nothing_is_an_early_stop(manual_bench: ExecutorBench) -> None:
    executor = manual_bench.create(entry_price="40", open_order_type="LIMIT")
    manual_bench.stop(executor, keep=True)
    assert (executor.close_type, executor.is_done) == (CloseType.EARLY_STOP, True)


def test_a_fill_that_crosses_the_cancel_is_kept(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(entry_price="49", open_order_type="LIMIT")
    bench.venue.is_deaf = True
    bench.stop(executor, keep=True)
    assert executor.status is RunnableStatus.SHUTTING_DOWN
    bench.venue.fill("O-2", 300, 490)
    bench.venue.cancel("O-2")
    bench.pump()
    assert executor.close_type is CloseType.POSITION_HOLD
    assert [held.lots for held in executor.held_position_orders] == [300]


def test_a_fill_that_crosses_the_cancel_is_closed(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(entry_price="49", open_order_type="LIMIT")
    bench.venue.is_deaf = True
    bench.stop(executor)
    bench.venue.fill("O-2", 300, 490)
    bench.venue.cancel("O-2")
    bench.pump()
    close = bench.venue.last("close").request
    assert close.lots == 300
    bench.venue.fill(close.client_order_id, 300, 489)
    bench.pump()
    assert executor.is_done


def test_after_ten_seconds_what_is_filled_is_closed_all_the_same(
    manual_bench: ExecutorBench,
) -> None:
    bench = manual_bench
    executor = bench.create(entry_price="49", open_order_type="LIMIT", stop_loss="0.02")
    bench.venue.fill("O-2", 300, 490)
    bench.pump()
    bench.venue.is_deaf = True
    bench.price(470)
    bench.advance(9)
    assert len(bench.venue.orders) == 1
    bench.advance(1)
    close = bench.venue.last("close").request
    assert close.lots == 300
    bench.venue.fill(close.client_order_id, 300, 470)
    bench.venue.fill("O-2", 100, 490)
    bench.pump()
    assert bench.venue.last("close").request.lots == 100
    bench.venue.cancel("O-2")
    bench.venue.fill(bench.venue.last("close").request.client_order_id, 100, 470)
    bench.pump()
    assert (executor.close_type, executor.is_done) == (CloseType.STOP_LOSS, True)
    assert executor.totals.remaining_lots == 0


def test_a_rejected_close_is_retried_with_a_growing_wait(bench: ExecutorBench) -> None:
    executor = bench.create()
    bench.venue.rejections = 2
    bench.stop(executor)
    assert executor.retries == 1
    assert executor.status is RunnableStatus.SHUTTING_DOWN
    bench.advance(1)
    assert executor.retries == 2
    bench.advance(1.999)
    assert not executor.is_done
    bench.advance(0.001)
    assert (executor.close_type, executor.is_done) == (CloseType.EARLY_STOP, True)


def test_a_partly_filled_close_is_replaced_for_the_rest(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor_id = filled(bench)
    executor = bench.orchestrator.find(executor_id)
    assert executor is not None
    bench.orchestrator.begin_stop(keep_positions=False)
    bench.pump()
    first = bench.venue.last("close").request.client_order_id
    bench.venue.fill(first, 700, 499)
    bench.venue.cancel(first)
    bench.pump()
    bench.advance(1)
    again = bench.venue.last("close").request
    assert again.lots == 1300
    assert executor.retries == 1


def test_a_close_that_does_not_fill_is_replaced_after_thirty_seconds(
    manual_bench: ExecutorBench,
) -> None:
    bench = manual_bench
    executor = bench.orchestrator.find(filled(bench))
    assert executor is not None
    executor_stop = executor.early_stop(keep_position=False)
    for intent in executor_stop.intents:
        bench.venue.carry_out(intent)
    bench.pump()
    bench.advance(29)
    closes = [o for o in bench.venue.orders.values() if o.request.role == "close"]
    assert len(closes) == 1
    bench.advance(3)
    closes = [o for o in bench.venue.orders.values() if o.request.role == "close"]
    assert [order.state for order in closes] == [OrderState.CANCELED, OrderState.OPEN]
    assert executor.retries == 1


def test_exhausted_retries_hand_the_exposure_over(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.orchestrator.find(filled(bench, stop_loss="0.02"))
    assert executor is not None
    bench.venue.rejections = 10**6
    bench.price(480)
    bench.advance(1000)
    assert len([o for o in bench.venue.orders.values() if o.request.role == "close"]) == 11
    assert (executor.close_type, executor.is_done) == (CloseType.FAILED, True)
    (position,) = bench.orchestrator.get_positions_report()["main"]
    assert position.amount == 2
    assert executor.executor_info.net_pnl_quote == 0
    alerts = [n for n in bench.orchestrator.take_notices() if n.level == "error"]
    assert any("without barriers" in alert.text for alert in alerts)


def test_giving_up_cancels_what_is_live_first(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(entry_price="49", open_order_type="LIMIT")
    bench.venue.is_deaf = True
    executor.fail("broken")
    assert executor.status is RunnableStatus.SHUTTING_DOWN
    bench.venue.cancel("O-2")
    bench.pump()
    assert (executor.close_type, executor.is_done) == (CloseType.FAILED, True)


def test_dust_ends_normally_and_goes_to_the_position_store(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.orchestrator.find(filled(bench))
    assert executor is not None
    bench.orchestrator.begin_stop(keep_positions=False)
    bench.pump()
    close = bench.venue.last("close").request.client_order_id
    bench.venue.fill(close, 1991, 510)
    bench.venue.cancel(close)
    bench.pump()
    assert (executor.close_type, executor.is_done) == (CloseType.EARLY_STOP, True)
    (dust,) = executor.held_position_orders
    assert dust.client_order_id == f"{executor.executor_id}:dust"
    assert (dust.lots, dust.atoms, dust.fee_atoms) == (9, 9 * 500 * 10_000, 0)
    assert not executor.is_handed_over
    assert executor.executor_info.net_pnl_quote == Decimal("1.991")
    (position,) = bench.orchestrator.get_positions_report()["main"]
    assert (position.amount, position.breakeven_price) == (Decimal("0.009"), Decimal("50.0"))


def test_what_is_closed_too_much_is_handed_over_with_an_alert(
    manual_bench: ExecutorBench,
) -> None:
    bench = manual_bench
    executor = bench.orchestrator.find(
        filled(bench, take_profit="0.02", take_profit_order_type="LIMIT")
    )
    assert executor is not None
    resting = bench.venue.last("take_profit").request.client_order_id
    executor.early_stop(keep_position=False)
    bench.venue.cancel(resting)
    bench.pump()
    bench.venue.fill(resting, 500, 510)
    bench.pump()
    bench.venue.fill(bench.venue.last("close").request.client_order_id, 2000, 500)
    bench.pump()
    assert executor.is_done
    (position,) = bench.orchestrator.get_positions_report()["main"]
    assert (position.side, position.amount) == (TradeType.SELL, Decimal("0.5"))
    assert executor.executor_info.net_pnl_quote == Decimal("0.5")


def test_a_forced_stop_holds_what_is_filled(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.orchestrator.find(filled(bench, lots=500))
    assert executor is not None
    bench.orchestrator.force_stop()
    bench.pump()
    assert (executor.close_type, executor.is_done) == (CloseType.POSITION_HOLD, True)
    assert bench.venue.orders["O-2"].state is OrderState.CANCELED
    assert bench.orchestrator.is_stopped
    assert executor.stop().intents == ()


def test_a_forced_stop_with_nothing_filled_is_a_failure(manual_bench: ExecutorBench) -> None:
    executor = manual_bench.create(entry_price="49", open_order_type="LIMIT")
    manual_bench.orchestrator.force_stop()
    assert (executor.close_type, executor.is_done) == (CloseType.FAILED, True)


def test_without_a_price_the_close_goes_out_all_the_same(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.orchestrator.find(filled(bench))
    assert executor is not None
    bench.venue.quotes.clear()
    bench.orchestrator.begin_stop(keep_positions=False)
    bench.pump()
    assert bench.venue.last("close").request.lots == 2000
