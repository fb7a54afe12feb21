"""The laddered trailing stop."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from engine.executors.ladder import LadderedTrailingStopState, LadderStep
from engine.executors.progressive_config import LadderedTrailingStop, LadderRow
from engine.executors.validation import describe_errors


def ladder(*rows: tuple[str, str], **changes: Any) -> LadderedTrailingStopState:
    fields: dict[str, Any] = {
        "activation": Fraction("0.015"),
        "trailing": Fraction("0.005"),
        "steps": [LadderStep(Fraction(level), Fraction(ratio)) for level, ratio in rows],
    }
    return LadderedTrailingStopState(**(fields | changes))


EXAMPLE = (("0.05", "1"), ("0.1", "0.91"))


def test_the_worked_example() -> None:
    state = ladder(*EXAMPLE)
    told = []
    for net in ("0.014", "0.06", "0.12", "0.08", "0.07"):
        ratio = state.update(Fraction(net), 1000)
        told.append((state.trigger, ratio))
    assert told[:4] == [
        (None, None),
        (Fraction("0.01"), None),
        (Fraction("0.07"), None),
        (Fraction("0.07"), None),
    ]
    assert told[4][1] == 1
    assert state.hits == {Fraction("0.05")}


@pytest.mark.parametrize(
    ("net", "distance"),
    [
        ("-0.1", "0.005"),
        ("0.005", "0.005"),
        ("0.0051", "0.00959"),
        ("0.02", "0.023"),
        ("0.05", "0.05"),
        ("0.12", "0.05"),
    ],
)
def test_the_distance_grows_with_the_gain_up_to_the_cap(net: str, distance: str) -> None:
    assert ladder().distance(Fraction(net)) == Fraction(distance)


def test_without_relaxation_the_distance_is_constant() -> None:
    state = ladder(relaxation=Fraction(0))
    assert {state.distance(Fraction(net)) for net in ("-0.1", "0.02", "0.5")} == {Fraction("0.005")}


@pytest.mark.parametrize(
    ("net", "trigger"), [("0.02", "-0.003"), ("0.05", "0"), ("0.12", "0.07"), ("0.015", "-0.0035")]
)
def test_arming_is_inclusive_and_never_fires(net: str, trigger: str) -> None:
    state = ladder()
    assert state.update(Fraction(net), 1) is None
    assert state.trigger == Fraction(trigger)


def test_a_trigger_of_zero_is_a_trigger() -> None:
    state = ladder()
    state.update(Fraction("0.05"), 1)
    assert state.trigger == 0
    assert state.update(Fraction(0), 1) == 1


def test_a_partial_hit_arms_again_below() -> None:
    state = ladder(("0.05", "0.5"))
    state.update(Fraction("0.12"), 1)
    assert state.update(Fraction("0.07"), 1) == Fraction("0.5")
    assert state.trigger == Fraction("0.02")
    assert state.update(Fraction("0.021"), 1) is None
    assert state.update(Fraction("0.02"), 1) == 1
    assert state.hits == {Fraction("0.05")}


@pytest.mark.parametrize(
    ("net", "ratio"),
    [("0.049", "1"), ("0.05", "0.9"), ("0.1", "0.5"), ("0.3", "0.5"), ("-0.2", "1")],
)
def test_the_row_is_looked_up_at_the_hit(net: str, ratio: str) -> None:
    state = ladder(("0.05", "0.9"), ("0.1", "0.5"), trigger=Fraction("0.4"))
    assert state.update(Fraction(net), 1) == Fraction(ratio)


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_open_is_an_error(amount: int) -> None:
    with pytest.raises(ValueError, match=f"current_amount must be greater than 0, got {amount}"):
        ladder().update(Fraction("0.1"), amount)


def test_the_text_form() -> None:
    text = "0.015,0.005,0.05:1|0.1:0.91|0.25:0.8|0.5:0.5"
    stop = LadderedTrailingStop.from_text(text)
    assert stop is not None
    assert (stop.activation_pnl_pct, stop.trailing_pct) == (Decimal("0.015"), Decimal("0.005"))
    assert stop.take_profit_table == (
        (Decimal("0.05"), Decimal(1)),
        (Decimal("0.1"), Decimal("0.91")),
        (Decimal("0.25"), Decimal("0.8")),
        (Decimal("0.5"), Decimal("0.5")),
    )
    assert isinstance(stop.take_profit_table[0], LadderRow)
    assert LadderedTrailingStop.from_text(" ") is None
    bare = LadderedTrailingStop.from_text("0.015, 0.005")
    assert bare is not None
    assert bare.take_profit_table == ()


def test_the_table_can_be_given_as_pairs_and_survives_json() -> None:
    stop = LadderedTrailingStop.model_validate(
        {
            "activation_pnl_pct": 0.015,
            "trailing_pct": "0.005",
            "take_profit_table": [[0.05, 1], ["0.1", "0.91"]],
        }
    )
    assert stop.take_profit_table[1] == (Decimal("0.1"), Decimal("0.91"))
    assert LadderedTrailingStop.model_validate_json(stop.model_dump_json()) == stop


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_pnl_pct": "0"}, "activation_pnl_pct: must be greater than 0, got 0"),
        ({"trailing_pct": "-1"}, "trailing_pct: must be greater than 0, got -1"),
        (
            {"take_profit_table": "0.1:1|0.1:0.5"},
            "take_profit_table: levels must be strictly increasing, got 0.1 after 0.1",
        ),
        (
            {"take_profit_table": "0.1:1.1"},
            "take_profit_table: close ratio must be above 0 and at most 1, got 1.1",
        ),
        (
            {"take_profit_table": "0.1:0"},
            "take_profit_table.0.1: must be greater than 0, got 0",
        ),
        (
            {"take_profit_table": "0:1"},
            "take_profit_table.0.0: must be greater than 0, got 0",
        ),
        ({"take_profit_table": "0.1"}, "take_profit_table: must be level:ratio|level:ratio"),
    ],
)
def test_an_invalid_ladder_is_named_with_its_field(changes: dict[str, Any], message: str) -> None:
    valid = {"activation_pnl_pct": "0.1", "trailing_pct": "0.1"}
    with pytest.raises(ValidationError) as caught:
        LadderedTrailingStop.model_validate(valid | changes)
    assert any(message in str(error) for error in describe_errors(caught.value))


def test_a_text_without_a_distance_is_refused() -> None:
    with pytest.raises(ValueError, match="must be activation,trailing,level:ratio"):
        LadderedTrailingStop.from_text("0.1")
