"""Configuration of the arbitrage executor."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.executors.form_hints import IN_QUOTE, PERCENT
from engine.executors.two_venue_config import AnyDecimal, TwoVenueConfig
from engine.executors.validation import OptionalDecimal


class ArbitrageExecutorConfig(TwoVenueConfig):
    """Buys on one market and sells on another as soon as that pays.

    ``min_profitability`` is a fraction of the buying price, after both fees.
    """

    type: Literal["arbitrage_executor"] = "arbitrage_executor"
    min_profitability: AnyDecimal = Field(
        title="Least profit",
        description="of the buying price, after both fees; it trades above it",
        json_schema_extra=PERCENT,
    )
    gas_conversion_price: OptionalDecimal = Field(
        default=None,
        title="Gas price",
        description="only for venues that charge gas",
        json_schema_extra=IN_QUOTE,
    )
