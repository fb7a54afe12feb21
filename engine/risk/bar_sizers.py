"""All sizers (RISK-2), in whole numbers on the columns of a backtest.

Each gives unsigned lots of a position from the equity and the market at the bar of the signal.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from math import isfinite, sqrt
from typing import Annotated, Literal, TypeAlias, assert_never

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from engine.model.bar_columns import BarColumns
from engine.model.instruments import PPB
from engine.model.rates import Factor, Rate, Share, to_ppb
from engine.risk.sizers import (
    NEEDS_STOP,
    FixedSizer,
    KellySizer,
    PercentEquitySizer,
    PercentRiskSizer,
)
from engine.strategies.indicators import rolling_sum, true_range


class _Sizer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AtrSizer(_Sizer):
    """floor(equity * risk / (ATR * k * multiplier)), its value at most ``max_pct`` of equity."""

    kind: Literal["atr"] = "atr"
    risk: Rate = Field(default=Decimal("0.01"), gt=0, description="share of equity at risk")
    n: int = Field(default=14, ge=1, description="bars of the ATR")
    k: Factor = Field(default=Decimal(2), gt=0, description="multiple of the ATR")
    max_pct: Share = Field(default=Decimal(1), description="most value, fraction of equity")


class VolatilitySizer(_Sizer):
    """Weight min(target_vol / asset_vol, max_pct); volatilities are annual."""

    kind: Literal["volatility"] = "volatility"
    target_vol: Factor = Field(default=Decimal("0.15"), gt=0, description="wanted volatility")
    n: int = Field(default=20, ge=2, description="close returns of the asset's volatility")
    periods_per_year: Factor = Field(default=Decimal(252), gt=0, description="bars in a year")
    default_vol: Rate = Field(
        default=Decimal("0.01"), gt=0, description="per bar, with fewer than 2 returns"
    )
    max_pct: Factor = Field(default=Decimal(1), gt=0, description="most weight")


class AllInSizer(_Sizer):
    """All free funds (or a share of them), resolved at the fill (FILL-30)."""

    kind: Literal["all_in"] = "all_in"
    weight: Share = Field(default=Decimal(1), description="share of the free funds")


def _short_form(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


BarSizer: TypeAlias = Annotated[
    Annotated[
        FixedSizer
        | PercentEquitySizer
        | PercentRiskSizer
        | AtrSizer
        | VolatilitySizer
        | KellySizer
        | AllInSizer,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_short_form),
]

SizeFunction: TypeAlias = Callable[[int, int, int, int | None], int]
"""(bar, equity atoms, entry ticks, stop ticks) to lots; -1: it needs a stop and has none."""


def value_lots(equity_atoms: int, weight_ppb: int, ticks: int, scale: int) -> int:
    """Return floor(weight * equity / (price * multiplier)) in lots, 0 without equity or price."""
    if equity_atoms <= 0 or ticks <= 0:
        return 0
    return equity_atoms * weight_ppb // (PPB * ticks * scale)


def size_function(sizer: BarSizer, bars: BarColumns) -> SizeFunction | None:
    """Return how *sizer* sizes on *bars*; None for one that the fill resolves (all_in)."""
    scale = bars.instrument.atoms_per_tick_lot
    match sizer:
        case FixedSizer():
            lots = bars.instrument.floor_lots(sizer.qty)
            return lambda _bar, _equity, _entry, _stop: lots
        case PercentEquitySizer():
            return _weighted(int(sizer.weight * PPB), scale)
        case KellySizer():
            return _weighted(to_ppb(sizer.weight), scale)
        case PercentRiskSizer():
            return _percent_risk(to_ppb(sizer.risk), scale)
        case AtrSizer():
            return _atr(sizer, bars)
        case VolatilitySizer():
            return _volatility(sizer, bars)
        case AllInSizer():
            return None
        case _:
            assert_never(sizer)


def _weighted(weight_ppb: int, scale: int) -> SizeFunction:
    return lambda _bar, equity, entry, _stop: value_lots(equity, weight_ppb, entry, scale)


def _percent_risk(risk_ppb: int, scale: int) -> SizeFunction:
    def size(_bar: int, equity: int, entry: int, stop: int | None) -> int:
        if stop is None or stop == entry:
            return NEEDS_STOP
        return max(0, equity) * risk_ppb // (PPB * abs(entry - stop) * scale)

    return size


def _atr(sizer: AtrSizer, bars: BarColumns) -> SizeFunction:
    """ATR = sum of true ranges / n; everything multiplied out, so that nothing is rounded twice."""
    scale = bars.instrument.atoms_per_tick_lot
    sums = rolling_sum(true_range(bars), sizer.n)
    risk_ppb, k_ppb, cap_ppb = to_ppb(sizer.risk), to_ppb(sizer.k), to_ppb(sizer.max_pct)

    def size(bar: int, equity: int, entry: int, _stop: int | None) -> int:
        count = min(bar + 1, sizer.n)
        ranges = int(sums[bar])
        cap = value_lots(equity, cap_ppb, entry, scale)
        if ranges <= 0:
            return cap
        return min(cap, max(0, equity) * risk_ppb * count // (ranges * k_ppb * scale))

    return size


def _volatility(sizer: VolatilitySizer, bars: BarColumns) -> SizeFunction:
    """Floats in the written order; the weight is rounded half-even to ppb at once (UNIT-8)."""
    scale = bars.instrument.atoms_per_tick_lot
    closes = bars.close
    target, year = float(sizer.target_vol), sqrt(float(sizer.periods_per_year))
    most, default = float(sizer.max_pct), float(sizer.default_vol)

    def size(bar: int, equity: int, entry: int, _stop: int | None) -> int:
        sigma = bar_deviation(closes[max(0, bar - sizer.n) : bar + 1].tolist(), default)
        annual = sigma * year
        weight = most if annual == 0 else min(target / annual, most)
        return value_lots(equity, round(weight * 1e9), entry, scale)

    return size


def bar_deviation(closes: list[int], default: float) -> float:
    """Return the sample deviation of the simple returns of *closes*; *default* below 2 returns."""
    returns = [after / before - 1.0 for before, after in pairwise(closes)]
    if len(returns) < 2:
        return default
    total = 0.0
    for one in returns:
        total += one
    mean = total / len(returns)
    squares = 0.0
    for one in returns:
        squares += (one - mean) * (one - mean)
    deviation = sqrt(squares / (len(returns) - 1))
    return deviation if isfinite(deviation) else default


def covariance(returns: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> list[list[float]]:
    """Return the sample covariance of *returns*, shape (observations, symbols)."""
    count, size = returns.shape
    centred = returns - returns.mean(axis=0)
    return [
        [float((centred[:, i] * centred[:, j]).sum() / (count - 1)) for j in range(size)]
        for i in range(size)
    ]
