"""Sample strategy: buys once and keeps."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from engine.model.bar_columns import BarColumns
from engine.model.bar_view import AnyBar
from engine.model.instruments import PPB
from engine.strategies.signal_codes import KindCode
from engine.strategies.signal_table import SignalTable, signal_table
from engine.strategies.signals import Signal, SignalKind
from engine.strategies.strategy import Strategy


class BuyAndHoldParams(BaseModel):
    """Parameters of `BuyAndHold`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: Decimal | None = Field(
        default=None,
        gt=0,
        max_digits=18,
        decimal_places=9,
        description="share of equity to hold; without it the configured sizer says how much",
    )


class BuyAndHold(Strategy):
    """Enters at the first bar and never leaves."""

    reusable: ClassVar[bool] = True
    per_market: ClassVar[bool] = True

    def __init__(self, params: BuyAndHoldParams) -> None:
        super().__init__()
        self._params = params
        self._is_in = False

    def on_start(self) -> None:
        """Begin without a position."""
        self._is_in = False

    def on_bar(self, bar: AnyBar) -> None:
        """Buy at the first bar."""
        if self._is_in:
            return
        self._is_in = True
        weight = self._params.weight
        if weight is None:
            signal = Signal(bar.market, SignalKind.DIRECTION, Decimal(1), tag="hold")
        else:
            signal = Signal(bar.market, SignalKind.TARGET_WEIGHT, weight, tag="hold")
        self.ctx.signal(signal)

    def signals(self, bars: BarColumns, *, start: int = 0) -> SignalTable:
        """Return the one signal."""
        weight = self._params.weight
        rows = np.arange(start, min(len(bars), start + 1))
        return signal_table(
            {
                "bar": rows,
                "kind": np.full(
                    len(rows), KindCode.DIRECTION if weight is None else KindCode.TARGET_WEIGHT
                ),
                "value": np.full(len(rows), 1 if weight is None else int(weight * PPB)),
                "tag": np.full(len(rows), 1),
            },
            tags=("", "hold"),
        )
