"""Barriers of the position executor."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.executors.position_info import PositionCustomInfo
from engine.executors.status import CloseType, RunnableStatus
from engine.model.instruments import Settlement
from engine.model.orders import OrderState, OrderType, PositionAction, TradeType
from engine.testing.executor_bench import ExecutorBench, bench_instrument


def test_worked_example_a_in_the_executor(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(take_profit="0.05")
    bench.venue.fill("O-2", 2000, 500, fee_atoms=10_000_000)
    bench.pump()
    bench.price(515, 516)
    info = executor.executor_info
    assert (info.net_pnl_quote, info.net_pnl_pct) == (Decimal("2.9"), Decimal("0.029"))
    assert info.filled_amount_quote == 100
    bench.stop(executor)
    bench.venue.fill("O-3", 2000, 514, fee_atoms=10_280_000)
    bench.pump()
    info = executor.executor_info
    assert (info.net_pnl_quote, info.net_pnl_pct) == (Decimal("2.5972"), Decimal("0.025972"))
    assert info.filled_amount_quote == Decimal("202.8")
    bench.price(600)
    assert executor.executor_info.net_pnl_quote == Decimal("2.5972")


@pytest.mark.parametrize(
    ("side", "kept", "fired"), [("BUY", 491, 490), ("SELL", 509, 510)], ids=["long", "short"]
)
def test_the_stop_loss_is_inclusive(
    manual_bench: ExecutorBench, side: str, kept: int, fired: int
) -> None:
    bench = manual_bench
    executor = bench.create(side=side, stop_loss="0.02")
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    bench.price(kept)
    assert executor.status is RunnableStatus.RUNNING
    bench.price(fired)
    assert executor.close_type is CloseType.STOP_LOSS
    request = bench.venue.last("close").request
    assert request.side is TradeType[side].opposite
    assert (request.order_type, request.lots) == (OrderType.MARKET, 2000)


@pytest.mark.parametrize(("side", "kept", "fired"), [("BUY", 514, 515), ("SELL", 486, 485)])
def test_the_monitored_take_profit_is_inclusive(
    manual_bench: ExecutorBench, side: str, kept: int, fired: int
) -> None:
    bench = manual_bench
    executor = bench.create(side=side, take_profit="0.03")
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    bench.price(kept)
    assert executor.status is RunnableStatus.RUNNING
    bench.price(fired)
    assert executor.close_type is CloseType.TAKE_PROFIT


def test_barriers_are_net_of_fees(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(stop_loss="0.02")
    bench.venue.fill("O-2", 2000, 500, fee_atoms=1)
    bench.pump()
    bench.price(491)
    assert executor.status is RunnableStatus.RUNNING
    bench.price(490)
    assert executor.close_type is CloseType.STOP_LOSS


def test_the_trailing_stop_follows_the_worked_example(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    bench.price(1000)
    executor = bench.create(trailing_stop="0.02,0.005", amount="1")
    bench.venue.fill("O-2", 1000, 1000)
    bench.pump()
    for price, trigger in ((1020, None), (1021, "0.016"), (1030, "0.025"), (1025, "0.025")):
        bench.price(price)
        found = PositionCustomInfo.from_executor(executor).trailing_stop_trigger_pct
        assert found == (None if trigger is None else Decimal(trigger))
    assert executor.status is RunnableStatus.RUNNING
    bench.price(1024)
    assert executor.close_type is CloseType.TRAILING_STOP


def test_the_time_limit_runs_from_the_timestamp(bench: ExecutorBench) -> None:
    executor = bench.create(time_limit=60, timestamp=970)
    bench.advance(29.999)
    assert executor.status is RunnableStatus.RUNNING
    bench.advance(0.001)
    assert executor.close_type is CloseType.TIME_LIMIT
    assert executor.is_done


def test_the_time_limit_needs_no_fill(manual_bench: ExecutorBench) -> None:
    executor = manual_bench.create(time_limit=60, entry_price="40", open_order_type="LIMIT")
    manual_bench.advance(60)
    assert (executor.close_type, executor.is_done) == (CloseType.TIME_LIMIT, True)
    assert manual_bench.venue.last("entry").state is OrderState.CANCELED


def test_the_stop_loss_comes_before_the_time_limit(bench: ExecutorBench) -> None:
    executor = bench.create(time_limit=60, stop_loss="0.02")
    bench.venue.set_quote(executor.market, 400, 401)
    bench.advance(60)
    assert executor.close_type is CloseType.STOP_LOSS


def test_a_partial_fill_is_protected(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(entry_price="50", open_order_type="LIMIT", stop_loss="0.02")
    bench.venue.fill("O-2", 500, 500)
    bench.pump()
    bench.price(490)
    assert executor.close_type is CloseType.STOP_LOSS
    assert bench.venue.orders["O-2"].state is OrderState.CANCELED
    assert bench.venue.last("close").request.lots == 500


def test_an_untradable_amount_is_not_stopped(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(entry_price="50", open_order_type="LIMIT", stop_loss="0.02")
    bench.venue.fill("O-2", 9, 500)
    bench.pump()
    bench.price(400)
    assert executor.status is RunnableStatus.RUNNING


@pytest.mark.parametrize(
    ("settlement", "is_hedged", "action"),
    [
        (Settlement.DERIVATIVE, False, PositionAction.OPEN),
        (Settlement.DERIVATIVE, True, PositionAction.CLOSE),
        (Settlement.SPOT, False, PositionAction.CLOSE),
    ],
)
def test_the_action_of_the_closing_order(
    settlement: Settlement, *, is_hedged: bool, action: PositionAction
) -> None:
    bench = ExecutorBench(bench_instrument(settlement=settlement, is_hedged=is_hedged))
    bench.stop(bench.create())
    assert bench.venue.last("close").request.position_action is action


def test_a_worse_close_never_relabels(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(stop_loss="0.02", time_limit=60)
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    bench.price(490)
    bench.advance(100)
    bench.stop(executor, keep=True)
    assert executor.close_type is CloseType.STOP_LOSS


def test_barrier_prices_for_people(bench: ExecutorBench) -> None:
    executor = bench.create(
        stop_loss="0.02", take_profit="0.03", trailing_stop="0.01,0.005", time_limit=60
    )
    bench.price(500)
    snapshot = executor.snapshot()
    found = {item.kind: item for item in snapshot.barriers(500)}
    assert found["stop_loss"].price == Decimal("49.0")
    assert found["stop_loss"].distance_pct == Decimal("-0.02")
    assert found["take_profit"].price == Decimal("51.7")
    assert found["trailing_stop"].note == "arms at this price"
    assert found["time_limit"].at_ns == 1060 * 10**9
    bench.price(510)
    armed = {item.kind: item for item in executor.snapshot().barriers(None)}
    assert armed["trailing_stop"].note == "armed: closes at this price"
    assert armed["stop_loss"].distance_pct is None
    bench.stop(executor)
    assert executor.snapshot().barriers(500) == ()


def test_before_the_fill_the_entry_is_shown(manual_bench: ExecutorBench) -> None:
    executor = manual_bench.create(entry_price="49", open_order_type="LIMIT", stop_loss="0.02")
    (entry,) = executor.snapshot().barriers(500)
    assert (entry.kind, entry.price) == ("entry", Decimal("49.0"))
