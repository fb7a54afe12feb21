"""Configuration of the position executor: every rule, and what a person reads."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.executors.barriers import TrailingStop, TripleBarrierConfig
from engine.executors.config import generated_id
from engine.executors.position_config import PositionExecutorConfig, PositionExecutorUpdate
from engine.executors.validation import describe_errors
from engine.model.orders import OrderType, TradeType

VALID: dict[str, Any] = {
    "connector_name": "paper",
    "trading_pair": "BTC-USDT",
    "side": "BUY",
    "amount": "1",
}


def errors_of(**changes: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        PositionExecutorConfig.model_validate(VALID | changes)
    return [str(item) for item in describe_errors(caught.value)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amount": "0"}, "amount: must be greater than 0, got 0"),
        ({"amount": "-1"}, "amount: must be greater than 0, got -1"),
        ({"amount": "much"}, "amount: must be a number, got 'much'"),
        ({"amount": float("nan")}, "amount: must be a finite number, got nan"),
        ({"amount": "Infinity"}, "amount: must be a finite number, got Infinity"),
        ({"amount": True}, "amount: must be a number, got True"),
        ({"amount": None}, "amount: must be a number, got None"),
        ({"connector_name": " "}, "connector_name: must not be empty, got ' '"),
        (
            {"trading_pair": "BTCUSDT"},
            "trading_pair: must be BASE-QUOTE, for example BTC-USDT, got 'BTCUSDT'",
        ),
        ({"side": "HOLD"}, "side: must be one of BUY, SELL, got 'HOLD'"),
        ({"side": "RANGE"}, "side: must be one of BUY, SELL, got RANGE"),
        ({"side": 1}, "side: must be one of BUY, SELL, got 1"),
        ({"entry_price": "0"}, "entry_price: must be greater than 0, got 0"),
        ({"leverage": 0}, "leverage: must be at least 1, got 0"),
        ({"activation_bounds": ["0"]}, "activation_bounds.0: must be greater than 0, got 0"),
        (
            {"activation_bounds": ["0.1", "0.2"]},
            "activation_bounds must have 1 value for LIMIT entries, got 0.1, 0.2",
        ),
        (
            {
                "activation_bounds": ["0.1"],
                "triple_barrier_config": {"open_order_type": "MARKET"},
            },
            "activation_bounds must have 2 values for MARKET entries, got 0.1",
        ),
        ({"colour": "red"}, "colour: is not a known field"),
        ({"timestamp": -1}, "timestamp: must not be negative, got -1"),
        ({"timestamp": float("inf")}, "timestamp: must be a finite number, got inf"),
        (
            {"triple_barrier_config": {"stop_loss": "0"}},
            "triple_barrier_config.stop_loss: must be greater than 0, got 0",
        ),
        (
            {"triple_barrier_config": {"time_limit": -5}},
            "triple_barrier_config.time_limit: must be at least 1, got -5",
        ),
        (
            {"triple_barrier_config": {"stop_loss_order_type": "LIMIT"}},
            "triple_barrier_config.stop_loss_order_type: must be MARKET, got LIMIT",
        ),
        (
            {"triple_barrier_config": {"time_limit_order_type": "limit_maker"}},
            "triple_barrier_config.time_limit_order_type: must be MARKET, got LIMIT_MAKER",
        ),
        (
            {"triple_barrier_config": {"open_order_type": "STOP"}},
            "open_order_type: must be one of MARKET, LIMIT, LIMIT_MAKER, got 'STOP'",
        ),
        (
            {"triple_barrier_config": {"trailing_stop": {"activation_price": "0.1"}}},
            "triple_barrier_config.trailing_stop.trailing_delta: is required",
        ),
        (
            {"triple_barrier_config": {"trailing_stop": "0.1"}},
            "triple_barrier_config.trailing_stop: must be activation,delta",
        ),
    ],
)
def test_an_invalid_value_is_named_with_its_field(changes: dict[str, Any], message: str) -> None:
    assert any(message in error for error in errors_of(**changes))


@pytest.mark.parametrize("name", ["connector_name", "trading_pair", "side", "amount"])
def test_required_fields_are_required(name: str) -> None:
    fields = {key: value for key, value in VALID.items() if key != name}
    with pytest.raises(ValidationError) as caught:
        PositionExecutorConfig.model_validate(fields)
    assert str(describe_errors(caught.value)[0]) == f"{name}: is required"


def test_names_are_read_in_any_case_and_numbers_from_any_text() -> None:
    config = PositionExecutorConfig.model_validate(
        VALID
        | {
            "side": "sell",
            "amount": 0.1,
            "entry_price": "",
            "triple_barrier_config": {
                "stop_loss": "2e-2",
                "take_profit": "",
                "time_limit": 0,
                "trailing_stop": "0.02,0.005",
                "open_order_type": "Limit_Maker",
            },
        }
    )
    barrier = config.triple_barrier_config
    assert config.side is TradeType.SELL
    assert config.amount == Decimal("0.1")
    assert config.entry_price is None
    assert (barrier.stop_loss, barrier.take_profit, barrier.time_limit) == (
        Decimal("0.02"),
        None,
        None,
    )
    assert barrier.trailing_stop == TrailingStop(
        activation_price=Decimal("0.02"), trailing_delta=Decimal("0.005")
    )
    assert barrier.open_order_type is OrderType.LIMIT_MAKER


def test_text_of_several_bounds_is_split() -> None:
    config = PositionExecutorConfig.model_validate(
        VALID
        | {
            "activation_bounds": "0.001, 0.002",
            "triple_barrier_config": {"open_order_type": "MARKET"},
        }
    )
    assert config.activation_bounds == (Decimal("0.001"), Decimal("0.002"))


def test_defaults_are_those_of_the_specification() -> None:
    config = PositionExecutorConfig.model_validate(VALID)
    assert config.leverage == 1
    assert config.controller_id == "main"
    assert config.type == "position_executor"
    assert config.triple_barrier_config == TripleBarrierConfig()
    assert config.triple_barrier_config.open_order_type is OrderType.LIMIT
    assert config.triple_barrier_config.take_profit_order_type is OrderType.MARKET


def test_a_configuration_is_frozen_and_survives_json() -> None:
    config = PositionExecutorConfig.model_validate(
        VALID | {"triple_barrier_config": {"stop_loss": "0.0300"}}
    ).with_identity(now_ns=5, random_bits=7, controller_id="c")
    with pytest.raises(ValidationError):
        config.amount = Decimal(2)  # type: ignore[misc]  # that is the test
    assert PositionExecutorConfig.model_validate_json(config.model_dump_json()) == config


def test_adjusted_multiplies_distances_and_keeps_the_rest() -> None:
    barrier = TripleBarrierConfig(
        stop_loss=Decimal("0.1"),
        take_profit=Decimal("0.2"),
        time_limit=60,
        trailing_stop=TrailingStop(activation_price=Decimal("0.1"), trailing_delta=Decimal("0.1")),
        take_profit_order_type=OrderType.LIMIT,
    )
    adjusted = barrier.adjusted(Decimal("1.5"))
    assert adjusted.stop_loss == Decimal("0.15")
    assert adjusted.take_profit == Decimal("0.30")
    assert adjusted.trailing_stop == TrailingStop(
        activation_price=Decimal("0.15"), trailing_delta=Decimal("0.15")
    )
    assert adjusted.time_limit == 60
    assert adjusted.take_profit_order_type is OrderType.LIMIT
    assert TripleBarrierConfig().adjusted(Decimal(2)) == TripleBarrierConfig()


@pytest.mark.parametrize("factor", [Decimal(0), Decimal("NaN")])
def test_adjusted_needs_a_positive_number(factor: Decimal) -> None:
    with pytest.raises(ValueError, match="must be"):
        TripleBarrierConfig().adjusted(factor)


def test_the_identity_is_deterministic_and_keeps_what_is_given() -> None:
    draft = PositionExecutorConfig.model_validate(VALID)
    first = draft.with_identity(now_ns=1_500_000_000, random_bits=1, controller_id="c")
    again = draft.with_identity(now_ns=1_500_000_000, random_bits=1, controller_id="c")
    other = draft.with_identity(now_ns=1_500_000_000, random_bits=2, controller_id="c")
    assert first == again
    assert first.id != other.id
    assert first.id == generated_id(1.5, 1)
    assert len(first.id) in {43, 44}
    assert (first.timestamp, first.created_ns) == (1.5, 1_500_000_000)
    given = draft.model_copy(update={"id": "mine", "timestamp": 3.25})
    kept = given.with_identity(now_ns=9, random_bits=1, controller_id="c")
    assert (kept.id, kept.timestamp, kept.controller_id) == ("mine", 3.25, "c")


def test_without_identity_there_is_no_creation_time() -> None:
    with pytest.raises(ValueError, match="no timestamp"):
        _ = PositionExecutorConfig.model_validate(VALID).created_ns


def test_an_update_changes_only_what_is_given() -> None:
    config = PositionExecutorConfig.model_validate(
        VALID | {"triple_barrier_config": {"stop_loss": "0.1", "take_profit": "0.2"}}
    )
    update = PositionExecutorUpdate.model_validate(
        {"stop_loss": None, "time_limit": "30", "activation_bounds": "0.01"}
    )
    assert update.validate()
    changed = update.applied_to(config)
    assert changed.triple_barrier_config.stop_loss is None
    assert changed.triple_barrier_config.take_profit == Decimal("0.2")
    assert changed.triple_barrier_config.time_limit == 30
    assert changed.activation_bounds == (Decimal("0.01"),)


def test_an_empty_update_does_not_validate() -> None:
    assert not PositionExecutorUpdate().validate()


def test_an_update_that_breaks_the_configuration_names_the_reason() -> None:
    config = PositionExecutorConfig.model_validate(VALID)
    update = PositionExecutorUpdate.model_validate({"activation_bounds": "0.01, 0.02"})
    with pytest.raises(ValueError, match="1 value for LIMIT entries"):
        update.applied_to(config)
