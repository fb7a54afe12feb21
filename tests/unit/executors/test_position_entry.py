"""Entry of the position executor."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.executors.status import CloseType, Lifecycle, RunnableStatus
from engine.model.orders import OrderState, OrderType, PositionAction, TradeType
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench, bench_instrument


def test_a_market_entry_fills_and_is_guarded(bench: ExecutorBench) -> None:
    executor = bench.create(stop_loss="0.02")
    request = bench.venue.last("entry").request
    assert (request.side, request.order_type, request.lots) == (
        TradeType.BUY,
        OrderType.MARKET,
        2000,
    )
    assert request.limit_ticks is None
    assert request.position_action is PositionAction.OPEN
    assert request.owner_id == executor.executor_id
    assert executor.status is RunnableStatus.RUNNING
    assert executor.executor_info.is_trading
    assert executor.entry_price == Decimal("50.1")


@pytest.mark.parametrize(
    ("side", "price", "resolved"), [("BUY", None, 500), ("SELL", None, 501), ("BUY", "49.97", 499)]
)
def test_the_entry_price_is_resolved_and_placed_passively(
    manual_bench: ExecutorBench, side: str, price: str | None, resolved: int
) -> None:
    executor = manual_bench.create(side=side, entry_price=price, open_order_type="LIMIT")
    assert manual_bench.venue.last("entry").request.limit_ticks == resolved
    assert executor.config.entry_price == Decimal(price or str(Decimal(resolved) / 10))


@pytest.mark.parametrize(("side", "placed"), [("BUY", 500), ("SELL", 501)])
def test_a_limit_maker_entry_never_crosses(
    manual_bench: ExecutorBench, side: str, placed: int
) -> None:
    price = "60" if side == "BUY" else "40"
    manual_bench.create(side=side, entry_price=price, open_order_type="LIMIT_MAKER")
    assert manual_bench.venue.last("entry").request.limit_ticks == placed


def test_amounts_are_rounded_down_to_a_lot(manual_bench: ExecutorBench) -> None:
    manual_bench.create(amount="1.2349")
    assert manual_bench.venue.last("entry").request.lots == 1234


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"amount": "0.009"}, "amount 0.009 is below the least amount 0.010"),
        ({"amount": "11"}, "amount 11 is above the most 10"),
        ({"amount": "0.01", "entry_price": "50"}, "worth 0.50000000, below the least notional 1"),
    ],
)
def test_an_impossible_amount_fails_before_the_start(fields: dict[str, str], words: str) -> None:
    bench = ExecutorBench(bench_instrument(max_qty=Decimal(10)))
    executor = bench.create(**fields)
    assert executor.close_type is CloseType.FAILED
    assert executor.snapshot().lifecycle is Lifecycle.FAILED
    assert words in executor.snapshot().last_error
    assert not bench.venue.orders


def test_a_balance_that_is_too_small_ends_it_without_an_order(bench: ExecutorBench) -> None:
    bench.venue.is_funded = False
    executor = bench.create(time_limit=1, timestamp=1)
    assert executor.close_type is CloseType.INSUFFICIENT_BALANCE
    assert executor.snapshot().lifecycle is Lifecycle.FAILED
    assert "balance does not cover BUY 2" in executor.snapshot().last_error
    assert not bench.venue.orders


def test_an_expired_executor_never_trades(bench: ExecutorBench) -> None:
    executor = bench.create(time_limit=10, timestamp=990)
    assert (executor.status, executor.close_type) == (
        RunnableStatus.TERMINATED,
        CloseType.EXPIRED,
    )
    assert not bench.venue.orders


def test_without_a_quote_it_waits_for_one() -> None:
    bench = ExecutorBench()
    bench.venue.quotes.clear()
    executor = bench.create(time_limit=60)
    assert executor.status is RunnableStatus.RUNNING
    assert executor.executor_info.stale_price
    assert not bench.venue.orders
    bench.price(480, 481)
    assert not executor.executor_info.stale_price
    assert executor.config.entry_price == Decimal("48.0")
    assert bench.venue.last("entry").filled_lots == 2000
    assert executor.retries == 0


def test_without_a_quote_the_time_limit_still_runs() -> None:
    bench = ExecutorBench()
    bench.venue.quotes.clear()
    executor = bench.create(time_limit=60)
    bench.advance(60)
    assert executor.close_type is CloseType.TIME_LIMIT
    assert executor.is_done


def test_without_a_quote_an_expired_one_ends_at_once() -> None:
    bench = ExecutorBench()
    bench.venue.quotes.clear()
    assert bench.create(time_limit=10, timestamp=1).close_type is CloseType.EXPIRED


def test_without_a_quote_the_checks_come_with_the_first_one() -> None:
    bench = ExecutorBench()
    bench.venue.quotes.clear()
    executor = bench.create()
    bench.venue.is_funded = False
    bench.price(480, 481)
    assert executor.close_type is CloseType.INSUFFICIENT_BALANCE


def test_an_invalid_quote_is_stale_and_no_retry(bench: ExecutorBench) -> None:
    executor = bench.create(stop_loss="0.02")
    bench.price(0, 501)
    assert executor.status is RunnableStatus.RUNNING
    assert executor.retries == 0


def test_outside_the_bounds_the_entry_waits_and_is_withdrawn(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    bench.create(entry_price="49", open_order_type="LIMIT", activation_bounds="0.01")
    assert not bench.venue.orders
    bench.price(494, 495)
    entry = bench.venue.last("entry")
    assert entry.state is OrderState.OPEN
    bench.price(495, 496)
    assert bench.venue.last("entry").state is OrderState.CANCELED
    bench.price(493, 494)
    assert len(bench.venue.orders) == 2
    assert bench.venue.last("entry").is_open


def test_after_a_partial_fill_only_the_rest_is_placed_again(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    bench.create(entry_price="49", open_order_type="LIMIT", activation_bounds="0.03")
    first = bench.venue.last("entry").request.client_order_id
    bench.venue.fill(first, 500, 490)
    bench.pump()
    bench.price(600)
    assert bench.venue.orders[first].state is OrderState.CANCELED
    bench.price(495)
    again = bench.venue.last("entry").request
    assert (again.lots, again.limit_ticks) == (1500, 490)


def test_a_remainder_too_small_to_trade_is_left(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(entry_price="49", open_order_type="LIMIT")
    first = bench.venue.last("entry").request.client_order_id
    bench.venue.fill(first, 1995, 490)
    bench.venue.cancel(first)
    bench.pump()
    bench.advance(100)
    assert len(bench.venue.orders) == 1
    assert executor.status is RunnableStatus.RUNNING


def test_failed_entries_are_retried_with_a_growing_wait(bench: ExecutorBench) -> None:
    bench.venue.rejections = 3
    executor = bench.create()
    assert executor.retries == 1
    assert len(bench.venue.orders) == 1
    for wait, orders in ((1, 2), (2, 3), (4, 4)):
        bench.advance(wait - 0.001)
        assert len(bench.venue.orders) == orders - 1
        bench.advance(0.001)
        assert len(bench.venue.orders) == orders
    assert executor.retries == 3
    assert executor.executor_info.is_trading
    assert "no margin" in executor.snapshot().last_error


def test_the_eleventh_failed_entry_ends_it(bench: ExecutorBench) -> None:
    bench.venue.rejections = 10**6
    executor = bench.create()
    bench.advance(1000)
    assert len(bench.venue.orders) == 11
    assert (executor.status, executor.close_type) == (
        RunnableStatus.TERMINATED,
        CloseType.FAILED,
    )
    assert executor.held_position_orders == ()


def test_an_entry_that_the_venue_cancels_is_placed_again_without_a_retry(
    manual_bench: ExecutorBench,
) -> None:
    bench = manual_bench
    executor = bench.create()
    bench.venue.cancel("O-2", "expired")
    bench.pump()
    assert len(bench.venue.orders) == 1
    bench.advance(1)
    assert len(bench.venue.orders) == 2
    assert executor.retries == 0


def test_start_is_idempotent(bench: ExecutorBench) -> None:
    executor = bench.create()
    assert executor.start(bench.venue.now_ns()).intents == ()


def test_failed_entries_with_exposure_hand_it_over(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(entry_price="49", open_order_type="LIMIT")
    first = bench.venue.last("entry").request.client_order_id
    bench.venue.fill(first, 500, 490, fee_atoms=7)
    bench.venue.cancel(first)
    bench.venue.rejections = 10**6
    bench.pump()
    bench.advance(1000)
    assert executor.close_type is CloseType.FAILED
    assert [held.lots for held in executor.held_position_orders] == [500]
    (position,) = bench.orchestrator.get_positions_report()["main"]
    assert position.amount == Decimal("0.500")
    assert executor.executor_info.net_pnl_quote == 0
    assert any(
        notice.level == "error" and "without barriers" in notice.text
        for notice in bench.orchestrator.take_notices()
    )
    assert BENCH_MARKET.trading_pair == position.trading_pair
