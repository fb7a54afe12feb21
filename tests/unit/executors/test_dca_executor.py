"""The DCA executor: levels, bounds, barriers, stop, restart."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from engine.executors.dca_config import DCAMode
from engine.executors.dca_executor import DCAExecutor
from engine.executors.dca_level import level_window
from engine.executors.order_roles import kind_of, level_of, level_role
from engine.executors.status import CloseType, RunnableStatus
from engine.model.orders import Order, OrderState, OrderType, TradeType
from engine.testing.executor_bench import bench_instrument
from engine.testing.type_bench import TypeBench

Bench = TypeBench[DCAExecutor]
FIELDS: dict[str, Any] = {
    "connector_name": "paper",
    "trading_pair": "BTC-USDT",
    "side": "BUY",
    "amounts_quote": ["10", "20"],
    "prices": ["100", "80"],
}


@pytest.fixture
def desk() -> Bench:
    """A desk at 110.0 whose venue only acknowledges."""
    bench = TypeBench(DCAExecutor, "dca_executor", FIELDS)
    bench.venue.is_matching = False
    bench.price(1100)
    return bench


def entries(desk: Bench) -> list[Order]:
    return [order for order in desk.orders() if kind_of(order.request.role) == "entry"]


def opened(desk: Bench, **fields: Any) -> DCAExecutor:
    """Create an executor and fill both levels at their prices."""
    executor = desk.create(**fields)
    desk.advance(1)
    for order in entries(desk):
        desk.fill(order)
    return executor


def test_worked_example_c(desk: Bench) -> None:
    executor = desk.create()
    desk.advance(1)
    first, second = entries(desk)
    desk.venue.fill(first.request.client_order_id, 100, 1000, fee_atoms=20_000_000)
    desk.venue.fill(second.request.client_order_id, 250, 800, fee_atoms=20_000_000)
    desk.pump()
    desk.price(500)
    info = executor.executor_info
    assert info.net_pnl_quote == Decimal("-12.9")
    assert info.net_pnl_pct == Decimal("-0.43")
    assert executor.totals.trade_pnl_pct(500) == Fraction(-125, 300)
    assert info.custom_info["filled_amount"] == "0.350"
    price = executor.entry_price
    assert price is not None
    assert round(price, 7) == Decimal("85.7142857")


def test_the_report_names_everything(desk: Bench) -> None:
    executor = desk.create(
        amounts_quote="10,20,30", prices="100,80,60", stop_loss="0.1", level_id="a"
    )
    info = executor.executor_info.custom_info
    assert info["side"] == "BUY"
    assert info["level_id"] == "a"
    assert info["n_levels"] == 3
    assert (info["min_price"], info["max_price"]) == ("60", "100")
    assert (info["max_amount_quote"], info["max_loss_quote"]) == ("60", "6.0")
    assert str(info["target_position_average_price"]).startswith("70.588")
    assert (info["current_retries"], info["max_retries"]) == (0, 15)
    assert info["current_market_price"] == "110.0"
    assert (info["close_type"], info["close_timestamp"]) == (None, None)
    assert info["order_ids"] == ["O-2"]


def test_levels_are_placed_in_order_one_for_each_interval(desk: Bench) -> None:
    desk.create(amounts_quote="10,20,30", prices="100,80,60")
    assert [order.request.limit_ticks for order in entries(desk)] == [1000]
    desk.advance(0.999)
    assert len(entries(desk)) == 1
    desk.advance(1.01)
    assert [(order.request.lots, order.request.limit_ticks) for order in entries(desk)] == [
        (100, 1000),
        (250, 800),
        (500, 600),
    ]
    assert {order.request.order_type for order in entries(desk)} == {OrderType.LIMIT}
    assert [order.request.role for order in entries(desk)] == ["entry L0", "entry L1", "entry L2"]


def test_a_taker_takes_a_level_when_the_market_is_near(desk: Bench) -> None:
    desk.create(mode="TAKER", activation_bounds="0.01,0.02")
    assert entries(desk) == []
    desk.price(1020)
    assert entries(desk) == []
    desk.price(1019)
    (order,) = entries(desk)
    assert (order.request.order_type, order.request.lots) == (OrderType.MARKET, 100)
    desk.advance(1)
    desk.price(800)
    assert [order.request.lots for order in entries(desk)] == [100, 250]


@pytest.mark.parametrize(
    ("side", "mode", "bounds", "inside", "outside"),
    [
        (TradeType.BUY, DCAMode.MAKER, ("0.5",), (1, 3999), (4000,)),
        (TradeType.SELL, DCAMode.MAKER, ("0.25",), (1601, 9999), (1600,)),
        (TradeType.BUY, DCAMode.TAKER, ("0.1", "0.2"), (1801, 2399), (1800, 2400)),
        (TradeType.SELL, DCAMode.TAKER, ("0.1", "0.2"), (1601, 2199), (1600, 2200)),
        (TradeType.BUY, DCAMode.MAKER, (), (1, 10**9), ()),
        (TradeType.BUY, DCAMode.MAKER, ("1",), (1, 10**9), ()),
    ],
)
def test_bounds_are_strict(
    side: TradeType,
    mode: DCAMode,
    bounds: tuple[str, ...],
    inside: tuple[int, ...],
    outside: tuple[int, ...],
) -> None:
    window = level_window(Fraction(1000), side, mode, tuple(map(Fraction, bounds)))
    assert all(window.contains(mid) for mid in inside)
    assert not any(window.contains(mid) for mid in outside)


def test_a_level_waits_for_its_bounds(desk: Bench) -> None:
    desk.create(activation_bounds="0.01")
    assert entries(desk) == []
    desk.price(1010)
    assert [order.request.limit_ticks for order in entries(desk)] == [1000]
    desk.advance(5)
    assert len(entries(desk)) == 1
    desk.price(805)
    assert len(entries(desk)) == 2


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"amounts_quote": "0.5,20"}, "level 0: amount 0.5 at 100 is below the least notional 1"),
        ({"amounts_quote": "10,2", "prices": "100,300"}, "level 1: amount 2 at 300 is an order of"),
        ({"amounts_quote": "10,1e62"}, "is above the most"),
    ],
)
def test_minimums_end_it_before_it_starts(desk: Bench, fields: Any, reason: str) -> None:
    executor = desk.create(**fields)
    assert (executor.close_type, executor.is_done) == (CloseType.FAILED, True)
    assert reason in executor.executor_info.last_error
    assert desk.orders() == []


def test_too_little_balance(desk: Bench) -> None:
    desk.venue.is_funded = False
    executor = desk.create()
    assert executor.close_type is CloseType.INSUFFICIENT_BALANCE
    assert "does not cover BUY" in executor.executor_info.last_error


def test_a_time_limit_in_the_past(desk: Bench) -> None:
    assert desk.create(time_limit=10, timestamp=5).close_type is CloseType.EXPIRED


def test_a_makers_stop_waits_for_all_levels(desk: Bench) -> None:
    executor = desk.create(stop_loss="0.1")
    desk.advance(1)
    first, second = entries(desk)
    desk.fill(first)
    desk.price(700)
    assert executor.status is RunnableStatus.RUNNING
    desk.fill(second)
    assert executor.close_type is CloseType.STOP_LOSS
    assert desk.venue.last("close").request.lots == 350


def test_a_makers_stop_is_inclusive(desk: Bench) -> None:
    executor = opened(desk, stop_loss="0.3", prices="100,100")
    desk.price(701)
    assert executor.status is RunnableStatus.RUNNING
    desk.price(700)
    assert executor.close_type is CloseType.STOP_LOSS


def test_a_takers_stop_is_a_part_of_everything_planned(desk: Bench) -> None:
    executor = desk.create(mode="TAKER", stop_loss="0.1", activation_bounds="0.01,0.2")
    desk.fill(entries(desk)[0], ticks=1000)
    desk.price(701)
    assert executor.status is RunnableStatus.RUNNING
    desk.price(700)  # 0.1 * (100 - 70) = 3 = 30 * 0.1
    assert executor.close_type is CloseType.STOP_LOSS


def test_the_take_profit_is_strict(desk: Bench) -> None:
    executor = opened(desk, take_profit="0.1", prices="100,100")
    desk.price(1100)
    assert executor.status is RunnableStatus.RUNNING
    desk.price(1101)
    assert executor.close_type is CloseType.TAKE_PROFIT
    assert desk.venue.last("close").request.order_type is OrderType.MARKET


def test_the_trailing_stop(desk: Bench) -> None:
    desk.price(1005)
    executor = opened(desk, trailing_stop="0.02,0.005", prices="100,100")
    for price in (1021, 1030, 1025):
        desk.price(price)
    assert executor.executor_info.custom_info["trailing_stop_trigger_pct"] == "0.025"
    assert executor.status is RunnableStatus.RUNNING
    desk.price(1024)
    assert executor.close_type is CloseType.TRAILING_STOP


def test_the_time_limit_cancels_and_closes(desk: Bench) -> None:
    executor = desk.create(time_limit=60)
    desk.fill(entries(desk)[0])
    desk.advance(60)
    assert executor.close_type is CloseType.TIME_LIMIT
    assert entries(desk)[1].state is OrderState.CANCELED
    desk.fill(desk.venue.last("close"))
    assert executor.is_done


def test_without_a_price_the_time_limit_still_closes(desk: Bench) -> None:
    executor = desk.create(time_limit=60)
    desk.venue.quotes.clear()
    desk.advance(60)
    assert (executor.close_type, executor.is_done) == (CloseType.TIME_LIMIT, True)


def test_a_short_mirrors_a_long(desk: Bench) -> None:
    executor = opened(desk, side="SELL", prices="100,125", take_profit="0.1")
    assert {order.request.side for order in entries(desk)} == {TradeType.SELL}
    entry = executor.totals.entry_ticks
    assert entry is not None
    desk.price(int(entry * 9 / 10) + 1)
    assert executor.status is RunnableStatus.RUNNING
    desk.price(int(entry * 9 / 10))
    assert executor.close_type is CloseType.TAKE_PROFIT
    assert desk.venue.last("close").request.side is TradeType.BUY


def test_a_cancelled_level_is_opened_again_for_the_rest(desk: Bench) -> None:
    executor = desk.create()
    desk.advance(1)
    first = entries(desk)[0]
    desk.fill(first, 40)
    desk.cancel(first)
    desk.advance(1)
    again = entries(desk)[-1].request
    assert (again.lots, again.limit_ticks, again.role) == (60, 1000, "entry L0")
    assert executor.retries == 0
    assert executor.executor_info.custom_info["total_executed_amount_backup"] == "0.040"
    desk.stop(executor)
    assert desk.venue.last("close").request.lots == 40


def test_a_cancelled_level_does_not_hold_up_the_next(desk: Bench) -> None:
    desk.create(activation_bounds="0.2")
    desk.cancel(entries(desk)[0])
    desk.price(1300)
    desk.advance(5)
    desk.price(990)
    assert [order.request.role for order in entries(desk)] == ["entry L0", "entry L0"]
    desk.advance(1)
    assert entries(desk)[-1].request.role == "entry L1"


def test_a_rejected_level_counts_and_holds_up_the_next(desk: Bench) -> None:
    desk.venue.rejections = 2
    executor = desk.create()
    desk.advance(1)
    assert executor.retries == 2
    assert [order.request.role for order in entries(desk)] == ["entry L0", "entry L0"]
    desk.advance(2)
    assert entries(desk)[-1].is_open


def test_after_sixteen_rejections_it_gives_up(desk: Bench) -> None:
    desk.venue.rejections = 10**6
    executor = desk.create()
    desk.advance(2000)
    assert len(entries(desk)) == 16
    assert (executor.close_type, executor.is_done) == (CloseType.FAILED, True)


@pytest.mark.parametrize(
    ("keep", "close_type"), [(True, CloseType.POSITION_HOLD), (False, CloseType.EARLY_STOP)]
)
def test_a_stop_keeps_or_flattens_every_fill(
    desk: Bench, keep: bool, close_type: CloseType
) -> None:
    executor = desk.create()
    desk.advance(1)
    desk.fill(entries(desk)[0], 40)
    desk.stop(executor, keep=keep)
    assert executor.close_type is close_type
    assert all(order.state is OrderState.CANCELED for order in entries(desk))
    if keep:
        assert [held.lots for held in executor.held_position_orders] == [40]
        assert executor.executor_info.filled_amount_quote == 0
    else:
        assert desk.venue.last("close").request.lots == 40


def test_the_levels_are_shown(desk: Bench) -> None:
    executor = opened(desk, stop_loss="0.1", take_profit="0.1", time_limit=100)
    kinds = [item.kind for item in executor.snapshot().barriers(1100)]
    assert kinds == ["stop_loss", "take_profit", "time_limit"]
    fresh = desk.create()
    rows = fresh.snapshot().barriers(1000)
    assert [(row.kind, row.price, row.distance_pct) for row in rows] == [
        ("level", Decimal("100.0"), Decimal(0)),
        ("level", Decimal("80.0"), Decimal("-0.2")),
    ]
    assert fresh.snapshot().barriers(None)[0].distance_pct is None
    desk.stop(fresh)
    assert fresh.snapshot().barriers(1000) == ()


def test_a_restart_knows_its_levels(desk: Bench) -> None:
    desk.price(1005)
    executor = desk.create(trailing_stop="0.02,0.005", stop_loss="0.5", prices="100,100,80",
                           amounts_quote="10,10,10")  # fmt: skip
    desk.advance(1)
    desk.fill(entries(desk)[0])
    desk.cancel(entries(desk)[1])
    desk.price(1030)
    json.dumps(executor.runtime_state())
    fresh, again = desk.reborn(executor)
    assert again.levels == executor.levels
    assert again.wakes == executor.wakes
    assert again.snapshot().trailing_trigger_pct == Fraction("0.025")
    fresh.advance(1)
    assert entries(desk)[-1].request.role in {"entry L1", "entry L2"}
    fresh.advance(1)
    assert {order.request.role for order in entries(desk) if order.is_open} == {
        "entry L1",
        "entry L2",
    }


def test_prices_are_rounded_passively_and_amounts_down() -> None:
    bench = TypeBench(DCAExecutor, "dca_executor", FIELDS, bench_instrument())
    bench.venue.is_matching = False
    bench.price(1100)
    bench.create(amounts_quote="10", prices="99.97")
    request = bench.venue.last("entry L0").request
    assert (request.limit_ticks, request.lots) == (999, 100)
    bench.create(side="SELL", amounts_quote="10", prices="99.97")
    assert bench.venue.last("entry L0").request.limit_ticks == 1000


def test_roles_name_their_level() -> None:
    role = level_role("entry", 12)
    assert (role, kind_of(role), level_of(role)) == ("entry L12", "entry", 12)
    assert (kind_of("close"), level_of("close")) == ("close", None)
