"""Strategies that are in one regime at a time: long, short or out; they signal its changes."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np

from engine.model.bar_columns import BoolArray
from engine.model.instruments import ConnectorPair
from engine.strategies.indicators import Column
from engine.strategies.signal_codes import KindCode
from engine.strategies.signal_table import SignalTable, signal_table
from engine.strategies.signals import Signal, SignalKind

LONG: Final = "long"
SHORT: Final = "short"
OUT: Final = "out"
_TAGS: Final = ("", LONG, SHORT, OUT)


def regime_column(enters: BoolArray, leaves: BoolArray, side: int) -> Column:
    """Return *side* from each row that enters until the next that leaves, else 0.

    A row that does both leaves.
    """
    events = np.where(leaves, 0, np.where(enters, side, 2)).astype(np.int8)
    rows = np.where(events != 2, np.arange(len(events)), -1)
    last = np.maximum.accumulate(rows) if len(rows) else rows
    column: Column = np.where(last >= 0, events[np.maximum(last, 0)], 0).astype(np.int8)
    return column


def regime_signals(regime: Column) -> SignalTable:
    """Return a signal at each change of *regime* (+1, 0, -1 for each bar, 0 before the first)."""
    before = np.concatenate((np.zeros(1, dtype=regime.dtype), regime[:-1]))
    rows = np.flatnonzero(regime != before)
    side = regime[rows].astype(np.int64)
    return signal_table(
        {
            "bar": rows,
            "kind": np.where(side == 0, KindCode.EXIT, KindCode.DIRECTION),
            "value": side,
            "tag": np.where(side > 0, 1, np.where(side < 0, 2, 3)),
        },
        tags=_TAGS,
    )


def regime_signal(market: ConnectorPair, side: int) -> Signal:
    """Return the signal of a change into the regime *side*."""
    if not side:
        return Signal(market, SignalKind.EXIT, tag=OUT)
    tag = LONG if side > 0 else SHORT
    return Signal(market, SignalKind.DIRECTION, Decimal(side), tag=tag)
