"""Configuration of a live strategy; paper mode now."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.execution.settings import BrokerSettings
from engine.live.circuit_breaker import (
    BreakerSettings,
    GuardSettings,
)
from engine.risk.limits import RiskSettings, SizeLimitField
from engine.risk.sizers import PercentEquitySizer, Sizer


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class LiveStrategySection(_Section):
    """What decides."""

    kind: str = Field(alias="class", description="name of a strategy")
    params: dict[str, Any] = Field(default_factory=dict, description="its parameters")
    error_handling: Literal["graceful", "strict", "halt"] = Field(
        default="graceful", description="what an error of the strategy does"
    )


class LivePortfolioSection(_Section):
    """Its share of the account."""

    kind: Literal["VirtualPortfolio"] = Field(default="VirtualPortfolio", alias="class")
    allocated_capital: Decimal = Field(default=Decimal(100_000), gt=0, description="its capital")
    reconciliation_interval: int = Field(default=300, ge=1, description="seconds")


class LiveRiskSection(_Section):
    """Limits and guards of one live strategy."""

    sizer: Sizer = PercentEquitySizer()
    max_position_size: SizeLimitField | None = Field(default=None, description="units per market")
    max_order_notional: SizeLimitField | None = Field(default=None, description="value of an order")
    max_open_orders: int | None = Field(default=None, ge=1, description="open orders")
    max_orders_per_minute: int | None = Field(default=60, ge=1, description="orders in 60 s")
    max_drawdown: Decimal | None = Field(default=None, gt=0, le=1, description="fraction of peak")
    max_daily_loss: Decimal | None = Field(default=None, gt=0, le=1, description="fraction")
    max_reject_rate: Decimal | None = Field(
        default=Decimal("0.5"), gt=0, le=1, description="share of the last 20 orders"
    )
    price_band: Decimal | None = Field(
        default=Decimal("0.05"), gt=0, description="how far through the last price, a fraction"
    )
    max_slippage_bps: Decimal | None = Field(
        default=None, gt=0, description="mean of 20 fills against the shadow"
    )

    def limits(self) -> RiskSettings:
        """Return what the risk manager refuses or clamps."""
        return RiskSettings(
            sizer=self.sizer,
            max_position_size=self.max_position_size,
            max_order_notional=self.max_order_notional,
            max_open_orders=self.max_open_orders,
        )

    def guards(self) -> GuardSettings:
        """Return what halts the strategy until a person resumes it."""
        return GuardSettings(
            max_drawdown=self.max_drawdown,
            max_daily_loss=self.max_daily_loss,
            max_orders_per_minute=self.max_orders_per_minute,
            max_reject_rate=self.max_reject_rate,
            price_band=self.price_band,
            max_slippage_bps=self.max_slippage_bps,
        )


class LiveBrokerSection(BrokerSettings):
    """The broker: simulated with tick rules; `LiveBroker` and real venues come later."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    kind: Literal["SimulatedBroker"] = Field(
        default="SimulatedBroker", alias="class", description="class of the broker"
    )


class LiveComponents(_Section):
    """The components of a live strategy's container."""

    strategy: LiveStrategySection
    portfolio: LivePortfolioSection = LivePortfolioSection()
    risk_manager: LiveRiskSection = LiveRiskSection()
    broker: LiveBrokerSection = LiveBrokerSection()


class LiveConfig(_Section):
    """The configuration of one live strategy: section ``live_trading`` of a document."""

    container_type: Literal["live"] = "live"
    mode: Literal["PAPER_TRADING"] = Field(
        default="PAPER_TRADING", description="orders are matched inside; venues come later"
    )
    isolation_level: Literal["full"] = "full"
    monitoring_enabled: bool = True
    health_check_interval: int = Field(default=60, ge=1, description="seconds")
    circuit_breaker: BreakerSettings | None = Field(
        default=None, description="without one a warning is given"
    )
    seed: int = Field(default=42, ge=0, description="seed of everything random")
    bar_s: int = Field(default=60, ge=1, description="length of the bars that it sees, seconds")
    components: LiveComponents


class LiveDocument(_Section):
    """A whole file."""

    version: Literal[1] = 1
    live_trading: LiveConfig
