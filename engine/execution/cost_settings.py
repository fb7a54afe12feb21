"""Configuration of slippage and commission models (CFG-1, COST-5)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum, unique
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self, TypeAlias, assert_never

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from engine.execution.commission import (
    CommissionModel,
    CompositeCommission,
    MakerTakerCommission,
    MakerTakerTieredCommission,
    NoCommission,
    PercentCommission,
    PerShareCommission,
    PerTradeCommission,
    TieredCommission,
)
from engine.execution.slippage import (
    AmountSlippage,
    CompositeSlippage,
    FixedSlippage,
    NoSlippage,
    RelativeSlippage,
    SlippageModel,
    SpreadSlippage,
    SqrtImpactSlippage,
    VariableSlippage,
    VolatilitySlippage,
    VolumeShareSlippage,
)
from engine.flow.errors import ConfigurationError
from engine.model.rates import Factor, Rate, Share, SignedRate, read_units, to_ppb

_BPS_PER_ONE = 10_000
DEFAULT_MAKER_PPB = 200_000
DEFAULT_TAKER_PPB = 500_000
"""Rates of `maker_taker` in a backtest, 0.0002 and 0.0005."""


def _whole_ppb_of_bps(bps: Decimal) -> Decimal:
    to_ppb(bps / _BPS_PER_ONE)
    return bps


def _short_form(value: object) -> object:
    """Read ``fixed`` as ``{kind: fixed}`` (CFG-1)."""
    return {"kind": value} if isinstance(value, str) else value


Bps: TypeAlias = Annotated[Decimal, Field(ge=0, lt=_BPS_PER_ONE), AfterValidator(_whole_ppb_of_bps)]
"""Ten-thousandths."""
Money: TypeAlias = Annotated[Decimal, Field(ge=0)]


@unique
class Clamp(StrEnum):
    """Whether slippage may leave the bar (COST-1)."""

    NONE = "none"
    BAR = "bar"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    rates: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _units(cls, data: object) -> object:
        return read_units(data, cls.rates)


class _Slippage(_Section):
    clamp: Clamp = Field(default=Clamp.NONE, description="bar: never beyond high and low")


class NoSlippageSettings(_Slippage):
    """Fills at the raw price."""

    kind: Literal["none"] = "none"


class FixedSlippageSettings(_Slippage):
    """A fixed number of ticks, or a price difference."""

    kind: Literal["fixed"] = "fixed"
    ticks: int = Field(default=0, ge=0, description="ticks by which taker fills worsen")
    amount: Money | None = Field(
        default=None,
        validation_alias=AliasChoices("amount", "a"),
        description="price difference by which taker fills worsen, instead of ticks",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.ticks and self.amount is not None:
            raise ValueError("amount: ticks is given already; give one of them")
        return self


class PercentSlippageSettings(_Slippage):
    """A fraction of the price."""

    rates: ClassVar[tuple[str, ...]] = ("rate",)
    kind: Literal["percent"] = "percent"
    rate: Rate = Field(
        default=Decimal("0.0005"),
        validation_alias=AliasChoices("rate", "x"),
        description="fraction of the price",
    )


class BpsSlippageSettings(_Slippage):
    """Ten-thousandths of the price."""

    kind: Literal["bps"] = "bps"
    bps: Bps = Field(
        default=Decimal(5),
        validation_alias=AliasChoices("bps", "x"),
        description="ten-thousandths of the price",
    )


class SpreadSlippageSettings(_Slippage):
    """Half a spread: in ticks, as a price difference, or (neither) of the bars' spread column."""

    kind: Literal["spread"] = "spread"
    ticks: int | None = Field(default=None, ge=0, description="spread in ticks")
    spread: Money | None = Field(default=None, description="spread as a price difference")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.ticks is not None and self.spread is not None:
            raise ValueError("spread: ticks is given already; give one of them")
        return self


class VolumeShareSlippageSettings(_Slippage):
    """k * min((c + q) / V, limit)^2; fills of a bar are bounded by limit * V."""

    rates: ClassVar[tuple[str, ...]] = ("limit",)
    kind: Literal["volume_share"] = "volume_share"
    limit: Share = Field(default=Decimal("0.025"), description="most of a bar's volume")
    k: Factor = Field(default=Decimal("0.1"), description="impact of a whole share, squared")


class VolatilitySlippageSettings(_Slippage):
    """k * sigma of the last n close returns."""

    kind: Literal["volatility"] = "volatility"
    n: int = Field(default=20, ge=2, description="returns")
    k: Factor = Field(default=Decimal("0.1"), description="share of a deviation")
    default_vol: Rate = Field(default=Decimal("0.01"), description="with fewer than 2 returns")


class SqrtImpactSlippageSettings(_Slippage):
    """Y * sigma * sqrt(q / ADV)."""

    kind: Literal["sqrt_impact"] = "sqrt_impact"
    n: int = Field(default=20, ge=2, description="bars of volume and returns")
    y: Factor = Field(
        default=Decimal(1), validation_alias=AliasChoices("y", "Y"), description="factor Y"
    )
    default_vol: Rate = Field(default=Decimal("0.01"), description="with fewer than 2 returns")


class VariableSlippageSettings(_Slippage):
    """base * (1 + q*size_impact/10000) * (1 + sigma*vol_impact) * (1 + r)."""

    rates: ClassVar[tuple[str, ...]] = ("base",)
    kind: Literal["variable"] = "variable"
    base: Rate = Field(default=Decimal("0.0005"), description="fraction of the price")
    size_impact: Factor = Field(default=Decimal("0.01"), description="by 10,000 units")
    vol_impact: Factor = Field(default=Decimal("0.5"), description="by deviation")
    random: Rate = Field(default=Decimal("0.2"), description="half width of the random factor")
    n: int = Field(default=20, ge=2, description="returns")
    default_vol: Rate = Field(default=Decimal("0.01"), description="with fewer than 2 returns")


class CompositeSlippageSettings(_Slippage):
    """Models applied from left to right."""

    kind: Literal["composite"] = "composite"
    models: tuple[SlippageSettings, ...] = Field(min_length=1, description="from left to right")


SlippageSettings: TypeAlias = Annotated[
    Annotated[
        NoSlippageSettings
        | FixedSlippageSettings
        | PercentSlippageSettings
        | BpsSlippageSettings
        | SpreadSlippageSettings
        | VolumeShareSlippageSettings
        | VolatilitySlippageSettings
        | SqrtImpactSlippageSettings
        | VariableSlippageSettings
        | CompositeSlippageSettings,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_short_form),
]


class NoCommissionSettings(_Section):
    """No fees."""

    kind: Literal["none"] = "none"


class PerShareCommissionSettings(_Section):
    """An amount for each unit of quantity, with a minimum and a maximum per order."""

    kind: Literal["per_share"] = "per_share"
    rate: Factor = Field(default=Decimal("0.005"), description="currency per unit of quantity")
    min: Money = Field(default=Decimal(1), description="least fee of an order")
    max: Money | None = Field(default=None, description="largest fee of an order")


class PercentCommissionSettings(_Section):
    """A fraction of an order's notional, with a minimum and a maximum per order."""

    rates: ClassVar[tuple[str, ...]] = ("rate",)
    kind: Literal["percent"] = "percent"
    rate: Rate = Field(default=Decimal("0.001"), description="fraction of the notional")
    min: Money = Field(default=Decimal(0), description="least fee of an order")
    max: Money | None = Field(default=None, description="largest fee of an order")


class PerTradeCommissionSettings(_Section):
    """A flat amount on an order's first fill."""

    kind: Literal["per_trade"] = "per_trade"
    flat: Money = Field(
        default=Decimal(1),
        validation_alias=AliasChoices("flat", "amount"),
        description="fee of an order",
    )


def _ascending(tiers: Sequence[tuple[Decimal, ...]]) -> Sequence[tuple[Decimal, ...]]:
    starts = [tier[0] for tier in tiers]
    if starts[0] != 0 or any(a >= b for a, b in pairwise(starts)):
        raise ValueError("the tiers must start at 0 and ascend")
    return tiers


class TieredCommissionSettings(_Section):
    """The rate of the tier that contains an order's notional, on the whole of it."""

    kind: Literal["tiered"] = "tiered"
    tiers: Annotated[
        tuple[tuple[Money, Rate], ...], Field(min_length=1), AfterValidator(_ascending)
    ] = Field(
        default=(
            (Decimal(0), Decimal("0.005")),
            (Decimal(10_000), Decimal("0.003")),
            (Decimal(100_000), Decimal("0.001")),
        ),
        description="[from notional, rate] by notional",
    )
    min: Money = Field(default=Decimal(1), description="least fee of an order")


class MakerTakerCommissionSettings(_Section):
    """Fractions of each fill's notional; a backtest takes 0.0002 and 0.0005 by default."""

    rates: ClassVar[tuple[str, ...]] = ("maker", "taker")
    kind: Literal["maker_taker"] = "maker_taker"
    maker: SignedRate | None = Field(default=None, description="maker fee; negative: a rebate")
    taker: SignedRate | None = Field(default=None, description="taker fee")


class MakerTakerTieredCommissionSettings(_Section):
    """As maker_taker, with rates by what was traded in the 30 days before the fill's day."""

    kind: Literal["maker_taker_tiered"] = "maker_taker_tiered"
    tiers: Annotated[
        tuple[tuple[Money, SignedRate, SignedRate], ...],
        Field(min_length=1),
        AfterValidator(_ascending),
    ] = Field(
        default=((Decimal(0), Decimal("0.0002"), Decimal("0.0005")),),
        description="[from 30-day notional, maker, taker] by notional",
    )


class CompositeCommissionSettings(_Section):
    """The sum of models."""

    kind: Literal["composite"] = "composite"
    models: tuple[CommissionSettings, ...] = Field(min_length=1, description="what is added")


CommissionSettings: TypeAlias = Annotated[
    Annotated[
        NoCommissionSettings
        | PerShareCommissionSettings
        | PercentCommissionSettings
        | PerTradeCommissionSettings
        | TieredCommissionSettings
        | MakerTakerCommissionSettings
        | MakerTakerTieredCommissionSettings
        | CompositeCommissionSettings,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_short_form),
]

CompositeSlippageSettings.model_rebuild()
CompositeCommissionSettings.model_rebuild()


def build_slippage(settings: SlippageSettings) -> SlippageModel:  # noqa: C901 (one case per model)
    """Return the slippage model of *settings*."""
    match settings:
        case NoSlippageSettings():
            return NoSlippage()
        case FixedSlippageSettings():
            if settings.amount is not None:
                return AmountSlippage(settings.amount)
            return FixedSlippage(settings.ticks)
        case PercentSlippageSettings():
            return RelativeSlippage(to_ppb(settings.rate))
        case BpsSlippageSettings():
            return RelativeSlippage(to_ppb(settings.bps / _BPS_PER_ONE))
        case SpreadSlippageSettings():
            return SpreadSlippage(settings.ticks, settings.spread)
        case VolumeShareSlippageSettings():
            return VolumeShareSlippage(to_ppb(settings.limit), float(settings.k))
        case VolatilitySlippageSettings():
            return VolatilitySlippage(settings.n, float(settings.k), float(settings.default_vol))
        case SqrtImpactSlippageSettings():
            return SqrtImpactSlippage(settings.n, float(settings.y), float(settings.default_vol))
        case VariableSlippageSettings():
            return VariableSlippage(
                base=float(settings.base),
                size_impact=float(settings.size_impact),
                vol_impact=float(settings.vol_impact),
                random=float(settings.random),
                n=settings.n,
                default_vol=float(settings.default_vol),
            )
        case CompositeSlippageSettings():
            return CompositeSlippage(tuple(build_slippage(model) for model in settings.models))
        case _:
            assert_never(settings)


def build_commission(
    settings: CommissionSettings,
    *,
    money_precision: int = 8,
    default_maker_ppb: int | None = None,
    default_taker_ppb: int | None = None,
) -> CommissionModel:
    """Return the commission model of *settings*.

    A `maker_taker` rate that is not given takes the default; a default of None takes the
    instrument's own rate.

    Raises:
        ConfigurationError: an amount is finer than one atom of *money_precision*.
    """

    def atoms(name: str, money: Decimal) -> int:
        return _atoms(name, money, money_precision)

    match settings:
        case NoCommissionSettings():
            return NoCommission()
        case PerShareCommissionSettings():
            largest = settings.max
            return PerShareCommission(
                to_ppb(settings.rate),
                atoms("min", settings.min),
                None if largest is None else atoms("max", largest),
            )
        case PercentCommissionSettings():
            largest = settings.max
            return PercentCommission(
                to_ppb(settings.rate),
                atoms("min", settings.min),
                None if largest is None else atoms("max", largest),
            )
        case PerTradeCommissionSettings():
            return PerTradeCommission(atoms("flat", settings.flat))
        case TieredCommissionSettings():
            tiers = tuple((atoms("tiers", at), to_ppb(rate)) for at, rate in settings.tiers)
            return TieredCommission(tiers, atoms("min", settings.min))
        case MakerTakerCommissionSettings():
            maker, taker = settings.maker, settings.taker
            return MakerTakerCommission(
                default_maker_ppb if maker is None else to_ppb(maker),
                default_taker_ppb if taker is None else to_ppb(taker),
            )
        case MakerTakerTieredCommissionSettings():
            return MakerTakerTieredCommission(
                [
                    (atoms("tiers", at), to_ppb(maker), to_ppb(taker))
                    for at, maker, taker in settings.tiers
                ]
            )
        case CompositeCommissionSettings():
            return CompositeCommission(
                tuple(
                    build_commission(
                        model,
                        money_precision=money_precision,
                        default_maker_ppb=default_maker_ppb,
                        default_taker_ppb=default_taker_ppb,
                    )
                    for model in settings.models
                )
            )
        case _:
            assert_never(settings)


def _atoms(name: str, money: Decimal, money_precision: int) -> int:
    atoms = money.scaleb(money_precision)
    if atoms % 1:
        raise ConfigurationError(
            f"commission_model.{name}: {money} is not a whole number of 1e-{money_precision}"
        )
    return int(atoms)
