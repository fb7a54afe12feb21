"""Configuration of the cross-exchange market maker."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from engine.executors.form_hints import PERCENT
from engine.executors.two_venue_config import AnyDecimal, TwoVenueConfig
from engine.executors.validation import DirectionalSide
from engine.model.instruments import ConnectorPair
from engine.model.orders import TradeType


class XEMMExecutorConfig(TwoVenueConfig):
    """Rests on one market and hedges its fills on the other.

    The profitabilities are fractions of the maker price, after both fees.
    """

    type: Literal["xemm_executor"] = "xemm_executor"
    maker_side: DirectionalSide = Field(
        title="Maker side", description="BUY rests on the buying market, SELL on the selling one"
    )
    min_profitability: AnyDecimal = Field(
        title="Least profit",
        description="the resting order is cancelled below it",
        json_schema_extra=PERCENT,
    )
    target_profitability: AnyDecimal = Field(
        title="Target profit",
        description="where the resting order is placed",
        json_schema_extra=PERCENT,
    )
    max_profitability: AnyDecimal = Field(
        title="Most profit",
        description="the resting order is cancelled above it",
        json_schema_extra=PERCENT,
    )

    @model_validator(mode="after")
    def _profits_are_in_order(self) -> Self:
        low, target, high = (
            self.min_profitability,
            self.target_profitability,
            self.max_profitability,
        )
        if not low < high:
            raise ValueError(
                f"min_profitability must be below max_profitability, got {low} and {high}"
            )
        if not low <= target <= high:
            raise ValueError(
                f"target_profitability must be from min_profitability {low} to "
                f"max_profitability {high}, got {target}"
            )
        return self

    @property
    def maker_market(self) -> ConnectorPair:
        """Return where the resting order is."""
        return self.buying_market if self.maker_side is TradeType.BUY else self.selling_market

    @property
    def taker_market(self) -> ConnectorPair:
        """Return where fills are hedged."""
        return self.selling_market if self.maker_side is TradeType.BUY else self.buying_market
