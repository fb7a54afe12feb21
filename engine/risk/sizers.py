"""Sizers: how many lots a signal is worth (RISK-2)."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Annotated, Literal, TypeAlias, assert_never

from pydantic import BaseModel, ConfigDict, Field

from engine.model.instruments import PPB, Instrument


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


Sizer: TypeAlias = Annotated[FixedSizer | PercentEquitySizer, Field(discriminator="kind")]


def sized_lots(
    sizer: FixedSizer | PercentEquitySizer,
    *,
    instrument: Instrument,
    equity_atoms: int,
    mark_twice: int,
    strength: Decimal,
) -> int:
    """Return the lots that *sizer* gives, times *strength*, rounded toward zero.

    Args:
        sizer: what sizes.
        instrument: what is traded.
        equity_atoms: the account's equity; below zero it buys nothing.
        mark_twice: the market's mark in half ticks, positive.
        strength: the signal's strength, 0 to 1.
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
