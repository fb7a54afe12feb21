"""What a grid keeps of a column: facts of its curve, its round trips, digests (FAST-5, FAST-6).

Each function walks the tables of one run once, without the GIL. Sums are taken in the order in
which `engine.backtest.curve_facts` and `engine.backtest.trade_log` take them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from engine.backtest.jit import kernel, part
from engine.backtest.kernel_layout import (
    S_SCALE,
    X_FEE,
    X_LOTS,
    X_RAW,
    X_SIDE,
    X_SYMBOL,
    X_TICKS,
    X_TS,
)
from engine.backtest.kernel_numbers import ByteArray, half_even_share, mix
from engine.model.bar_columns import FloatArray, IntArray

# Numbers of a curve, float64.
C_TOTAL: Final = 0
C_DEEPEST: Final = 1
C_SQUARE_DEPTHS: Final = 2
C_DEPTHS: Final = 3
C_LAST: Final = 4
C_COUNT: Final = 5

# And its integers.
I_LONGEST: Final = 0
"""ns"""
I_SPELLS: Final = 1
I_EXPOSED: Final = 2
I_COUNT: Final = 3

# How exits find their entries.
MATCH_FIFO: Final = 0
MATCH_AVERAGE: Final = 1
MATCH_FLAT: Final = 2

# Columns of a round trip.
T_PNL: Final = 0
T_ENTRY_ATOMS: Final = 1
T_ENTRY_TS: Final = 2
T_EXIT_TS: Final = 3
T_COUNT: Final = 4

# Columns of an entry that waits for its exit.
E_LOTS: Final = 0
E_ATOMS: Final = 1
E_FEE: Final = 2
E_TS: Final = 3
E_NEXT: Final = 4
"""Row of the entry behind it, -1 none."""
E_COUNT: Final = 5

# Columns of a symbol while its fills are matched.
B_SIDE: Final = 0
"""+1, -1, 0 flat."""
B_HEAD: Final = 1
B_TAIL: Final = 2
B_LOTS: Final = 3
B_COST: Final = 4
"""atoms"""
B_FEES: Final = 5
"""atoms"""
B_TS: Final = 6
"""Stamp of the first entry."""
B_ENTRY: Final = 7
"""Atoms of all entries since flat."""
B_EXIT: Final = 8
"""Atoms of all exits since flat."""
B_ALL_FEES: Final = 9
B_COUNT: Final = 10

# Totals of the fills.
N_TRADES: Final = 0
N_PNL: Final = 1
"""atoms"""
N_FEES: Final = 2
"""atoms"""
N_SLIPPAGE: Final = 3
"""atoms"""
N_TURNOVER: Final = 4
"""atoms, less whole multiples of 2**62"""
N_TURNOVER_CARRY: Final = 5
"""Multiples of 2**62."""
N_COUNT: Final = 6

CARRY: Final = 2**62


@kernel
def walk_curve(
    e: IntArray,
    exposed: ByteArray,
    stamps: IntArray,
    count: int,
    unit: float,
    ends: IntArray,
    values: FloatArray,
    pairs: IntArray,
    facts: FloatArray,
    numbers: IntArray,
) -> None:
    """Find the facts of the first *count* samples *e* (atoms; *unit* of them are 1).

    *values* takes the equity at the samples *ends*. Unless *pairs* is empty, it takes stamp and
    atoms of each sample: the bytes that are hashed.
    """
    total = square_depths = depths = deepest = spell = last = 0.0
    peak = -np.inf
    spells = held = longest = period = 0
    peak_at = -1
    hashed = len(pairs) > 0
    for i in range(count):
        value = np.float64(e[i]) / unit
        total += value
        held += exposed[i]
        if hashed:
            pairs[i, 0] = stamps[i]
            pairs[i, 1] = e[i]
        if period < len(ends) and ends[period] == i:
            values[period] = value
            period += 1
        depth = 0.0
        if value >= peak:
            peak = value
        elif peak > 0.0:
            depth = 1.0 - value / peak
        if depth > 0.0:
            if spell == 0.0:
                peak_at = i - 1
            spell = max(spell, depth)
            deepest = max(deepest, depth)
            square_depths += depth * depth
        elif spell > 0.0:
            spells += 1
            depths += spell
            longest = max(longest, stamps[i] - stamps[peak_at])
            spell = 0.0
        last = value
    if spell > 0.0:
        longest = max(longest, stamps[count - 1] - stamps[peak_at])
        if count - 1 > peak_at + 1:
            spells += 1
            depths += spell
    facts[C_TOTAL] = total
    facts[C_DEEPEST] = deepest
    facts[C_SQUARE_DEPTHS] = square_depths
    facts[C_DEPTHS] = depths
    facts[C_LAST] = last
    numbers[I_LONGEST] = longest
    numbers[I_SPELLS] = spells
    numbers[I_EXPOSED] = held


@part
def share_of(total: int, part: int, whole: int) -> int:
    """Return *total* * *part* / *whole* half to even; *total* may be below zero (a rebate)."""
    if part == whole:
        return total
    if total < 0:
        return -half_even_share(-total, part, whole)
    return half_even_share(total, part, whole)


@part
def note_trade(
    trades: IntArray, n: IntArray, pnl: int, entry_atoms: int, entry_ts: int, exit_ts: int
) -> None:
    """Write one round trip."""
    row = n[N_TRADES]
    trades[row, T_PNL] = pnl
    trades[row, T_ENTRY_ATOMS] = entry_atoms
    trades[row, T_ENTRY_TS] = entry_ts
    trades[row, T_EXIT_TS] = exit_ts
    n[N_TRADES] = row + 1
    n[N_PNL] += pnl


@kernel
def match_fills(
    x: IntArray,
    count: int,
    s: IntArray,
    mode: int,
    entries: IntArray,
    books: IntArray,
    trades: IntArray,
    n: IntArray,
) -> None:
    """Turn the first *count* fills *x* into round trips, in the order of their exits (PF-7).

    *entries* and *trades* have a row for each fill, *books* one for each symbol, all zero there;
    *n* takes the totals.
    """
    for number in range(count):
        symbol, side, lots = x[number, X_SYMBOL], x[number, X_SIDE], x[number, X_LOTS]
        scale, ts = s[symbol, S_SCALE], x[number, X_TS]
        atoms, fee = lots * x[number, X_TICKS] * scale, x[number, X_FEE]
        n[N_FEES] += fee
        n[N_SLIPPAGE] += max(side * (x[number, X_TICKS] - x[number, X_RAW]), 0) * lots * scale
        n[N_TURNOVER] += abs(atoms)
        if n[N_TURNOVER] >= CARRY:
            n[N_TURNOVER] -= CARRY
            n[N_TURNOVER_CARRY] += 1
        held = books[symbol, B_SIDE]
        if held and held != side:
            if mode == MATCH_FIFO:
                lots, atoms, fee = close_first(
                    entries, books, trades, n, symbol, lots, atoms, fee, ts
                )
            else:
                lots, atoms, fee = close_pool(
                    books, trades, n, symbol, mode == MATCH_FLAT, lots, atoms, fee, ts
                )
        if not lots:
            continue
        if not books[symbol, B_SIDE]:
            books[symbol, B_SIDE] = side
            books[symbol, B_TS] = ts
            books[symbol, B_HEAD] = number
            books[symbol, B_ENTRY] = books[symbol, B_EXIT] = books[symbol, B_ALL_FEES] = 0
        elif mode == MATCH_FIFO:
            entries[books[symbol, B_TAIL], E_NEXT] = number
        books[symbol, B_TAIL] = number
        entries[number, E_LOTS] = lots
        entries[number, E_ATOMS] = atoms
        entries[number, E_FEE] = fee
        entries[number, E_TS] = ts
        entries[number, E_NEXT] = -1
        books[symbol, B_LOTS] += lots
        books[symbol, B_COST] += atoms
        books[symbol, B_FEES] += fee
        books[symbol, B_ENTRY] += atoms
        books[symbol, B_ALL_FEES] += fee
    for symbol in range(books.shape[0]):
        if mode == MATCH_FLAT and books[symbol, B_SIDE]:
            # What was already sold of the trade is still part of it.
            books[symbol, B_COST] = books[symbol, B_ENTRY] - books[symbol, B_EXIT]
            books[symbol, B_FEES] = books[symbol, B_ALL_FEES]


@part
def close_first(
    entries: IntArray,
    books: IntArray,
    trades: IntArray,
    n: IntArray,
    symbol: int,
    lots: int,
    atoms: int,
    fee: int,
    ts: int,
) -> tuple[int, int, int]:
    """Let a fill close the oldest entries of *symbol*; return what is left of it."""
    side = books[symbol, B_SIDE]
    while lots and books[symbol, B_SIDE]:
        head = books[symbol, B_HEAD]
        used = min(entries[head, E_LOTS], lots)
        entry_atoms = share_of(entries[head, E_ATOMS], used, entries[head, E_LOTS])
        entry_fee = share_of(entries[head, E_FEE], used, entries[head, E_LOTS])
        exit_atoms = share_of(atoms, used, lots)
        exit_fee = share_of(fee, used, lots)
        entries[head, E_LOTS] -= used
        entries[head, E_ATOMS] -= entry_atoms
        entries[head, E_FEE] -= entry_fee
        lots -= used
        atoms -= exit_atoms
        fee -= exit_fee
        books[symbol, B_LOTS] -= used
        books[symbol, B_COST] -= entry_atoms
        books[symbol, B_FEES] -= entry_fee
        pnl = side * (exit_atoms - entry_atoms) - entry_fee - exit_fee
        note_trade(trades, n, pnl, entry_atoms, entries[head, E_TS], ts)
        if not entries[head, E_LOTS]:
            books[symbol, B_HEAD] = entries[head, E_NEXT]
            if entries[head, E_NEXT] < 0:
                books[symbol, B_SIDE] = 0
    return lots, atoms, fee


@part
def close_pool(
    books: IntArray,
    trades: IntArray,
    n: IntArray,
    symbol: int,
    is_flat: int,
    lots: int,
    atoms: int,
    fee: int,
    ts: int,
) -> tuple[int, int, int]:
    """Let a fill close the position of *symbol* at its average; return what is left of it."""
    side, whole = books[symbol, B_SIDE], books[symbol, B_LOTS]
    used = min(whole, lots)
    removed = share_of(books[symbol, B_COST], used, whole)
    entry_fee = share_of(books[symbol, B_FEES], used, whole)
    exit_atoms = share_of(atoms, used, lots)
    exit_fee = share_of(fee, used, lots)
    books[symbol, B_LOTS] -= used
    books[symbol, B_COST] -= removed
    books[symbol, B_FEES] -= entry_fee
    books[symbol, B_EXIT] += exit_atoms
    books[symbol, B_ALL_FEES] += exit_fee
    is_over = not books[symbol, B_LOTS]
    if not is_flat:
        pnl = side * (exit_atoms - removed) - entry_fee - exit_fee
        note_trade(trades, n, pnl, removed, books[symbol, B_TS], ts)
    elif is_over:
        entry_atoms = books[symbol, B_ENTRY]
        pnl = side * (books[symbol, B_EXIT] - entry_atoms) - books[symbol, B_ALL_FEES]
        note_trade(trades, n, pnl, entry_atoms, books[symbol, B_TS], ts)
    if is_over:
        books[symbol, B_SIDE] = 0
    return lots - used, atoms - exit_atoms, fee - exit_fee


@kernel
def digest_fills(x: IntArray, fills: int) -> Any:  # noqa: ANN401 (int64, which has no name)
    """Return the digest of the fills, as a signed integer: how a run's digest begins (DET-4)."""
    state = np.uint64(0)
    for row in range(fills):
        for column in range(X_FEE + 1):
            state = mix(state ^ np.uint64(x[row, column]))
    return np.int64(state)


@kernel
def digest_samples(states: IntArray, stamps: IntArray, e: IntArray, samples: int) -> None:
    """Bring four digests forward by the samples of four runs, the rows of *e*.

    Each step of a digest waits for the one before; four at a time wait together.
    """
    one, two = np.uint64(states[0]), np.uint64(states[1])
    three, four = np.uint64(states[2]), np.uint64(states[3])
    for row in range(samples):
        stamp = np.uint64(stamps[row])
        one, two = mix(one ^ stamp), mix(two ^ stamp)
        three, four = mix(three ^ stamp), mix(four ^ stamp)
        one, two = mix(one ^ np.uint64(e[0, row])), mix(two ^ np.uint64(e[1, row]))
        three, four = mix(three ^ np.uint64(e[2, row])), mix(four ^ np.uint64(e[3, row]))
    states[0], states[1] = np.int64(one), np.int64(two)
    states[2], states[3] = np.int64(three), np.int64(four)


@kernel
def digest_orders(state: int, order_states: IntArray) -> Any:  # noqa: ANN401 (int64)
    """Return the digest *state* after the orders: how a run's digest ends."""
    found = np.uint64(state)
    for row in range(len(order_states)):
        found = mix(found ^ np.uint64(row))
        found = mix(found ^ np.uint64(order_states[row]))
    return np.int64(found)
