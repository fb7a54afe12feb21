"""The grid executor: orders, round trips, barriers, stop, restart."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from engine.executors.grid_config import GridExecutorUpdate
from engine.executors.grid_executor import GridExecutor
from engine.executors.grid_level import GridLevelStates
from engine.executors.order_roles import kind_of, level_of
from engine.executors.settings import ExecutorSettings
from engine.executors.status import CloseType, RunnableStatus
from engine.model.instruments import Settlement
from engine.model.orders import Order, OrderState, OrderType, TradeType
from engine.testing.executor_bench import bench_instrument
from engine.testing.type_bench import TypeBench

Bench = TypeBench[GridExecutor]
S = GridLevelStates
FIELDS: dict[str, Any] = {
    "connector_name": "paper",
    "trading_pair": "BTC-USDT",
    "start_price": "2000",
    "end_price": "2200",
    "limit_price": "0",
    "total_amount_quote": "500",
    "min_order_amount_quote": "20",
    "min_spread_between_orders": "0.02",
}


def grid_fields(**barriers: Any) -> dict[str, Any]:
    barriers = {"take_profit": "0.025", "take_profit_order_type": "LIMIT"} | barriers
    return {"triple_barrier_config": barriers}


def new_desk(**changes: Any) -> Bench:
    """Return a desk at 2100 whose venue only acknowledges; one tick is 1, one lot 0.01."""
    fields: dict[str, Any] = {
        "tick": Decimal(1),
        "lot": Decimal("0.01"),
        "min_qty": Decimal("0.01"),
        "min_notional": Decimal(10),
    }
    bench = TypeBench(
        GridExecutor,
        "grid_executor",
        FIELDS | grid_fields(),
        bench_instrument(**(fields | changes)),
    )
    bench.venue.is_matching = False
    bench.price(2100)
    return bench


@pytest.fixture
def desk() -> Bench:
    return new_desk()


def of_level(desk: Bench, index: int, kind: str = "entry") -> Order:
    """Return the newest order of a level."""
    return [
        order
        for order in desk.orders()
        if kind_of(order.request.role) == kind and level_of(order.request.role) == index
    ][-1]


def working(desk: Bench, kind: str) -> list[int | None]:
    return [o.request.limit_ticks for o in desk.venue.live() if kind_of(o.request.role) == kind]


def states(executor: GridExecutor) -> list[GridLevelStates]:
    return [level.state for level in executor.grid_levels]


def test_the_levels_nearest_to_the_mid_come_first(desk: Bench) -> None:
    executor = desk.create()
    requests = [order.request for order in desk.orders()]
    assert [level_of(request.role) for request in requests] == [2, 1, 3, 0, 4]
    # Levels at or above the bid go a little behind it.
    assert [request.limit_ticks for request in requests] == [2099, 2050, 2099, 2000, 2099]
    assert [request.lots for request in requests] == [4, 4, 4, 4, 4]
    assert {request.side for request in requests} == {TradeType.BUY}
    assert states(executor) == [S.OPEN_ORDER_PLACED] * 5


def test_open_orders_never_exceed_their_number(desk: Bench) -> None:
    executor = desk.create(max_open_orders=2)
    desk.advance(60)
    assert len(desk.orders()) == 2
    desk.fill(of_level(desk, 2))
    desk.advance(1)
    assert len(working(desk, "entry")) == 2
    assert states(executor).count(S.OPEN_ORDER_PLACED) == 2


def test_batches_have_a_size_and_a_distance(desk: Bench) -> None:
    desk.create(max_orders_per_batch=2, order_frequency=10)
    assert len(desk.orders()) == 2
    desk.advance(9.9)
    assert len(desk.orders()) == 2
    desk.advance(0.2)
    assert len(desk.orders()) == 4
    desk.advance(10)
    assert len(desk.orders()) == 5


def test_a_round_trip_is_booked_and_the_level_used_again(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(of_level(desk, 0), 4, 2000)
    assert working(desk, "take_profit") == [2101]  # 2050 would cross: behind the ask
    assert states(executor)[0] is S.CLOSE_ORDER_PLACED
    desk.fill(of_level(desk, 0, "take_profit"), 4, 2050)
    assert states(executor)[0] is S.NOT_ACTIVE
    info = executor.executor_info
    assert info.custom_info["realized_pnl_quote"] == "2.00000000"
    assert info.net_pnl_quote == Decimal(2)
    desk.advance(1)
    assert states(executor)[0] is S.OPEN_ORDER_PLACED
    assert executor.status is RunnableStatus.RUNNING


def test_worked_example_of_the_profit(desk: Bench) -> None:
    executor = desk.create(**grid_fields(take_profit="0.0250"))
    venue = desk.venue

    def fill(index: int, kind: str, ticks: int, fee: str) -> None:
        order = of_level(desk, index, kind).request.client_order_id
        venue.fill(order, 4, ticks, fee_atoms=int(Decimal(fee) * 10**8))
        desk.pump()

    fill(0, "entry", 2000, "0.08")
    fill(0, "take_profit", 2050, "0.082")
    desk.advance(1)
    fill(1, "entry", 2050, "0.082")
    fill(0, "entry", 2000, "0.08")
    desk.price(2010)
    info = executor.executor_info
    custom = info.custom_info
    assert Decimal(str(custom["position_size_quote"])) == 162
    assert Decimal(str(custom["position_pnl_quote"])) == Decimal("-1.362")
    assert str(custom["position_pnl_pct"]).startswith("-0.0084074")
    assert custom["current_position_average_price"] == "2025"
    assert Decimal(str(custom["realized_pnl_quote"])) == Decimal("1.838")
    assert Decimal(str(custom["realized_buy_size_quote"])) == 80
    assert Decimal(str(custom["realized_sell_size_quote"])) == 82
    assert Decimal(str(custom["realized_imbalance_quote"])) == -2
    assert Decimal(str(custom["realized_fees_quote"])) == Decimal("0.162")
    assert info.net_pnl_quote == Decimal("0.476")
    assert info.filled_amount_quote == 324
    assert info.cum_fees_quote == Decimal("0.324")
    assert str(info.net_pnl_pct).startswith("0.00146913")
    assert info.is_trading


def test_a_target_is_relative_to_the_actual_fill(desk: Bench) -> None:
    desk.create()
    desk.fill(of_level(desk, 2))  # the level is 2100, its entry went to 2099
    assert of_level(desk, 2, "take_profit").request.limit_ticks == 2152


def test_a_watched_target_closes_at_the_market(desk: Bench) -> None:
    executor = desk.create(**grid_fields(take_profit_order_type="MARKET"))
    desk.price(2010)
    desk.fill(of_level(desk, 0))
    desk.price(2040)
    assert states(executor)[0] is S.OPEN_ORDER_FILLED
    desk.price(2049, 2051)
    assert states(executor)[0] is S.OPEN_ORDER_FILLED
    desk.price(2050, 2051)
    request = of_level(desk, 0, "take_profit").request
    assert (request.order_type, request.lots) == (OrderType.MARKET, 4)


def test_a_short_grid_mirrors_a_long_one(desk: Bench) -> None:
    executor = desk.create(side="SELL", limit_price="2300")
    requests = [order.request for order in desk.orders()]
    assert {request.side for request in requests} == {TradeType.SELL}
    assert [request.limit_ticks for request in requests] == [2101, 2101, 2150, 2101, 2200]
    desk.fill(of_level(desk, 4))
    close = of_level(desk, 4, "take_profit").request
    assert (close.side, close.limit_ticks) == (TradeType.BUY, 2099)  # 2145 would cross
    desk.fill(of_level(desk, 4, "take_profit"), 3, 2099)
    assert executor.executor_info.net_pnl_quote == Decimal("3.03")
    desk.price(1999)
    assert executor.close_type is CloseType.TAKE_PROFIT


def test_bounds_place_and_withdraw(desk: Bench) -> None:
    executor = desk.create(activation_bounds="0.03")
    assert sorted(level_of(o.request.role) or 0 for o in desk.venue.live()) == [1, 2, 3, 4]
    desk.price(2061)
    desk.advance(1)
    assert states(executor)[0] is S.OPEN_ORDER_PLACED
    desk.price(2180)
    assert of_level(desk, 0).state is OrderState.CANCELED
    assert of_level(desk, 1).state is OrderState.CANCELED


def test_an_exit_waits_for_its_bounds(desk: Bench) -> None:
    desk.create(activation_bounds="0.05", **grid_fields(take_profit="0.1"))
    desk.fill(of_level(desk, 1))
    assert working(desk, "take_profit") == []
    desk.price(2150)
    assert working(desk, "take_profit") == [2255]
    desk.price(2140)
    assert working(desk, "take_profit") == []


def test_a_partly_filled_entry_that_is_cancelled_is_closed(desk: Bench) -> None:
    executor = desk.create()
    entry = of_level(desk, 0)
    desk.fill(entry, 3)
    assert states(executor)[0] is S.OPEN_ORDER_PLACED
    desk.cancel(entry)
    assert of_level(desk, 0, "take_profit").request.lots == 3
    assert executor.retries == 0


def test_a_partly_filled_exit_that_is_cancelled_is_placed_again(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(of_level(desk, 0))
    close = of_level(desk, 0, "take_profit")
    desk.fill(close, 1)
    desk.cancel(close)
    desk.advance(1)
    assert of_level(desk, 0, "take_profit").request.lots == 3
    assert executor.totals.remaining_lots == 3


def test_failures_count_and_wait(desk: Bench) -> None:
    desk.venue.rejections = 1
    executor = desk.create()
    assert executor.retries == 1
    assert len(executor.executor_info.custom_info["failed_orders"]) == 1  # type: ignore[arg-type]  # a list
    desk.venue.rejections = 10**6
    for index in (0, 1, 3, 4):
        desk.cancel(of_level(desk, index))
    desk.advance(3000)
    assert (executor.close_type, executor.is_done) == (CloseType.FAILED, True)


def test_a_level_that_the_balance_does_not_cover_is_skipped(desk: Bench) -> None:
    executor = desk.create(max_open_orders=1)
    desk.venue.is_funded = False
    desk.cancel(of_level(desk, 2))
    desk.advance(30)
    assert len(desk.orders()) == 1
    desk.venue.is_funded = True
    desk.advance(5)
    assert len(desk.orders()) == 2
    assert executor.retries == 0


def test_too_little_balance_at_the_start(desk: Bench) -> None:
    desk.venue.is_funded = False
    assert desk.create().close_type is CloseType.INSUFFICIENT_BALANCE


def test_too_little_for_one_level(desk: Bench) -> None:
    executor = desk.create(total_amount_quote="20")
    assert (executor.close_type, executor.is_done) == (CloseType.FAILED, True)
    assert "below one level" in executor.executor_info.last_error


def test_the_levels_wait_for_a_price() -> None:
    desk = new_desk()
    desk.venue.quotes.clear()
    executor = desk.create()
    assert executor.grid_levels == ()
    desk.price(2100)
    assert len(executor.grid_levels) == 5


@pytest.mark.parametrize(("settlement", "leverage"), [("SPOT", 1), ("DERIVATIVE", 20)])
def test_spot_has_no_leverage(settlement: str, leverage: int) -> None:
    desk = new_desk(settlement=Settlement[settlement])
    desk.create()
    assert desk.orders()[0].request.leverage == leverage


def test_the_stop_loss_is_inclusive_and_closes_everything(desk: Bench) -> None:
    executor = desk.create(**grid_fields(stop_loss="0.02"))
    desk.fill(of_level(desk, 0))
    desk.fill(of_level(desk, 1))
    desk.price(1985)  # (1985 - 2025) / 2025 is above -0.02
    assert executor.status is RunnableStatus.RUNNING
    desk.price(1984)
    assert executor.close_type is CloseType.STOP_LOSS
    close = desk.venue.last("close")
    assert close.request.lots == 8
    assert [o.request.role for o in desk.venue.live()] == ["close"]
    desk.fill(close)
    assert executor.is_done
    info = executor.executor_info
    assert info.net_pnl_quote == Decimal("-3.28")
    assert info.custom_info["position_size_quote"] == "0.00000000"
    assert Decimal(str(info.custom_info["realized_pnl_quote"])) == Decimal("-3.28")
    desk.price(2500)
    assert executor.executor_info.net_pnl_quote == Decimal("-3.28")


@pytest.mark.parametrize(
    ("keep", "close_type"), [(False, CloseType.STOP_LOSS), (True, CloseType.POSITION_HOLD)]
)
def test_the_limit_price(desk: Bench, keep: bool, close_type: CloseType) -> None:
    executor = desk.create(limit_price="1950", keep_position=keep)
    desk.fill(of_level(desk, 0))
    desk.price(1950, 1951)
    assert executor.status is RunnableStatus.RUNNING
    desk.price(1949, 1951)
    assert executor.close_type is close_type
    assert executor.is_done is keep


def test_the_limit_price_of_a_short_grid(desk: Bench) -> None:
    executor = desk.create(side="SELL", limit_price="2300")
    desk.price(2299, 2300)
    assert executor.status is RunnableStatus.RUNNING
    desk.price(2300)
    assert (executor.close_type, executor.is_done) == (CloseType.STOP_LOSS, True)


def test_the_end_of_the_range_is_the_take_profit(desk: Bench) -> None:
    executor = desk.create()
    desk.price(2200)
    assert executor.status is RunnableStatus.RUNNING
    desk.price(2200, 2201)
    assert (executor.close_type, executor.is_done) == (CloseType.TAKE_PROFIT, True)


def test_a_start_beyond_a_barrier_shuts_down_at_once() -> None:
    desk = new_desk()
    desk.price(2300)
    executor = desk.create()
    assert (executor.close_type, executor.is_done) == (CloseType.TAKE_PROFIT, True)
    assert desk.orders() == []


def test_the_time_limit(desk: Bench) -> None:
    executor = desk.create(**grid_fields(time_limit=60))
    desk.advance(60)
    assert (executor.close_type, executor.is_done) == (CloseType.TIME_LIMIT, True)


def test_the_trailing_stop_belongs_to_the_open_position(desk: Bench) -> None:
    executor = desk.create(**grid_fields(take_profit="0.09", trailing_stop="0.02,0.005"))
    desk.fill(of_level(desk, 0))
    assert executor.snapshot().trailing_trigger_pct == Decimal("0.045")
    desk.price(2090)
    assert executor.status is RunnableStatus.RUNNING
    desk.price(2089)
    assert executor.close_type is CloseType.TRAILING_STOP


def test_without_a_position_the_trigger_is_forgotten(desk: Bench) -> None:
    executor = desk.create(**grid_fields(trailing_stop="0.02,0.005"))
    desk.fill(of_level(desk, 0))
    assert executor.snapshot().trailing_trigger_pct is not None
    desk.fill(of_level(desk, 0, "take_profit"))
    assert executor.snapshot().trailing_trigger_pct is None
    assert executor.status is RunnableStatus.RUNNING


def test_a_stop_that_keeps_hands_over_only_what_is_open(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(of_level(desk, 0))
    desk.fill(of_level(desk, 0, "take_profit"), 4, 2050)
    desk.fill(of_level(desk, 1))
    desk.stop(executor, keep=True)
    assert (executor.close_type, executor.is_done) == (CloseType.POSITION_HOLD, True)
    (position,) = desk.orchestrator.get_positions_report()["main"]
    assert (position.amount, position.breakeven_price) == (Decimal("0.04"), Decimal(2050))
    info = executor.executor_info
    assert (info.net_pnl_quote, info.filled_amount_quote) == (Decimal(2), Decimal(162))
    report = desk.orchestrator.get_performance_report("main")
    assert report.global_pnl_quote == Decimal(2) + Decimal("0.04") * 50
    assert info.custom_info["held_position_value"] == "82.00000000"


def test_a_stop_that_keeps_without_a_round_trip_reports_nothing(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(of_level(desk, 1))
    desk.stop(executor, keep=True)
    info = executor.executor_info
    assert {info.net_pnl_quote, info.filled_amount_quote, info.cum_fees_quote} == {Decimal(0)}
    assert executor.is_handed_over


def test_the_configuration_decides_what_a_stop_keeps(desk: Bench) -> None:
    executor = desk.create(keep_position=True)
    desk.fill(of_level(desk, 1))
    desk.stop(executor)
    assert executor.close_type is CloseType.POSITION_HOLD


def test_keeping_nothing_is_an_early_stop_with_its_result(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(of_level(desk, 0))
    desk.fill(of_level(desk, 0, "take_profit"), 4, 2050)
    desk.stop(executor, keep=True)
    assert (executor.close_type, executor.is_done) == (CloseType.EARLY_STOP, True)
    assert executor.executor_info.net_pnl_quote == Decimal(2)


def test_the_close_waits_for_every_cancel(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(of_level(desk, 0))
    desk.fill(of_level(desk, 1), 2)
    desk.venue.is_deaf = True
    desk.stop(executor)
    assert not [o for o in desk.orders() if o.request.role == "close"]
    desk.venue.is_deaf = False
    desk.advance(5)
    assert desk.venue.last("close").request.lots == 6


@pytest.mark.parametrize(("deduct", "lots"), [(True, 3), (False, 4)])
def test_fees_in_base(desk: Bench, deduct: bool, lots: int) -> None:
    executor = desk.create(deduct_base_fees=deduct)
    entry = of_level(desk, 0).request.client_order_id
    desk.venue.fill(entry, 4, 2000, fee_atoms=10**8, fee_base_lots=1)
    desk.pump()
    assert of_level(desk, 0, "take_profit").request.lots == lots
    desk.fill(of_level(desk, 0, "take_profit"))
    assert states(executor)[0] is S.NOT_ACTIVE
    desk.stop(executor)
    left = sum(order.lots for order in executor.held_position_orders)
    assert left == (0 if deduct else 1)


def test_a_long_life_keeps_few_orders(desk: Bench) -> None:
    executor = desk.create(max_open_orders=1)
    for _ in range(60):
        (entry,) = [o for o in desk.venue.live() if kind_of(o.request.role) == "entry"]
        index = level_of(entry.request.role)
        assert index is not None
        desk.fill(entry, ticks=2000)
        desk.fill(of_level(desk, index, "take_profit"), ticks=2050)
        desk.advance(1)
    assert len(list(executor._orders)) < 75
    assert executor.totals.entry_lots == executor.totals.exit_lots == 240
    assert executor.executor_info.net_pnl_quote == Decimal(120)
    fresh, again = desk.reborn(executor)
    assert again.totals == executor.totals
    assert again.executor_info.net_pnl_quote == Decimal(120)
    assert fresh.orchestrator.get_performance_report("main").global_pnl_quote == Decimal(120)


def test_an_update_acts_at_once(desk: Bench) -> None:
    executor = desk.create(max_open_orders=1)
    desk.advance(5)
    assert desk.update(executor, GridExecutorUpdate(max_open_orders=3)).ok
    assert len(desk.venue.live()) == 3
    assert desk.update(executor, GridExecutorUpdate(limit_price=Decimal(1999))).ok
    refused = desk.update(executor, GridExecutorUpdate(limit_price=Decimal(2100)))
    assert "must be below start_price" in refused.message
    assert "must change something" in desk.update(executor, GridExecutorUpdate()).message
    desk.price(1999)
    assert executor.close_type is CloseType.STOP_LOSS


def test_a_restart_knows_levels_round_trips_and_trigger(desk: Bench) -> None:
    executor = desk.create(**grid_fields(trailing_stop="0.02,0.005", stop_loss="0.5"))
    desk.fill(of_level(desk, 0))
    desk.fill(of_level(desk, 0, "take_profit"), 4, 2050)
    desk.fill(of_level(desk, 1), 3)
    desk.advance(1)
    json.dumps(executor.runtime_state())
    fresh, again = desk.reborn(executor)
    assert states(again) == states(executor)
    assert again.totals == executor.totals
    assert again.snapshot().trailing_trigger_pct == executor.snapshot().trailing_trigger_pct
    assert again.wakes == executor.wakes
    assert again.executor_info.custom_info["realized_pnl_quote"] == "2.00000000"
    count = len(desk.orders())
    fresh.advance(10)
    assert len(desk.orders()) == count


def test_levels_and_barriers_are_shown(desk: Bench) -> None:
    executor = desk.create(
        limit_price="1900",
        **grid_fields(stop_loss="0.02", trailing_stop="0.05,0.01", time_limit=60),
    )
    desk.fill(of_level(desk, 0))
    rows = executor.snapshot().barriers(2100)
    kinds = [row.kind for row in rows]
    assert kinds == ["level"] * 5 + [
        "stop_loss",
        "stop_loss",
        "take_profit",
        "trailing_stop",
        "time_limit",
    ]
    assert rows[0].note == "close order placed"
    assert [row.price for row in rows[5:9]] == [
        Decimal(1960),
        Decimal(1900),
        Decimal("2200.5"),
        Decimal("2100.5"),
    ]
    assert executor.snapshot().barriers(None)[0].distance_pct is None
    desk.stop(executor)
    desk.fill(desk.venue.last("close"))
    assert executor.snapshot().barriers(None) == ()


def test_half_a_tick_counts_in_the_report(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(of_level(desk, 0))
    desk.price(2010, 2011)
    assert executor.executor_info.net_pnl_quote == Decimal("0.42")
    assert executor.snapshot().net_pnl_atoms(2010) == 40_000_000


def test_exhausted_retries_hand_over_the_open_part(desk: Bench) -> None:
    desk = TypeBench(
        GridExecutor,
        "grid_executor",
        FIELDS | grid_fields(),
        bench_instrument(tick=Decimal(1), lot=Decimal("0.01"), min_notional=Decimal(10)),
        settings=ExecutorSettings(),
    )
    desk.venue.is_matching = False
    desk.price(2100)
    executor = desk.create()
    desk.fill(of_level(desk, 0))
    desk.venue.rejections = 10**6
    desk.stop(executor)
    desk.advance(2000)
    assert (executor.close_type, executor.is_done) == (CloseType.FAILED, True)
    assert [held.lots for held in executor.held_position_orders] == [4]
