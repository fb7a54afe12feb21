"""Sizers: how many lots a signal is worth (RISK-2)."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Annotated, Final, Literal, TypeAlias, assert_never

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from engine.model.instruments import PPB, Instrument
from engine.model.rates import Factor, Rate, Share


class FixedSizer(BaseModel):
    """The same quantity every time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["fixed"] = "fixed"
    qty: Decimal = Field(default=Decimal(1), gt=0, description="quantity in base")


class PercentEquitySizer(BaseModel):
    """A share of equity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["percent_equity"] = "percent_equity"
    weight: Decimal = Field(
        default=Decimal("0.1"), gt=0, description="position value as a fraction of equity"
    )


class PercentRiskSizer(BaseModel):
    """floor(equity * risk / (|entry - stop| * multiplier)): the stop loses that share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["percent_risk"] = "percent_risk"
    risk: Rate = Field(default=Decimal("0.01"), gt=0, description="share of equity that is lost")


class KellySizer(BaseModel):
    """f = p - (1 - p) / b, times ``fraction``, at most ``cap``; negative: nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["kelly"] = "kelly"
    win_rate: Share = Field(
        default=Decimal("0.5"),
        validation_alias=AliasChoices("win_rate", "p"),
        description="p, share of wins",
    )
    payoff: Factor = Field(
        default=Decimal(1),
        gt=0,
        validation_alias=AliasChoices("payoff", "b"),
        description="b, mean win / mean loss",
    )
    fraction: Share = Field(default=Decimal("0.25"), description="share of the Kelly weight")
    cap: Share = Field(default=Decimal("0.25"), description="most weight")

    @property
    def weight(self) -> Decimal:
        """Return the weight, rounded down to parts per billion."""
        full = self.win_rate - (1 - self.win_rate) / self.payoff
        weight = min(max(full * self.fraction, Decimal(0)), self.cap)
        return Decimal(int(weight * PPB)).scaleb(-9)


AnySizer: TypeAlias = FixedSizer | PercentEquitySizer | PercentRiskSizer | KellySizer
Sizer: TypeAlias = Annotated[AnySizer, Field(discriminator="kind")]
"""The sizers of sessions."""
NEEDS_STOP: Final = -1
"""Answer of a sizer that needs a stop and has none."""


def sized_lots(
    sizer: AnySizer,
    *,
    instrument: Instrument,
    equity_atoms: int,
    mark_twice: int,
    strength: Decimal,
    risk_twice: int = 0,
) -> int:
    """Return the lots that *sizer* gives, times *strength*, rounded toward zero.

    Args:
        sizer: what sizes.
        instrument: what is traded.
        equity_atoms: the account's equity; below zero it buys nothing.
        mark_twice: the market's mark in half ticks, positive.
        strength: the signal's strength, 0 to 1.
        risk_twice: from the entry to its stop in half ticks, 0 without a stop.
    """
    match sizer:
        case FixedSizer():
            return instrument.floor_lots(sizer.qty * strength)
        case PercentEquitySizer():
            return weighted_lots(
                sizer.weight * strength,
                instrument=instrument,
                equity_atoms=equity_atoms,
                mark_twice=mark_twice,
            )
        case KellySizer():
            return weighted_lots(
                sizer.weight * strength,
                instrument=instrument,
                equity_atoms=equity_atoms,
                mark_twice=mark_twice,
            )
        case PercentRiskSizer():
            if not risk_twice:
                return NEEDS_STOP
            return weighted_lots(
                sizer.risk * strength,
                instrument=instrument,
                equity_atoms=equity_atoms,
                mark_twice=risk_twice,
            )
        case _:
            assert_never(sizer)


def weighted_lots(
    weight: Decimal, *, instrument: Instrument, equity_atoms: int, mark_twice: int
) -> int:
    """Return floor(*weight* * equity / (price * multiplier)) in lots; *weight* is 0 or more.

    The weight counts in whole parts per billion, rounded down.
    """
    weight_ppb = int((weight * PPB).to_integral_value(ROUND_DOWN))
    value_twice = 2 * max(0, equity_atoms) * weight_ppb
    return value_twice // (PPB * mark_twice * instrument.atoms_per_tick_lot)
