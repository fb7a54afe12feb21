"""Sample strategy: entries with a percentage stop and target."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import ClassVar, Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.model.bar_columns import BarColumns, IntArray
from engine.model.bar_view import AnyBar
from engine.model.instruments import PPB
from engine.model.rates import read_units
from engine.strategies.column_blocks import marked_rows
from engine.strategies.indicators import IndicatorType
from engine.strategies.signal_codes import OffsetUnit
from engine.strategies.signal_table import NO_PRICE, SignalTable, signal_table
from engine.strategies.signals import Bracket, Offset, Signal, SignalKind
from engine.strategies.sma_cross import CROSS, SmaCrossDirection, crosses
from engine.strategies.strategy import Strategy

_TAGS: Final = ("", "entry_long", "entry_short")


class BracketParams(BaseModel):
    """Parameters of `BracketEntries`; distances are fractions of the entry price: 0.02 is 2 %.

    A key may end in ``_pct`` or ``_bps`` instead: ``stop_loss_pct: 2`` (COST-5).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stop_loss: Decimal | None = Field(
        default=Decimal("0.02"), gt=0, lt=1, description="distance of the stop, a fraction"
    )
    take_profit: Decimal | None = Field(
        default=Decimal("0.04"), gt=0, lt=100, description="distance of the target, a fraction"
    )
    trailing_stop: Decimal | None = Field(
        default=None, gt=0, lt=1, description="distance of a trailing stop, a fraction"
    )
    every: int | None = Field(
        default=None, ge=1, description="enter at each so many bars instead of at crosses"
    )
    fast: int = Field(default=10, ge=1, description="bars of the fast mean")
    slow: int = Field(default=30, ge=2, description="bars of the slow mean, more than fast")
    direction: SmaCrossDirection = Field(
        default=SmaCrossDirection.LONG, description="long, or both: crosses below enter short"
    )

    @model_validator(mode="before")
    @classmethod
    def _units(cls, data: object) -> object:
        return read_units(data, ("stop_loss", "take_profit", "trailing_stop"))

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError(f"fast {self.fast} must be below slow {self.slow}")
        if self.stop_loss is None and self.take_profit is None and self.trailing_stop is None:
            raise ValueError("a bracket needs stop_loss, take_profit or trailing_stop")
        return self


class BracketEntries(Strategy):
    """Enters with a bracket while flat: at crosses of two means, or at every so many bars.

    Distances count from the average fill price (FILL-21). The exits are the bracket's alone.
    """

    reusable: ClassVar[bool] = True
    per_market: ClassVar[bool] = True

    def __init__(self, params: BracketParams) -> None:
        super().__init__()
        self._params = params
        self._bracket = Bracket(
            _distance(params.stop_loss),
            _distance(params.take_profit),
            _distance(params.trailing_stop),
        )

    @property
    def warmup(self) -> int:
        """Return the bars of the slow mean if it decides."""
        return 0 if self._params.every else self._params.slow

    @property
    def indicators(self) -> Mapping[str, IndicatorType]:
        """Return the crosses."""
        return {CROSS.name: CROSS}

    def on_start(self) -> None:
        """Ask for the crosses."""
        params = self._params
        self._cross = self.ctx.indicator(CROSS.name, fast=params.fast, slow=params.slow)

    def on_bar(self, bar: AnyBar) -> None:
        """Enter if it is time."""
        params = self._params
        if params.every:
            side = int(self.ctx.bar_index(bar.market) % params.every == 0)
        else:
            side = self._cross()
        if side > 0 or (side < 0 and params.direction is SmaCrossDirection.BOTH):
            self.ctx.signal(
                Signal(
                    bar.market,
                    SignalKind.DIRECTION,
                    Decimal(side),
                    bracket=self._bracket,
                    only_flat=True,
                    tag=_TAGS[side],
                )
            )

    def signals(self, bars: BarColumns, *, start: int = 0) -> SignalTable:
        """Return the entries."""
        params = self._params
        rows, value = self._entries(bars, max(start, self.warmup))
        count = len(rows)
        return signal_table(
            {
                "bar": rows,
                "value": value,
                "only_flat": np.ones(count),
                "bracket_basis": np.full(count, self._bracket.basis),
                "sl": np.full(count, _ppb(params.stop_loss)),
                "sl_unit": np.full(count, _unit(params.stop_loss)),
                "tp": np.full(count, _ppb(params.take_profit)),
                "tp_unit": np.full(count, _unit(params.take_profit)),
                "sl_trail": np.full(count, _ppb(params.trailing_stop)),
                "sl_trail_unit": np.full(
                    count, OffsetUnit.PPB if params.trailing_stop else OffsetUnit.NONE
                ),
                "tag": np.where(value > 0, 1, 2),
            },
            tags=("", _TAGS[1], _TAGS[-1]),
        )

    def _entries(self, bars: BarColumns, start: int) -> tuple[IntArray, IntArray]:
        """Return the bars from *start* on at which to enter, and the sides."""
        params = self._params
        if params.every:
            rows = np.arange(-(-start // params.every) * params.every, len(bars), params.every)
            return rows, np.ones(len(rows), dtype=np.int64)
        means = {"fast": params.fast, "slow": params.slow}
        rows, side = marked_rows(
            bars, lambda part: crosses(part, means), lookback=params.slow, start=start
        )
        if params.direction is SmaCrossDirection.LONG:
            rows, side = rows[side > 0], side[side > 0]
        return rows, side.astype(np.int64)


def _distance(fraction: Decimal | None) -> Offset | None:
    return None if fraction is None else Offset(fraction, OffsetUnit.PPB)


def _ppb(fraction: Decimal | None) -> int:
    return NO_PRICE if fraction is None else int((fraction * PPB).to_integral_value(ROUND_DOWN))


def _unit(fraction: Decimal | None) -> OffsetUnit:
    return OffsetUnit.PRICE if fraction is None else OffsetUnit.PPB
