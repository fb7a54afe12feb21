"""Configuration of the risk manager (RISK-3, RISK-4)."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum, unique
from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

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
