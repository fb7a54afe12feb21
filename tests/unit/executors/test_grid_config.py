"""Configuration, update and sizing of the grid executor."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from engine.executors.grid_config import GridExecutorConfig, GridExecutorUpdate
from engine.executors.grid_plan import GridPlan, GridTooSmallError, plan_grid
from engine.executors.validation import describe_errors
from engine.testing.executor_bench import bench_instrument

VALID: dict[str, Any] = {
    "connector_name": "paper",
    "trading_pair": "BTC-USDT",
    "start_price": "2000",
    "end_price": "2200",
    "limit_price": "1900",
    "total_amount_quote": "500",
    "min_order_amount_quote": "20",
    "min_spread_between_orders": "0.02",
    "triple_barrier_config": {"take_profit": "0.01"},
}
INSTRUMENT = bench_instrument(
    tick=Decimal("0.01"), lot=Decimal("0.01"), min_qty=Decimal("0.01"), min_notional=Decimal(10)
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"start_price": "2200"},
            "start_price must be below end_price, got 2200 and 2200",
        ),
        ({"start_price": "0"}, "start_price: must be greater than 0, got 0"),
        ({"limit_price": "-1"}, "limit_price: must not be negative, got -1"),
        (
            {"limit_price": "2000"},
            "limit_price of a BUY grid must be below start_price 2000, got 2000",
        ),
        (
            {"side": "sell", "limit_price": "2200"},
            "limit_price of a SELL grid must be above end_price 2200, got 2200",
        ),
        ({"total_amount_quote": "0"}, "total_amount_quote: must be greater than 0, got 0"),
        ({"min_spread_between_orders": "0"}, "min_spread_between_orders: must be greater than 0"),
        ({"min_order_amount_quote": "0"}, "min_order_amount_quote: must be greater than 0"),
        ({"max_open_orders": 0}, "max_open_orders: must be at least 1, got 0"),
        ({"max_orders_per_batch": 0}, "max_orders_per_batch: must be at least 1, got 0"),
        ({"order_frequency": -1}, "order_frequency: must not be negative, got -1"),
        ({"activation_bounds": "0"}, "activation_bounds: must be greater than 0, got 0"),
        ({"safe_extra_spread": "-0.1"}, "safe_extra_spread: must not be negative, got -0.1"),
        ({"leverage": 0}, "leverage: must be at least 1, got 0"),
        (
            {"triple_barrier_config": {}},
            "triple_barrier_config.take_profit is required for a grid, got None",
        ),
        ({"side": "RANGE"}, "side: must be one of BUY, SELL, got RANGE"),
    ],
)
def test_an_invalid_value_is_named_with_its_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        GridExecutorConfig.model_validate(VALID | changes)
    assert any(message in str(error) for error in describe_errors(caught.value))


def test_defaults_are_those_of_the_specification() -> None:
    required = {key: VALID[key] for key in VALID if not key.startswith("min_")}
    config = GridExecutorConfig.model_validate(required | {"limit_price": 0})
    assert config.side.name == "BUY"
    assert config.min_spread_between_orders == Decimal("0.0005")
    assert config.min_order_amount_quote == 5
    assert (config.max_open_orders, config.max_orders_per_batch) == (5, None)
    assert (config.order_frequency, config.activation_bounds) == (0, None)
    assert (config.safe_extra_spread, config.leverage) == (Decimal("0.0001"), 20)
    flags = (config.deduct_base_fees, config.keep_position, config.coerce_tp_to_step)
    assert flags == (False, False, False)
    assert GridExecutorConfig.model_validate_json(config.model_dump_json()) == config


def plan(mid: str = "2100", **changes: Any) -> GridPlan:
    return plan_grid(GridExecutorConfig.model_validate(VALID | changes), INSTRUMENT, Fraction(mid))


def test_the_worked_example() -> None:
    found = plan()
    assert [level.ticks for level in found.levels] == [200_000, 205_000, 210_000, 215_000, 220_000]
    assert {level.lots for level in found.levels} == {4}
    assert {level.quote for level in found.levels} == {84}
    assert found.step == Fraction("0.025")
    assert {level.take_profit for level in found.levels} == {Fraction("0.01")}


def test_the_take_profit_can_be_at_least_the_step() -> None:
    assert plan(coerce_tp_to_step=True).levels[0].take_profit == Fraction("0.025")
    wide = plan(coerce_tp_to_step=True, triple_barrier_config={"take_profit": "0.05"})
    assert wide.levels[0].take_profit == Fraction("0.05")


def test_one_level_stands_in_the_middle() -> None:
    found = plan(min_spread_between_orders="0.09")
    assert [level.ticks for level in found.levels] == [210_000]
    assert found.step == Fraction("0.1")
    assert found.levels[0].lots == 23


def test_a_spread_wider_than_the_range_is_one_level() -> None:
    assert len(plan(min_spread_between_orders="0.5").levels) == 1


def test_too_little_money_is_refused_unless_allowed() -> None:
    with pytest.raises(GridTooSmallError, match="total_amount_quote 20 is below one level of 21"):
        plan(total_amount_quote="20")
    (level,) = plan(total_amount_quote="20", allow_min_level=True).levels
    assert (level.ticks, level.lots, level.quote) == (210_000, 1, Fraction(21))


def test_an_update_changes_only_what_is_given() -> None:
    config = GridExecutorConfig.model_validate(VALID)
    update = GridExecutorUpdate.model_validate({"max_open_orders": 3})
    assert update.validate()
    changed = update.applied_to(config)
    assert (changed.max_open_orders, changed.limit_price) == (3, Decimal(1900))
    assert not GridExecutorUpdate().validate()
    with pytest.raises(ValueError, match="limit_price of a BUY grid must be below"):
        GridExecutorUpdate.model_validate({"limit_price": "2100"}).applied_to(config)
