"""Configuration of the simulated broker of a paper session."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

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
from engine.execution.queue_model import QueueKind, QueueModel
from engine.execution.simulated_broker import SimulatedBroker
from engine.execution.trigger_book import TriggerBasis
from engine.model.clock import MILLISECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.rates import Share

__all__ = ["BrokerSettings", "build_commission", "build_simulated_broker", "build_slippage"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FrontQueue(_Section):
    """A trade at the price of a resting limit fills it."""

    kind: Literal[QueueKind.FRONT] = QueueKind.FRONT


class BackQueue(_Section):
    """Only a trade beyond its price fills a resting limit."""

    kind: Literal[QueueKind.BACK] = QueueKind.BACK


class ProbQueue(_Section):
    """A trade at the price of a resting limit fills it with probability p."""

    kind: Literal[QueueKind.PROB] = QueueKind.PROB
    p: Share = Field(default=Decimal("0.5"), description="chance of a fill")


class VolumeQueue(_Section):
    """What was displayed when a limit arrived must be traded before it fills."""

    kind: Literal[QueueKind.VOLUME] = QueueKind.VOLUME


def _short_form(value: object) -> object:
    """Read ``back`` as ``{kind: back}`` (CFG-1)."""
    return {"kind": value} if isinstance(value, str) else value


QueueSettings: TypeAlias = Annotated[
    Annotated[
        FrontQueue | BackQueue | ProbQueue | VolumeQueue,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_short_form),
]


class BrokerSettings(_Section):
    """Section ``broker`` of a paper session."""

    slippage_model: SlippageSettings = NoSlippageSettings()
    commission_model: CommissionSettings = MakerTakerCommissionSettings()
    depth: Depth = Field(default=Depth.INFINITE, description="infinite or synthetic")
    extra_ticks: int = Field(default=1, ge=1, description="step of the synthetic depth")
    max_fill_lots: int | None = Field(
        default=None, ge=1, description="most lots that one order gets from one quote"
    )
    consume: bool = Field(
        default=True, description="a displayed size can be had once until the next quote"
    )
    trigger: TriggerBasis | None = Field(
        default=None,
        description="price that sets off stops: last, bid_ask or mid; by default last if trades "
        "exist, else bid_ask",
    )
    queue: QueueSettings = FrontQueue()
    latency_ms: int = Field(default=0, ge=0, description="from an order's creation to its arrival")


def build_simulated_broker(
    settings: BrokerSettings,
    *,
    instruments: Mapping[ConnectorPair, Instrument],
    commission: CommissionModel,
    seed: int = 0,
) -> SimulatedBroker:
    """Return the broker of *settings*; *commission* is shared with the budget check.

    *seed* keys the draws of a queue with a probability.
    """
    queue = settings.queue
    chance = float(queue.p) if isinstance(queue, ProbQueue) else 1.0
    return SimulatedBroker(
        instruments=instruments,
        slippage=build_slippage(settings.slippage_model),
        commission=commission,
        depth=settings.depth,
        extra_ticks=settings.extra_ticks,
        max_fill_lots=settings.max_fill_lots,
        latency_ns=settings.latency_ms * MILLISECOND_NS,
        consume=settings.consume,
        trigger=settings.trigger,
        queue=QueueModel(queue.kind, chance, seed),
    )
