"""Sample strategy: breakouts from the channel of recent highs and lows."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.model.bar_columns import BarColumns
from engine.model.bar_view import AnyBar
from engine.strategies.indicators import Column, rolling_extreme
from engine.strategies.regime import Edges, regime_signal, regime_signals
from engine.strategies.signal_table import SignalTable
from engine.strategies.sma_cross import SmaCrossDirection
from engine.strategies.strategy import Strategy


class DonchianParams(BaseModel):
    """Parameters of `Donchian`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entry: int = Field(default=20, ge=1, description="bars of the channel that entries break")
    exit: int = Field(default=10, ge=1, description="bars of the channel that exits break")
    direction: SmaCrossDirection = Field(
        default=SmaCrossDirection.LONG, description="long, or both: breakdowns are sold short"
    )

    @model_validator(mode="after")
    def _exit_within_entry(self) -> Self:
        if self.exit > self.entry:
            raise ValueError(f"exit {self.exit} must not be above entry {self.entry}")
        return self


class Donchian(Strategy):
    """Long above the entry channel until below the exit channel; short the other way round.

    The channels are the highest highs and lowest lows of the bars before the one that decides.
    """

    reusable: ClassVar[bool] = True
    per_market: ClassVar[bool] = True

    def __init__(self, params: DonchianParams) -> None:
        super().__init__()
        self._params = params
        self._regime = 0

    @property
    def warmup(self) -> int:
        """Return the bars of the entry channel: they come before the bar that breaks it."""
        return self._params.entry

    def on_start(self) -> None:
        """Ask for the channels."""
        params, indicator = self._params, self.ctx.indicator
        self._regime = 0
        self._entry_high = indicator("highest", length=params.entry)
        self._entry_low = indicator("lowest", length=params.entry)
        self._exit_high = indicator("highest", length=params.exit)
        self._exit_low = indicator("lowest", length=params.exit)

    def on_bar(self, bar: AnyBar) -> None:
        """Signal when the regime changes."""
        close, regime = bar.close_ticks, self._regime
        both = self._params.direction is SmaCrossDirection.BOTH
        if close > self._entry_high(1):
            regime = 1
        elif both and close < self._entry_low(1):
            regime = -1
        elif (regime > 0 and close < self._exit_low(1)) or (
            regime < 0 and close > self._exit_high(1)
        ):
            regime = 0
        if regime != self._regime:
            self._regime = regime
            self.ctx.signal(regime_signal(bar.market, regime))

    def signals(self, bars: BarColumns, *, start: int = 0) -> SignalTable:
        """Return the signals at all changes of the regime."""
        first = max(start, self.warmup)
        return regime_signals(bars, self.edges, lookback=self._params.entry, start=first)

    def edges(self, bars: BarColumns) -> list[Edges]:
        """Return where *bars* enter and leave the regimes, whatever came before them."""
        params = self._params
        above_entry = bars.close > _before(bars, params.entry, highest=True)
        below_exit = bars.close < _before(bars, params.exit, highest=False)
        found: list[Edges] = [(above_entry, below_exit & ~above_entry, 1)]
        if params.direction is SmaCrossDirection.BOTH:
            below_entry = bars.close < _before(bars, params.entry, highest=False)
            above_exit = bars.close > _before(bars, params.exit, highest=True)
            found.append((below_entry, above_exit & ~below_entry, -1))
        return found


def _before(bars: BarColumns, length: int, *, highest: bool) -> Column:
    """Return the highest high, or the lowest low, of the *length* bars before each bar."""

    def compute() -> Column:
        extreme = rolling_extreme(bars.high if highest else bars.low, length, highest=highest)
        return np.concatenate((extreme[:1], extreme[:-1]))

    return bars.shared(("extreme before", length, highest), compute)
