"""What the venue of a scenario does to orders when the scenario says so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.flow.errors import EngineError
from engine.simulation.scenario import Scenario
from engine.simulation.simulate import simulate

ORDER: dict[str, Any] = {
    "type": "order_executor",
    "connector_name": "sim_perpetual",
    "trading_pair": "AAA-USDT",
    "side": "BUY",
    "amount": Decimal(2),
    "execution_strategy": "LIMIT",
    "price": Decimal(50),
}
INSTRUMENT: dict[str, Any] = {
    "trading_pair": "AAA-USDT",
    "tick": Decimal("0.01"),
    "lot": Decimal("0.001"),
}
QUOTE: dict[str, Any] = {"at": 0, "bid": Decimal("50.01"), "ask": Decimal("50.02")}


def play(*steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    scenario: dict[str, Any] = {
        "instrument": INSTRUMENT,
        "balances": {"USDT": Decimal(1000)},
        "matching": "scripted",
        "executor": ORDER,
        "steps": [QUOTE, *steps],
        **changes,
    }
    return simulate(Scenario.model_validate(scenario)).to_dict()


def test_a_fill_has_the_price_the_fee_and_the_part_that_the_step_says() -> None:
    fill = {"order": 0, "amount": Decimal("0.5"), "price": Decimal("49.99"), "fee": Decimal("0.1")}
    (order,) = play({"at": 1, "fills": [fill]})["orders"]
    assert (order["filled"], order["filled_quote"], order["fee_quote"]) == (
        "0.500",
        "24.99500000",
        "0.10000000",
    )
    assert order["state"] == "PARTIAL"


def test_the_rest_of_an_order_fills_at_its_own_price() -> None:
    (order,) = play({"at": 1, "fills": [{"order": "0"}]})["orders"]
    assert (order["state"], Decimal(order["filled_quote"])) == ("FILLED", Decimal(100))


def test_a_market_order_fills_at_the_touch() -> None:
    executor = {**ORDER, "execution_strategy": "MARKET", "price": None}
    (order,) = play({"at": 1, "fills": [{"order": 0}]}, executor=executor)["orders"]
    assert Decimal(order["filled_quote"]) == Decimal("100.04")


def test_a_venue_that_rejects_afterwards_or_cancels_by_itself() -> None:
    rejected = play({"at": 1, "rejects": [{"order": 0, "reason": "no more"}]})["orders"][0]
    assert (rejected["state"], rejected["reason"]) == ("REJECTED", "VENUE: no more")
    cancelled = play({"at": 1, "cancels": [{"order": 0}]})["orders"][0]
    assert cancelled["state"] == "CANCELLED"


def test_a_cancel_that_the_venue_refuses_leaves_the_order() -> None:
    stop = {"verb": "stop", "executor": 0}
    report = play({"at": 1, "fail_cancels": 1, "actions": [stop]})
    assert report["cancels"]
    assert report["results"][-1]["code"] == "OK"


@pytest.mark.parametrize("matching", ["quotes", "scripted"])
def test_actions_of_every_verb(matching: str) -> None:
    report = play(
        {"at": 1, "actions": [{"verb": "create", "config": ORDER}]},
        {"at": 2, "actions": [{"verb": "update", "executor": 1, "changes": {"price": "49"}}]},
        {"at": 3, "actions": [{"verb": "stop", "executor": 1}]},
        {"at": 9, "actions": [{"verb": "store", "executor": 1}]},
        {"at": 10, "actions": [{"verb": "stop", "executor": "nobody"}]},
        matching=matching,
    )
    codes = [result["code"] for result in report["results"]]
    assert codes == ["OK", "OK", "OK", "OK", "OK", "NOT_FOUND"]


def test_a_scenario_without_steps_creates_its_executors() -> None:
    report = play(steps=[])
    assert [result["verb"] for result in report["results"]] == ["create"]


def test_quotes_of_a_named_market() -> None:
    named = {"market": "sim_perpetual:AAA-USDT", "bid": Decimal(49), "ask": Decimal(50)}
    report = play({"at": 1, "quotes": [named]}, matching="quotes")
    assert report["orders"][0]["state"] == "FILLED"


def test_an_instrument_off_the_grid_is_refused() -> None:
    instrument = {**INSTRUMENT, "tick": Decimal("0.000001"), "lot": Decimal("0.000001")}
    with pytest.raises(EngineError, match="instrument: "):
        play(instrument=instrument)


def test_spot_balances_of_the_base_can_be_sold() -> None:
    report = play(
        {"at": 1, "fills": [{"order": 0}]},
        instrument={**INSTRUMENT, "kind": "spot"},
        executor={**ORDER, "side": "SELL", "price": Decimal(51)},
        balances={"USDT": Decimal(0), "AAA": Decimal(5)},
    )
    assert report["orders"][0]["state"] == "FILLED"
