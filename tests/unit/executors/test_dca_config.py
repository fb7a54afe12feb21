"""Configuration of the DCA executor."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.executors.dca_config import DCAExecutorConfig, DCAMode
from engine.executors.validation import describe_errors

VALID: dict[str, Any] = {
    "connector_name": "paper",
    "trading_pair": "BTC-USDT",
    "side": "BUY",
    "amounts_quote": ["10", "20", "30"],
    "prices": ["100", "80", "60"],
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amounts_quote": "10,20"}, "prices must have as many values as amounts_quote, got 3 and"),
        ({"amounts_quote": [], "prices": []}, "amounts_quote must have at least 1 value"),
        ({"amounts_quote": "10,0,1"}, "amounts_quote.1: must be greater than 0, got 0"),
        ({"prices": "10,much,1"}, "prices.1: must be a number, got 'much'"),
        ({"prices": "10,-1,1"}, "prices.1: must be greater than 0, got -1"),
        ({"take_profit": "0"}, "take_profit: must be greater than 0, got 0"),
        ({"stop_loss": "-0.1"}, "stop_loss: must be greater than 0, got -0.1"),
        ({"time_limit": -1}, "time_limit: must be at least 1, got -1"),
        ({"trailing_stop": "0.1"}, "trailing_stop: must be activation,delta"),
        ({"mode": "BOTH"}, "mode: must be one of MAKER, TAKER, got 'BOTH'"),
        ({"side": "RANGE"}, "side: must be one of BUY, SELL, got RANGE"),
        ({"leverage": 0}, "leverage: must be at least 1, got 0"),
        ({"connector_name": ""}, "connector_name: must not be empty"),
        ({"trading_pair": "BTC"}, "trading_pair: must be BASE-QUOTE"),
        (
            {"activation_bounds": "0.1,0.2"},
            "activation_bounds must have 1 value in MAKER mode, got 0.1, 0.2",
        ),
        (
            {"activation_bounds": "0.1", "mode": "taker"},
            "activation_bounds must have 2 values in TAKER mode, got 0.1",
        ),
    ],
)
def test_an_invalid_value_is_named_with_its_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DCAExecutorConfig.model_validate(VALID | changes)
    assert any(message in str(error) for error in describe_errors(caught.value))


def test_derived_values() -> None:
    config = DCAExecutorConfig.model_validate(VALID | {"stop_loss": "0.1"})
    assert config.max_amount_quote == 60
    assert config.max_loss_quote == 6
    assert round(config.target_position_average_price, 3) == Decimal("70.588")
    assert DCAExecutorConfig.model_validate(VALID).max_loss_quote == 0


def test_a_taker_has_bounds_of_its_own() -> None:
    assert DCAExecutorConfig.model_validate(VALID).activation_bounds is None
    taker = DCAExecutorConfig.model_validate(VALID | {"mode": "taker"})
    assert taker.mode is DCAMode.TAKER
    assert taker.activation_bounds == (Decimal("0.0001"), Decimal("0.005"))
    assert DCAExecutorConfig.model_validate_json(taker.model_dump_json()) == taker
