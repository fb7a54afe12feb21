"""Configuration of the simulated broker of a paper session."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from engine.execution.commission import CommissionModel
from engine.execution.cost_settings import (
    CommissionSettings,
    MakerTakerCommissionSettings,
    NoSlippageSettings,
    SlippageSettings,
    build_commission,
    build_slippage,
)
from engine.execution.liquidity import Depth
from engine.execution.simulated_broker import SimulatedBroker
from engine.model.clock import MILLISECOND_NS
from engine.model.instruments import ConnectorPair, Instrument

__all__ = ["BrokerSettings", "build_commission", "build_simulated_broker", "build_slippage"]


class BrokerSettings(BaseModel):
    """Section ``broker`` of a paper session."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slippage_model: SlippageSettings = NoSlippageSettings()
    commission_model: CommissionSettings = MakerTakerCommissionSettings()
    depth: Depth = Field(default=Depth.INFINITE, description="infinite or synthetic")
    extra_ticks: int = Field(default=1, ge=1, description="step of the synthetic depth")
    max_fill_lots: int | None = Field(
        default=None, ge=1, description="most lots that one order gets from one quote"
    )
    latency_ms: int = Field(default=0, ge=0, description="from an order's creation to its arrival")


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
