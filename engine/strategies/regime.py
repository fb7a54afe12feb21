"""Strategies that are in one regime at a time: long, short or out; they signal its changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

import numpy as np

from engine.model.bar_columns import BLOCK_ROWS, BarColumns, BoolArray, IntArray
from engine.model.instruments import ConnectorPair
from engine.strategies.column_blocks import bar_blocks
from engine.strategies.indicators import Column
from engine.strategies.signal_codes import KindCode
from engine.strategies.signal_table import SignalTable, signal_table
from engine.strategies.signals import Signal, SignalKind

LONG: Final = "long"
SHORT: Final = "short"
OUT: Final = "out"
_TAGS: Final = ("", LONG, SHORT, OUT)


Edges: TypeAlias = tuple[BoolArray, BoolArray, int]
"""Where a regime is entered, where it is left, and its side."""


def regime_column(enters: BoolArray, leaves: BoolArray, side: int, before: int = 0) -> Column:
    """Return *side* from each row that enters until the next that leaves, else 0.

    A row that does both leaves. The first rows go on with *before*.
    """
    events = np.where(leaves, 0, np.where(enters, side, 2)).astype(np.int8)
    rows = np.where(events != 2, np.arange(len(events)), -1)
    last = np.maximum.accumulate(rows) if len(rows) else rows
    column: Column = np.where(last >= 0, events[np.maximum(last, 0)], before).astype(np.int8)
    return column


def regime_signals(
    bars: BarColumns,
    edges: Callable[[BarColumns], Sequence[Edges]],
    *,
    lookback: int,
    start: int,
    block_rows: int = BLOCK_ROWS,
) -> SignalTable:
    """Return a signal at each change of the regime, which is 0 before bar *start*.

    Args:
        bars: the bars.
        edges: gives the edges of the regimes, long and short, of any bars; they add up.
        lookback: bars before its own that an edge may use.
        start: first bar that may enter or leave.
        block_rows: bars that are looked at at once.
    """
    rows: list[IntArray] = []
    sides: list[IntArray] = []
    states: dict[int, int] = {}
    before = 0
    for first, skip, part in bar_blocks(bars, lookback, block_rows=block_rows):
        is_open = np.arange(first, first + len(part) - skip) >= start
        regime = np.zeros(len(is_open), dtype=np.int8)
        for enters, leaves, side in edges(part):
            column = regime_column(
                enters[skip:] & is_open, leaves[skip:] & is_open, side, states.get(side, 0)
            )
            if len(column):
                states[side] = int(column[-1])
            regime += column
        changed = np.flatnonzero(np.diff(regime, prepend=np.int8(before)))
        rows.append(changed + first)
        sides.append(regime[changed].astype(np.int64))
        before = int(regime[-1]) if len(regime) else before
    return _signals(np.concatenate(rows), np.concatenate(sides))


def _signals(rows: IntArray, side: IntArray) -> SignalTable:
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
