"""``quarterdeck simulate``: worked examples of the executors through the real classes."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError as PydanticError

from engine.flow.errors import EngineError
from engine.simulation.scenario import Scenario
from engine.simulation.simulate import simulate

POSITION: dict[str, Any] = {
    "type": "position_executor",
    "connector_name": "sim_perpetual",
    "trading_pair": "AAA-USDT",
    "side": "BUY",
    "amount": Decimal(2),
    "entry_price": Decimal(50),
    "triple_barrier_config": {"take_profit": Decimal("0.02"), "time_limit": 300},
}
MARKET: dict[str, Any] = {
    "instrument": {"trading_pair": "AAA-USDT", "tick": Decimal("0.01"), "lot": Decimal("0.001")},
    "fees": {"maker": Decimal("0.001"), "taker": Decimal("0.001")},
    "balances": {"USDT": Decimal(1000)},
}


def play(steps: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    scenario = {**MARKET, "executor": POSITION, "steps": steps, **changes}
    return simulate(Scenario.model_validate(scenario)).to_dict()


def quote(at: int, bid: str, ask: str, **more: Any) -> dict[str, Any]:
    return {"at": at, "bid": Decimal(bid), "ask": Decimal(ask), **more}


def test_example_a_of_the_specification() -> None:
    report = play(
        [quote(0, "50.01", "50.02"), quote(1, "49.99", "50.00"), quote(3, "51.40", "51.41")]
    )
    (info,) = report["executors"]
    assert info["close_type"] == "TAKE_PROFIT"
    assert Decimal(info["net_pnl_quote"]) == Decimal("2.5972")
    assert Decimal(info["net_pnl_pct"]) == Decimal("0.025972")
    assert Decimal(info["filled_amount_quote"]) == Decimal("202.8")
    assert Decimal(report["performance"]["main"]["realized_pnl_quote"]) == Decimal("2.5972")
    assert Decimal(report["account"]["equity"]) == Decimal("1002.5972")


def test_partial_fills_are_protected_and_kept() -> None:
    report = play(
        [
            quote(0, "50.01", "50.02"),
            {"at": 1, "fills": [{"order": "entry", "amount": Decimal("0.5")}]},
            {"at": 2, "actions": [{"verb": "stop", "executor": 0, "keep_position": True}]},
        ],
        matching="scripted",
    )
    (info,) = report["executors"]
    assert info["close_type"] == "POSITION_HOLD"
    assert [position["amount"] for position in report["positions"]] == ["0.500"]
    assert [order["state"] for order in report["orders"]] == ["CANCELLED"]


def test_a_repeated_fill_counts_once() -> None:
    report = play(
        [
            quote(0, "50.01", "50.02"),
            {"at": 1, "fills": [{"order": 0, "amount": Decimal(1), "repeat": True}]},
        ],
        matching="scripted",
    )
    assert report["orders"][0]["filled"] == "1.000"
    assert Decimal(report["executors"][0]["filled_amount_quote"]) == 50


def test_rejections_are_retried_then_given_up() -> None:
    report = play(
        [quote(0, "50.01", "50.02", reject_next=20), {"at": 600}],
        max_retries=2,
        executor={**POSITION, "triple_barrier_config": {}},
    )
    (info,) = report["executors"]
    assert info["close_type"] == "FAILED"
    assert [order["state"] for order in report["orders"]] == ["REJECTED"] * 3


def test_the_time_limit_fires_without_a_quote() -> None:
    report = play([quote(0, "50.01", "50.02"), {"at": 301}])
    assert report["executors"][0]["close_type"] == "TIME_LIMIT"
    assert report["transitions"][-1]["at"] == "2026-01-01T00:05:00.000000Z"


def test_a_balance_that_is_too_small_ends_it_without_an_order() -> None:
    report = play([quote(0, "50.01", "50.02")], balances={"USDT": Decimal("100.09")})
    assert report["executors"][0]["close_type"] == "INSUFFICIENT_BALANCE"
    assert report["orders"] == []


def test_a_live_update_and_a_refused_one() -> None:
    report = play(
        [
            quote(0, "50.01", "50.02"),
            quote(1, "49.99", "50.00"),
            {"at": 2, "actions": [{"verb": "update", "executor": 0, "changes": {"stop_loss": 1}}]},
            {"at": 3, "actions": [{"verb": "update", "executor": 0, "changes": {"nonsense": 1}}]},
        ]
    )
    assert [result["code"] for result in report["results"]] == ["OK", "OK", "UPDATE_REJECTED"]
    assert report["executors"][0]["config"]["triple_barrier_config"]["stop_loss"] == "1"


def test_the_same_scenario_gives_the_same_report() -> None:
    steps = [quote(0, "50.01", "50.02"), quote(1, "49.99", "50.00")]
    assert play(steps) == play(steps)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"at": 1, "fills": [{"order": 7}]}, "step 1: there is no order 7"),
        ({"at": 1, "fills": [{"order": "close"}]}, "no open order has the role 'close'"),
        ({"at": 1, "actions": [{"verb": "stop", "executor": 3}]}, "there is no executor 3"),
        (
            {"at": 1, "quotes": [{"bid": 1, "ask": 2, "market": "x:Y-Z"}]},
            "there is no market 'x:Y-Z'",
        ),
    ],
)
def test_a_step_that_cannot_be_carried_out_is_named(step: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineError, match=said):
        play([quote(0, "50.01", "50.02"), step])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"instrument": None}, "needs an instrument"),
        ({"steps": [{"at": 2}, {"at": 1}]}, "in the order of their time"),
        ({"steps": [{"at": 1, "bid": 5}]}, "bid and ask belong together"),
    ],
)
def test_an_incomplete_scenario_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Scenario.model_validate({**MARKET, "steps": [], **changes})


def test_a_fee_in_another_asset_waits_for_its_rate() -> None:
    coin = {
        "connector_name": "other",
        "trading_pair": "COIN-USDT",
        "tick": Decimal("0.01"),
        "lot": Decimal("0.001"),
    }
    entry = {"order": "entry", "fee": Decimal("0.01"), "fee_token": "COIN"}
    steps: list[dict[str, Any]] = [
        quote(0, "50.01", "50.02"),
        {"at": 1, "fills": [entry]},
        quote(2, "50.50", "50.51"),
        {
            "at": 3,
            "quotes": [
                {"market": "other:COIN-USDT", "bid": Decimal("9.99"), "ask": Decimal("10.01")}
            ],
        },
        quote(5, "50.50", "50.51"),
    ]
    waiting, counted = (
        play(steps[:count], instruments=[coin], matching="scripted")["executors"][0]
        for count in (3, 5)
    )
    assert waiting["custom_info"]["unconverted_fees"] == {"COIN": "0.01"}
    assert Decimal(waiting["cum_fees_quote"]) == 0
    assert "unconverted_fees" not in counted["custom_info"]
    assert Decimal(counted["cum_fees_quote"]) == Decimal("0.1")
    assert Decimal(counted["net_pnl_quote"]) == Decimal("0.9")


@pytest.mark.parametrize(("token", "fee"), [("USDT", "0.3"), ("AAA", "15")])
def test_a_fee_in_quote_or_in_base_counts_at_once(token: str, fee: str) -> None:
    entry = {"order": "entry", "fee": Decimal("0.3"), "fee_token": token}
    steps = [quote(0, "50.01", "50.02"), {"at": 1, "fills": [entry]}]
    (info,) = play(steps, matching="scripted")["executors"]
    assert Decimal(info["cum_fees_quote"]) == Decimal(fee)
    assert "unconverted_fees" not in info["custom_info"]


def test_an_arbitrage_converts_between_quote_assets_and_pays_gas() -> None:
    markets = [
        {
            "connector_name": name,
            "trading_pair": pair,
            "tick": Decimal("0.1"),
            "lot": Decimal("0.01"),
        }
        for name, pair in (("north", "AAA-USDT"), ("south", "AAA-EUR"))
    ]
    markets[0] |= {"gas": Decimal("0.5"), "gas_token": "GWEI"}
    arbitrage = {
        "type": "arbitrage_executor",
        "buying_market": "north:AAA-USDT",
        "selling_market": "south:AAA-EUR",
        "order_amount": Decimal(5),
        "min_profitability": Decimal("0.01"),
    }
    step = {
        "at": 0,
        "quotes": [
            {"market": "north:AAA-USDT", "bid": Decimal(1999), "ask": Decimal(2000)},
            {"market": "south:AAA-EUR", "bid": Decimal(1850), "ask": Decimal(1851)},
        ],
    }
    changes: dict[str, Any] = {
        "instrument": None,
        "instruments": markets,
        "executor": arbitrage,
        "balances": {"USDT": Decimal(100_000), "EUR": Decimal(100_000)},
        "fees": {},
    }
    report = play([step], rates={"EUR-USDT": Decimal("1.1")}, **changes)
    (info,) = report["executors"]
    assert info["stale_price"]  # nothing says what GWEI is worth
    arbitrage["gas_conversion_price"] = Decimal(100)
    report = play([step], rates={"EUR-USDT": Decimal("1.1")}, **changes)
    (info,) = report["executors"]
    # 1850 * 1.1 / 2000 - 1 - 0.5 / 100 / 5 = 0.0165
    assert info["close_type"] == "COMPLETED"
    assert Decimal(info["net_pnl_quote"]) == 5 * (Decimal(1850) * Decimal("1.1") - 2000)
    report = play([step], rates={"EUR-USDT": Decimal("1.09")}, **changes)
    assert report["orders"] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rates": {"EUR": Decimal(1)}}, "rates must be SOURCE-TARGET"),
        ({"rates": {"EUR-USDT": Decimal(0)}}, "a number above 0, got 'EUR-USDT': 0"),
        (
            {"instrument": MARKET["instrument"] | {"gas": Decimal(1)}},
            "gas and gas_token belong together, got 1 and ''",
        ),
        (
            {"steps": [{"at": 0, "fills": [{"order": 0, "fee_token": "COIN"}]}]},
            "fee is required with fee_token, got None and 'COIN'",
        ),
    ],
)
def test_a_scenario_that_contradicts_itself_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(PydanticError, match=re.escape(message)):
        Scenario.model_validate(MARKET | {"executor": POSITION, "steps": []} | changes)
