"""Configuration and live update of the order executor."""

from __future__ import annotations

from enum import Enum, unique
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from engine.executors.config import ExecutorConfigBase
from engine.executors.config_update import ConfigUpdate
from engine.executors.form_hints import IN_BASE, IN_QUOTE, PERCENT
from engine.executors.position_config import NotEmpty, TradingPair
from engine.executors.validation import (
    DirectionalSide,
    OptionalDecimal,
    PositiveDecimal,
    PositiveInt,
    by_name,
)
from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderType, PositionAction

_Config = TypeVar("_Config", bound=ExecutorConfigBase)


@unique
class ExecutionStrategy(Enum):
    """How an order executor works its amount."""

    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    MARKET = "MARKET"
    LIMIT_CHASER = "LIMIT_CHASER"

    @property
    def order_type(self) -> OrderType:
        """Return the type of the orders that it places."""
        match self:
            case ExecutionStrategy.MARKET:
                return OrderType.MARKET
            case ExecutionStrategy.LIMIT:
                return OrderType.LIMIT
            case ExecutionStrategy.LIMIT_MAKER | ExecutionStrategy.LIMIT_CHASER:
                return OrderType.LIMIT_MAKER

    @property
    def takes_price(self) -> bool:
        """Whether the configuration's price is its limit."""
        return self in {ExecutionStrategy.LIMIT, ExecutionStrategy.LIMIT_MAKER}


_TO_NAME = PlainSerializer(lambda member: member.name, return_type=str, when_used="json")

ExecutionStrategyName = Annotated[ExecutionStrategy, by_name(ExecutionStrategy), _TO_NAME]
"""LIMIT, LIMIT_MAKER, MARKET or LIMIT_CHASER."""

PositionActionName = Annotated[PositionAction, by_name(PositionAction), _TO_NAME]
"""OPEN, CLOSE or NIL."""


class ChaserConfig(BaseModel):
    """How a chasing order follows the touch; both are fractions of the touch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    distance: PositiveDecimal = Field(
        description="how far from the best price it is placed", json_schema_extra=PERCENT
    )
    refresh_threshold: PositiveDecimal = Field(
        title="Refresh at",
        description="it is placed again when the best price is further away than this",
        json_schema_extra=PERCENT,
    )


def _nothing_is_none(value: object) -> object:
    return None if value in ({}, "") else value


OptionalChaser = Annotated[ChaserConfig | None, BeforeValidator(_nothing_is_none)]
"""A chaser's distances, or None."""


class OrderExecutorConfig(ExecutorConfigBase):
    """One order, worked until all of it is filled.

    ``amount`` is in base. The fills go to the position store when it ends.
    """

    type: Literal["order_executor"] = "order_executor"
    connector_name: NotEmpty = Field(title="Venue")
    trading_pair: TradingPair = Field(title="Pair")
    side: DirectionalSide
    amount: PositiveDecimal = Field(json_schema_extra=IN_BASE)
    execution_strategy: ExecutionStrategyName = Field(title="Strategy")
    price: OptionalDecimal = Field(
        default=None,
        description="limit, needed for LIMIT and LIMIT_MAKER",
        json_schema_extra=IN_QUOTE,
    )
    chaser_config: OptionalChaser = Field(default=None, title="Chaser")
    position_action: PositionActionName = Field(
        default=PositionAction.OPEN, description="perpetuals: what it does to the position"
    )
    leverage: PositiveInt = 1
    level_id: str | None = Field(default=None, title="Label", description="free text")

    @model_validator(mode="after")
    def _strategy_has_what_it_needs(self) -> Self:
        if self.execution_strategy.takes_price and self.price is None:
            raise ValueError(f"price is required for {self.execution_strategy.name}, got None")
        is_chaser = self.execution_strategy is ExecutionStrategy.LIMIT_CHASER
        if is_chaser and self.chaser_config is None:
            raise ValueError("chaser_config is required for LIMIT_CHASER, got None")
        return self

    @property
    def market(self) -> ConnectorPair:
        """Return the market."""
        return ConnectorPair(self.connector_name, self.trading_pair)


class OrderExecutorUpdate(ConfigUpdate):
    """Change of a running order executor: another limit price."""

    price: PositiveDecimal = Field(description="new limit", json_schema_extra=IN_QUOTE)

    def applied_to(self, config: _Config) -> _Config:
        """Return *config* with the new price.

        Raises:
            ValueError: the strategy has no price, or the result is no valid configuration.
        """
        strategy = getattr(config, "execution_strategy", None)
        if isinstance(strategy, ExecutionStrategy) and not strategy.takes_price:
            raise ValueError(f"price: {strategy.name} has no limit price to change")
        return super().applied_to(config)
