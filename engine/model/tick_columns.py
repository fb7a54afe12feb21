"""Trades and quotes of one instrument as read-only integer columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.model.bar_columns import IntArray
from engine.model.instruments import Instrument


@dataclass(frozen=True, slots=True, eq=False)
class TradeColumns:
    """Trades in the order of time: ``price`` in ticks, ``size`` in lots.

    ``aggressor`` is +1 for a buy, -1 for a sell, 0 unknown; ``seq`` orders equal stamps.
    """

    instrument: Instrument
    symbol: str
    ts: IntArray
    price: IntArray
    size: IntArray
    aggressor: NDArray[np.int8]
    seq: IntArray

    def __post_init__(self) -> None:
        for name in ("ts", "price", "size", "aggressor", "seq"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True, slots=True, eq=False)
class QuoteColumns:
    """Best bids and asks in the order of time, in ticks and lots; ``seq`` orders equal stamps."""

    instrument: Instrument
    symbol: str
    ts: IntArray
    bid: IntArray
    ask: IntArray
    bid_size: IntArray
    ask_size: IntArray
    seq: IntArray

    def __post_init__(self) -> None:
        for name in ("ts", "bid", "ask", "bid_size", "ask_size", "seq"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def __len__(self) -> int:
        return len(self.ts)


def read_only(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return a view of *values* that cannot be written."""
    view = values.view()
    view.flags.writeable = False
    return view
