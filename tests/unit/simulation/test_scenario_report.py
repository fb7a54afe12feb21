"""What ``quarterdeck simulate`` prints, and what it says of scenarios that cannot be played."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.api.files import simulate_file
from engine.config.document import ConfigError
from engine.flow.errors import EngineError
from engine.simulation.scenario import Scenario
from engine.simulation.simulate import simulate

EXECUTOR: dict[str, Any] = {
    "type": "position_executor",
    "connector_name": "sim",
    "trading_pair": "AAA-USDT",
    "side": "BUY",
    "amount": Decimal(1),
    "entry_price": Decimal(100),
    "triple_barrier_config": {"stop_loss": Decimal("0.05")},
}
MARKET: dict[str, Any] = {
    "instrument": {
        "connector_name": "sim",
        "trading_pair": "AAA-USDT",
        "tick": Decimal("0.01"),
        "lot": Decimal("0.001"),
    },
    "balances": {"USDT": Decimal(100000)},
    "matching": "scripted",
}
FILE = """\
instrument: {connector_name: sim, trading_pair: AAA-USDT, tick: 0.01, lot: 0.001}
executors:
  - type: position_executor
    connector_name: sim
    trading_pair: AAA-USDT
    side: BUY
    amount: 1
  - EXECUTOR
"""


def play(steps: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    scenario = {**MARKET, "executor": EXECUTOR, "steps": steps, **changes}
    return simulate(Scenario.model_validate(scenario)).to_dict()


def quote(at: int, price: str, **more: Any) -> dict[str, Any]:
    return {"at": at, "bid": Decimal(price), "ask": Decimal(price), **more}


def steps_of(report: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(one["from"], one["to"], one["close_type"]) for one in report["transitions"]]


def test_transitions_are_the_steps_of_the_life_and_the_timeline_is_all_of_it() -> None:
    report = play([quote(0, "101"), {"at": 1, "actions": [{"verb": "stop"}]}])
    assert steps_of(report) == [
        ("NOT_STARTED", "RUNNING", None),
        ("RUNNING", "SHUTTING_DOWN", "EARLY_STOP"),
        ("SHUTTING_DOWN", "TERMINATED", "EARLY_STOP"),
    ]
    assert [one["text"] for one in report["timeline"]][1].startswith("entry O00000: BUY")


def test_every_transition_is_printed_however_long_the_life_is() -> None:
    slices: dict[str, Any] = {
        "type": "twap_executor",
        "connector_name": "sim",
        "trading_pair": "AAA-USDT",
        "side": "BUY",
        "total_amount_quote": Decimal(4000),
        "total_duration": 39,
        "order_interval": 1,
    }
    report = play([quote(0, "100"), quote(60, "100")], executor=slices, matching="quotes")
    assert [new for _, new, _ in steps_of(report)] == ["RUNNING", "SHUTTING_DOWN", "TERMINATED"]
    assert len(report["timeline"]) > 50  # an executor itself keeps no more


def test_an_executor_is_printed_with_what_derives_from_it() -> None:
    (info,) = play([quote(0, "101")])["executors"]
    derived = ("is_done", "lifecycle", "side", "connector_name", "trading_pair")
    assert [info[name] for name in derived] == [False, "running", "BUY", "sim", "AAA-USDT"]
    assert info["net_pnl_quote"] == "0.00000000"


def test_the_performance_has_every_field_of_the_report() -> None:
    stop = {"verb": "stop", "keep_position": True}
    report = play(
        [quote(0, "101"), {"at": 1, "fills": [{"order": 0}]}, {"at": 2, "actions": [stop]}]
    )
    figures = report["performance"]["main"]
    (held,) = figures["positions_summary"]
    assert held == report["positions"][0]
    assert held["amount_quote"] == "100.00000"
    assert figures["unrealized_pnl_pct"] == "0.01"
    assert (figures["realized_pnl_pct"], figures["wins"], figures["losses"]) == ("0", 0, 0)


def test_a_fee_in_base_counts_with_its_worth() -> None:
    """Example D of the specification, with nothing but the fee in base."""
    report = play([quote(0, "100"), {"at": 1, "fills": [{"order": 0, "fee_base": "0.001"}]}])
    (info,) = report["executors"]
    assert Decimal(info["net_pnl_quote"]) == Decimal("-0.1")
    assert Decimal(info["custom_info"]["remaining_amount"]) == Decimal("0.999")


def test_what_fees_in_base_leave_is_rounded_down_once_for_an_order() -> None:
    """Three fees of 0.4 lots are 1.2 lots: 2 are not owned, not 3; their worth is exact."""
    part = {"order": 0, "amount": "0.2", "fee_base": "0.0004"}
    steps = [quote(0, "100"), {"at": 1, "fills": [part, part, part]}]
    report = play(steps)
    (info,) = report["executors"]
    assert Decimal(info["custom_info"]["remaining_amount"]) == Decimal("0.598")
    assert Decimal(info["cum_fees_quote"]) == Decimal("0.12")
    assert Decimal(info["net_pnl_quote"]) == Decimal("-0.12")
    assert Decimal(report["account"]["equity"]) == 100000 - Decimal("0.12")


def test_a_fill_that_crossed_the_cancel_is_closed_too() -> None:
    report = play(
        [
            quote(0, "101"),
            {"at": 1, "fills": [{"order": 0, "amount": "0.5"}]},
            quote(2, "94"),  # the rest is cancelled, what is filled is closed
            {"at": 3, "fills": [{"order": "entry", "amount": "0.25"}]},
            {"at": 4, "fills": [{"order": "close"}]},
            {"at": 5, "fills": [{"order": "close"}]},
        ]
    )
    assert [order["filled"] for order in report["orders"]] == ["0.750", "0.500", "0.250"]
    assert report["orders"][0]["state"] == "CANCELLED"
    (info,) = report["executors"]
    assert info["close_type"] == "STOP_LOSS"
    assert Decimal(info["net_pnl_quote"]) == Decimal("-4.5")


def test_a_fill_after_the_end_goes_to_the_position_store_once() -> None:
    late = {"order": 0, "amount": "0.5", "price": 100, "repeat": True}
    report = play(
        [quote(0, "101"), {"at": 1, "actions": [{"verb": "stop"}]}, {"at": 2, "fills": [late]}]
    )
    assert [held["amount"] for held in report["positions"]] == ["0.500"]
    assert report["notices"][-1]["level"] == "error"
    assert Decimal(report["account"]["unrealized_pnl"]) == Decimal("0.5")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"bid": "100.001", "ask": "101"}, "step 1: sim:AAA-USDT: price 100.001 is not a multiple"),
        ({"fills": [{"order": 0, "amount": "0.0001"}]}, "amount 0.0001 is not a multiple of"),
        ({"fills": [{"order": 0}, {"order": 0}]}, "nothing is left of order O00000 to fill"),
    ],
)
def test_a_step_with_impossible_numbers_is_named(step: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineError, match=said):
        play([quote(0, "101"), {"at": 1, **step}])


@pytest.mark.parametrize("step", [{"bid": 2, "ask": 1}, {"quotes": [{"bid": 2, "ask": 1}]}])
def test_a_crossed_quote_is_refused(step: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="bid must not be above ask, got 2 and 1"):
        Scenario.model_validate({**MARKET, "steps": [{"at": 0, **step}]})


def test_an_executor_on_a_market_that_is_not_there_is_refused() -> None:
    said = "executor 0: .*there is no market other:AAA-USDT, there is sim:AAA-USDT"
    with pytest.raises(EngineError, match=said):
        play([quote(0, "101")], executor={**EXECUTOR, "connector_name": "other"})


@pytest.mark.parametrize(
    ("executor", "said"),
    [
        ("{type: other}", r"yaml:8: executors\.1\.type: no executor type 'other'; known: position"),
        ("{type: position_executor, amount: 0}", r"yaml:8: executors\.1\.amount: .*greater than 0"),
        ("{type: dca_executor, typo: 1}", r"yaml:8: executors\.1\.typo: is not a known key"),
    ],
)
def test_a_wrong_executor_is_told_with_its_line(tmp_path: Path, executor: str, said: str) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(FILE.replace("EXECUTOR", executor))
    with pytest.raises(ConfigError, match=said):
        simulate_file(path)


def test_controllers_have_capital_initial_positions_and_their_own_executors() -> None:
    """The example of 13.2's return, and 12.5: n at the first mid, no volume, no fees."""
    held = {"controller_id": "b", "connector_name": "sim", "trading_pair": "AAA-USDT"}
    report = play(
        [quote(0, "100"), quote(1, "103")],
        executor={**EXECUTOR, "controller_id": "a"},
        initial_positions=[{**held, "amount": 2, "side": "SELL"}],
        total_amount_quote={"b": 600},
    )
    assert report["executors"][0]["controller_id"] == "a"
    (position,) = report["positions"]
    assert (position["controller_id"], position["side"]) == ("b", "SELL")
    assert Decimal(position["breakeven_price"]) == 100
    figures = report["performance"]["b"]
    assert Decimal(figures["unrealized_pnl_quote"]) == -6
    assert Decimal(figures["volume_traded"]) == 0
    assert Decimal(figures["return_on_capital"]) == Decimal("-0.01")
    assert report["performance"]["a"]["return_on_capital"] is None


@pytest.mark.parametrize("verb", ["stop", "store", "update"])
def test_an_action_of_another_controller_does_nothing(verb: str) -> None:
    action = {"verb": verb, "controller_id": "other", "changes": {"stop_loss": "0.1"}}
    report = play([quote(0, "101"), {"at": 1, "actions": [action]}])
    assert report["results"][-1]["code"] == "NOT_FOUND"
    assert report["executors"][0]["status"] == "RUNNING"


def test_an_initial_position_on_an_unknown_market_is_refused() -> None:
    position = {"connector_name": "x", "trading_pair": "AAA-USDT", "amount": 1, "side": "BUY"}
    with pytest.raises(EngineError, match="there is no market 'x:AAA-USDT'"):
        play([quote(0, "101")], initial_positions=[position])


@pytest.mark.parametrize("start", ["2023-11-14T22:13:20Z", 1700000000, Decimal("1700000000.0")])
def test_the_start_is_a_stamp_or_seconds(start: object) -> None:
    (info,) = play([quote(0, "101")], start=start)["executors"]
    assert info["timestamp"] == 1700000000


def test_a_fee_is_a_fraction() -> None:
    with pytest.raises(ValueError, match="less than 1"):
        Scenario.model_validate({**MARKET, "fees": {"maker": 2}})


@pytest.mark.parametrize(("mode", "action"), [("ONEWAY", "OPEN"), ("hedge", "CLOSE")])
def test_a_close_is_reduce_only_in_hedge_mode(mode: str, action: str) -> None:
    report = play(
        [quote(0, "101"), {"at": 1, "fills": [{"order": 0}]}, quote(2, "94")], position_mode=mode
    )
    assert [order["position_action"] for order in report["orders"]] == ["OPEN", action]


def test_a_position_mode_is_one_of_two() -> None:
    with pytest.raises(ValueError, match="must be one of HEDGE, ONEWAY, got 'BOTH'"):
        Scenario.model_validate({**MARKET, "position_mode": "BOTH"})


def test_the_account_has_what_controllers_began_with_and_the_funding() -> None:
    held = {"connector_name": "sim", "trading_pair": "AAA-USDT", "amount": 2, "side": "SELL"}
    funding = {"funding": [{"market": "sim:AAA-USDT", "rate": Decimal("0.001")}]}
    report = play(
        [quote(0, "101"), quote(1, "103", **funding)], initial_positions=[held], balances={}
    )
    account = {name: Decimal(value) for name, value in report["account"].items()}
    # 2 short from 101 to 103; 0.1 % of 206 is what the longs pay.
    assert account["unrealized_pnl"] == -4
    assert account["funding"] == Decimal("0.206")
    assert account["equity"] == Decimal("-3.794")
    assert Decimal(report["performance"]["main"]["funding_quote"]) == Decimal("0.206")


def test_an_initial_position_is_a_whole_number_of_lots() -> None:
    held = {"connector_name": "sim", "trading_pair": "AAA-USDT", "amount": Decimal("0.0005")}
    with pytest.raises(EngineError, match=r"initial position: .*0\.0005"):
        play([quote(0, "101")], initial_positions=[{**held, "side": "BUY"}])


def test_a_fee_in_another_asset_leaves_the_account_when_it_has_a_rate() -> None:
    coin = {"connector_name": "sim", "trading_pair": "COIN-USDT", "tick": "0.01", "lot": "0.001"}
    entry = {"order": "entry", "fee": Decimal("0.01"), "fee_token": "COIN"}
    steps: list[dict[str, Any]] = [quote(0, "100"), {"at": 1, "fills": [entry]}]
    markets: dict[str, Any] = {"instrument": None, "instruments": [MARKET["instrument"], coin]}
    before = play(steps, **markets)
    assert Decimal(before["account"]["fees"]) == 0
    assert before["executors"][0]["custom_info"]["unconverted_fees"] == {"COIN": "0.01"}

    rated = {"market": "sim:COIN-USDT", "bid": Decimal(30), "ask": Decimal(30)}
    after = play([*steps, {"at": 2, "quotes": [rated]}, {"at": 4}], **markets)
    assert Decimal(after["account"]["fees"]) == Decimal("0.3")
    assert Decimal(after["account"]["equity"]) == 100000 - Decimal("0.3")
    assert Decimal(after["executors"][0]["cum_fees_quote"]) == Decimal("0.3")


def test_quotes_fill_what_a_step_has_left_of_an_order() -> None:
    part = {"at": 1, "fills": [{"order": 0, "amount": Decimal("0.4"), "price": Decimal(100)}]}
    report = play([quote(0, "101"), part, quote(2, "99"), quote(3, "99")], matching="quotes")
    (entry,) = report["orders"]
    assert (entry["state"], Decimal(entry["filled"])) == ("FILLED", Decimal(entry["amount"]))
    (info,) = report["executors"]
    assert Decimal(info["custom_info"]["remaining_amount"]) == Decimal(entry["amount"])


def test_a_hedged_close_knows_the_position_that_a_step_has_filled() -> None:
    stop = {"at": 3, "actions": [{"verb": "stop", "executor": 0}]}
    filled = {"at": 1, "fills": [{"order": 0, "repeat": True}]}
    report = play(
        [quote(0, "101"), filled, quote(2, "101"), stop, quote(4, "101")],
        matching="quotes",
        position_mode="HEDGE",
    )
    assert [one["state"] for one in report["orders"]] == ["FILLED", "FILLED"]
    (info,) = report["executors"]
    assert info["close_type"] == "EARLY_STOP"
    assert report["positions"] == []


def test_a_hedge_that_is_withdrawn_to_keep_the_position_is_no_failure() -> None:
    venues = [{**MARKET["instrument"], "connector_name": name} for name in ("home", "away")]
    pairs = [{"connector_name": one, "trading_pair": "AAA-USDT"} for one in ("home", "away")]
    scenario = {
        "instruments": venues,
        "balances": {"USDT": Decimal(1000)},
        "matching": "scripted",
        "max_retries": 0,
        "executor": {
            "type": "xemm_executor",
            "buying_market": pairs[0],
            "selling_market": pairs[1],
            "maker_side": "BUY",
            "order_amount": Decimal(1),
            "min_profitability": Decimal("0.005"),
            "target_profitability": Decimal("0.01"),
            "max_profitability": Decimal("0.02"),
        },
        "steps": [
            {
                "at": 0,
                "quotes": [
                    {"market": f"{one}:AAA-USDT", "bid": 99, "ask": 100} for one in ("home", "away")
                ],
            },
            {"at": 1, "fills": [{"order": "maker", "amount": Decimal("0.4")}]},
            {"at": 2, "actions": [{"verb": "stop", "executor": 0, "keep_position": True}]},
            {"at": 9},
        ],
    }
    report = simulate(Scenario.model_validate(scenario)).to_dict()
    assert [(one["role"], one["state"]) for one in report["orders"]] == [
        ("maker", "CANCELLED"),
        ("hedge", "CANCELLED"),
    ]
    (info,) = report["executors"]
    assert (info["close_type"], info["custom_info"]["current_retries"]) == ("POSITION_HOLD", 0)
    (position,) = report["positions"]
    assert (position["market"], position["side"], Decimal(position["amount"])) == (
        "home:AAA-USDT",
        "BUY",
        Decimal("0.4"),
    )
    assert position["position_side"] == "BOTH"
