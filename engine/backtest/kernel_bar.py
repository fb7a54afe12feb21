"""One bar and the working orders of its symbol.

Arguments as in `engine.backtest.kernel_fill`; ``b`` columns of the bars, ``z`` copies of what an
evaluation may change.
"""

from __future__ import annotations

from typing import TypeAlias

from engine.backtest.jit import (
    unit,
)
from engine.backtest.kernel_fill import (
    end_order,
)
from engine.backtest.kernel_layout import (
    A_AMBIGUOUS,
    A_FILLS,
    A_TOKEN,
    B_C,
    B_CLOSE_TS,
    B_FLAGS,
    B_H,
    B_IMPACT,
    B_L,
    B_O,
    B_OPEN_TS,
    B_SPREAD,
    B_VOLUME,
    B_VWAP,
    BASIS_CLOSE,
    BASIS_MID,
    BASIS_VWAP,
    FLAG_ENDS,
    FLAG_STARTS,
    FLAG_SYNTHETIC,
    FOK_UNFILLED,
    GTD_EXPIRED,
    IOC_REST,
    K_BAR,
    K_BASIS,
    K_BASIS_PARTS,
    K_C,
    K_CHILD_FIRST,
    K_CLOSE_TS,
    K_DEFER,
    K_DONE,
    K_DRY,
    K_ENDS,
    K_H,
    K_IMPACT,
    K_L,
    K_O,
    K_OPEN_TS,
    K_POINT,
    K_POOL,
    K_SPREAD,
    K_STARTS,
    K_SYMBOL,
    K_TS,
    K_UNKNOWN,
    K_VOLUME,
    MAX_PRICE,
    NO_PRICE,
    O_CHILDREN,
    O_COUNT,
    O_DORMANT,
    O_EXPIRE,
    O_GROUP,
    O_IS_LIMIT,
    O_JOIN,
    O_KIND,
    O_LIMIT,
    O_PARENT,
    O_POINT,
    O_SIDE,
    O_STATE,
    O_STOP,
    O_TIF,
    O_TRIGGERED,
    P_IMPACT_BY_BAR,
    P_MARKET_BASIS,
    P_PARTICIPATION,
    P_SLIPPAGE,
    P_TRAIL_CLOSE,
    P_VOLUME_ACTIVE,
    Q_COUNT,
    S_BRACKETS,
    S_COUNT,
    S_DONE,
    S_DONE_BAR,
    S_LIVE,
    S_OFFSET,
    S_OPEN,
    S_POOL,
    S_SKIP_HIGH,
    S_SKIP_LOW,
    SLIP_SPREAD,
    X_AMBIGUOUS,
    X_ORDER,
    X_TICKS,
)
from engine.backtest.kernel_numbers import (
    ppb_floor,
)
from engine.backtest.kernel_path import (
    is_high_first,
    move_trails,
    play_point,
    reach,
    walk,
)
from engine.execution.bar_order import (
    CANCELLED,
    EXPIRED,
    FILLED,
    FOK,
    GTD,
    IOC,
    MARKET_IF_TOUCHED,
    STOP,
    STOP_LIMIT,
)
from engine.model.bar_columns import IntArray

Bars: TypeAlias = tuple[IntArray, ...]


@unit
def load_bar(q: IntArray, s: IntArray, b: Bars, symbol: int, bar: int) -> bool:
    """Fill the registers with a bar; return whether orders may act on it (R1)."""
    i = s[symbol, S_OFFSET] + bar
    q[K_SYMBOL] = symbol
    q[K_BAR] = bar
    q[K_OPEN_TS] = b[B_OPEN_TS][i]
    q[K_CLOSE_TS] = b[B_CLOSE_TS][i]
    q[K_O] = b[B_O][i]
    q[K_H] = b[B_H][i]
    q[K_L] = b[B_L][i]
    q[K_C] = b[B_C][i]
    volume = 1
    q[K_DONE] = 0
    s[symbol, S_DONE] = 0
    s[symbol, S_DONE_BAR] = bar
    q[K_POINT] = 0
    flags = b[B_FLAGS][i]
    q[K_STARTS] = flags & FLAG_STARTS
    q[K_ENDS] = flags & FLAG_ENDS
    q[K_POOL] = 0
    q[K_UNKNOWN] = 0
    if q[P_VOLUME_ACTIVE]:
        volume = b[B_VOLUME][i]
        q[K_VOLUME] = volume
        if volume < 0:
            q[K_UNKNOWN] = 1
        else:
            q[K_POOL] = ppb_floor(volume, q[P_PARTICIPATION])
    if q[P_SLIPPAGE] == SLIP_SPREAD:
        q[K_SPREAD] = max(b[B_SPREAD][i], 0)
    if q[P_IMPACT_BY_BAR]:
        q[K_IMPACT] = b[B_IMPACT][i]
    basis = q[P_MARKET_BASIS]
    if basis:
        load_basis(q, b, i, basis)
    return not flags & FLAG_SYNTHETIC and volume != 0


@unit
def load_basis(q: IntArray, b: Bars, i: int, basis: int) -> None:
    """Set what market orders pay at the open, as a sum and its parts (FILL-24)."""
    q[K_BASIS_PARTS] = 1
    if basis == BASIS_CLOSE:
        q[K_BASIS] = q[K_C]
    elif basis == BASIS_MID:
        q[K_BASIS] = q[K_H] + q[K_L]
        q[K_BASIS_PARTS] = 2
    elif basis == BASIS_VWAP and len(b[B_VWAP]) and b[B_VWAP][i] != NO_PRICE:
        q[K_BASIS] = b[B_VWAP][i]
    else:
        q[K_BASIS] = q[K_H] + q[K_L] + q[K_C]
        q[K_BASIS_PARTS] = 3


@unit
def match_bar(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    x: IntArray,
    w: IntArray,
    z: IntArray,
    symbol: int,
) -> None:
    """Match the working orders of *symbol* with the bar in the registers."""
    bar = q[K_BAR]
    q[K_TS] = q[K_OPEN_TS]
    q[K_CHILD_FIRST] = bar
    q[K_DEFER] = 0
    q[A_TOKEN] += 1
    token = q[A_TOKEN]
    for index in range(s[symbol, S_OPEN]):
        row = w[symbol, index]
        if o[row, O_JOIN] <= bar:
            o[row, O_POINT] = token
    play_point(q, s, o, x, w, symbol, q[K_O], token, 1, 0)
    end_impatient(q, s, o, w, symbol)
    if not q[P_TRAIL_CLOSE]:
        move_trails(q, s, o, w, symbol, q[K_O])
    high_first = is_high_first(q, s, o, w, symbol)
    reached = reach(q, s, o, w, symbol)
    if reached == 1:
        walk(q, s, o, x, w, symbol, high_first)
    elif reached:
        walk_both_ways(q, s, o, x, w, z, symbol, high_first)
    s[symbol, S_DONE] = q[K_DONE]
    s[symbol, S_POOL] = q[K_POOL]
    tidy(s, o, w, symbol)


@unit
def end_impatient(q: IntArray, s: IntArray, o: IntArray, w: IntArray, symbol: int) -> None:
    """End what acts at the open point only: IOC, FOK, orders that expire in this bar (R13)."""
    for index in range(s[symbol, S_OPEN]):
        row = w[symbol, index]
        if o[row, O_STATE] < FILLED and o[row, O_JOIN] <= q[K_BAR]:
            if o[row, O_TIF] == IOC:
                end_order(q, o, row, CANCELLED, IOC_REST)
            elif o[row, O_TIF] == FOK:
                end_order(q, o, row, CANCELLED, FOK_UNFILLED)
    for index in range(s[symbol, S_OPEN]):
        row = w[symbol, index]
        if o[row, O_TIF] == GTD and o[row, O_STATE] < FILLED and o[row, O_EXPIRE] < q[K_CLOSE_TS]:
            q[K_TS] = o[row, O_EXPIRE]
            end_order(q, o, row, EXPIRED, GTD_EXPIRED)
            q[K_TS] = q[K_OPEN_TS]


@unit
def walk_both_ways(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    x: IntArray,
    w: IntArray,
    z: IntArray,
    symbol: int,
    high_first: int,
) -> None:
    """Walk the bar, and flag its fills if the other extreme first gives others (FILL-23, R17)."""
    first = q[A_FILLS]
    rows = save(q, s, o, w, z, symbol)
    q[K_DRY] = 1
    walk(q, s, o, x, w, symbol, 0 if high_first else 1)
    others = q[A_FILLS] - first
    base = rows + 2
    for index in range(others):
        z[base + index, 0] = x[first + index, X_ORDER]
        z[base + index, 1] = x[first + index, X_TICKS]
    restore(q, s, o, z, symbol, rows)
    walk(q, s, o, x, w, symbol, high_first)
    fills = q[A_FILLS] - first
    differs = fills != others
    for index in range(fills):
        is_found = False
        for other in range(others):
            if (
                z[base + other, 0] == x[first + index, X_ORDER]
                and z[base + other, 1] == x[first + index, X_TICKS]
            ):
                z[base + other, 0] = -1
                is_found = True
                break
        if not is_found:
            differs = True
    if differs:
        q[A_AMBIGUOUS] += fills
        for index in range(fills):
            x[first + index, X_AMBIGUOUS] = 1


@unit
def copy_row(o: IntArray, row: int, z: IntArray, to: int) -> None:
    """Copy the order *row* and its number into row *to* of *z*."""
    for column in range(O_COUNT):
        z[to, column] = o[row, column]
    z[to, O_COUNT] = row


@unit
def save(q: IntArray, s: IntArray, o: IntArray, w: IntArray, z: IntArray, symbol: int) -> int:
    """Copy what a walk may change into *z*; return how many orders that are."""
    for column in range(Q_COUNT):
        z[0, column] = q[column]
    for column in range(S_COUNT):
        z[1, column] = s[symbol, column]
    rows, last, grouped = 0, -1, 0
    for index in range(s[symbol, S_OPEN]):
        row = w[symbol, index]
        grouped |= o[row, O_GROUP]
        copy_row(o, row, z, 2 + rows)
        rows += 1
        parent = o[row, O_PARENT]
        if parent >= 0 and parent != last:
            last = parent
            copy_row(o, parent, z, 2 + rows)
            rows += 1
    for other in range(s.shape[0]):
        if other != symbol and grouped:
            for index in range(s[other, S_OPEN]):
                row = w[other, index]
                copy_row(o, row, z, 2 + rows)
                rows += 1
    return rows


@unit
def restore(q: IntArray, s: IntArray, o: IntArray, z: IntArray, symbol: int, rows: int) -> None:
    """Copy back what `save` kept."""
    for column in range(Q_COUNT):
        q[column] = z[0, column]
    for column in range(S_COUNT):
        s[symbol, column] = z[1, column]
    for index in range(2, 2 + rows):
        row = z[index, O_COUNT]
        for column in range(O_COUNT):
            o[row, column] = z[index, column]


@unit
def tidy(s: IntArray, o: IntArray, w: IntArray, symbol: int) -> None:
    """Take ended orders off the list and note which prices wake the others."""
    kept = brackets = live = 0
    above, below = MAX_PRICE, -MAX_PRICE
    for index in range(s[symbol, S_OPEN]):
        row = w[symbol, index]
        if o[row, O_STATE] >= FILLED:
            continue
        w[symbol, kept] = row
        kept += 1
        if o[row, O_PARENT] >= 0 or o[row, O_CHILDREN]:
            brackets = 1
        if o[row, O_DORMANT]:
            continue
        kind = o[row, O_KIND]
        if o[row, O_IS_LIMIT]:
            level, direction = o[row, O_LIMIT], -o[row, O_SIDE]
        elif kind == STOP or kind == STOP_LIMIT or kind == MARKET_IF_TOUCHED:
            direction = o[row, O_SIDE]
            if kind == MARKET_IF_TOUCHED:
                direction = -direction
            level = o[row, O_STOP]
        else:
            live += 1
            continue
        if o[row, O_TIF] >= IOC or (o[row, O_TRIGGERED] and not o[row, O_IS_LIMIT]):
            live += 1
        elif direction > 0:
            above = min(above, level)
        else:
            below = max(below, level)
    s[symbol, S_OPEN] = kept
    s[symbol, S_BRACKETS] = brackets
    s[symbol, S_LIVE] = live
    s[symbol, S_SKIP_HIGH] = above
    s[symbol, S_SKIP_LOW] = below
