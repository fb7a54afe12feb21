"""Configuration of the simulated broker and its cost models."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias, assert_never

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from engine.execution.commission import (
    CommissionModel,
    MakerTakerCommission,
    NoCommission,
    PercentCommission,
    PerTradeCommission,
)
from engine.execution.liquidity import Depth
from engine.execution.simulated_broker import SimulatedBroker
from engine.execution.slippage import (
    FixedSlippage,
    NoSlippage,
    RelativeSlippage,
    SlippageModel,
)
from engine.flow.errors import ConfigurationError
from engine.model.clock import MILLISECOND_NS
from engine.model.instruments import PPB, ConnectorPair, Instrument

_BPS_PER_ONE = 10_000


def _whole_ppb(rate: Decimal) -> Decimal:
    if not rate.is_finite() or rate * PPB % 1:
        raise ValueError(f"{rate} is finer than 0.000000001")
    return rate


def _whole_ppb_of_bps(bps: Decimal) -> Decimal:
    _whole_ppb(bps / _BPS_PER_ONE)
    return bps


def _short_form(value: object) -> object:
    """Read ``fixed`` as ``{kind: fixed}`` (CFG-1)."""
    return {"kind": value} if isinstance(value, str) else value


Rate: TypeAlias = Annotated[Decimal, Field(ge=0, lt=1), AfterValidator(_whole_ppb)]
"""A fraction of notional or price (0.001 = 0.1 %), exact in parts per billion (UNIT-8)."""
SignedRate: TypeAlias = Annotated[Decimal, Field(gt=-1, lt=1), AfterValidator(_whole_ppb)]
"""As `Rate`; negative for a rebate."""
Bps: TypeAlias = Annotated[Decimal, Field(ge=0, lt=_BPS_PER_ONE), AfterValidator(_whole_ppb_of_bps)]
"""Ten-thousandths."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NoSlippageSettings(_Section):
    """Fills at the raw price."""

    kind: Literal["none"] = "none"


class FixedSlippageSettings(_Section):
    """A fixed number of ticks."""

    kind: Literal["fixed"] = "fixed"
    ticks: int = Field(default=0, ge=0, description="ticks by which taker fills worsen")


class PercentSlippageSettings(_Section):
    """A fraction of the price."""

    kind: Literal["percent"] = "percent"
    rate: Rate = Field(default=Decimal("0.0005"), description="fraction of the price")


class BpsSlippageSettings(_Section):
    """Ten-thousandths of the price."""

    kind: Literal["bps"] = "bps"
    bps: Bps = Field(default=Decimal(5), description="ten-thousandths of the price")


SlippageSettings: TypeAlias = Annotated[
    Annotated[
        NoSlippageSettings | FixedSlippageSettings | PercentSlippageSettings | BpsSlippageSettings,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_short_form),
]


class NoCommissionSettings(_Section):
    """No fees."""

    kind: Literal["none"] = "none"


class PercentCommissionSettings(_Section):
    """A fraction of an order's notional, with a minimum and a maximum per order."""

    kind: Literal["percent"] = "percent"
    rate: Rate = Field(default=Decimal("0.001"), description="fraction of the notional")
    min: Decimal = Field(default=Decimal(0), ge=0, description="least fee of an order")
    max: Decimal | None = Field(default=None, ge=0, description="largest fee of an order")


class PerTradeCommissionSettings(_Section):
    """A flat amount on an order's first fill."""

    kind: Literal["per_trade"] = "per_trade"
    flat: Decimal = Field(default=Decimal(1), ge=0, description="fee of an order")


class MakerTakerCommissionSettings(_Section):
    """Fractions of each fill's notional; without a rate the instrument's own counts."""

    kind: Literal["maker_taker"] = "maker_taker"
    maker: SignedRate | None = Field(default=None, description="maker fee; negative: a rebate")
    taker: SignedRate | None = Field(default=None, description="taker fee")


CommissionSettings: TypeAlias = Annotated[
    Annotated[
        NoCommissionSettings
        | PercentCommissionSettings
        | PerTradeCommissionSettings
        | MakerTakerCommissionSettings,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_short_form),
]


class BrokerSettings(_Section):
    """Section ``broker`` of a paper session or backtest."""

    slippage_model: SlippageSettings = NoSlippageSettings()
    commission_model: CommissionSettings = MakerTakerCommissionSettings()
    depth: Depth = Field(default=Depth.INFINITE, description="infinite or synthetic")
    extra_ticks: int = Field(default=1, ge=1, description="step of the synthetic depth")
    max_fill_lots: int | None = Field(
        default=None, ge=1, description="most lots that one order gets from one quote"
    )
    latency_ms: int = Field(default=0, ge=0, description="from an order's creation to its arrival")


def build_slippage(settings: SlippageSettings) -> SlippageModel:
    """Return the slippage model of *settings*."""
    match settings:
        case NoSlippageSettings():
            return NoSlippage()
        case FixedSlippageSettings():
            return FixedSlippage(settings.ticks)
        case PercentSlippageSettings():
            return RelativeSlippage(int(settings.rate * PPB))
        case BpsSlippageSettings():
            return RelativeSlippage(int(settings.bps * PPB / _BPS_PER_ONE))
        case _:
            assert_never(settings)


def build_commission(settings: CommissionSettings, *, money_precision: int = 8) -> CommissionModel:
    """Return the commission model of *settings*.

    Raises:
        ConfigurationError: an amount is finer than one atom of *money_precision*.
    """
    match settings:
        case NoCommissionSettings():
            return NoCommission()
        case PercentCommissionSettings():
            largest = settings.max
            return PercentCommission(
                int(settings.rate * PPB),
                _atoms("min", settings.min, money_precision),
                None if largest is None else _atoms("max", largest, money_precision),
            )
        case PerTradeCommissionSettings():
            return PerTradeCommission(_atoms("flat", settings.flat, money_precision))
        case MakerTakerCommissionSettings():
            return MakerTakerCommission(_ppb(settings.maker), _ppb(settings.taker))
        case _:
            assert_never(settings)


def build_simulated_broker(
    settings: BrokerSettings,
    *,
    instruments: Mapping[ConnectorPair, Instrument],
    commission: CommissionModel,
) -> SimulatedBroker:
    """Return the broker of *settings*; *commission* is shared with the budget check."""
    return SimulatedBroker(
        instruments=instruments,
        slippage=build_slippage(settings.slippage_model),
        commission=commission,
        depth=settings.depth,
        extra_ticks=settings.extra_ticks,
        max_fill_lots=settings.max_fill_lots,
        latency_ns=settings.latency_ms * MILLISECOND_NS,
    )


def _ppb(rate: Decimal | None) -> int | None:
    return None if rate is None else int(rate * PPB)


def _atoms(name: str, money: Decimal, money_precision: int) -> int:
    atoms = money.scaleb(money_precision)
    if atoms % 1:
        raise ConfigurationError(
            f"commission_model.{name}: {money} is not a whole number of 1e-{money_precision}"
        )
    return int(atoms)
