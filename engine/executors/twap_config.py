"""Configuration of the TWAP executor."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum, unique
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from engine.executors.config import ExecutorConfigBase
from engine.executors.form_hints import DURATION, IN_QUOTE, PERCENT
from engine.executors.position_config import NotEmpty, TradingPair
from engine.executors.validation import (
    DirectionalSide,
    OptionalSeconds,
    PositiveDecimal,
    PositiveInt,
    by_name,
    read_decimal,
)
from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderType


@unique
class TWAPMode(Enum):
    """Whether the slots rest in the book or take it."""

    MAKER = "MAKER"
    TAKER = "TAKER"


def _not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError(f"must not be negative, got {value}")
    return value


def _read_optional(value: object) -> Decimal | None:
    is_blank = value is None or (isinstance(value, str) and not value.strip())
    return None if is_blank else read_decimal(value)


OptionalFraction = Annotated[
    Annotated[Decimal, AfterValidator(_not_negative)] | None, BeforeValidator(_read_optional)
]
"""A finite number of zero or more, exact, or None."""

TWAPModeName = Annotated[
    TWAPMode,
    by_name(TWAPMode),
    PlainSerializer(lambda member: member.name, return_type=str, when_used="json"),
]
"""MAKER or TAKER."""


class TWAPExecutorConfig(ExecutorConfigBase):
    """An amount in quote, traded in equal parts at equal intervals.

    The first part is due at the start, the last one not later than ``total_duration`` seconds
    after it. The fills go to the position store when it ends.
    """

    type: Literal["twap_executor"] = "twap_executor"
    connector_name: NotEmpty = Field(title="Venue")
    trading_pair: TradingPair = Field(title="Pair")
    side: DirectionalSide
    total_amount_quote: PositiveDecimal = Field(
        title="Total amount", description="of all parts", json_schema_extra=IN_QUOTE
    )
    total_duration: PositiveInt = Field(
        title="Duration", description="from the first part to the last", json_schema_extra=DURATION
    )
    order_interval: PositiveInt = Field(
        title="Interval", description="between two parts", json_schema_extra=DURATION
    )
    mode: TWAPModeName = Field(
        default=TWAPMode.TAKER, description="TAKER trades at market, MAKER rests at the buffer"
    )
    limit_order_buffer: OptionalFraction = Field(
        default=None,
        title="Limit buffer",
        description="MAKER: distance of the limit from the mid",
        json_schema_extra=PERCENT,
    )
    order_resubmission_time: OptionalSeconds = Field(
        default=None,
        title="Renew after",
        description="MAKER: an order that rests longer is placed again; empty = never",
        json_schema_extra=DURATION,
    )
    leverage: PositiveInt = 1
    level_id: str | None = Field(default=None, title="Label", description="free text")

    @model_validator(mode="after")
    def _maker_has_a_buffer(self) -> Self:
        if self.mode is TWAPMode.MAKER and self.limit_order_buffer is None:
            raise ValueError("limit_order_buffer is required in MAKER mode, got None")
        return self

    @property
    def market(self) -> ConnectorPair:
        """Return the market."""
        return ConnectorPair(self.connector_name, self.trading_pair)

    @property
    def number_of_orders(self) -> int:
        """Return how many parts there are."""
        return self.total_duration // self.order_interval + 1

    @property
    def order_amount_quote(self) -> Decimal:
        """Return the size of a part in quote."""
        return self.total_amount_quote / self.number_of_orders

    @property
    def order_type(self) -> OrderType:
        """Return the type of the orders."""
        return OrderType.LIMIT if self.mode is TWAPMode.MAKER else OrderType.MARKET
