"""The arbitrage executor: when it pays, both legs, failures, report."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from engine.executors.arbitrage_config import ArbitrageExecutorConfig
from engine.executors.arbitrage_executor import ArbitrageExecutor
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.two_venue_config import are_interchangeable
from engine.executors.two_venue_leg import common_base
from engine.executors.validation import describe_errors
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import OrderState, OrderType, TradeType
from engine.testing.executor_bench import bench_instrument
from engine.testing.scripted_venue import ScriptedVenue
from engine.testing.type_bench import TypeBench

ARBITRAGE = {
    "buying_market": "alpha:BTC-USDT",
    "selling_market": {"connector_name": "beta", "trading_pair": "BTC-USDT"},
    "order_amount": "5",
    "min_profitability": "0.01",
}
Bench = TypeBench[ArbitrageExecutor]


def venue(name: str, pair: str = "BTC-USDT", **changes: Any) -> Instrument:
    """Return an instrument with a taker fee of 0.1 %."""
    fields = {"market": ConnectorPair(name, pair), "taker_ppb": 1_000_000} | changes
    return bench_instrument(**fields)


@pytest.fixture
def desk() -> Bench:
    """Two venues at 2000.0 that only acknowledge."""
    bench = TypeBench(
        ArbitrageExecutor, "arbitrage_executor", ARBITRAGE, venue("alpha"), venue("beta")
    )
    bench.venue.is_matching = False
    bench.price(19_999, 20_000, market=0)
    bench.price(19_999, 20_000, market=1)
    return bench


@pytest.fixture
def market(desk: Bench) -> Bench:
    """The same desk with venues that fill."""
    desk.venue.is_matching = True
    return desk


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"order_amount": "0"}, "order_amount: must be greater than 0, got 0"),
        (
            {"selling_market": "alpha:BTC-USDT"},
            "buying_market and selling_market must differ, got alpha:BTC-USDT for both",
        ),
        (
            {"selling_market": "beta:ETH-USDT"},
            "must trade interchangeable assets, got BTC and ETH",
        ),
        ({"buying_market": "alpha"}, "buying_market: trading_pair must be BASE-QUOTE"),
        ({"buying_market": ":BTC-USDT"}, "buying_market: connector_name must not be empty"),
        ({"buying_market": 5}, "buying_market: must be venue:BASE-QUOTE"),
        ({"min_profitability": "NaN"}, "min_profitability: must be a finite number, got NaN"),
        ({"gas_conversion_price": "-1"}, "gas_conversion_price: must be greater than 0, got -1"),
    ],
)
def test_a_wrong_configuration_is_refused_with_field_and_value(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        ArbitrageExecutorConfig.model_validate(ARBITRAGE | changes)
    assert message in "; ".join(map(str, describe_errors(caught.value)))


def test_markets_are_read_as_text_or_mapping_and_kept_in_json() -> None:
    config = ArbitrageExecutorConfig.model_validate(ARBITRAGE)
    assert config.buying_market == ConnectorPair("alpha", "BTC-USDT")
    assert config.selling_market == ConnectorPair("beta", "BTC-USDT")
    assert ArbitrageExecutorConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("BTC", "BTC", True),
        ("WBTC", "BTC", True),
        ("ETH", "WETH", True),
        ("USDC", "USDC.E", True),
        ("USDT", "USDC", True),
        ("FDUSD", "TUSD", True),
        ("BTC", "ETH", False),
        ("WETH", "WBTC", False),
    ],
)
def test_which_assets_are_interchangeable(first: str, second: str, same: bool) -> None:
    assert are_interchangeable(first, second) is same


@pytest.mark.parametrize(
    ("amount", "lots", "common"),
    [("5", ("0.1", "0.1"), "5"), ("5.05", ("0.01", "0.1"), "5"), ("1", ("0.4", "0.6"), "0")],
)
def test_the_amount_is_whole_lots_on_both_venues(
    amount: str, lots: tuple[str, str], common: str
) -> None:
    first, second = (venue(name, lot=Decimal(lot)) for name, lot in zip("ab", lots, strict=True))
    assert common_base(Fraction(amount), first, second) == Fraction(common)


def test_the_example_of_the_specification(desk: Bench) -> None:
    executor = desk.create(min_profitability="0.02")
    desk.price(20_300, 20_400, market=1)
    assert executor.profitability == Fraction("0.013")
    assert executor.executor_info.custom_info["profitability"] == "0.013"
    assert desk.orders() == []


def test_it_trades_only_strictly_above_the_least_profit(desk: Bench) -> None:
    executor = desk.create(min_profitability="0.013")
    desk.price(20_300, 20_400, market=1)
    assert desk.orders() == []
    desk.price(20_301, 20_400, market=1)
    assert executor.status is RunnableStatus.SHUTTING_DOWN
    buy, sell = desk.orders()
    assert (buy.request.market.connector_name, buy.request.side) == ("alpha", TradeType.BUY)
    assert (sell.request.market.connector_name, sell.request.side) == ("beta", TradeType.SELL)
    assert {buy.request.order_type, sell.request.order_type} == {OrderType.MARKET}
    assert (buy.request.lots, sell.request.lots) == (5000, 5000)
    assert (buy.request.role, sell.request.role) == ("buy", "sell")


def test_the_result_is_what_the_legs_leave_after_fees(market: Bench) -> None:
    executor = market.create()
    market.price(20_300, 20_400, market=1)
    assert (executor.close_type, executor.is_done) == (CloseType.COMPLETED, True)
    info = executor.executor_info
    assert info.net_pnl_quote == Decimal("129.85")
    assert info.net_pnl_pct == Decimal("0.012985")
    assert info.filled_amount_quote == 20_150
    assert info.cum_fees_quote == Decimal("20.15")
    assert [str(one) for one in info.markets] == ["alpha:BTC-USDT", "beta:BTC-USDT"]
    assert info.side is None
    assert not info.is_handed_over
    assert executor.held_position_orders == ()
    report = market.orchestrator.get_performance_report("main")
    assert report.realized_pnl_quote == Decimal("129.85")
    snapshot = executor.snapshot()
    assert snapshot.net_return(None) == pytest.approx(0.012985)
    assert not snapshot.is_trading


def test_before_the_end_there_is_no_result(desk: Bench) -> None:
    executor = desk.create()
    desk.price(20_300, 20_400, market=1)
    desk.fill(desk.orders()[0], 5000)
    info = executor.executor_info
    assert (info.net_pnl_quote, info.net_pnl_pct, info.is_trading) == (
        Decimal(0),
        Decimal(0),
        False,
    )
    assert info.filled_amount_quote == 10_000


def test_one_venue_may_quote_in_another_asset() -> None:
    class Rates(ScriptedVenue):
        def rate(self, source: str, target: str) -> Fraction | None:
            return {("EUR", "USDT"): Fraction("1.1")}.get((source, target))

    desk = TypeBench(
        ArbitrageExecutor,
        "arbitrage_executor",
        ARBITRAGE,
        venue("alpha"),
        venue("beta", "WBTC-EUR"),
        venue_type=Rates,
    )
    desk.price(19_999, 20_000, market=0)
    desk.price(18_000, 18_001, market=1)
    executor = desk.create(selling_market="beta:WBTC-EUR", min_profitability="-0.1")
    assert executor.close_type is CloseType.COMPLETED
    info = executor.executor_info
    assert info.filled_amount_quote == 10_000 + 9_900
    assert info.net_pnl_quote == 9_900 - 10_000 - 10 - Decimal("9.9")


def test_an_unknown_rate_is_a_stale_price_that_is_looked_at_again() -> None:
    class Rates(ScriptedVenue):
        known: ClassVar[Fraction | None] = None

        def rate(self, source: str, target: str) -> Fraction | None:
            return self.known if source != target else Fraction(1)

    desk = TypeBench(
        ArbitrageExecutor,
        "arbitrage_executor",
        ARBITRAGE,
        venue("alpha"),
        venue("beta", "BTC-EUR"),
        venue_type=Rates,
    )
    desk.price(19_999, 20_000, market=0)
    desk.price(19_999, 20_000, market=1)
    executor = desk.create(selling_market="beta:BTC-EUR")
    assert executor.executor_info.stale_price
    Rates.known = Fraction("1.1")
    desk.advance(1)
    assert executor.close_type is CloseType.COMPLETED


def test_it_waits_for_both_prices() -> None:
    desk = TypeBench(
        ArbitrageExecutor, "arbitrage_executor", ARBITRAGE, venue("alpha"), venue("beta")
    )
    executor = desk.create()
    assert executor.executor_info.stale_price
    assert executor.profitability is None
    desk.price(19_999, 20_000, market=0)
    assert executor.executor_info.stale_price
    desk.price(20_300, 20_400, market=1)
    assert executor.close_type is CloseType.COMPLETED
    assert executor.retries == 0


def test_most_quotes_of_either_market_wake_nobody(desk: Bench) -> None:
    executor = desk.create()
    wakes = executor.wakes
    assert {trigger.market.connector_name for trigger in wakes.prices} == {"alpha", "beta"}
    desk.price(19_950, 19_951, market=0)
    desk.price(20_050, 20_051, market=1)
    assert executor.take_wakes() is None  # it has not looked again
    assert wakes.at_ns is None


def test_a_missing_balance_ends_it_before_any_order(desk: Bench) -> None:
    desk.venue.is_funded = False
    executor = desk.create()
    assert executor.close_type is CloseType.INSUFFICIENT_BALANCE
    assert "does not cover SELL 5.000 beta:BTC-USDT at 1999.9" in executor.executor_info.last_error
    assert desk.orders() == []


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        ("0.001", "amount 0.001 is below the least amount 0.010 of alpha:BTC-USDT"),
        ("0.0001", "amount 0.000 is below the least amount"),
    ],
)
def test_an_amount_that_is_too_small_fails_at_once(desk: Bench, amount: str, reason: str) -> None:
    executor = desk.create(order_amount=amount)
    assert executor.close_type is CloseType.FAILED
    assert reason in executor.executor_info.last_error


def test_a_market_that_the_session_has_not_is_refused(desk: Bench) -> None:
    result = desk.ask_for(selling_market="gamma:BTC-USDT")
    assert not result.ok
    assert "gamma:BTC-USDT is not a market of this session" in result.message


@pytest.mark.parametrize("keep", [None, True, False])
def test_a_stop_before_the_legs_is_an_early_stop(desk: Bench, keep: bool | None) -> None:
    executor = desk.create()
    desk.stop(executor, keep=keep)
    assert (executor.close_type, executor.is_done) == (CloseType.EARLY_STOP, True)
    assert executor.executor_info.net_pnl_quote == 0


def test_a_stop_while_legs_are_out_waits_for_them(desk: Bench) -> None:
    executor = desk.create()
    desk.price(20_300, 20_400, market=1)
    desk.stop(executor, keep=True)
    assert executor.status is RunnableStatus.SHUTTING_DOWN
    assert desk.venue.cancels == []
    desk.fill(desk.orders()[0])
    desk.fill(desk.orders()[1])
    assert (executor.close_type, executor.is_done) == (CloseType.COMPLETED, True)


def test_a_failed_leg_is_sent_again_with_a_wait(market: Bench) -> None:
    executor = market.create()
    market.venue.rejections = 1
    market.price(20_300, 20_400, market=1)
    assert market.states() == [OrderState.FAILED, OrderState.FILLED]
    assert executor.retries == 1
    market.advance(1)
    assert market.orders()[2].request.role == "buy"
    assert executor.close_type is CloseType.COMPLETED


def test_too_many_failures_hand_the_filled_leg_over(desk: Bench) -> None:
    executor = desk.create()
    assert executor.max_retries == 3
    desk.price(20_300, 20_400, market=1)
    desk.fill(desk.orders()[1])
    desk.venue.rejections = 10**6
    desk.reject(desk.orders()[0])
    desk.advance(100)
    assert (executor.close_type, executor.retries, executor.is_done) == (CloseType.FAILED, 4, True)
    (position,) = desk.orchestrator.get_positions_report()["main"]
    assert (position.connector_name, position.side) == ("beta", TradeType.SELL)
    assert position.amount == 5
    info = executor.executor_info
    assert (info.net_pnl_quote, info.filled_amount_quote) == (Decimal(0), Decimal(0))


def test_a_leg_that_is_cut_short_is_completed(desk: Bench) -> None:
    executor = desk.create()
    desk.price(20_300, 20_400, market=1)
    desk.fill(desk.orders()[1])
    desk.fill(desk.orders()[0], 3000)
    desk.cancel(desk.orders()[0])
    desk.advance(1)
    assert desk.orders()[2].request.lots == 2000
    desk.fill(desk.orders()[2], 2000, 20_010)
    assert executor.close_type is CloseType.COMPLETED
    assert executor.executor_info.net_pnl_quote == Decimal(148)


def test_a_leg_that_does_not_fill_is_replaced(desk: Bench) -> None:
    executor = desk.create()
    desk.price(20_300, 20_400, market=1)
    desk.fill(desk.orders()[1])
    desk.advance(31)
    assert desk.states() == [OrderState.CANCELED, OrderState.FILLED, OrderState.OPEN]
    assert executor.retries == 1


def test_dust_of_a_leg_goes_to_the_store_of_its_venue(desk: Bench) -> None:
    executor = desk.create()
    desk.price(20_300, 20_400, market=1)
    desk.fill(desk.orders()[1])
    desk.fill(desk.orders()[0], 4995)
    desk.cancel(desk.orders()[0])
    assert (executor.close_type, executor.is_done) == (CloseType.COMPLETED, True)
    (dust,) = executor.held_position_orders
    assert (dust.client_order_id, dust.lots) == (f"{executor.executor_id}:dust", 5)
    (position,) = desk.orchestrator.get_positions_report()["main"]
    assert (position.connector_name, position.amount) == ("beta", Decimal("0.005"))
    info = executor.executor_info
    assert info.custom_info["residual_amount_base"] == "0.005"
    assert info.net_pnl_quote == Decimal("4.995") * 30
    assert not info.is_handed_over


def test_a_forced_stop_holds_what_is_filled(desk: Bench) -> None:
    executor = desk.create()
    desk.price(20_300, 20_400, market=1)
    desk.fill(desk.orders()[0], 100)
    desk.orchestrator.force_stop()
    assert (executor.close_type, executor.is_handed_over) == (CloseType.POSITION_HOLD, True)


def test_a_restart_completes_the_other_leg(desk: Bench) -> None:
    executor = desk.create()
    desk.price(20_300, 20_400, market=1)
    desk.fill(desk.orders()[0])
    fresh, again = desk.reborn(executor)
    assert again.status is RunnableStatus.SHUTTING_DOWN
    assert len(fresh.orders()) == 2
    fresh.fill(fresh.orders()[1])
    assert (again.close_type, again.is_done) == (CloseType.COMPLETED, True)
    assert again.executor_info.net_pnl_quote == 150


def test_a_finished_one_keeps_its_result_over_a_restart(market: Bench) -> None:
    executor = market.create()
    market.price(20_300, 20_400, market=1)
    _, again = market.reborn(executor)
    assert again.is_done
    assert again.executor_info.net_pnl_quote == executor.executor_info.net_pnl_quote
