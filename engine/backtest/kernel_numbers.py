"""Integers inside the kernels: shared rounding, shares of 128-bit products, draws, digests."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.backtest.jit import kernel, part
from engine.model import rounding
from engine.model.bar_columns import IntArray
from engine.model.run_tables import Table

ByteArray: TypeAlias = NDArray[np.uint8]

ceil_div = part(rounding.ceil_div)
trunc_div = part(rounding.trunc_div)
half_even_div = part(rounding.half_even_div)
ppb_floor = part(rounding.ppb_floor)
ppb_ceil = part(rounding.ppb_ceil)
ppb_trunc = part(rounding.ppb_trunc)
fee_ppb = part(rounding.fee_ppb)

_SMALL: Final = 3_037_000_499
"""Largest integer whose square fits 63 bits."""
_LOW: Final = np.uint64(0xFFFFFFFF)
_HALF: Final = np.uint64(32)
_ONE: Final = np.uint64(1)
_TOP: Final = np.uint64(63)
_MIX_STEP: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_SECOND: Final = np.uint64(0x94D049BB133111EB)
_SHIFT_30: Final = np.uint64(30)
_SHIFT_27: Final = np.uint64(27)
_SHIFT_31: Final = np.uint64(31)
_SHIFT_11: Final = np.uint64(11)


@part
def divided_product(left: int, right: int, divisor: int) -> tuple[Any, Any]:
    """Return quotient and rest of *left* * *right* / *divisor*, the product taken in 128 bits.

    All three are zero or more, *left* is below *divisor*, *right* not above it.
    """
    if left <= _SMALL and right <= _SMALL:
        product = left * right
        quotient = product // divisor
        return quotient, product - quotient * divisor
    a, b, d = np.uint64(left), np.uint64(right), np.uint64(divisor)
    a_low, a_high = a & _LOW, a >> _HALF
    b_low, b_high = b & _LOW, b >> _HALF
    bottom = a_low * b_low
    middle = a_high * b_low + (bottom >> _HALF)
    cross = a_low * b_high + (middle & _LOW)
    high = a_high * b_high + (middle >> _HALF) + (cross >> _HALF)
    low = (cross << _HALF) | (bottom & _LOW)
    rest, result = high, np.uint64(0)
    for _ in range(64):
        rest = (rest << _ONE) | (low >> _TOP)
        low = low << _ONE
        result = result << _ONE
        if rest >= d:
            rest -= d
            result |= _ONE
    return np.int64(result), np.int64(rest)


@part
def half_even_share(total: int, part: int, whole: int) -> int:
    """Return *total* * *part* / *whole* rounded half to even; 0 <= *part* <= *whole*, all >= 0."""
    each = total // whole
    quotient, rest = divided_product(total - each * whole, part, whole)
    quotient += each * part
    other = whole - rest
    if rest > other or (rest == other and quotient & 1):
        return quotient + 1
    return quotient


@part
def mix(value: Any) -> Any:  # noqa: ANN401 (uint64, which has no name in Python)
    """Return the SplitMix64 finaliser of *value*, a uint64 (DET-3)."""
    z = value + _MIX_STEP
    z = (z ^ (z >> _SHIFT_30)) * _MIX_FIRST
    z = (z ^ (z >> _SHIFT_27)) * _MIX_SECOND
    return z ^ (z >> _SHIFT_31)


@part
def uniform(seed: int, stream: int, a: int, b: int) -> float:
    """Return the draw of (*seed*, *stream*, *a*, *b*) in [0, 1)."""
    z = mix(np.uint64(seed)) ^ np.uint64(stream)
    z = mix(mix(z) ^ np.uint64(a)) ^ np.uint64(b)
    return np.float64(mix(z) >> _SHIFT_11) * 2.0**-53


@kernel
def digest_rows(state: Any, rows: IntArray, count: int, width: int) -> Any:  # noqa: ANN401
    """Return the digest *state* after the first *width* integers of *count* rows (DET-4)."""
    for row in range(count):
        for column in range(width):
            state = mix(state ^ np.uint64(rows[row, column]))
    return state


@kernel
def digest_pairs(state: Any, left: IntArray, right: IntArray, count: int) -> Any:  # noqa: ANN401
    """Return the digest *state* after *count* pairs of *left* and *right*."""
    for row in range(count):
        state = mix(state ^ np.uint64(left[row]))
        state = mix(state ^ np.uint64(right[row]))
    return state


def digest(fills: Table, equity: Table, orders: Table) -> int:
    """Return the 64-bit digest of the tables of a run (DET-4)."""
    columns = ("ts", "order_seq", "symbol", "side", "liquidity", "lots", "ticks", "fee_atoms")
    rows = np.column_stack([fills[name].astype(np.int64) for name in columns])
    state = digest_rows(np.uint64(0), rows, len(fills), len(columns))
    stamps, samples = equity["ts"].astype(np.int64), equity["equity_atoms"].astype(np.int64)
    state = digest_pairs(np.uint64(state), stamps, samples, len(equity))
    numbers, states = orders["seq"].astype(np.int64), orders["state"].astype(np.int64)
    return int(digest_pairs(np.uint64(state), numbers, states, len(orders)))
