"""Configuration and update of the progressive executor."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.executors.barriers import TripleBarrierConfig
from engine.executors.progressive_config import (
    ProgressiveExecutorConfig,
    ProgressiveExecutorUpdates,
    YieldTripleBarrierConfig,
)
from engine.executors.validation import describe_errors
from engine.model.orders import OrderType

VALID: dict[str, Any] = {
    "connector_name": "paper",
    "trading_pair": "BTC-USDT",
    "side": "BUY",
    "amount": "1",
    "triple_barrier_config": {"stop_loss": "0.02"},
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amount": "0"}, "amount: must be greater than 0, got 0"),
        (
            {"triple_barrier_config": {"apr_yield": "-0.5"}},
            "triple_barrier_config.apr_yield: must be greater than 0, got -0.5",
        ),
        (
            {"triple_barrier_config": {"trailing_stop": "0.1"}},
            "triple_barrier_config.trailing_stop: must be activation,trailing,level:ratio",
        ),
        (
            {"triple_barrier_config": {"trailing_stop_order_type": "LIMIT_MAKER"}},
            "trailing_stop_order_type: must be one of LIMIT, MARKET, got LIMIT_MAKER",
        ),
        (
            {"triple_barrier_config": {"stop_loss_order_type": "LIMIT"}},
            "triple_barrier_config.stop_loss_order_type: must be MARKET, got LIMIT",
        ),
        ({"pnl_relaxation": "1"}, "pnl_relaxation: must be at least 0 and below 1, got 1"),
        ({"pnl_relaxation": "-0.1"}, "pnl_relaxation: must be at least 0 and below 1, got -0.1"),
        ({"max_trailing_pct": "0"}, "max_trailing_pct: must be greater than 0, got 0"),
        ({"activation_bounds": "0.1,0.2"}, "activation_bounds must have 1 value for LIMIT entries"),
    ],
)
def test_an_invalid_value_is_named_with_its_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ProgressiveExecutorConfig.model_validate(VALID | changes)
    assert any(message in str(error) for error in describe_errors(caught.value))


def test_the_barriers_are_required() -> None:
    fields = {name: value for name, value in VALID.items() if name != "triple_barrier_config"}
    with pytest.raises(ValidationError) as caught:
        ProgressiveExecutorConfig.model_validate(fields)
    assert str(describe_errors(caught.value)[0]) == "triple_barrier_config: is required"


def test_defaults_are_those_of_the_specification() -> None:
    config = ProgressiveExecutorConfig.model_validate(VALID)
    barrier = config.triple_barrier_config
    assert isinstance(barrier, TripleBarrierConfig)
    assert (barrier.apr_yield, barrier.trailing_stop) == (None, None)
    assert barrier.trailing_stop_order_type is OrderType.LIMIT
    assert (config.pnl_relaxation, config.max_trailing_pct) == (Decimal("0.9"), Decimal("0.05"))
    assert config.type == "progressive_executor"
    assert ProgressiveExecutorConfig.model_validate_json(config.model_dump_json()) == config


def test_an_empty_ladder_text_is_none() -> None:
    barrier = YieldTripleBarrierConfig.model_validate({"trailing_stop": "", "apr_yield": ""})
    assert (barrier.trailing_stop, barrier.apr_yield) == (None, None)


def test_adjusted_keeps_yield_time_table_and_order_types() -> None:
    barrier = YieldTripleBarrierConfig.model_validate(
        {
            "stop_loss": "0.02",
            "take_profit": "0.1",
            "time_limit": 60,
            "apr_yield": "0.5",
            "trailing_stop": "0.015,0.005,0.05:1",
            "trailing_stop_order_type": "market",
        }
    )
    adjusted = barrier.adjusted(Decimal("1.65"))
    assert adjusted.stop_loss == Decimal("0.033")
    assert adjusted.take_profit == Decimal("0.165")
    assert adjusted.trailing_stop is not None
    assert adjusted.trailing_stop.activation_pnl_pct == Decimal("0.02475")
    assert adjusted.trailing_stop.trailing_pct == Decimal("0.00825")
    assert adjusted.trailing_stop.take_profit_table == ((Decimal("0.05"), Decimal(1)),)
    assert (adjusted.apr_yield, adjusted.time_limit) == (Decimal("0.5"), 60)
    assert adjusted.trailing_stop_order_type is OrderType.MARKET
    assert YieldTripleBarrierConfig().adjusted(Decimal(2)) == YieldTripleBarrierConfig()
    with pytest.raises(ValueError, match="must be greater than 0"):
        barrier.adjusted(Decimal(0))


def test_the_stop_loss_becomes_exactly_its_volatilities() -> None:
    config = ProgressiveExecutorConfig.model_validate(
        VALID | {"triple_barrier_config": {"stop_loss": "0.03"}}
    )
    update = ProgressiveExecutorUpdates.model_validate({"volatility": "0.07"})
    assert update.validate()
    assert update.applied_to(config).triple_barrier_config.stop_loss == Decimal("0.077")


def test_without_a_stop_loss_there_is_nothing_to_scale() -> None:
    config = ProgressiveExecutorConfig.model_validate(VALID | {"triple_barrier_config": {}})
    with pytest.raises(ValueError, match="needs a stop loss"):
        ProgressiveExecutorUpdates.model_validate({"volatility": "0.07"}).applied_to(config)


@pytest.mark.parametrize("value", ["0", "-1", "much", None])
def test_a_volatility_is_a_number_above_zero(value: str | None) -> None:
    with pytest.raises(ValidationError):
        ProgressiveExecutorUpdates.model_validate({"volatility": value})
