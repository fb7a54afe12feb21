"""Configuration and live update of the grid executor."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    model_validator,
)

from engine.executors.barriers import TripleBarrierConfig
from engine.executors.config import ExecutorConfigBase
from engine.executors.config_update import ConfigUpdate
from engine.executors.form_hints import DURATION, IN_QUOTE, PERCENT
from engine.executors.position_config import NotEmpty, TradingPair
from engine.executors.validation import (
    DirectionalSide,
    OptionalDecimal,
    PositiveDecimal,
    PositiveInt,
    read_decimal,
)
from engine.model.instruments import ConnectorPair
from engine.model.orders import TradeType


def _not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError(f"must not be negative, got {value}")
    return value


def _not_negative_int(value: int) -> int:
    if value < 0:
        raise ValueError(f"must not be negative, got {value}")
    return value


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


ZeroOrMore = Annotated[Decimal, BeforeValidator(read_decimal), AfterValidator(_not_negative)]
"""A finite number, zero or above, exact."""

ZeroOrMoreSeconds = Annotated[int, AfterValidator(_not_negative_int)]
"""Whole seconds, zero or above."""

OptionalCount = Annotated[PositiveInt | None, BeforeValidator(_blank_is_none)]
"""A whole number above zero, or None; blank text is None."""


class GridExecutorConfig(ExecutorConfigBase):
    """Buys or sells at the levels of a range, with a profit at each.

    ``start_price`` is below ``end_price`` for both sides. The barriers' take profit is that of each
    level; stop loss and trailing stop are about all open levels together.
    """

    type: Literal["grid_executor"] = "grid_executor"
    connector_name: NotEmpty = Field(title="Venue")
    trading_pair: TradingPair = Field(title="Pair")
    side: DirectionalSide = TradeType.BUY
    start_price: PositiveDecimal = Field(
        description="lower end of the range", json_schema_extra=IN_QUOTE
    )
    end_price: PositiveDecimal = Field(
        description="upper end of the range", json_schema_extra=IN_QUOTE
    )
    limit_price: ZeroOrMore = Field(
        description="beyond it the grid stops; 0 switches it off", json_schema_extra=IN_QUOTE
    )
    total_amount_quote: PositiveDecimal = Field(title="Amount", json_schema_extra=IN_QUOTE)
    min_spread_between_orders: PositiveDecimal = Field(
        default=Decimal("0.0005"), title="Least spread", json_schema_extra=PERCENT
    )
    min_order_amount_quote: PositiveDecimal = Field(
        default=Decimal(5), title="Least order", json_schema_extra=IN_QUOTE
    )
    max_open_orders: PositiveInt = Field(
        default=5, description="entries that work at the same time, at most"
    )
    max_orders_per_batch: OptionalCount = Field(
        default=None, description="entries placed at once, at most; empty for no limit"
    )
    order_frequency: ZeroOrMoreSeconds = Field(
        default=0, description="least time between two batches", json_schema_extra=DURATION
    )
    activation_bounds: OptionalDecimal = Field(
        default=None,
        description="work orders only this near to the market",
        json_schema_extra=PERCENT,
    )
    safe_extra_spread: ZeroOrMore = Field(
        default=Decimal("0.0001"),
        description="how far behind the best price an order goes that would cross",
        json_schema_extra=PERCENT,
    )
    triple_barrier_config: TripleBarrierConfig = Field(title="Barriers")
    leverage: PositiveInt = Field(default=20, description="1 on spot markets in any case")
    level_id: str | None = Field(default=None, title="Label", description="free text")
    deduct_base_fees: bool = Field(
        default=False, description="sell only what is left after a fee taken in base"
    )
    keep_position: bool = Field(
        default=False, description="whether the limit price and a stop keep what is open"
    )
    coerce_tp_to_step: bool = Field(
        default=False, description="a level's take profit is at least the step between levels"
    )
    allow_min_level: bool = Field(
        default=False, description="one level may cost more than the amount"
    )

    @model_validator(mode="after")
    def _prices_fit(self) -> Self:
        start, end, limit = self.start_price, self.end_price, self.limit_price
        if start >= end:
            raise ValueError(f"start_price must be below end_price, got {start} and {end}")
        is_buy = self.side is TradeType.BUY
        if limit and is_buy and limit >= start:
            raise ValueError(
                f"limit_price of a BUY grid must be below start_price {start}, got {limit}"
            )
        if limit and not is_buy and limit <= end:
            raise ValueError(
                f"limit_price of a SELL grid must be above end_price {end}, got {limit}"
            )
        if self.triple_barrier_config.take_profit is None:
            raise ValueError("triple_barrier_config.take_profit is required for a grid, got None")
        return self

    @property
    def market(self) -> ConnectorPair:
        """Return the market."""
        return ConnectorPair(self.connector_name, self.trading_pair)


class GridExecutorUpdate(ConfigUpdate):
    """Change of a running grid: only the fields that are given change."""

    limit_price: ZeroOrMore = Field(
        default=Decimal(0), description="0 switches it off", json_schema_extra=IN_QUOTE
    )
    max_open_orders: PositiveInt = 5
    order_frequency: ZeroOrMoreSeconds = Field(default=0, json_schema_extra=DURATION)
