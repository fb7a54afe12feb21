"""Sample strategy: strict cross of two simple means of the close."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum, unique
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.model.quotes import Bar
from engine.strategies.signals import Signal, SignalKind
from engine.strategies.strategy import Strategy


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


class SmaCross(Strategy):
    """Enters long when the fast mean crosses above the slow one, leaves when it crosses below.

    With direction ``both`` a cross below reverses into a short. A cross is strict: the fast mean
    was below and now is above, or the other way round; equal means are on neither side. It
    compares two bars, so the first decision is at bar index ``slow``. Means are compared as
    integer sums, exactly.
    """

    def __init__(self, params: SmaCrossParams) -> None:
        super().__init__()
        self._params = params

    @property
    def warmup(self) -> int:
        """Return the bars of the slow mean."""
        return self._params.slow

    def on_bar(self, bar: Bar) -> None:
        """Signal at a cross."""
        slow = self._params.slow
        bars = self.ctx.history(bar.market, slow + 1)
        if len(bars) <= slow:
            return
        closes = [item.close_ticks for item in bars]
        before, now = self._lead(closes[:-1]), self._lead(closes[1:])
        if before < 0 < now:
            self.ctx.signal(Signal(bar.market, SignalKind.DIRECTION, Decimal(1), tag="cross_up"))
        elif now < 0 < before:
            if self._params.direction is SmaCrossDirection.BOTH:
                signal = Signal(bar.market, SignalKind.DIRECTION, Decimal(-1), tag="cross_down")
            else:
                signal = Signal(bar.market, SignalKind.EXIT, tag="cross_down")
            self.ctx.signal(signal)

    def _lead(self, closes: Sequence[int]) -> int:
        """Return a number with the sign of (fast mean - slow mean)."""
        fast, slow = self._params.fast, self._params.slow
        return sum(closes[-fast:]) * slow - sum(closes[-slow:]) * fast
