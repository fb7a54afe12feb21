"""Configuration of the simulated broker of a backtest."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum, unique
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from engine.execution.cost_settings import (
    CommissionSettings,
    NoCommissionSettings,
    NoSlippageSettings,
    SlippageSettings,
)
from engine.model.rates import Rate, Share, read_units


@unique
class FillTiming(StrEnum):
    """When an order that is made at a bar's close can fill first."""

    NEXT_OPEN = "next_open"
    THIS_CLOSE = "this_close"


@unique
class PathMode(StrEnum):
    """In which order a bar visits its extremes (8.3)."""

    PESSIMISTIC = "pessimistic"
    ADAPTIVE = "adaptive"
    OHLC = "ohlc"
    OLHC = "olhc"


@unique
class StopFill(StrEnum):
    """Where the watched barriers of trading executors close inside a bar."""

    PATH = "path"
    BARRIER = "barrier"


@unique
class MarketBasis(StrEnum):
    """Price of a market order at the open point (FILL-24)."""

    OPEN = "open"
    VWAP = "vwap"
    TYPICAL = "typical"
    MID = "mid"
    CLOSE = "close"


@unique
class UnknownVolume(StrEnum):
    """What a volume constraint does to a bar of unknown volume (FILL-25)."""

    REJECT = "reject"
    UNLIMITED = "unlimited"


@unique
class InsufficientFunds(StrEnum):
    """What becomes of an order that the account cannot pay (FILL-29)."""

    REJECT = "reject"
    TRIM = "trim"


@unique
class TrailUpdate(StrEnum):
    """When a trailing stop follows the price (FILL-17)."""

    PATH = "path"
    CLOSE = "close"


@unique
class PriceGrid(StrEnum):
    """What becomes of a price that is not on the grid (UNIT-5)."""

    LENIENT = "lenient"
    STRICT = "strict"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TouchFill(_Section):
    """A limit fills when its price is touched."""

    kind: Literal["touch"] = "touch"


class ThroughFill(_Section):
    """A limit fills when the price goes one tick beyond it."""

    kind: Literal["through"] = "through"


class ProbabilityFill(_Section):
    """A limit fills on an exact touch with probability p, and always when traded through."""

    kind: Literal["probability"] = "probability"
    p: Rate | Literal[1] = Field(default=Decimal("0.5"), description="chance of a fill at a touch")


def _short_form(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


LimitFill: TypeAlias = Annotated[
    Annotated[TouchFill | ThroughFill | ProbabilityFill, Field(discriminator="kind")],
    BeforeValidator(_short_form),
]


class BarBrokerSettings(_Section):
    """Parameters of the component ``broker`` (class ``SimulatedBroker``) of a backtest."""

    fill_timing: FillTiming = Field(
        default=FillTiming.NEXT_OPEN, description="next_open, or this_close (optimistic)"
    )
    path: PathMode = Field(
        default=PathMode.PESSIMISTIC, description="pessimistic, adaptive, ohlc or olhc"
    )
    stop_fill: StopFill = Field(
        default=StopFill.PATH,
        description="executors: a barrier closes at the point of the path that shows it, or at "
        "its own price (barrier) unless the bar opened beyond it",
    )
    limit_fill: LimitFill = Field(
        default=TouchFill(), description="touch, through, or probability with p"
    )
    market_basis: MarketBasis = Field(
        default=MarketBasis.OPEN, description="open, vwap, typical, mid or close"
    )
    max_participation: Share | None = Field(
        default=None, description="most of a bar's volume that the container fills"
    )
    unknown_volume: UnknownVolume = Field(
        default=UnknownVolume.UNLIMITED, description="reject or unlimited"
    )
    insufficient_funds: InsufficientFunds = Field(
        default=InsufficientFunds.REJECT, description="reject or trim"
    )
    latency_ms: int = Field(default=0, ge=0, description="from an order's creation to its arrival")
    trail_update: TrailUpdate = Field(default=TrailUpdate.PATH, description="path or close")
    price_grid: PriceGrid = Field(
        default=PriceGrid.LENIENT, description="lenient rounds prices, strict rejects them"
    )
    slippage_model: SlippageSettings = NoSlippageSettings()
    commission_model: CommissionSettings = NoCommissionSettings()

    @model_validator(mode="before")
    @classmethod
    def _units(cls, data: object) -> object:
        return read_units(data, ("max_participation",))
