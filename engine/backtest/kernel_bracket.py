"""One symbol, market entries with a stop and a target: a small loop beside the whole kernels.

Arguments as in `engine.backtest.kernel_market`. One bracket lives at a time; a signal beside it, an
entry that is not filled whole, an exit that is at its price when the entry fills: these and an
account that must be looked at leave with a status, and the whole kernels play the run. What it
leaves is what they leave. ``w`` holds 1 + the row of the entry that waits, 1 + that of the bracket.
"""

from __future__ import annotations

from engine.backtest.jit import kernel, part
from engine.backtest.kernel_fill import place_child
from engine.backtest.kernel_layout import (
    A_AMBIGUOUS,
    A_CASH,
    A_EQUITY,
    A_FILLS,
    A_ROW,
    A_SAMPLES,
    A_SIGNALS,
    A_STATUS,
    A_STEP,
    B_C,
    B_CLOSE_TS,
    B_H,
    B_L,
    B_O,
    B_OPEN_TS,
    D_BASIS,
    D_ONLY_FLAT,
    D_SL,
    D_SL_UNIT,
    D_STEP,
    D_TP,
    D_TP_UNIT,
    END_OF_RUN,
    FEE_MAKER_TAKER,
    K_CLOSE_TS,
    K_NOW,
    K_O,
    K_OPEN_TS,
    MAX_PRICE,
    NO_PRICE,
    O_BASIS,
    O_CHILDREN,
    O_FEE,
    O_FILLED,
    O_KIND,
    O_LIMIT,
    O_LOTS,
    O_NOTIONAL,
    O_OWNER,
    O_PARENT,
    O_PRICE_LOTS,
    O_REASON,
    O_REDUCE,
    O_ROLE,
    O_SIDE,
    O_SL,
    O_SL_UNIT,
    O_STATE,
    O_STOP,
    O_TAG,
    O_TP,
    O_TP_UNIT,
    O_UPDATED,
    OCO,
    P_CLOSE_AT_END,
    P_FEE,
    P_LEVERAGE,
    P_MAINTENANCE,
    P_MARGIN,
    P_PATH,
    PARENT_CLOSED,
    PATH_OHLC,
    PATH_PESSIMISTIC,
    ROLE_END,
    ROLE_STOP_LOSS,
    ROLE_TAKE_PROFIT,
    S_FEE_MAKER,
    S_FIRST,
    S_LOTS,
    S_MARK,
    S_SCALE,
    STATUS_RUNNING,
    STATUS_WHOLE,
    TAG_OF_ROLE,
    X_AMBIGUOUS,
    X_BAR,
    X_CASH,
    X_FEE,
    X_LIQUIDITY,
    X_LOTS,
    X_ORDER,
    X_RAW,
    X_REASON,
    X_SIDE,
    X_TICKS,
    X_TS,
)
from engine.backtest.kernel_market import (
    Bars,
    book_now,
    decide,
    fill_now,
    first_fee,
    market_order,
    taken,
)
from engine.backtest.kernel_numbers import ByteArray, fee_ppb
from engine.backtest.kernel_quiet import first_reach, samples_hold
from engine.execution.bar_order import BASIS_ABSOLUTE, BASIS_FILL, CANCELLED, FILLED, LIMIT, STOP
from engine.model.bar_columns import IntArray


@part
def add_exits(q: IntArray, o: IntArray, d: IntArray, row: int, r: int, bar: int) -> None:
    """Create the dormant exits of the entry *row*, which the signal *r* made (R15)."""
    o[row, O_BASIS] = d[r, D_BASIS]
    o[row, O_SL] = d[r, D_SL]
    o[row, O_SL_UNIT] = d[r, D_SL_UNIT]
    o[row, O_TP] = d[r, D_TP]
    o[row, O_TP_UNIT] = d[r, D_TP_UNIT]
    is_absolute = d[r, D_BASIS] == BASIS_ABSOLUTE
    for place in range(2):
        price = d[r, D_TP] if place else d[r, D_SL]
        if price == NO_PRICE:
            continue
        role = ROLE_TAKE_PROFIT if place else ROLE_STOP_LOSS
        child = market_order(q, o, -o[row, O_SIDE], 0, role, bar)
        o[child, O_KIND] = LIMIT if place else STOP
        level = price if is_absolute else 0
        if place:
            o[child, O_LIMIT] = level
        else:
            o[child, O_STOP] = level
        o[child, O_PARENT] = row
        o[child, O_REDUCE] = 1
        o[child, O_TAG] = o[row, O_TAG]
        o[child, O_OWNER] = o[row, O_OWNER]
        o[row, O_CHILDREN] += 1


@part
def wake_exits(o: IntArray, row: int, raw: int) -> bool:
    """Let the exits of the filled entry *row* protect it; False if one is at its price already."""
    side, lots = o[row, O_SIDE], o[row, O_FILLED]
    for child in range(row + 1, row + 1 + o[row, O_CHILDREN]):
        if o[row, O_BASIS] == BASIS_FILL:
            place_child(o, row, child)
        o[child, O_LOTS] = lots
        if o[child, O_KIND] == STOP:
            if side * (raw - o[child, O_STOP]) <= 0:
                return False
        elif side * (raw - o[child, O_LIMIT]) >= 0:
            return False
    return True


@part
def exit_level(o: IntArray, row: int, kind: int) -> int:
    """Return the price of the exit of *kind* of the entry *row*, `NO_PRICE` without one."""
    for child in range(row + 1, row + 1 + o[row, O_CHILDREN]):
        if o[child, O_KIND] == kind:
            return int(o[child, O_STOP] if kind == STOP else o[child, O_LIMIT])
    return NO_PRICE


@part
def leave(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    x: IntArray,
    row: int,
    kind: int,
    raw: int,
    is_maker: int,
    ts: int,
    bar: int,
) -> None:
    """Fill the exit of *kind* of the entry *row* at *raw* and cancel the other (FILL-22)."""
    for child in range(row + 1, row + 1 + o[row, O_CHILDREN]):
        o[child, O_UPDATED] = ts
        if o[child, O_KIND] != kind:
            o[child, O_STATE] = CANCELLED
            o[child, O_REASON] = OCO
            continue
        side, lots = o[child, O_SIDE], o[child, O_LOTS]
        price = raw if is_maker else taken(q, s, raw, side)
        notional = lots * price * s[0, S_SCALE]
        fee = first_fee(q, s, lots, notional)
        if is_maker and q[P_FEE] == FEE_MAKER_TAKER:
            fee = fee_ppb(notional, s[0, S_FEE_MAKER])
        number = q[A_FILLS]
        q[A_FILLS] = number + 1
        x[number, X_TS] = ts
        x[number, X_ORDER] = child
        x[number, X_SIDE] = side
        x[number, X_LIQUIDITY] = 0 if is_maker else 1
        x[number, X_LOTS] = lots
        x[number, X_TICKS] = price
        x[number, X_FEE] = fee
        x[number, X_BAR] = bar
        x[number, X_RAW] = raw
        x[number, X_REASON] = o[child, O_ROLE]
        book_now(q, s, side, lots, price, fee)
        x[number, X_CASH] = q[A_CASH]
        o[child, O_FILLED] = lots
        o[child, O_NOTIONAL] = notional
        o[child, O_PRICE_LOTS] = lots * price
        o[child, O_FEE] = fee
        o[child, O_STATE] = FILLED


@part
def try_exits(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    x: IntArray,
    b: Bars,
    row: int,
    i: int,
    has_opened: int,
) -> bool:
    """Let the exits of the entry *row* meet bar *i*; return whether one filled.

    *has_opened*: the entry was filled at this bar's open.
    """
    side = o[row, O_SIDE]
    stop, target = exit_level(o, row, STOP), exit_level(o, row, LIMIT)
    has_stop, has_target = stop != NO_PRICE, target != NO_PRICE
    opening, high, low = b[B_O][i], b[B_H][i], b[B_L][i]
    if not has_opened:
        if has_stop and side * (opening - stop) <= 0:
            leave(q, s, o, x, row, STOP, opening, 0, b[B_OPEN_TS][i], i)
            return True
        if has_target and side * (opening - target) >= 0:
            leave(q, s, o, x, row, LIMIT, opening, 1, b[B_OPEN_TS][i], i)
            return True
    bad, good = (low, high) if side > 0 else (high, low)
    stops = has_stop and side * (bad - stop) <= 0
    takes = has_target and side * (good - target) >= 0
    if not stops and not takes:
        return False
    ts = b[B_CLOSE_TS][i] - 1
    if stops and takes:
        path = q[P_PATH]
        high_first = high - opening < opening - low
        if path >= PATH_OHLC:
            high_first = path == PATH_OHLC
        elif path == PATH_PESSIMISTIC:
            high_first = side < 0
        takes = high_first == (side > 0)
        q[A_AMBIGUOUS] += 1
        x[q[A_FILLS], X_AMBIGUOUS] = 1
    if takes:
        leave(q, s, o, x, row, LIMIT, target, 1, ts, i)
    else:
        leave(q, s, o, x, row, STOP, stop, 0, ts, i)
    return True


@part
def end_exits(q: IntArray, o: IntArray, row: int, reason: int) -> None:
    """Cancel the exits of the entry *row* for *reason*."""
    for child in range(row + 1, row + 1 + o[row, O_CHILDREN]):
        o[child, O_STATE] = CANCELLED
        o[child, O_REASON] = reason
        o[child, O_UPDATED] = q[K_NOW]


@kernel
def run_bracket(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    x: IntArray,
    w: IntArray,
    b: Bars,
    d: IntArray,
    e: IntArray,
    c: IntArray,
    exposed: ByteArray,
    stop: int,
    last: int,
) -> None:
    """Play the bars up to step *stop*; with *last* the run ends there (PF-15)."""
    opening, high, low, close = b[B_O], b[B_H], b[B_L], b[B_C]
    open_ts, close_ts = b[B_OPEN_TS], b[B_CLOSE_TS]
    first, scale = s[0, S_FIRST], s[0, S_SCALE]
    decisions = d.shape[0]
    need, leverage = 0, q[P_LEVERAGE]
    if q[P_MARGIN]:
        need = q[P_MAINTENANCE]
    step = q[A_STEP]
    pending, entry = w[0, 0] - 1, w[0, 1] - 1
    above, below = MAX_PRICE, -MAX_PRICE
    if entry >= 0:
        above, below = bounds(o, entry)
    while step < stop and q[A_STATUS] == STATUS_RUNNING:
        i = first + step
        flag = 1 if s[0, S_LOTS] else 0
        fills = q[A_FILLS]
        has_opened = 0
        if pending >= 0:
            fill_now(q, s, o, x, pending, opening[i], open_ts[i], i)
            if o[pending, O_CHILDREN]:
                if o[pending, O_STATE] != FILLED or not wake_exits(o, pending, opening[i]):
                    q[A_STATUS] = STATUS_WHOLE
                    return
                entry, has_opened = pending, 1
                above, below = bounds(o, entry)
            pending = -1
        is_reached = entry >= 0 and (high[i] >= above or low[i] <= below)
        if is_reached and try_exits(q, s, o, x, b, entry, i, has_opened):
            entry = -1
        if q[A_FILLS] != fills:
            flag = 1
        until = stop
        if q[A_ROW] < decisions:
            until = min(stop, d[q[A_ROW], D_STEP] + 1)
        if entry >= 0:
            until = first_reach(high, low, above, below, i + 1, first + until) - first
        if until < stop:
            # What the next bar needs: asked for before the samples, memory is not waited for.
            q[K_O] = opening[first + until]
            q[K_OPEN_TS] = open_ts[first + until]
            q[K_CLOSE_TS] = close_ts[first + until]
        lots = s[0, S_LOTS]
        value = lots * scale
        base = q[A_EQUITY]
        if lots:
            base -= value * s[0, S_MARK]
        held = 1 if lots else 0
        if not samples_hold(
            close, e, c, exposed, first, step, until, base, value, 0, held, leverage, need
        ):
            q[A_STATUS] = STATUS_WHOLE
            return
        exposed[step] = flag
        step = until
        q[A_EQUITY] = e[step - 1]
        s[0, S_MARK] = close[first + step - 1]
        if q[A_ROW] < decisions and d[q[A_ROW], D_STEP] == step - 1:
            q[K_NOW] = close_ts[first + step - 1]
            r = q[A_ROW]
            q[A_ROW] = r + 1
            has_exits = d[r, D_SL] != NO_PRICE or d[r, D_TP] != NO_PRICE
            if lots and d[r, D_ONLY_FLAT]:
                q[A_SIGNALS] += 1
            elif lots and (entry >= 0 or has_exits):
                q[A_STATUS] = STATUS_WHOLE
                return
            else:
                pending = decide(q, s, o, d, r, first + step - 1)
                if pending >= 0 and has_exits:
                    add_exits(q, o, d, pending, r, first + step - 1)
    if step:
        q[K_NOW] = close_ts[first + step - 1]
    q[A_STEP] = step
    q[A_SAMPLES] = step
    w[0, 0], w[0, 1] = pending + 1, entry + 1
    if last and step and q[P_CLOSE_AT_END]:
        if pending >= 0:
            o[pending, O_STATE] = CANCELLED
            o[pending, O_REASON] = END_OF_RUN
            o[pending, O_UPDATED] = q[K_NOW]
            end_exits(q, o, pending, PARENT_CLOSED)
        if entry >= 0:
            end_exits(q, o, entry, END_OF_RUN)
        if s[0, S_LOTS]:
            lots = s[0, S_LOTS]
            i = first + step - 1
            row = market_order(q, o, -1 if lots > 0 else 1, abs(lots), ROLE_END, i)
            o[row, O_REDUCE] = 1
            o[row, O_TAG] = TAG_OF_ROLE - ROLE_END
            fill_now(q, s, o, x, row, close[i], close_ts[i], i)
            e[step - 1] = q[A_EQUITY]
            exposed[step - 1] = 1


@part
def bounds(o: IntArray, row: int) -> tuple[int, int]:
    """Return the prices at or above, and at or below, which an exit of the entry *row* acts."""
    stop, target = exit_level(o, row, STOP), exit_level(o, row, LIMIT)
    above, below = target, stop
    if o[row, O_SIDE] < 0:
        above, below = stop, target
    if above == NO_PRICE:
        above = MAX_PRICE
    if below == NO_PRICE:
        below = -MAX_PRICE
    return above, below
