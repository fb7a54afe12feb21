"""Sample strategy: buys weakness and sells strength, measured by the RSI."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.model.bar_columns import BarColumns
from engine.model.bar_view import AnyBar
from engine.strategies.indicators import Column, indicator_types
from engine.strategies.regime import Edges, regime_signal, regime_signals
from engine.strategies.signal_table import SignalTable
from engine.strategies.sma_cross import SmaCrossDirection
from engine.strategies.strategy import Strategy


class RsiReversionParams(BaseModel):
    """Parameters of `RsiReversion`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    length: int = Field(default=14, ge=1, description="bars of the RSI")
    oversold: int = Field(default=30, ge=1, le=99, description="RSI below it enters long")
    overbought: int = Field(default=70, ge=1, le=99, description="RSI above it enters short")
    exit: int = Field(default=50, ge=1, le=99, description="RSI at which positions are left")
    direction: SmaCrossDirection = Field(
        default=SmaCrossDirection.LONG, description="long, or both: strength is sold short"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.oversold < self.exit < self.overbought:
            raise ValueError(
                f"oversold {self.oversold}, exit {self.exit} and overbought {self.overbought} "
                "must be in ascending order"
            )
        return self


class RsiReversion(Strategy):
    """Long below ``oversold`` until the RSI is back at ``exit``; short above ``overbought``.

    The RSI is that of simple sums (Cutler): 100 * gains / (gains + losses) over ``length``
    changes, 50 when nothing moved. It is compared in whole numbers, exactly.
    """

    reusable: ClassVar[bool] = True
    per_market: ClassVar[bool] = True

    def __init__(self, params: RsiReversionParams) -> None:
        super().__init__()
        self._params = params
        self._regime = 0

    @property
    def warmup(self) -> int:
        """Return the changes that the RSI needs."""
        return self._params.length

    def on_start(self) -> None:
        """Ask for gains and losses."""
        self._regime = 0
        self._gains = self.ctx.indicator("gains", length=self._params.length)
        self._losses = self.ctx.indicator("losses", length=self._params.length)

    def on_bar(self, bar: AnyBar) -> None:
        """Signal when the regime changes."""
        params, regime = self._params, self._regime
        gains, losses = self._gains(), self._losses()
        if not gains and not losses:
            gains = losses = 1
        level, moved = 100 * gains, gains + losses
        if level < params.oversold * moved:
            regime = 1
        elif params.direction is SmaCrossDirection.BOTH and level > params.overbought * moved:
            regime = -1
        elif (regime > 0 and level >= params.exit * moved) or (
            regime < 0 and level <= params.exit * moved
        ):
            regime = 0
        if regime != self._regime:
            self._regime = regime
            self.ctx.signal(regime_signal(bar.market, regime))

    def signals(self, bars: BarColumns, *, start: int = 0) -> SignalTable:
        """Return the signals at all changes of the regime."""
        first = max(start, self.warmup)
        return regime_signals(bars, self.edges, lookback=self._params.length, start=first)

    def edges(self, bars: BarColumns) -> list[Edges]:
        """Return where *bars* enter and leave the regimes, whatever came before them."""
        params = self._params
        gains, losses = (_moves(bars, name, params.length) for name in ("gains", "losses"))
        still = (gains == 0) & (losses == 0)
        level = 100 * np.where(still, 1, gains)
        moved = np.where(still, 2, gains + losses)
        found: list[Edges] = [(level < params.oversold * moved, level >= params.exit * moved, 1)]
        if params.direction is SmaCrossDirection.BOTH:
            is_strong = level > params.overbought * moved
            found.append((is_strong, level <= params.exit * moved, -1))
        return found


def _moves(bars: BarColumns, name: str, length: int) -> Column:
    """Return the sum of the gains, or losses, of the last *length* bars."""
    compute = indicator_types()[name].compute
    return bars.shared((name, length), lambda: compute(bars, {"length": length}))
