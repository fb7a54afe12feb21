"""What configurations of executors that trade on two venues share."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from engine.executors.config import ExecutorConfigBase
from engine.executors.form_hints import IN_BASE
from engine.executors.rates import unwrapped
from engine.executors.validation import PositiveDecimal, read_decimal
from engine.model.instruments import ConnectorPair


def are_interchangeable(first: str, second: str) -> bool:
    """Whether two base assets count as the same: equal, wrapped, or both of the dollar."""
    first, second = unwrapped(first), unwrapped(second)
    return first == second or ("USD" in first and "USD" in second)


def _read_market(value: object) -> object:
    """Read ``venue:BASE-QUOTE`` or a mapping of connector_name and trading_pair."""
    if isinstance(value, ConnectorPair):
        return value
    name: object
    pair: object
    if isinstance(value, str):
        name, _, pair = value.partition(":")
    elif isinstance(value, dict) and set(value) == {"connector_name", "trading_pair"}:
        name, pair = value["connector_name"], value["trading_pair"]
    else:
        raise ValueError(f"must be venue:BASE-QUOTE, for example paper:BTC-USDT, got {value!r}")
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"connector_name must not be empty, got {value!r}")
    base, _, quote = pair.partition("-") if isinstance(pair, str) else ("", "", "")
    if not base or not quote or "-" in quote:
        raise ValueError(f"trading_pair must be BASE-QUOTE, for example BTC-USDT, got {pair!r}")
    return ConnectorPair(name.strip(), f"{base}-{quote}")


AnyDecimal = Annotated[Decimal, BeforeValidator(read_decimal)]
"""A finite number of any sign, exact."""

MarketName = Annotated[ConnectorPair, BeforeValidator(_read_market)]
"""A market: ``venue:BASE-QUOTE``, or a mapping of connector_name and trading_pair."""


class TwoVenueConfig(ExecutorConfigBase):
    """One amount, bought on one market and sold on another. ``order_amount`` is in base."""

    buying_market: MarketName = Field(
        title="Buying market", description="venue:BASE-QUOTE where it is bought"
    )
    selling_market: MarketName = Field(
        title="Selling market", description="venue:BASE-QUOTE where it is sold"
    )
    order_amount: PositiveDecimal = Field(title="Amount", json_schema_extra=IN_BASE)

    @model_validator(mode="after")
    def _markets_fit(self) -> Self:
        if self.buying_market == self.selling_market:
            raise ValueError(
                f"buying_market and selling_market must differ, got {self.buying_market} for both"
            )
        bought, sold = self.buying_market.base, self.selling_market.base
        if not are_interchangeable(bought, sold):
            raise ValueError(
                f"buying_market and selling_market must trade interchangeable assets, "
                f"got {bought} and {sold}"
            )
        return self
