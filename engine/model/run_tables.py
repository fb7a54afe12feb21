"""What a run leaves behind as integer tables, and its fingerprint (DET-4)."""

from __future__ import annotations

import hashlib
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.model.bar_columns import blocks
from engine.model.draws import mix

Table: TypeAlias = NDArray[np.void]
"""A structured array with one of the dtypes below."""

FILL_REASONS: Final = (
    "ENTRY",
    "SIGNAL",
    "STOP_LOSS",
    "TAKE_PROFIT",
    "TRAILING",
    "LIQUIDATION",
    "END",
    "OTHER",
)
"""Why a fill happened, by its number in a table."""

FILL_DTYPE: Final = np.dtype(
    [
        ("ts", "<i8"),
        ("bar", "<i8"),
        ("order_seq", "<u4"),
        ("symbol", "<u2"),
        ("side", "<i1"),
        ("liquidity", "<u1"),
        ("lots", "<i8"),
        ("ticks", "<i8"),
        ("fee_atoms", "<i8"),
        ("slippage_atoms", "<i8"),
        ("ambiguous", "<u1"),
        ("reason", "<u1"),
    ]
)
"""Fills in match order. ``bar`` counts in the symbol's columns, ``side`` is +1 or -1,
``liquidity`` 0 maker and 1 taker, ``lots`` positive, ``fee_atoms`` positive when paid,
``slippage_atoms`` what the price is worse than the raw one, ``reason`` counts in `FILL_REASONS`."""

EQUITY_DTYPE: Final = np.dtype(
    [("ts", "<i8"), ("equity_atoms", "<i8"), ("cash_atoms", "<i8"), ("exposed", "<u1")]
)
"""Equity samples: ``ts`` is the bar's end, ``exposed`` says that a position existed in the bar."""

ORDER_DTYPE: Final = np.dtype(
    [
        ("seq", "<u4"),
        ("symbol", "<u2"),
        ("side", "<i1"),
        ("type", "<u1"),
        ("tif", "<u1"),
        ("state", "<u1"),
        ("lots", "<i8"),
        ("filled_lots", "<i8"),
        ("filled_atoms", "<i8"),
        ("fee_atoms", "<i8"),
        ("limit", "<i8"),
        ("stop", "<i8"),
        ("bar_created", "<i8"),
        ("ts_created", "<i8"),
        ("ts_updated", "<i8"),
    ]
)
"""Orders by ``seq``; ``state`` is the number of the state in the life cycle's order, ``limit`` and
``stop`` are ticks or `NO_PRICE`, ``filled_atoms`` is the notional of the fills."""

NO_PRICE: Final = -(2**63)

FILL_BYTES: Final = np.dtype(
    [
        ("ts", "<i8"),
        ("order_seq", "<u4"),
        ("symbol", "<u2"),
        ("side", "<i1"),
        ("liquidity", "<u1"),
        ("lots", "<i8"),
        ("ticks", "<i8"),
        ("fee_atoms", "<i8"),
    ]
)
EQUITY_BYTES: Final = np.dtype([("ts", "<i8"), ("equity_atoms", "<i8")])
ORDER_BYTES: Final = np.dtype([("seq", "<u4"), ("state", "<u1")])
HEADER: Final = b"BTRES1\n"
"""What a fingerprint is made of: this, then the rows of the three tables, packed."""

_MASK: Final = (1 << 64) - 1
_HASHED_AT_ONCE: Final = 1 << 16


def fingerprint(fills: Table, equity: Table, orders: Table) -> str:
    """Return the SHA-256 that identifies a result, hexadecimal (DET-4)."""
    digest = hashlib.sha256(HEADER)
    for table, dtype in ((fills, FILL_BYTES), (equity, EQUITY_BYTES), (orders, ORDER_BYTES)):
        for rows in blocks(len(table), table, rows=_HASHED_AT_ONCE):
            digest.update(_only(table[rows], dtype).data)
    return digest.hexdigest()


def digest64(fills: Table, equity: Table, orders: Table) -> int:
    """Return the 64-bit digest over the same integers, as kernels compute it (DET-4)."""
    state = 0
    for table, dtype in ((fills, FILL_BYTES), (equity, EQUITY_BYTES), (orders, ORDER_BYTES)):
        for row in _only(table, dtype).tolist():
            for value in row:
                state = mix(state ^ (value & _MASK))
    return state


def _only(table: Table, dtype: np.dtype[Any]) -> Table:
    """Return the columns of *dtype*, packed without gaps."""
    packed = np.empty(len(table), dtype=dtype)
    for name in dtype.names or ():
        packed[name] = table[name]
    return packed
