"""Configuration of the account of a backtest."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum, unique
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.model.rates import Factor, Leverage, Rate, read_units

_MOST_ATOMS: Final = 2**62
_RATES: Final = ("borrow_rate", "interest_rate", "liquidation_fee")


@unique
class AccountKind(StrEnum):
    """Whether positions may be larger than the cash, and short (PF-8, FILL-28)."""

    CASH = "cash"
    MARGIN = "margin"


@unique
class TradeMatching(StrEnum):
    """How fills become round trips (PF-7)."""

    FIFO = "fifo"
    AVERAGE = "average"
    FLAT = "flat"


class AccountSettings(BaseModel):
    """Parameters of the component ``portfolio`` of a backtest.

    Rates are fractions a year; a key may end in ``_pct`` or ``_bps`` instead (COST-5).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    initial_cash: Decimal = Field(default=Decimal(100_000), gt=0, description="money at the start")
    currency: str = Field(default="USD", min_length=1, description="the account's currency")
    account: AccountKind = Field(default=AccountKind.MARGIN, description="cash or margin")
    leverage: Leverage = Field(default=Decimal(1), description="L of the initial margin")
    maintenance_ratio: Factor = Field(
        default=Decimal("0.5"), description="maintenance margin as a share of the initial one"
    )
    borrow_rate: Rate = Field(default=Decimal(0), description="cost of short positions a year")
    interest_rate: Rate = Field(default=Decimal(0), description="cost of negative cash a year")
    liquidation_fee: Rate = Field(
        default=Decimal(0), description="extra fee of a liquidation, fraction of the notional"
    )
    intrabar_margin: bool = Field(default=False, description="test margin at every path point")
    money_precision: int = Field(default=8, ge=2, le=12, description="decimals of one atom")
    track_history: bool = Field(default=True, description="keep the equity curve")
    trade_matching: TradeMatching = Field(
        default=TradeMatching.FIFO, description="fifo, average or flat"
    )

    @model_validator(mode="before")
    @classmethod
    def _units(cls, data: object) -> object:
        return read_units(data, _RATES)

    @model_validator(mode="after")
    def _fits_sixty_two_bits(self) -> Self:
        if self.initial_cash.scaleb(self.money_precision) >= _MOST_ATOMS:
            raise ValueError(
                f"initial_cash: {self.initial_cash} has too many atoms of "
                f"1e-{self.money_precision}; lower money_precision"
            )
        return self

    @model_validator(mode="after")
    def _cash_has_no_leverage(self) -> Self:
        if self.account is AccountKind.CASH and self.leverage != 1:
            raise ValueError(
                f"leverage: {self.leverage} needs account: margin; a cash account has 1"
            )
        return self
