"""``quarterdeck simulate``: worked examples of the executors through the real classes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

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
