"""The cross-exchange maker: quote, band, hedge ledger, end, report."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from engine.executors.status import CloseType, RunnableStatus
from engine.executors.validation import describe_errors
from engine.executors.xemm_config import XEMMExecutorConfig
from engine.executors.xemm_executor import XEMMExecutor
from engine.executors.xemm_quoting import XEMMQuoting
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import Order, OrderState, OrderStatus, OrderType, TradeType
from engine.testing.executor_bench import bench_instrument
from engine.testing.scripted_venue import ScriptedVenue
from engine.testing.type_bench import TypeBench

XEMM = {
    "buying_market": "alpha:BTC-USDT",
    "selling_market": "beta:BTC-USDT",
    "maker_side": "BUY",
    "order_amount": "1",
    "min_profitability": "0.005",
    "target_profitability": "0.01",
    "max_profitability": "0.02",
}
Bench = TypeBench[XEMMExecutor]


def venue(name: str, **changes: Any) -> Instrument:
    """Return an instrument with fees of 0.1 %."""
    fields = {
        "market": ConnectorPair(name, "BTC-USDT"),
        "maker_ppb": 1_000_000,
        "taker_ppb": 1_000_000,
    }
    return bench_instrument(**(fields | changes))


def desk_of(*instruments: Instrument, **options: Any) -> Bench:
    """Return two venues at 2000.0 that only acknowledge."""
    bench: Bench = TypeBench(XEMMExecutor, "xemm_executor", XEMM, *instruments, **options)
    bench.venue.is_matching = False
    bench.price(20_000, 20_000, market=0)
    bench.price(20_000, 20_000, market=1)
    return bench


@pytest.fixture
def desk() -> Bench:
    """Two venues with the same grids."""
    return desk_of(venue("alpha"), venue("beta"))


def by_role(desk: Bench, role: str) -> list[Order]:
    """Return the orders of a role, oldest first."""
    return [order for order in desk.orders() if order.request.role == role]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maker_side": "RANGE"}, "maker_side: must be one of BUY, SELL, got RANGE"),
        (
            {"min_profitability": "0.02"},
            "min_profitability must be below max_profitability, got 0.02 and 0.02",
        ),
        (
            {"target_profitability": "0.03"},
            "target_profitability must be from min_profitability 0.005 to",
        ),
        (
            {"target_profitability": "0.001"},
            "max_profitability 0.02, got 0.001",
        ),
        ({"order_amount": "-1"}, "order_amount: must be greater than 0, got -1"),
        ({"selling_market": "alpha:BTC-USDT"}, "must differ, got alpha:BTC-USDT for both"),
        ({"selling_market": "beta:ETH-USDT"}, "got BTC and ETH"),
    ],
)
def test_a_wrong_configuration_is_refused_with_field_and_value(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        XEMMExecutorConfig.model_validate(XEMM | changes)
    assert message in "; ".join(map(str, describe_errors(caught.value)))


@pytest.mark.parametrize(("side", "maker"), [("buy", "alpha"), ("SELL", "beta")])
def test_the_maker_side_says_which_market_is_the_makers(side: str, maker: str) -> None:
    config = XEMMExecutorConfig.model_validate(XEMM | {"maker_side": side})
    assert config.maker_market.connector_name == maker
    assert config.taker_market.connector_name != maker
    assert XEMMExecutorConfig.model_validate_json(config.model_dump_json()) == config


def test_a_taker_without_market_orders_is_refused() -> None:
    class LimitsOnly(ScriptedVenue):
        def order_types(self, market: ConnectorPair) -> frozenset[OrderType]:
            is_alpha = market.connector_name == "alpha"
            return frozenset(OrderType) if is_alpha else frozenset({OrderType.LIMIT})

    desk = desk_of(venue("alpha"), venue("beta"), venue_type=LimitsOnly)
    result = desk.ask_for()
    assert not result.ok
    assert "beta:BTC-USDT takes no MARKET orders to hedge with, only LIMIT" in result.message
    assert desk.ask_for(maker_side="SELL").ok


@pytest.mark.parametrize(("side", "ticks"), [("BUY", 197_628_458_498), ("SELL", 202_429_149_798)])
def test_the_example_of_the_specification(side: str, ticks: int) -> None:
    config = XEMMExecutorConfig.model_validate(XEMM | {"maker_side": side})
    quoting = XEMMQuoting(config, Fraction("0.002"))
    exact = quoting.maker_ticks(2000, Fraction(10**8))
    assert abs(exact - ticks) <= 1


@pytest.mark.parametrize(
    ("side", "limit", "connector"), [("BUY", 19_762, "alpha"), ("SELL", 20_243, "beta")]
)
def test_it_quotes_at_the_target_never_worse(
    desk: Bench, side: str, limit: int, connector: str
) -> None:
    executor = desk.create(maker_side=side)
    (order,) = desk.orders()
    request = order.request
    assert (request.limit_ticks, request.order_type, request.lots) == (limit, OrderType.LIMIT, 1000)
    assert (request.market.connector_name, request.side.name) == (connector, side)
    profit = executor.net_profitability
    assert profit is not None
    assert profit >= Fraction("0.01")
    info = executor.executor_info
    assert info.side is TradeType[side]
    assert info.connector_name == connector
    assert info.custom_info["maker_price"] == f"{Decimal(limit) / 10}"
    (line,) = executor.snapshot().barriers(20_000)
    assert (line.kind, line.price) == ("maker", Decimal(limit) / 10)


@pytest.mark.parametrize(
    ("side", "low", "high"), [("BUY", 19_901, 20_196), ("SELL", 19_798, 20_101)]
)
def test_the_quote_stays_inside_its_band_and_moves_outside(
    desk: Bench, side: str, low: int, high: int
) -> None:
    executor = desk.create(maker_side=side)
    levels = {(trigger.is_above, trigger.level) for trigger in executor.wakes.prices}
    assert levels == {(False, low - 1), (True, high + 1)}
    taker = 1 if side == "BUY" else 0
    for ticks in (low, high):
        desk.price(ticks, market=taker)
        assert len(desk.orders()) == 1
        profit = executor.net_profitability
        assert profit is not None
        assert Fraction("0.005") <= profit <= Fraction("0.02")
    desk.price(low - 1, market=taker)
    assert desk.states() == [OrderState.CANCELED, OrderState.OPEN]
    desk.price(high + 1, market=taker)
    assert desk.states() == [OrderState.CANCELED, OrderState.CANCELED, OrderState.OPEN]
    assert executor.retries == 0


def test_the_maker_market_does_not_move_the_quote(desk: Bench) -> None:
    executor = desk.create()
    desk.price(25_000, 25_001, market=0)
    assert len(desk.orders()) == 1
    assert {trigger.market.connector_name for trigger in executor.wakes.prices} == {"beta"}


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_a_band_narrower_than_a_tick_comes_to_rest(side: str) -> None:
    coarse = {"tick": Decimal(50), "min_notional": Decimal(0)}
    desk = desk_of(venue("alpha", **coarse), venue("beta", **coarse))
    desk.price(41, 41, market=0)
    desk.price(41, 41, market=1)
    executor = desk.create(
        maker_side=side,
        min_profitability="0.0001",
        target_profitability="0.0002",
        max_profitability="0.0002",
    )
    assert len(desk.orders()) == 1
    assert executor.status is RunnableStatus.RUNNING


def test_an_order_that_is_not_acknowledged_is_left_alone(desk: Bench) -> None:
    desk.create()
    order = desk.orders()[0]
    fresh = TypeBench(XEMMExecutor, "xemm_executor", XEMM, venue("alpha"), venue("beta"))
    fresh.venue.is_matching = False
    fresh.price(20_000, market=1)
    executor_id = fresh.ask_for().executor_id
    (intent,) = fresh.orchestrator.take_intents()
    fresh.price(30_000, market=1)
    assert fresh.orchestrator.take_intents() == ()
    executor = fresh.orchestrator.find(executor_id or "")
    assert isinstance(executor, XEMMExecutor)
    assert executor.snapshot().orders[0].client_order_id == order.request.client_order_id
    fresh.venue.carry_out(intent)
    fresh.pump()
    assert order.status is OrderStatus.ROUTED
    assert fresh.states() == [OrderState.CANCELED, OrderState.OPEN]


def test_a_new_quote_waits_for_the_cancel_and_is_for_the_rest(desk: Bench) -> None:
    desk.create()
    desk.venue.is_deaf = True
    desk.price(21_000, market=1)
    desk.price(21_500, market=1)
    assert len(desk.venue.cancels) == 1
    assert len(desk.orders()) == 1
    desk.fill(desk.orders()[0], 400)
    desk.cancel(desk.orders()[0])
    makers, hedges = by_role(desk, "maker"), by_role(desk, "hedge")
    assert [order.request.lots for order in hedges] == [400]
    assert [order.request.lots for order in makers] == [1000, 600]


def test_every_partial_fill_is_hedged(desk: Bench) -> None:
    executor = desk.create()
    maker = desk.orders()[0]
    desk.fill(maker, 5)
    assert by_role(desk, "hedge") == []  # 0.005 is below the least amount
    desk.fill(desk.orders()[0], 300)
    desk.fill(desk.orders()[0], 200)
    hedges = by_role(desk, "hedge")
    assert [order.request.lots for order in hedges] == [305, 200]
    assert {order.request.side for order in hedges} == {TradeType.SELL}
    assert {order.request.market.connector_name for order in hedges} == {"beta"}
    assert {order.request.order_type for order in hedges} == {OrderType.MARKET}
    desk.fill(desk.orders()[0])
    assert executor.status is RunnableStatus.SHUTTING_DOWN
    for order in by_role(desk, "hedge"):
        desk.fill(order)
    assert (executor.close_type, executor.is_done) == (CloseType.COMPLETED, True)
    assert executor.unhedged_base == 0


def test_a_fill_that_races_with_the_cancel_is_hedged(desk: Bench) -> None:
    executor = desk.create()
    desk.venue.is_deaf = True
    desk.price(21_000, market=1)
    desk.cancel(desk.orders()[0])
    desk.fill(desk.orders()[0], 600, 19_762)
    hedges = by_role(desk, "hedge")
    assert [order.request.lots for order in hedges] == [600]
    makers = by_role(desk, "maker")
    assert makers[1].state is OrderState.OPEN
    assert len(desk.venue.cancels) == 2  # the new quote is for more than what is left now
    desk.fill(hedges[0])
    desk.cancel(makers[1])
    assert by_role(desk, "maker")[2].request.lots == 400
    assert executor.status is RunnableStatus.RUNNING


@pytest.mark.parametrize(
    ("side", "maker_ticks", "hedge_ticks", "net", "bought", "filled"),
    [
        ("BUY", 19_762, 20_000, "23.8", "1976.2", "3976.2"),
        ("SELL", 20_243, 20_000, "24.3", "2000", "4024.3"),
    ],
)
def test_the_result_has_the_right_sign_on_both_sides(
    side: str, maker_ticks: int, hedge_ticks: int, net: str, bought: str, filled: str
) -> None:
    desk = desk_of(venue("alpha"), venue("beta"))
    executor = desk.create(maker_side=side)
    desk.fill(desk.orders()[0])
    assert executor.executor_info.net_pnl_quote == 0
    desk.fill(by_role(desk, "hedge")[0], 1000, hedge_ticks)
    assert (executor.close_type, executor.is_done) == (CloseType.COMPLETED, True)
    info = executor.executor_info
    assert desk.orders()[0].request.limit_ticks == maker_ticks
    assert info.net_pnl_quote == Decimal(net)
    assert info.net_pnl_pct == Decimal(net) / Decimal(bought)
    assert info.filled_amount_quote == Decimal(filled)
    assert desk.orchestrator.get_performance_report("main").realized_pnl_quote == Decimal(net)


def test_fees_of_both_legs_are_in_the_result(desk: Bench) -> None:
    executor = desk.create()
    maker = desk.orders()[0].request.client_order_id
    desk.venue.fill(maker, 1000, 19_762, fee_atoms=197_620_000)
    desk.pump()
    hedge = by_role(desk, "hedge")[0].request.client_order_id
    desk.venue.fill(hedge, 1000, 20_000, fee_atoms=200_000_000)
    desk.pump()
    assert executor.executor_info.net_pnl_quote == Decimal("23.8") - Decimal("3.9762")
    assert executor.executor_info.cum_fees_quote == Decimal("3.9762")


def test_a_failed_hedge_is_sent_again_and_no_quote_is_added_meanwhile(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(desk.orders()[0], 500)
    desk.reject(by_role(desk, "hedge")[0])
    desk.price(21_000, market=1)
    assert executor.retries == 1
    assert len(by_role(desk, "maker")) == 1
    desk.advance(1)
    assert [order.request.lots for order in by_role(desk, "hedge")] == [500, 500]
    assert len(by_role(desk, "maker")) == 2


def test_a_failed_quote_is_counted_and_placed_again(desk: Bench) -> None:
    desk.venue.rejections = 1
    executor = desk.create()
    assert executor.retries == 1
    desk.advance(1)
    assert desk.states() == [OrderState.FAILED, OrderState.OPEN]


def test_a_quote_that_the_venue_cancels_is_placed_again(desk: Bench) -> None:
    executor = desk.create()
    desk.cancel(desk.orders()[0])
    desk.advance(1)
    assert desk.states() == [OrderState.CANCELED, OrderState.OPEN]
    assert executor.retries == 0


def test_too_many_failed_hedges_hand_the_exposure_over(desk: Bench) -> None:
    executor = desk.create()
    desk.venue.rejections = 10**6
    desk.fill(desk.orders()[0], 500)
    desk.advance(1000)
    assert (executor.close_type, executor.retries, executor.is_done) == (CloseType.FAILED, 11, True)
    assert desk.venue.live() == []
    (position,) = desk.orchestrator.get_positions_report()["main"]
    assert (position.connector_name, position.amount) == ("alpha", Decimal("0.5"))
    assert executor.executor_info.net_pnl_quote == 0


def test_a_hedge_that_does_not_fill_is_replaced(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(desk.orders()[0], 500)
    desk.advance(31)
    assert [order.state for order in by_role(desk, "hedge")] == [
        OrderState.CANCELED,
        OrderState.OPEN,
    ]
    assert executor.retries == 1


@pytest.mark.parametrize("keep", [None, True, False])
def test_a_stop_with_nothing_filled_is_an_early_stop(desk: Bench, keep: bool | None) -> None:
    executor = desk.create()
    desk.stop(executor, keep=keep)
    assert (executor.close_type, executor.is_done) == (CloseType.EARLY_STOP, True)
    assert desk.states() == [OrderState.CANCELED]


def test_a_stop_hedges_what_is_filled(desk: Bench) -> None:
    executor = desk.create()
    desk.venue.is_deaf = True
    desk.stop(executor)
    desk.fill(desk.orders()[0], 300)
    desk.cancel(desk.orders()[0])
    assert executor.status is RunnableStatus.SHUTTING_DOWN
    desk.fill(by_role(desk, "hedge")[0], 300, 20_000)
    assert (executor.close_type, executor.is_done) == (CloseType.EARLY_STOP, True)
    assert executor.executor_info.net_pnl_quote == Decimal("7.14")
    assert not executor.is_handed_over


def test_a_stop_that_finds_everything_traded_is_completed(desk: Bench) -> None:
    executor = desk.create()
    desk.venue.is_deaf = True
    desk.stop(executor)
    desk.fill(desk.orders()[0])
    desk.fill(by_role(desk, "hedge")[0])
    assert (executor.close_type, executor.is_done) == (CloseType.COMPLETED, True)


def test_a_stop_that_keeps_skips_the_hedge(desk: Bench) -> None:
    executor = desk.create()
    desk.venue.is_deaf = True
    desk.stop(executor, keep=True)
    desk.fill(desk.orders()[0], 300)
    desk.cancel(desk.orders()[0])
    assert (executor.close_type, executor.is_done) == (CloseType.POSITION_HOLD, True)
    assert by_role(desk, "hedge") == []
    (position,) = desk.orchestrator.get_positions_report()["main"]
    assert (position.connector_name, position.amount) == ("alpha", Decimal("0.3"))


def test_what_cannot_be_hedged_is_dust(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(desk.orders()[0], 995)
    desk.fill(by_role(desk, "hedge")[0], 995, 20_000)
    desk.fill(desk.orders()[0], 5)
    assert (executor.close_type, executor.is_done) == (CloseType.COMPLETED, True)
    (dust,) = executor.held_position_orders
    assert (dust.lots, dust.market.connector_name, dust.side) == (5, "alpha", TradeType.BUY)
    assert executor.executor_info.net_pnl_quote == Decimal("23.681")
    (position,) = desk.orchestrator.get_positions_report()["main"]
    assert position.amount == Decimal("0.005")


def test_a_hedge_below_the_least_notional_waits_for_its_price() -> None:
    rich = venue("beta", min_notional=Decimal(700))
    desk = desk_of(venue("alpha"), rich)
    executor = desk.create(min_profitability="-0.9", max_profitability="9")
    desk.fill(desk.orders()[0], 300)
    assert by_role(desk, "hedge") == []
    desk.price(23_333, market=1)
    assert by_role(desk, "hedge") == []
    desk.price(23_334, market=1)
    assert [order.request.lots for order in by_role(desk, "hedge")] == [300]
    assert executor.status is RunnableStatus.RUNNING


def test_other_grids_are_converted(desk: Bench) -> None:
    fine = venue("beta", tick=Decimal("0.01"), lot=Decimal("0.0001"))
    desk = desk_of(venue("alpha"), fine)
    desk.price(200_000, market=1)
    executor = desk.create()
    (maker,) = desk.orders()
    assert maker.request.limit_ticks == 19_762
    desk.fill(maker, 500)
    assert by_role(desk, "hedge")[0].request.lots == 5000
    desk.fill(by_role(desk, "hedge")[0])
    assert executor.unhedged_base == 0


def test_it_waits_for_the_takers_price() -> None:
    desk: Bench = TypeBench(XEMMExecutor, "xemm_executor", XEMM, venue("alpha"), venue("beta"))
    desk.venue.is_matching = False
    executor = desk.create()
    assert executor.executor_info.stale_price
    desk.price(20_000, market=0)
    assert desk.orders() == []
    desk.price(20_000, market=1)
    assert len(desk.orders()) == 1
    assert not executor.executor_info.stale_price


@pytest.mark.parametrize(
    ("changes", "close_type", "reason"),
    [
        ({"order_amount": "0.001"}, CloseType.FAILED, "below the least amount"),
        (
            {"maker_side": "SELL", "target_profitability": "1", "max_profitability": "2"},
            CloseType.FAILED,
            "target_profitability 1 leaves no price above 0 to quote",
        ),
    ],
)
def test_what_can_never_be_traded_fails_at_once(
    desk: Bench, changes: dict[str, str], close_type: CloseType, reason: str
) -> None:
    executor = desk.create(**changes)
    assert executor.close_type is close_type
    assert reason in executor.executor_info.last_error
    assert desk.orders() == []


def test_a_missing_balance_ends_it_before_any_order(desk: Bench) -> None:
    desk.venue.is_funded = False
    executor = desk.create()
    assert executor.close_type is CloseType.INSUFFICIENT_BALANCE
    assert desk.orders() == []


def test_a_restart_keeps_the_hedge_ledger(desk: Bench) -> None:
    executor = desk.create()
    desk.fill(desk.orders()[0], 400)
    fresh, again = desk.reborn(executor)
    assert again.unhedged_base == 0
    assert len(fresh.orders()) == 2
    fresh.reject(by_role(fresh, "hedge")[0])
    assert again.unhedged_base == Fraction("0.4")
    fresh.advance(1)
    fresh.fill(by_role(fresh, "hedge")[1])
    fresh.fill(fresh.orders()[0])
    fresh.fill(by_role(fresh, "hedge")[2])
    assert (again.close_type, again.is_done) == (CloseType.COMPLETED, True)


def test_a_fill_during_the_outage_is_hedged_after_it(desk: Bench) -> None:
    executor = desk.create()
    desk.venue.fill(desk.orders()[0].request.client_order_id, 400, 19_762)
    desk.venue.events.clear()
    fresh, again = desk.reborn(executor)
    assert [order.request.lots for order in by_role(fresh, "hedge")] == [400]
    assert again.retries == 0
