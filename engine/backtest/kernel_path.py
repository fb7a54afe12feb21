"""The path through a bar: points, segments, trails.

Arguments as in `engine.backtest.kernel_fill`.
"""

from __future__ import annotations

import numpy as np

from engine.backtest.jit import (
    part,
    unit,
)
from engine.backtest.kernel_fill import (
    execute,
)
from engine.backtest.kernel_layout import (
    A_TOKEN,
    FILL_PROBABILITY,
    FILL_THROUGH,
    K_BAR,
    K_BASIS,
    K_BASIS_PARTS,
    K_C,
    K_CHILD_FIRST,
    K_CLOSE_TS,
    K_DEFER,
    K_ENDS,
    K_H,
    K_L,
    K_O,
    K_POINT,
    K_STARTS,
    K_TS,
    NO_PRICE,
    O_ACTIVATION,
    O_CHILDREN,
    O_DORMANT,
    O_EXTREME,
    O_FILLS,
    O_FIRST,
    O_IS_LIMIT,
    O_JOIN,
    O_KIND,
    O_LIMIT,
    O_OFFSET,
    O_POINT,
    O_REDUCE,
    O_SIDE,
    O_STATE,
    O_STOP,
    O_STOP_EXIT,
    O_TRAIL,
    O_TRAIL_UNIT,
    O_TRIED,
    O_TRIGGERED,
    P_LIMIT_FILL,
    P_MARKET_BASIS,
    P_PATH,
    P_PROBABILITY,
    P_SEED,
    P_TRAIL_CLOSE,
    PATH_OHLC,
    PATH_PESSIMISTIC,
    S_LOTS,
    S_OPEN,
    TOKEN_DEFERRED,
)
from engine.backtest.kernel_numbers import (
    ceil_div,
    ppb_ceil,
    uniform,
)
from engine.execution.bar_order import (
    FILLED,
    MARKET,
    MARKET_IF_TOUCHED,
    MOC,
    MOO,
    OFFSET_PPB,
    STOP_LIMIT,
    TRAILING_STOP_LIMIT,
)
from engine.model.bar_columns import IntArray


@part
def offset_of(o: IntArray, row: int, price: int) -> int:
    """Return the trail of the order *row* at *price*, in ticks."""
    if o[row, O_TRAIL_UNIT] == OFFSET_PPB:
        return ppb_ceil(price, o[row, O_TRAIL])
    return o[row, O_TRAIL]


@part
def aim(q: IntArray, o: IntArray, row: int) -> tuple[int, int, int]:
    """Return how the order *row* waits: direction of price that reaches it, level, is a limit.

    Direction 0: it waits for no level (R4).
    """
    side = o[row, O_SIDE]
    if o[row, O_IS_LIMIT]:
        level = o[row, O_LIMIT]
        mode = q[P_LIMIT_FILL]
        if mode == FILL_THROUGH or (
            mode == FILL_PROBABILITY
            and uniform(q[P_SEED], 1, row, q[K_BAR]) >= np.float64(q[P_PROBABILITY]) / 1e9
        ):
            level -= side
        return -side, level, 1
    kind = o[row, O_KIND]
    if o[row, O_TRIGGERED] or kind == MARKET or kind == MOO or kind == MOC:
        return 0, 0, 0
    if kind == MARKET_IF_TOUCHED:
        return -side, o[row, O_STOP], 0
    if o[row, O_TRAIL_UNIT]:
        extreme = o[row, O_EXTREME]
        if extreme == NO_PRICE:
            return 0, 0, 0
        return side, extreme + side * offset_of(o, row, extreme), 0
    return side, o[row, O_STOP], 0


@part
def acts_at(q: IntArray, o: IntArray, row: int, price: int, is_open: int, is_close: int) -> bool:
    """Return whether the order *row* acts at a point of *price* (R4)."""
    direction, level, _ = aim(q, o, row)
    if direction:
        return direction * (price - level) >= 0
    kind = o[row, O_KIND]
    if o[row, O_TRIGGERED] or kind == MARKET:
        return True
    if kind == MOO:
        return bool(o[row, O_FILLS] > 0 or (is_open and q[K_STARTS]))
    return bool(kind == MOC and is_close and q[K_ENDS])


@unit
def act(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    x: IntArray,
    w: IntArray,
    row: int,
    at: int,
    is_open: int,
    is_hit: int,
) -> None:
    """Let the order *row* act where the path stands: at a point, or at its level (*is_hit*)."""
    kind = o[row, O_KIND]
    stamp = q[K_TS]
    raw, is_maker = at, 0
    if o[row, O_IS_LIMIT]:
        if is_hit:
            raw, is_maker = o[row, O_LIMIT], 1
        elif q[K_BAR] > o[row, O_FIRST]:
            is_maker = 1
    elif not o[row, O_TRIGGERED] and kind != MOC:
        if kind == MARKET or kind == MOO:
            if is_open and q[P_MARKET_BASIS]:
                q[K_TS] = q[K_CLOSE_TS] - 1
                q[K_DEFER] = 1
                raw = q[K_BASIS] // q[K_BASIS_PARTS]
                if o[row, O_SIDE] > 0:
                    raw = ceil_div(q[K_BASIS], q[K_BASIS_PARTS])
        else:
            o[row, O_TRIGGERED] = 1
            if kind == STOP_LIMIT or kind == TRAILING_STOP_LIMIT:
                o[row, O_IS_LIMIT] = 1
                o[row, O_FIRST] = q[K_CHILD_FIRST]
                if kind == TRAILING_STOP_LIMIT:
                    o[row, O_LIMIT] = at + o[row, O_SIDE] * o[row, O_OFFSET]
                direction, level, _ = aim(q, o, row)
                if direction * (at - level) < 0:
                    return
    execute(q, s, o, x, w, row, raw, at, is_maker)
    q[K_DEFER] = 0
    q[K_TS] = stamp


@unit
def play_point(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    x: IntArray,
    w: IntArray,
    symbol: int,
    price: int,
    token: int,
    is_open: int,
    is_close: int,
) -> None:
    """Let the orders of the set *token* act at *price*, each once, reducing ones first (R3)."""
    q[K_POINT] = token
    while True:
        best, best_rank = -1, 9
        position = s[symbol, S_LOTS]
        for index in range(s[symbol, S_OPEN]):
            row = w[symbol, index]
            if (
                o[row, O_POINT] != token
                or o[row, O_TRIED] == token
                or o[row, O_STATE] >= FILLED
                or o[row, O_DORMANT]
                or not acts_at(q, o, row, price, is_open, is_close)
            ):
                continue
            rank = 0 if o[row, O_STOP_EXIT] else 1
            if o[row, O_SIDE] * position >= 0:
                rank += 2
            if rank < best_rank:
                best, best_rank = row, rank
        if best < 0:
            return
        o[best, O_TRIED] = token
        act(q, s, o, x, w, best, price, is_open, 0)


@unit
def play_segment(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    x: IntArray,
    w: IntArray,
    symbol: int,
    start: int,
    end: int,
) -> None:
    """Walk from *start* to *end* and let the orders act whose levels are reached (R7)."""
    if start == end:
        return
    way = 1 if end > start else -1
    q[A_TOKEN] += 1
    token = q[A_TOKEN]
    current = start
    while True:
        best, best_gap, best_limit = -1, abs(end - current) + 1, 2
        for index in range(s[symbol, S_OPEN]):
            row = w[symbol, index]
            if (
                o[row, O_STATE] >= FILLED
                or o[row, O_DORMANT]
                or o[row, O_TRIED] >= token
                or o[row, O_JOIN] > q[K_BAR]
            ):
                continue
            direction, level, is_limit = aim(q, o, row)
            if direction != way:
                continue
            gap = (level - current) * way
            if gap < 0 or (level - start) * way <= 0 or (end - level) * way < 0:
                continue
            if gap < best_gap or (gap == best_gap and is_limit < best_limit):
                best, best_gap, best_limit = row, gap, is_limit
        if best < 0:
            return
        current += best_gap * way
        o[best, O_TRIED] = token
        q[A_TOKEN] += 1
        q[K_POINT] = q[A_TOKEN]
        act(q, s, o, x, w, best, current, 0, 1)
        play_point(q, s, o, x, w, symbol, current, q[A_TOKEN], 0, 0)


@unit
def move_trails(
    q: IntArray, s: IntArray, o: IntArray, w: IntArray, symbol: int, price: int
) -> None:
    """Let trails start and extremes move with *price* (FILL-17)."""
    for index in range(s[symbol, S_OPEN]):
        row = w[symbol, index]
        if (
            not o[row, O_TRAIL_UNIT]
            or o[row, O_TRIGGERED]
            or o[row, O_STATE] >= FILLED
            or o[row, O_DORMANT]
            or o[row, O_JOIN] > q[K_BAR]
        ):
            continue
        side = o[row, O_SIDE]
        extreme = o[row, O_EXTREME]
        if extreme == NO_PRICE:
            activation = o[row, O_ACTIVATION]
            if activation == NO_PRICE or side * (activation - price) >= 0:
                o[row, O_EXTREME] = price
        elif side * (extreme - price) > 0:
            o[row, O_EXTREME] = price


@unit
def is_high_first(q: IntArray, s: IntArray, o: IntArray, w: IntArray, symbol: int) -> int:
    """Return whether the path goes to the high before the low (R6)."""
    path = q[P_PATH]
    if path >= PATH_OHLC:
        return 1 if path == PATH_OHLC else 0
    if path == PATH_PESSIMISTIC:
        position = s[symbol, S_LOTS]
        if position:
            return 1 if position < 0 else 0
        buys = sells = 0
        for index in range(s[symbol, S_OPEN]):
            row = w[symbol, index]
            if (
                o[row, O_STATE] < FILLED
                and not o[row, O_DORMANT]
                and not o[row, O_REDUCE]
                and o[row, O_JOIN] <= q[K_BAR]
            ):
                if o[row, O_SIDE] > 0:
                    buys += 1
                else:
                    sells += 1
        if buys and not sells:
            return 1
        if sells and not buys:
            return 0
    return 1 if q[K_H] - q[K_O] < q[K_O] - q[K_L] else 0


@unit
def walk(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    x: IntArray,
    w: IntArray,
    symbol: int,
    high_first: int,
) -> None:
    """Walk the bar after its open point, by one of its extremes and the other to the close."""
    first = q[K_H] if high_first else q[K_L]
    second = q[K_L] if high_first else q[K_H]
    q[K_TS] = q[K_CLOSE_TS] - 1
    q[K_CHILD_FIRST] = q[K_BAR] + 1
    start = q[K_O]
    for leg in range(3):
        end = first
        if leg == 1:
            end = second
        elif leg == 2:
            end = q[K_C]
        play_segment(q, s, o, x, w, symbol, start, end)
        if leg < 2 and not q[P_TRAIL_CLOSE]:
            move_trails(q, s, o, w, symbol, end)
        start = end
    q[K_TS] = q[K_CLOSE_TS]
    q[A_TOKEN] += 1
    token = q[A_TOKEN]
    for index in range(s[symbol, S_OPEN]):
        row = w[symbol, index]
        if o[row, O_POINT] == TOKEN_DEFERRED and o[row, O_STATE] < FILLED:
            o[row, O_DORMANT] = 0
            o[row, O_POINT] = token
        elif o[row, O_KIND] == MOC and o[row, O_JOIN] <= q[K_BAR]:
            o[row, O_POINT] = token
    play_point(q, s, o, x, w, symbol, q[K_C], token, 0, 1)
    move_trails(q, s, o, w, symbol, q[K_C])


@unit
def reach(q: IntArray, s: IntArray, o: IntArray, w: IntArray, symbol: int) -> int:
    """Return whether orders may act after the open point: 0 none, 1 one that acts alone, 2 more.

    Alone acts what neither follows the price nor wakes other orders: no path changes its fill.
    """
    reached = 0
    for index in range(s[symbol, S_OPEN]):
        row = w[symbol, index]
        if o[row, O_STATE] >= FILLED or (o[row, O_DORMANT] and o[row, O_POINT] != TOKEN_DEFERRED):
            continue
        kind = o[row, O_KIND]
        if o[row, O_TRAIL_UNIT] or kind == MOC or o[row, O_POINT] == TOKEN_DEFERRED:
            return 2
        direction, level, _ = aim(q, o, row)
        if (direction > 0 and level <= q[K_H]) or (direction < 0 and level >= q[K_L]):
            reached += 1
            if reached > 1 or kind == STOP_LIMIT or o[row, O_CHILDREN]:
                return 2
    return reached
