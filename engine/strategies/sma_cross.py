"""Sample strategy: strict cross of two simple means of the close."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum, unique
from typing import Any, ClassVar, Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.model.bar_columns import BarColumns
from engine.model.bar_view import AnyBar
from engine.strategies.column_blocks import marked_rows
from engine.strategies.indicators import Column, IndicatorType, rolling_sum
from engine.strategies.signal_codes import KindCode
from engine.strategies.signal_table import SignalTable, signal_table
from engine.strategies.signals import Signal, SignalKind
from engine.strategies.strategy import Strategy

UP: Final = "cross_up"
DOWN: Final = "cross_down"
_ROWS_AT_ONCE: Final = 1 << 12


@unique
class SmaCrossDirection(StrEnum):
    """Which sides the strategy takes."""

    LONG = "long"
    BOTH = "both"


class SmaCrossParams(BaseModel):
    """Parameters of `SmaCross`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fast: int = Field(default=10, ge=1, description="bars of the fast mean")
    slow: int = Field(default=30, ge=2, description="bars of the slow mean, more than fast")
    direction: SmaCrossDirection = Field(
        default=SmaCrossDirection.LONG, description="long: up enters, down exits; both: reverses"
    )

    @model_validator(mode="after")
    def _fast_below_slow(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError(f"fast {self.fast} must be below slow {self.slow}")
        return self


def crosses(bars: BarColumns, params: Mapping[str, Any]) -> Column:
    """Return +1 where the fast mean crosses above the slow one, -1 where below, else 0.

    A cross is strict: the fast mean was below and now is above, or the other way round; equal
    means are on neither side. Means are compared as integer sums, exactly.
    """
    fast, slow = int(params["fast"]), int(params["slow"])
    of_fast, of_slow = _sum_of(bars, fast), _sum_of(bars, slow)
    crossed = np.zeros(len(bars), dtype=np.int8)
    # A few thousand rows at a time: what is computed on the way stays in the cache.
    for start in range(0, len(bars) - 1, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE + 1)
        lead = of_fast[rows] * slow
        lead -= of_slow[rows] * fast
        above, below = lead > 0, lead < 0
        up, down = above[1:] & below[:-1], below[1:] & above[:-1]
        part = crossed[start + 1 : start + _ROWS_AT_ONCE + 1]
        np.subtract(up.view(np.int8), down.view(np.int8), out=part)
    crossed[:slow] = 0
    return crossed


def _sum_of(bars: BarColumns, length: int) -> Column:
    return bars.shared(("close sum", length), lambda: rolling_sum(bars.close, length))


CROSS: Final = IndicatorType(
    "sma_cross", crosses, lambda params: int(params["slow"]) + 1, is_trusted=True
)


class SmaCross(Strategy):
    """Enters long when the fast mean crosses above the slow one, leaves when it crosses below.

    With direction ``both`` a cross below reverses into a short. It compares two bars, so the
    first decision is at bar index ``slow``.
    """

    reusable: ClassVar[bool] = True
    per_market: ClassVar[bool] = True

    def __init__(self, params: SmaCrossParams) -> None:
        super().__init__()
        self._params = params

    @property
    def warmup(self) -> int:
        """Return the bars of the slow mean."""
        return self._params.slow

    @property
    def indicators(self) -> Mapping[str, IndicatorType]:
        """Return the crosses."""
        return {CROSS.name: CROSS}

    def on_start(self) -> None:
        """Ask for the crosses."""
        params = self._params
        self._cross = self.ctx.indicator(CROSS.name, fast=params.fast, slow=params.slow)

    def on_bar(self, bar: AnyBar) -> None:
        """Signal at a cross."""
        cross = self._cross()
        if not cross:
            return
        if cross > 0:
            self.ctx.signal(Signal(bar.market, SignalKind.DIRECTION, Decimal(1), tag=UP))
        elif self._params.direction is SmaCrossDirection.BOTH:
            self.ctx.signal(Signal(bar.market, SignalKind.DIRECTION, Decimal(-1), tag=DOWN))
        else:
            self.ctx.signal(Signal(bar.market, SignalKind.EXIT, tag=DOWN))

    def signals(self, bars: BarColumns, *, start: int = 0) -> SignalTable:
        """Return the signals at all crosses."""
        params = {"fast": self._params.fast, "slow": self._params.slow}
        rows, cross = marked_rows(
            bars, lambda part: crosses(part, params), lookback=self._params.slow, start=start
        )
        side = cross.astype(np.int64)
        reverses = self._params.direction is SmaCrossDirection.BOTH
        leaves = (side < 0) & (not reverses)
        return signal_table(
            {
                "bar": rows,
                "kind": np.where(leaves, KindCode.EXIT, KindCode.DIRECTION),
                "value": np.where(leaves, 0, side),
                "tag": np.where(side > 0, 1, 2),
            },
            tags=("", UP, DOWN),
        )
