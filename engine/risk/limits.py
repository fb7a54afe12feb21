"""Configuration of the risk manager (RISK-3, RISK-4)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum, unique
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from engine.model.clock import SECOND_NS
from engine.model.rates import Share
from engine.risk.sizers import PercentEquitySizer, Sizer


@unique
class LimitMode(StrEnum):
    """What happens to an order that is too large."""

    REJECT = "reject"
    CLAMP = "clamp"


class SizeLimit(BaseModel):
    """A bound on a size; a plain number in a file means ``{value: number, mode: clamp}``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Decimal = Field(gt=0, description="the bound")
    mode: LimitMode = Field(default=LimitMode.CLAMP, description="reject or clamp")


def _short_form(value: object) -> object:
    return {"value": value} if isinstance(value, int | float | str | Decimal) else value


_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_MINUTE_NS: Final = 60 * SECOND_NS


def _checked_hours(text: str) -> str:
    if not _HOURS.fullmatch(text):
        raise ValueError(f"{text!r} is not HH:MM-HH:MM in UTC")
    return text


TradingHours: TypeAlias = Annotated[str, AfterValidator(_checked_hours)]
"""``HH:MM-HH:MM``, UTC."""


def hours_ns(spans: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return *spans*, each ``HH:MM-HH:MM``, as (from, to) in ns within a day."""
    found = [match for text in spans if (match := _HOURS.fullmatch(text))]
    return tuple(
        (
            (60 * int(one[1]) + int(one[2])) * _MINUTE_NS,
            (60 * int(one[3]) + int(one[4])) * _MINUTE_NS,
        )
        for one in found
    )


SizeLimitField: TypeAlias = Annotated[SizeLimit, BeforeValidator(_short_form)]


class RiskSettings(BaseModel):
    """Section ``risk``. None switches a limit off.

    A symbol is ``BASE-QUOTE`` or ``connector:BASE-QUOTE``. Exits and reductions pass every limit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sizer: Sizer = PercentEquitySizer()
    max_order_notional: SizeLimitField | None = Field(
        default=None, description="most value of the opening part of one order, account currency"
    )
    max_position_size: SizeLimitField | None = Field(
        default=None, description="most base per market, working orders included"
    )
    max_open_orders: int | None = Field(default=None, ge=1, description="most open orders")
    max_orders_per_minute: int | None = Field(
        default=None, ge=1, description="most orders within 60 s, exits counted but never held"
    )
    allowed_symbols: tuple[str, ...] | None = Field(
        default=None, description="only these markets may be entered"
    )
    blocked_symbols: tuple[str, ...] = Field(
        default=(), description="these markets may not be entered"
    )
    max_drawdown: Decimal | None = Field(
        default=None, gt=0, le=1, description="fall of equity from its peak that halts trading"
    )
    max_price_deviation: Decimal | None = Field(
        default=None, gt=0, description="how far through the last mid an entry may be priced"
    )
    max_quote_age_s: int | None = Field(
        default=None, ge=1, description="oldest quote on which an entry may rely"
    )
    max_portfolio_risk: SizeLimitField | None = Field(
        default=None, description="most one-bar 95 % value at risk, a fraction of the equity"
    )
    default_vol: Decimal = Field(
        default=Decimal("0.01"),
        gt=0,
        description="volatility of a bar for max_portfolio_risk while fewer than 20 are known",
    )
    one_pending_per_symbol: bool = Field(
        default=True, description="a direction signal waits while orders of its market work"
    )
    max_position_pct: SizeLimitField | None = Field(
        default=None, description="most value of one position / equity, a fraction"
    )
    max_gross_exposure: SizeLimitField | None = Field(
        default=None, description="most sum of absolute values, account currency"
    )
    max_net_exposure: SizeLimitField | None = Field(
        default=None, description="most absolute net value, account currency"
    )
    max_leverage: SizeLimitField | None = Field(default=None, description="most gross / equity")
    max_concentration: SizeLimitField | None = Field(
        default=None, description="most share of gross in one market, a fraction"
    )
    max_portfolio_heat: SizeLimitField | None = Field(
        default=None, description="most open and pending risk / equity, a fraction"
    )
    no_stop_risk: Share = Field(
        default=Decimal(1), description="risk of a holding without a stop order, of its value"
    )
    max_open_positions: int | None = Field(default=None, ge=1, description="markets held at once")
    max_orders_per_bar: int | None = Field(default=None, ge=1, description="entries per bar")
    max_orders_per_day: int | None = Field(default=None, ge=1, description="entries per day, UTC")
    max_daily_loss: Share | None = Field(
        default=None, description="fall of equity since the day's start that bars entries, UTC"
    )
    trading_hours: tuple[TradingHours, ...] | None = Field(
        default=None, description="entries within these only, UTC: 08:00-16:30"
    )
    cooldown_bars: int = Field(default=0, ge=0, description="bars without entry after a close")

    @property
    def hours_ns(self) -> tuple[tuple[int, int], ...] | None:
        """Return the trading hours as (from, to) within a day; None: always."""
        return None if self.trading_hours is None else hours_ns(self.trading_hours)

    @property
    def looks_at_account(self) -> bool:
        """Whether a limit needs more than the market of the order."""
        names = (
            "max_position_pct",
            "max_gross_exposure",
            "max_net_exposure",
            "max_leverage",
            "max_concentration",
            "max_portfolio_heat",
            "max_open_positions",
            "max_orders_per_bar",
            "max_orders_per_day",
            "max_daily_loss",
            "trading_hours",
        )
        return bool(self.cooldown_bars) or any(getattr(self, one) is not None for one in names)
