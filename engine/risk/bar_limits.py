"""Configuration of the risk manager of a backtest."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum, unique
from typing import Annotated, Final, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from engine.model.rates import Rate, Share
from engine.risk.bar_sizers import BarSizer
from engine.risk.limits import LimitMode, TradingHours, hours_ns
from engine.risk.sizers import PercentEquitySizer

SIZE_LIMITS: Final = (
    "max_position_size",
    "max_position_pct",
    "max_gross_exposure",
    "max_net_exposure",
    "max_leverage",
    "max_concentration",
    "max_portfolio_heat",
    "max_portfolio_risk",
)
"""Settings of the size limits, in the order in which they are looked at."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limit(_Section):
    """A bound and what happens beyond it; a plain number means ``{value: number, mode: clamp}``."""

    value: Decimal = Field(gt=0, description="the bound")
    mode: LimitMode = Field(default=LimitMode.CLAMP, description="reject or clamp")


def _short_form(value: object) -> object:
    return {"value": value} if isinstance(value, int | float | str | Decimal) else value


LimitField: TypeAlias = Annotated[Limit, BeforeValidator(_short_form)]


@unique
class HaltAction(StrEnum):
    """What reaching the largest drawdown does to open positions."""

    HALT = "halt"
    FLATTEN = "flatten"


@unique
class HaltResume(StrEnum):
    """When entries are allowed again after a halt."""

    NEVER = "never"
    NEXT_SESSION = "next_session"
    MANUAL = "manual"


class DrawdownControl(_Section):
    """What falling equity does (RISK-4); drawdowns are fractions of the peak."""

    reduce_threshold: Rate | None = Field(
        default=Decimal("0.10"), gt=0, description="drawdown from which new sizes are smaller"
    )
    reduction_factor: Share = Field(
        default=Decimal("0.5"), description="multiplies new sizes from there on"
    )
    max_drawdown: Share | None = Field(
        default=None, description="drawdown that halts entries (kill switch)"
    )
    action: HaltAction = Field(default=HaltAction.HALT, description="halt, or flatten as well")
    resume: HaltResume = Field(default=HaltResume.NEVER, description="when entries pass again")


class BarRiskSettings(_Section):
    """Parameters of the component ``risk_manager`` of a backtest; None switches a limit off.

    Exits and reductions pass every limit.
    """

    sizer: BarSizer = PercentEquitySizer()
    max_position_size: LimitField | None = Field(
        default=None, description="most units per symbol, working entries included"
    )
    max_position_pct: LimitField | None = Field(
        default=None, description="most position value / equity, a fraction"
    )
    max_gross_exposure: LimitField | None = Field(
        default=None, description="most sum of absolute values, account currency"
    )
    max_net_exposure: LimitField | None = Field(
        default=None, description="most absolute net value, account currency"
    )
    max_leverage: LimitField | None = Field(default=None, description="most gross / equity")
    max_concentration: LimitField | None = Field(
        default=None, description="most share of gross in one symbol, a fraction"
    )
    max_portfolio_heat: LimitField | None = Field(
        default=None, description="most open and pending risk / equity, a fraction"
    )
    no_stop_risk: Share = Field(
        default=Decimal(1), description="risk without a stop, fraction of the value"
    )
    max_portfolio_risk: LimitField | None = Field(
        default=None, description="most one-bar 95 % value at risk / equity, a fraction"
    )
    default_vol: Rate = Field(
        default=Decimal("0.01"), description="deviation of one bar with fewer than 20 returns"
    )
    max_open_positions: int | None = Field(default=None, ge=1, description="symbols held at once")
    max_orders_per_bar: int | None = Field(default=None, ge=1, description="entries per bar")
    max_orders_per_day: int | None = Field(default=None, ge=1, description="entries per day, UTC")
    max_daily_loss: Share | None = Field(
        default=None, description="fall of equity since the session's start that bars entries"
    )
    max_drawdown: Share | None = Field(
        default=None, description="short for drawdown_control.max_drawdown"
    )
    drawdown_control: DrawdownControl | None = Field(
        default=None, description="smaller sizes and the kill switch"
    )
    allowed_symbols: tuple[str, ...] | None = Field(
        default=None, description="only these symbols may be entered"
    )
    blocked_symbols: tuple[str, ...] = Field(default=(), description="these may not be entered")
    trading_hours: tuple[TradingHours, ...] | None = Field(
        default=None, description="entries within these only, UTC: 08:00-16:30"
    )
    cooldown_bars: int = Field(default=0, ge=0, description="bars without entry after a close")
    one_pending_per_symbol: bool = Field(
        default=True, description="a direction signal waits while orders of its symbol work"
    )
    exit_memory: bool = Field(
        default=False, description="after a stop no entry that way until the signal changes"
    )
    max_data_age_bars: int | None = Field(
        default=None, ge=1, description="a symbol whose last bar is older gets no entries"
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        control = self.drawdown_control
        if self.max_drawdown is not None and control is not None and control.max_drawdown:
            raise ValueError("max_drawdown is given twice: here and in drawdown_control")
        return self

    @property
    def hours_ns(self) -> tuple[tuple[int, int], ...] | None:
        """Return the trading hours as (from, to) within a day; None: always."""
        return None if self.trading_hours is None else hours_ns(self.trading_hours)

    @property
    def drawdown(self) -> DrawdownControl | None:
        """Return the drawdown control, with the short form read into it; None: none."""
        if self.max_drawdown is None:
            return self.drawdown_control
        base = self.drawdown_control or DrawdownControl(reduce_threshold=None)
        return base.model_copy(update={"max_drawdown": self.max_drawdown})
