"""From signals to orders: targets, guards, limits.

Arguments as in `engine.backtest.kernel_orders`; ``r`` is the row of a signal.
"""

from __future__ import annotations

from typing import Final

from engine.backtest.jit import (
    part,
    unit,
)
from engine.backtest.kernel_bar import (
    tidy,
)
from engine.backtest.kernel_layout import (
    A_CASH,
    A_EQUITY,
    A_FACTOR,
    A_HALTED,
    A_SIGNALS,
    D_ACTIVATION,
    D_BASIS,
    D_EXPIRE,
    D_GROUP,
    D_HIDES_SL,
    D_KIND,
    D_LIMIT,
    D_OCO,
    D_OFFSET,
    D_ONLY_FLAT,
    D_POST,
    D_REDUCE,
    D_SIDE,
    D_SIZE,
    D_SL,
    D_SL_TRAIL,
    D_SL_UNIT,
    D_STOP,
    D_STRENGTH,
    D_SYMBOL,
    D_TAG,
    D_TIF,
    D_TP,
    D_TP_UNIT,
    D_TRAIL,
    D_TRAIL_UNIT,
    D_TYPE,
    D_VALUE,
    KIND_DIRECTION,
    KIND_EXIT,
    KIND_ORDER,
    KIND_TARGET_QTY,
    KIND_TARGET_WEIGHT,
    MAX_LEVERAGE,
    MAX_POSITION_PCT,
    MAX_POSITION_SIZE,
    NO_PRICE,
    NO_STOP_FOR_SIZER,
    O_ACTIVATION,
    O_BASIS,
    O_DORMANT,
    O_EXPIRE,
    O_FILLED,
    O_GROUP,
    O_HAS_BRACKET,
    O_LIMIT,
    O_LOTS,
    O_OCO,
    O_OFFSET,
    O_OWNER,
    O_PARENT,
    O_POST,
    O_REDUCE,
    O_ROLE,
    O_SIDE,
    O_SIZE,
    O_SL,
    O_SL_UNIT,
    O_STATE,
    O_STOP,
    O_TAG,
    O_TIF,
    O_TP,
    O_TP_UNIT,
    O_TRAIL,
    O_TRAIL_UNIT,
    P_ALL_IN,
    P_LEVERAGE,
    P_LEVERAGE_REJECTS,
    P_LIMITED,
    P_MARGIN,
    P_MAX_LEVERAGE,
    P_MAX_POSITION_PCT,
    P_ONE_PENDING,
    P_PCT_REJECTS,
    P_SIZE_REJECTS,
    P_SIZER,
    P_WATCHES,
    PENDING_ORDER,
    R_FIRST,
    RISK_HALTED,
    ROLE_SIGNAL,
    S_LOTS,
    S_MARK,
    S_MAX_POSITION,
    S_OPEN,
    S_SCALE,
    S_SIZE_VALUE,
    SIZE_ZERO,
    SIZER_RISK,
    SIZER_WEIGHT,
    USER,
)
from engine.backtest.kernel_numbers import (
    ppb_ceil,
    ppb_floor,
)
from engine.backtest.kernel_orders import (
    cancel_working,
    new_order,
    submit,
)
from engine.execution.bar_order import (
    BASIS_FILL,
    FILLED,
    OFFSET_PPB,
)
from engine.model.bar_columns import IntArray

_PPB: Final = 1_000_000_000


@unit
def take_signal(q: IntArray, s: IntArray, o: IntArray, w: IntArray, d: IntArray, r: int) -> None:
    """Let the signal *r* become an order, or a count of why not."""
    symbol = d[r, D_SYMBOL]
    kind, value = d[r, D_KIND], d[r, D_VALUE]
    q[A_SIGNALS] += 1
    buying = selling = working = exits = 0
    for index in range(s[symbol, S_OPEN]):
        row = w[symbol, index]
        if o[row, O_STATE] >= FILLED or o[row, O_DORMANT]:
            continue
        working += 1
        if o[row, O_REDUCE]:
            if o[row, O_ROLE] == ROLE_SIGNAL and o[row, O_PARENT] < 0:
                exits += 1
        elif o[row, O_SIDE] > 0:
            buying += o[row, O_LOTS] - o[row, O_FILLED]
        else:
            selling += o[row, O_LOTS] - o[row, O_FILLED]
    held = s[symbol, S_LOTS]
    if d[r, D_ONLY_FLAT] and (held or working):
        return
    if kind == KIND_DIRECTION and q[P_ONE_PENDING] and (buying or selling or exits):
        q[R_FIRST + PENDING_ORDER] += 1
    elif kind == KIND_ORDER:
        explicit_order(q, s, o, w, d, r, buying, selling)
    elif kind == KIND_EXIT or value == 0:
        if held and exits:
            q[R_FIRST + PENDING_ORDER] += 1
            return
        if buying or selling:
            cancel_working(q, s, o, w, symbol, USER, 1)
        if held:
            row = order_of(q, o, d, r, -1 if held > 0 else 1, abs(held))
            o[row, O_HAS_BRACKET] = 0
            o[row, O_ROLE] = ROLE_SIGNAL
            o[row, O_REDUCE] = 1
            submit(q, s, o, w, d, row, r)
    elif kind == KIND_DIRECTION and q[P_ALL_IN]:
        all_in(q, s, o, w, d, r, held + buying - selling, buying, selling)
    else:
        move_towards(q, s, o, w, d, r, held + buying - selling, buying, selling)
    tidy(s, o, w, symbol)


@unit
def order_of(q: IntArray, o: IntArray, d: IntArray, r: int, side: int, lots: int) -> int:
    """Return the row of the order that the signal *r* describes."""
    row = new_order(q, o, d[r, D_SYMBOL], side, d[r, D_TYPE], lots)
    o[row, O_LIMIT] = d[r, D_LIMIT]
    o[row, O_STOP] = d[r, D_STOP]
    o[row, O_TRAIL] = max(d[r, D_TRAIL], 0)
    o[row, O_TRAIL_UNIT] = d[r, D_TRAIL_UNIT]
    if d[r, D_OFFSET] != NO_PRICE:
        o[row, O_OFFSET] = d[r, D_OFFSET]
    o[row, O_ACTIVATION] = d[r, D_ACTIVATION]
    o[row, O_TIF] = d[r, D_TIF]
    o[row, O_EXPIRE] = d[r, D_EXPIRE]
    o[row, O_REDUCE] = d[r, D_REDUCE]
    o[row, O_POST] = d[r, D_POST]
    o[row, O_GROUP] = d[r, D_GROUP]
    o[row, O_OCO] = d[r, D_OCO]
    o[row, O_TAG] = d[r, D_TAG]
    o[row, O_OWNER] = r
    o[row, O_BASIS] = d[r, D_BASIS]
    o[row, O_SL] = d[r, D_SL]
    o[row, O_SL_UNIT] = d[r, D_SL_UNIT]
    o[row, O_TP] = d[r, D_TP]
    o[row, O_TP_UNIT] = d[r, D_TP_UNIT]
    if d[r, D_SL] != NO_PRICE or d[r, D_TP] != NO_PRICE or d[r, D_SL_TRAIL] != NO_PRICE:
        o[row, O_HAS_BRACKET] = 1
    return row


@part
def entry_price(s: IntArray, d: IntArray, r: int) -> int:
    """Return the price by which the signal *r* is sized."""
    if d[r, D_LIMIT] != NO_PRICE:
        return d[r, D_LIMIT]
    if d[r, D_STOP] != NO_PRICE:
        return d[r, D_STOP]
    return s[d[r, D_SYMBOL], S_MARK]


@part
def value_lots(equity: int, weight: int, ticks: int, scale: int) -> int:
    """Return floor(*weight* ppb of *equity* / value of one lot), 0 without equity or price."""
    if equity <= 0 or ticks <= 0:
        return 0
    return ppb_floor(equity, weight) // (ticks * scale)


@unit
def target_of(q: IntArray, s: IntArray, d: IntArray, r: int) -> int:
    """Return the unsigned lots that the signal *r* wants, -1: the sizer lacks a stop."""
    symbol = d[r, D_SYMBOL]
    kind = d[r, D_KIND]
    scale = s[symbol, S_SCALE]
    value = d[r, D_VALUE]
    if kind == KIND_TARGET_QTY:
        size = abs(value)
    elif kind == KIND_TARGET_WEIGHT:
        size = value_lots(q[A_EQUITY], abs(value), abs(s[symbol, S_MARK]), scale)
    else:
        entry = entry_price(s, d, r)
        size = s[symbol, S_SIZE_VALUE]
        if q[P_SIZER] == SIZER_WEIGHT:
            size = value_lots(q[A_EQUITY], size, entry, scale)
        elif q[P_SIZER] == SIZER_RISK:
            stop = d[r, D_SL]
            if stop == NO_PRICE or d[r, D_HIDES_SL]:
                return -1
            if d[r, D_BASIS] == BASIS_FILL:
                if d[r, D_SL_UNIT] == OFFSET_PPB:
                    stop = ppb_ceil(abs(entry), stop)
                stop = entry - (1 if value > 0 else -1) * stop
            if stop == entry:
                return -1
            size = ppb_floor(max(q[A_EQUITY], 0), size) // (abs(entry - stop) * scale)
    if d[r, D_STRENGTH] != _PPB:
        size = ppb_floor(size, d[r, D_STRENGTH])
    return size


@unit
def move_towards(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    w: IntArray,
    d: IntArray,
    r: int,
    held: int,
    buying: int,
    selling: int,
) -> None:
    """Order what leads from *held* to the target of the signal *r*."""
    target = target_of(q, s, d, r)
    if target < 0:
        q[R_FIRST + NO_STOP_FOR_SIZER] += 1
        return
    if d[r, D_VALUE] < 0:
        target = -target
    if target == 0 and held == 0:
        q[R_FIRST + SIZE_ZERO] += 1
        return
    if target == held:
        return
    side = 1 if target > held else -1
    gate(q, s, o, w, d, r, side, abs(target - held), buying, selling)


@unit
def explicit_order(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    w: IntArray,
    d: IntArray,
    r: int,
    buying: int,
    selling: int,
) -> None:
    """Order exactly what the signal *r* says, unless a limit cuts it."""
    side, lots = d[r, D_SIDE], d[r, D_VALUE]
    if lots > 0 and not d[r, D_REDUCE]:
        gate(q, s, o, w, d, r, side, lots, buying, selling)
        return
    if not d[r, D_REDUCE] and d[r, D_SIZE] and q[A_HALTED]:
        q[R_FIRST + RISK_HALTED] += 1
        return
    row = order_of(q, o, d, r, side, lots)
    o[row, O_SIZE] = d[r, D_SIZE]
    if d[r, D_REDUCE]:
        o[row, O_ROLE] = ROLE_SIGNAL
    submit(q, s, o, w, d, row, r)


@unit
def gate(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    w: IntArray,
    d: IntArray,
    r: int,
    side: int,
    lots: int,
    buying: int,
    selling: int,
) -> None:
    """Take the opening part of an order through halt, drawdown and limits."""
    symbol = d[r, D_SYMBOL]
    same = buying if side > 0 else selling
    along = side * s[symbol, S_LOTS]
    reducing = min(lots, max(0, -along - same))
    opening = lots - reducing
    size = d[r, D_SIZE] if d[r, D_KIND] == KIND_ORDER else 0
    if opening and q[A_HALTED]:
        q[R_FIRST + RISK_HALTED] += 1
        if not reducing:
            return
        row = order_of(q, o, d, r, side, reducing)
        o[row, O_SIZE] = size
        o[row, O_ROLE] = ROLE_SIGNAL
        o[row, O_REDUCE] = 1
        o[row, O_HAS_BRACKET] = 0
        submit(q, s, o, w, d, row, r)
        return
    grows = opening > 0
    if grows:
        if q[A_FACTOR] != _PPB:
            opening = ppb_floor(opening, q[A_FACTOR])
        opening = cut(q, s, o, w, d, r, reducing, opening, max(0, along) + same)
        if opening < 0:
            return
    row = order_of(q, o, d, r, side, reducing + opening)
    o[row, O_SIZE] = size
    if not grows:
        o[row, O_ROLE] = ROLE_SIGNAL
    submit(q, s, o, w, d, row, r)


@unit
def cut(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    w: IntArray,
    d: IntArray,
    r: int,
    reducing: int,
    opening: int,
    held: int,
) -> int:
    """Return what the size limits leave of *opening* lots, -1 if nothing may be ordered (RISK-3).

    *held* is what is held and works on that side.
    """
    symbol = d[r, D_SYMBOL]
    reason = SIZE_ZERO
    value = max(1, abs(entry_price(s, d, r)) * s[symbol, S_SCALE])
    for limit in range(3):
        if limit == 0:
            code, bound, rejects = MAX_POSITION_SIZE, s[symbol, S_MAX_POSITION], q[P_SIZE_REJECTS]
            if bound < 0:
                continue
            most = bound - held
        elif limit == 1:
            code, bound, rejects = MAX_POSITION_PCT, q[P_MAX_POSITION_PCT], q[P_PCT_REJECTS]
            if bound < 0:
                continue
            most = ppb_floor(max(0, q[A_EQUITY]), bound) // value - held
        else:
            code, bound, rejects = MAX_LEVERAGE, q[P_MAX_LEVERAGE], q[P_LEVERAGE_REJECTS]
            if bound < 0:
                continue
            gross = held * value + gross_elsewhere(s, o, w, symbol)
            most = (ppb_floor(max(0, q[A_EQUITY]), bound) - gross) // value
        most = max(0, most)
        if most >= opening:
            continue
        if rejects:
            q[R_FIRST + code] += 1
            return -1
        opening, reason = most, code
        if not most:
            break
    if reducing + opening == 0:
        q[R_FIRST + reason] += 1
        return -1
    return opening


@unit
def gross_elsewhere(s: IntArray, o: IntArray, w: IntArray, symbol: int) -> int:
    """Return the absolute values held and working in the other symbols, at their marks."""
    total = 0
    for other in range(s.shape[0]):
        if other == symbol:
            continue
        buying = selling = 0
        for index in range(s[other, S_OPEN]):
            row = w[other, index]
            if o[row, O_STATE] < FILLED and not o[row, O_DORMANT] and not o[row, O_REDUCE]:
                if o[row, O_SIDE] > 0:
                    buying += o[row, O_LOTS] - o[row, O_FILLED]
                else:
                    selling += o[row, O_LOTS] - o[row, O_FILLED]
        lots = max(abs(s[other, S_LOTS] + buying), abs(s[other, S_LOTS] - selling))
        if lots:
            total += lots * s[other, S_MARK] * s[other, S_SCALE]
    return total


@unit
def all_in(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    w: IntArray,
    d: IntArray,
    r: int,
    held: int,
    buying: int,
    selling: int,
) -> None:
    """Order with all free funds, resolved at the fill (FILL-30)."""
    symbol = d[r, D_SYMBOL]
    side = 1 if d[r, D_VALUE] > 0 else -1
    if held * side > 0:
        return
    if q[A_HALTED]:
        q[R_FIRST + RISK_HALTED] += 1
        return
    share = ppb_floor(q[P_ALL_IN], d[r, D_STRENGTH])
    if q[P_WATCHES]:
        share = ppb_floor(share, q[A_FACTOR])
    if share <= 0:
        q[R_FIRST + SIZE_ZERO] += 1
        return
    lots, size = 0, share
    if q[P_LIMITED]:
        free = q[A_CASH]
        if q[P_MARGIN]:
            used = 0
            for other in range(s.shape[0]):
                if s[other, S_LOTS]:
                    used += abs(s[other, S_LOTS]) * s[other, S_MARK] * s[other, S_SCALE]
            free = (q[A_EQUITY] * q[P_LEVERAGE] - used) // q[P_LEVERAGE]
        guess = value_lots(free, share, entry_price(s, d, r), s[symbol, S_SCALE])
        same = buying if side > 0 else selling
        base = max(0, side * s[symbol, S_LOTS]) + same
        opening = cut(q, s, o, w, d, r, abs(held), guess, base)
        if opening < 0:
            return
        if opening != guess:
            lots, size = abs(held) + opening, 0
    row = order_of(q, o, d, r, side, lots)
    o[row, O_SIZE] = size
    submit(q, s, o, w, d, row, r)
