"""Configuration of the DCA executor."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum, unique
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from engine.executors.barriers import OptionalTrailingStop
from engine.executors.config import ExecutorConfigBase
from engine.executors.form_hints import DURATION, IN_QUOTE, PERCENT
from engine.executors.position_config import NotEmpty, TradingPair
from engine.executors.validation import (
    DirectionalSide,
    OptionalDecimal,
    OptionalDecimals,
    OptionalSeconds,
    PositiveDecimal,
    PositiveInt,
    by_name,
    split_list,
)
from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderType

TAKER_BOUNDS: Final = (Decimal("0.0001"), Decimal("0.005"))
"""Activation bounds of a taker that names none."""


@unique
class DCAMode(Enum):
    """Whether levels rest in the book, or are taken when the market comes near."""

    MAKER = "MAKER"
    TAKER = "TAKER"

    @property
    def order_type(self) -> OrderType:
        """Return the type of the entries."""
        return OrderType.LIMIT if self is DCAMode.MAKER else OrderType.MARKET


DCAModeName = Annotated[
    DCAMode,
    by_name(DCAMode),
    PlainSerializer(lambda mode: mode.name, return_type=str, when_used="json"),
]
"""MAKER or TAKER."""

DecimalList = Annotated[tuple[PositiveDecimal, ...], BeforeValidator(split_list)]
"""Finite numbers above zero; text is split at commas."""


class DCAExecutorConfig(ExecutorConfigBase):
    """One position entered at several prices and closed at once.

    ``amounts_quote[i]`` is worked at ``prices[i]``. The barriers are fractions of the entry
    notional, net of fees; those of a taker's stop loss of the sum of ``amounts_quote``.
    """

    type: Literal["dca_executor"] = "dca_executor"
    connector_name: NotEmpty = Field(title="Venue")
    trading_pair: TradingPair = Field(title="Pair")
    side: DirectionalSide
    amounts_quote: DecimalList = Field(title="Amounts", json_schema_extra=IN_QUOTE)
    prices: DecimalList = Field(
        description="one for each amount, worked in this order", json_schema_extra=IN_QUOTE
    )
    take_profit: OptionalDecimal = Field(
        default=None, description="net gain above which it closes", json_schema_extra=PERCENT
    )
    stop_loss: OptionalDecimal = Field(
        default=None,
        description="net loss at which it closes; MAKER: once all levels are filled",
        json_schema_extra=PERCENT,
    )
    trailing_stop: OptionalTrailingStop = None
    time_limit: OptionalSeconds = Field(
        default=None, description="time after which it closes", json_schema_extra=DURATION
    )
    mode: DCAModeName = Field(
        default=DCAMode.MAKER, description="MAKER rests in the book, TAKER buys when it is near"
    )
    activation_bounds: OptionalDecimals = Field(
        default=None,
        description="work a level only this near to the market",
        json_schema_extra=PERCENT,
    )
    leverage: PositiveInt = 1
    level_id: str | None = Field(default=None, title="Label", description="free text")

    @model_validator(mode="after")
    def _levels_fit(self) -> Self:
        amounts, prices = len(self.amounts_quote), len(self.prices)
        if not amounts:
            raise ValueError("amounts_quote must have at least 1 value, got none")
        if amounts != prices:
            raise ValueError(
                f"prices must have as many values as amounts_quote, got {prices} and {amounts}"
            )
        bounds, wanted = self.activation_bounds, 1 if self.mode is DCAMode.MAKER else 2
        if bounds is not None and len(bounds) != wanted:
            raise ValueError(
                f"activation_bounds must have {wanted} value{'s' if wanted > 1 else ''} in "
                f"{self.mode.name} mode, got {', '.join(map(str, bounds)) or 'none'}"
            )
        if bounds is None and self.mode is DCAMode.TAKER:
            object.__setattr__(self, "activation_bounds", TAKER_BOUNDS)
        return self

    @property
    def market(self) -> ConnectorPair:
        """Return the market."""
        return ConnectorPair(self.connector_name, self.trading_pair)

    @property
    def max_amount_quote(self) -> Decimal:
        """Return what all levels are worth together."""
        return sum(self.amounts_quote, Decimal(0))

    @property
    def max_loss_quote(self) -> Decimal:
        """Return what the stop loss allows to lose of it; 0 without one."""
        return self.max_amount_quote * (self.stop_loss or Decimal(0))

    @property
    def target_position_average_price(self) -> Decimal:
        """Return the average price once all levels are filled (DEV-08)."""
        base = sum(
            (amount / price for amount, price in zip(self.amounts_quote, self.prices, strict=True)),
            Decimal(0),
        )
        return self.max_amount_quote / base
