"""Configuration and live update of the position executor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from engine.executors.barriers import OptionalTrailingStop, TripleBarrierConfig
from engine.executors.config import ExecutorConfigBase
from engine.executors.config_update import ConfigUpdate, revalidated
from engine.executors.form_hints import DURATION, IN_BASE, IN_QUOTE, PERCENT
from engine.executors.validation import (
    BarrierSeconds,
    DirectionalSide,
    OptionalDecimal,
    OptionalDecimals,
    OrderTypeName,
    PositiveDecimal,
    PositiveInt,
)
from engine.model.instruments import ConnectorPair
from engine.model.orders import OrderType

_Config = TypeVar("_Config", bound=ExecutorConfigBase)


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError(f"must not be empty, got {text!r}")
    return text


def _pair(text: str) -> str:
    base, separator, quote = text.partition("-")
    if not (base and separator and quote) or "-" in quote or text != text.strip():
        raise ValueError(f"must be BASE-QUOTE, for example BTC-USDT, got {text!r}")
    return text


NotEmpty = Annotated[str, AfterValidator(_not_empty)]
"""Text that is not blank."""

TradingPair = Annotated[str, AfterValidator(_pair)]
"""``BASE-QUOTE``."""


def check_activation_bounds(order_type: OrderType, bounds: Sequence[Decimal] | None) -> None:
    """Accept one bound for limit entries, two for market entries, or none.

    Raises:
        ValueError: another number of bounds.
    """
    wanted = 1 if order_type.is_limit_type else 2
    if bounds is not None and len(bounds) != wanted:
        raise ValueError(
            f"activation_bounds must have {wanted} value{'s' if wanted > 1 else ''} for "
            f"{order_type.name} entries, got {', '.join(map(str, bounds)) or 'none'}"
        )


class PositionExecutorConfig(ExecutorConfigBase):
    """One position: an entry, and barriers that close it.

    ``amount`` is in base. ``entry_price`` None takes the best bid (BUY) or ask (SELL) at the time
    the executor is made.
    """

    type: Literal["position_executor"] = "position_executor"
    connector_name: NotEmpty = Field(title="Venue")
    trading_pair: TradingPair = Field(title="Pair")
    side: DirectionalSide
    amount: PositiveDecimal = Field(json_schema_extra=IN_BASE)
    entry_price: OptionalDecimal = Field(
        default=None,
        description="best bid (BUY) or ask (SELL) if empty",
        json_schema_extra=IN_QUOTE,
    )
    triple_barrier_config: TripleBarrierConfig = Field(
        default=TripleBarrierConfig(), title="Barriers"
    )
    leverage: PositiveInt = 1
    activation_bounds: OptionalDecimals = Field(
        default=None,
        description="work the entry only this near to the market",
        json_schema_extra=PERCENT,
    )
    level_id: str | None = Field(default=None, title="Label", description="free text")

    @model_validator(mode="after")
    def _bounds_fit_the_entry(self) -> Self:
        check_activation_bounds(self.triple_barrier_config.open_order_type, self.activation_bounds)
        return self

    @property
    def market(self) -> ConnectorPair:
        """Return the market."""
        return ConnectorPair(self.connector_name, self.trading_pair)


class PositionExecutorUpdate(ConfigUpdate):
    """Change of a running position executor: only the fields that are given change.

    A field that is given as None disables its barrier.
    """

    stop_loss: OptionalDecimal = Field(
        default=None, description="empty switches it off", json_schema_extra=PERCENT
    )
    take_profit: OptionalDecimal = Field(
        default=None, description="empty switches it off", json_schema_extra=PERCENT
    )
    time_limit: BarrierSeconds = Field(
        default=None,
        description="from the executor's creation; empty switches it off",
        json_schema_extra=DURATION,
    )
    trailing_stop: OptionalTrailingStop = None
    take_profit_order_type: OrderTypeName = Field(
        default=OrderType.MARKET, title="Take profit order"
    )
    activation_bounds: OptionalDecimals = Field(default=None, json_schema_extra=PERCENT)

    @model_validator(mode="before")
    @classmethod
    def _read_barriers(cls, values: object) -> object:
        """Take the barriers as the configuration nests them, too."""
        if not isinstance(values, Mapping) or "triple_barrier_config" not in values:
            return values
        rest = {name: value for name, value in values.items() if name != "triple_barrier_config"}
        barriers = values["triple_barrier_config"]
        if isinstance(barriers, TripleBarrierConfig):
            barriers = {name: getattr(barriers, name) for name in barriers.model_fields_set}
        if not isinstance(barriers, Mapping):
            raise ValueError(f"triple_barrier_config must be a mapping of fields, got {barriers!r}")  # noqa: TRY004 (pydantic wants it)
        twice = sorted(barriers.keys() & rest.keys())
        if twice:
            raise ValueError(f"{', '.join(twice)}: given beside and in triple_barrier_config")
        return {**rest, **barriers}

    def applied_to(self, config: _Config) -> _Config:
        """Return *config* with the given fields replaced.

        Raises:
            ValueError: the result is no valid configuration; the message names field and value.
        """
        given = {name: getattr(self, name) for name in self.model_fields_set}
        fields = config.model_dump()
        if "activation_bounds" in given:
            fields["activation_bounds"] = given.pop("activation_bounds")
        fields["triple_barrier_config"] |= given
        return revalidated(config, fields)
