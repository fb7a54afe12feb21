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
from engine.model.bar_columns import IntArray, blocks, picked, placed, release_pages
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
_FILLS_AT_ONCE: Final = 4096
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
class Ended:
    """What changes no more: fills, orders, and (number of samples before, cash) at each change."""

    fills: list[BarFill]
    orders: list[BarOrder]
    cash: list[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Everything that a run left, in columns.

    ``atoms`` are the equity samples, ``stamps`` theirs unless they follow from the bars, ``table``
    is written by `equity_table`. From sample ``cash_samples[i]`` on the cash is ``cash_atoms[i]``.
    """

    atoms: IntArray
    stamps: IntArray | None
    table: Table
    fills: Table
    orders: Table
    cash_samples: IntArray
    cash_atoms: IntArray


def equity_table(history: History, stamps: IntArray, books: Sequence[SymbolBook]) -> Table:
    """Return the equity samples with cash, and whether something was held in each.

    One block of the table is in memory at a time.
    """
    table, atoms = history.table, history.atoms
    if not len(table):
        return table
    at, cash = history.cash_samples, history.cash_atoms
    for rows in blocks(len(table), table, atoms, stamps):
        part = table[rows]
        part["ts"] = stamps[rows]
        part["equity_atoms"] = atoms[rows]
        places = np.arange(rows.start, rows.stop)
        part["cash_atoms"] = cash[np.searchsorted(at, places, side="right") - 1]
    table["cash_atoms"][-1] = cash[-1]
    _mark_exposed(table, history.fills, books)
    release_pages(table)
    return table


def _mark_exposed(table: Table, fills: Table, books: Sequence[SymbolBook]) -> None:
    """Mark the samples that had a position at any time since the sample before."""
    held = [0] * len(books)
    since = [0] * len(books)
    exposed = table["exposed"]
    closes = np.zeros(len(fills), dtype=np.int64)
    for symbol, book in enumerate(books):
        own = np.flatnonzero(fills["symbol"] == symbol)
        closes[own] = picked(book.columns.ts_close, fills["bar"][own])
    at_fill = np.minimum(placed(table["ts"], closes, "left"), len(table) - 1)
    changes = fills["side"].astype(np.int64) * fills["lots"]
    rows = zip(fills["symbol"].tolist(), changes.tolist(), at_fill.tolist(), strict=True)
    for number, (symbol, change, at) in enumerate(rows):
        if not number % _FILLS_AT_ONCE:
            release_pages(table)
        if not held[symbol]:
            since[symbol] = at
        held[symbol] += change
        if not held[symbol]:
            exposed[since[symbol] : at + 1] = 1
    for symbol, lots in enumerate(held):
        if lots:
            exposed[since[symbol] :] = 1
