"""Fills, equity samples and orders of a run as integer tables (DET-4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.execution.bar_book import SymbolBook
from engine.execution.bar_order import (
    ROLE_END,
    ROLE_ENTRY,
    ROLE_EXIT,
    ROLE_LIQUIDATION,
    ROLE_STOP_LOSS,
    ROLE_TAKE_PROFIT,
    ROLE_TRAILING,
    BarFill,
    BarOrder,
)
from engine.model.bar_columns import IntArray, blocks, placed, release_pages
from engine.model.run_tables import (
    FILL_DTYPE,
    FILL_REASONS,
    NO_PRICE,
    ORDER_DTYPE,
    Table,
)

_REASON_OF_ROLE: Final = {
    ROLE_ENTRY: FILL_REASONS.index("ENTRY"),
    ROLE_EXIT: FILL_REASONS.index("SIGNAL"),
    ROLE_STOP_LOSS: FILL_REASONS.index("STOP_LOSS"),
    ROLE_TAKE_PROFIT: FILL_REASONS.index("TAKE_PROFIT"),
    ROLE_TRAILING: FILL_REASONS.index("TRAILING"),
    ROLE_LIQUIDATION: FILL_REASONS.index("LIQUIDATION"),
    ROLE_END: FILL_REASONS.index("END"),
}
_OTHER: Final = FILL_REASONS.index("OTHER")


def fill_table(fills: Sequence[BarFill]) -> Table:
    """Return *fills* in match order."""
    rows = [
        (
            fill.ts,
            fill.bar,
            fill.order.seq,
            fill.symbol,
            fill.side,
            0 if fill.is_maker else 1,
            fill.lots,
            fill.ticks,
            fill.fee_atoms,
            fill.slippage_atoms,
            fill.is_ambiguous,
            _REASON_OF_ROLE.get(fill.order.role, _OTHER),
        )
        for fill in fills
    ]
    return np.array(rows, dtype=FILL_DTYPE)


def order_table(orders: Sequence[BarOrder]) -> Table:
    """Return *orders* by seq."""
    rows = [
        (
            order.seq,
            max(0, order.symbol),
            order.side,
            max(0, order.kind),
            order.tif,
            order.state,
            order.lots,
            order.filled_lots,
            order.notional_atoms,
            order.fee_atoms + order.extra_fee_atoms,
            NO_PRICE if order.limit is None else order.limit,
            NO_PRICE if order.stop is None else order.stop,
            order.bar_created,
            order.ts_created,
            order.ts_updated,
        )
        for order in orders
    ]
    return np.array(rows, dtype=ORDER_DTYPE)


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Equity samples in atoms, their stamps if they are known, and the table to write them to."""

    atoms: IntArray
    stamps: IntArray | None
    table: Table


def equity_table(
    samples: Samples,
    stamps: IntArray,
    *,
    cash_log: Sequence[tuple[int, int]],
    fills: Sequence[BarFill],
    books: Sequence[SymbolBook],
) -> Table:
    """Return the equity *samples* with cash, and whether something was held in each.

    ``cash_log`` holds (number of samples before, cash) at each change. One block of the table is
    in memory at a time.
    """
    table, atoms = samples.table, samples.atoms
    if not len(table):
        return table
    at = np.array([sample for sample, _ in cash_log], dtype=np.int64)
    cash = np.array([atoms for _, atoms in cash_log], dtype=np.int64)
    for rows in blocks(len(table), table, atoms, stamps):
        part = table[rows]
        part["ts"] = stamps[rows]
        part["equity_atoms"] = atoms[rows]
        places = np.arange(rows.start, rows.stop)
        part["cash_atoms"] = cash[np.searchsorted(at, places, side="right") - 1]
    table["cash_atoms"][-1] = cash[-1]
    _mark_exposed(table, fills, books)
    release_pages(table)
    return table


def _mark_exposed(table: Table, fills: Sequence[BarFill], books: Sequence[SymbolBook]) -> None:
    """Mark the samples that had a position at any time since the sample before."""
    held = [0] * len(books)
    since = [0] * len(books)
    last = len(table) - 1
    exposed = table["exposed"]
    closes = np.array([books[fill.symbol].ts_close[fill.bar] for fill in fills], dtype=np.int64)
    at_fill = np.minimum(placed(table["ts"], closes, "left"), last)
    for fill, at in zip(fills, at_fill.tolist(), strict=True):
        symbol = fill.symbol
        if not held[symbol]:
            since[symbol] = at
        held[symbol] += fill.side * fill.lots
        if not held[symbol]:
            exposed[since[symbol] : at + 1] = 1
    for symbol, lots in enumerate(held):
        if lots:
            exposed[since[symbol] :] = 1
