"""One symbol as the bar broker sees it: columns as plain integers, working orders, brackets."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.execution.bar_order import BarOrder, BracketGroup
from engine.execution.slippage import TakerFacts
from engine.model.bar_columns import MISSING, BarColumns
from engine.portfolio.bar_account import BarPosition

Ints: TypeAlias = "memoryview[int]"

FAR: Final = 1 << 62
"""A level that no price reaches."""


def as_ints(values: NDArray[Any]) -> Ints:
    """Return *values* as a buffer whose items are Python integers; nothing is copied."""
    flat = values if values.dtype != np.bool_ else values.view(np.uint8)
    return np.ascontiguousarray(flat).data


class SymbolBook:
    """Working orders of one symbol, its position, and the bar that is matched.

    ``orders`` holds what may fill, in order of arrival here; dormant children are in ``groups``
    only. ``cursor`` is the next bar to be matched. ``up`` and ``down`` are the nearest levels at
    which a resting order acts, valid while ``is_quiet``.
    """

    __slots__ = (
        "allow_nonpositive",
        "blocked",
        "close",
        "columns",
        "consumed",
        "cursor",
        "down",
        "ends",
        "facts",
        "fresh",
        "groups",
        "has_trailing",
        "high",
        "index",
        "instrument",
        "is_dirty",
        "is_quiet",
        "is_unknown",
        "low",
        "max_lots",
        "no_short",
        "open",
        "orders",
        "pool",
        "position",
        "scale",
        "size",
        "spread",
        "starts",
        "ts_close",
        "ts_open",
        "up",
        "volume",
        "vwap",
    )

    def __init__(
        self,
        index: int,
        columns: BarColumns,
        position: BarPosition,
        *,
        seed: int,
        first_bar: int,
        is_margin: bool,
    ) -> None:
        instrument = columns.instrument
        self.index = index
        self.columns = columns
        self.instrument = instrument
        self.position = position
        self.scale = instrument.atoms_per_tick_lot
        self.max_lots = int(instrument.max_qty / instrument.lot)
        self.no_short = not (is_margin and instrument.shortable)
        self.size = len(columns)
        self.open = as_ints(columns.open)
        self.high = as_ints(columns.high)
        self.low = as_ints(columns.low)
        self.close = as_ints(columns.close)
        self.volume = as_ints(columns.volume)
        self.ts_open = as_ints(columns.ts_open)
        self.ts_close = as_ints(columns.ts_close)
        self.blocked = as_ints(columns.blocks_fills)
        self.starts = as_ints(columns.starts_session)
        self.ends = as_ints(columns.ends_session)
        self.vwap = None if columns.vwap is None else as_ints(columns.vwap)
        self.spread = None if columns.spread is None else as_ints(columns.spread)
        self.allow_nonpositive = bool(self.size) and columns.lowest <= 0
        self.cursor = first_bar
        self.orders: list[BarOrder] = []
        self.groups: list[BracketGroup] = []
        self.fresh: list[BarOrder] = []
        self.up = FAR
        self.down = -FAR
        self.is_quiet = True
        self.is_dirty = False
        self.has_trailing = False
        self.pool: int | None = None
        self.is_unknown = False
        self.consumed = 0
        self.facts = TakerFacts(instrument, seed=seed, closes=self.close, volumes=self.volume)

    def spread_at(self, bar: int) -> int:
        """Return the spread of a bar in ticks, `MISSING` if it is not known."""
        return MISSING if self.spread is None else self.spread[bar]

    def atr_ticks(self, bars: int, factor_ppb: int) -> int | None:
        """Return *factor_ppb* of the mean true range of the last *bars* known bars, rounded up.

        None before the first bar.
        """
        stop = self.cursor
        start = max(0, stop - bars)
        if stop <= start:
            return None
        total = 0
        for j in range(start, stop):
            high, low = self.high[j], self.low[j]
            if j:
                before = self.close[j - 1]
                high, low = max(high, before), min(low, before)
            total += high - low
        return -(-total * factor_ppb // ((stop - start) * 1_000_000_000))
