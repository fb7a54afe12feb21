"""When a perpetual of a paper market pays funding, and at what rate."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from engine.model.clock import SECOND_NS
from engine.model.durations import parse_duration_ns
from engine.model.instruments import PPB, ConnectorPair


def _duration(value: object) -> object:
    return parse_duration_ns(str(value)) if isinstance(value, str | int | Decimal) else value


class FundingConfig(BaseModel):
    """Funding of a perpetual market, at whole multiples of its interval since 1970 (UTC)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: Decimal = Field(
        ge=Decimal("-0.1"),
        le=Decimal("0.1"),
        description="fraction of the notional; longs pay a positive rate, shorts a negative one",
    )
    interval: Annotated[int, BeforeValidator(_duration), Field(ge=SECOND_NS)] = Field(
        default=8 * 3600 * SECOND_NS, description="time between two payments, such as 8h"
    )

    @field_validator("rate")
    @classmethod
    def _rate_is_in_ppb(cls, value: Decimal) -> Decimal:
        if value * PPB % 1:
            raise ValueError("must have at most nine decimals")
        return value


@dataclass(frozen=True, slots=True)
class FundingSchedule:
    """The payments of one market: every whole multiple of ``interval_ns`` since the epoch."""

    market: ConnectorPair
    rate_ppb: int
    interval_ns: int

    @classmethod
    def of(cls, market: ConnectorPair, config: FundingConfig) -> FundingSchedule:
        """Return the schedule that *config* describes."""
        return cls(market, int(config.rate * PPB), config.interval)

    def next_ns(self, after_ns: int) -> int:
        """Return the first payment after *after_ns*."""
        return (after_ns // self.interval_ns + 1) * self.interval_ns
