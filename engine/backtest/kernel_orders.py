"""Orders from their making to their place among the working ones.

Arguments as in `engine.backtest.kernel_fill`; ``d`` signals.
"""

from __future__ import annotations

from typing import Final

from engine.backtest.jit import (
    part,
    unit,
)
from engine.backtest.kernel_fill import (
    end_order,
)
from engine.backtest.kernel_layout import (
    A_ORDERS,
    A_STATUS,
    A_STOPPED,
    BAD_TYPE,
    BRACKET_INVERTED,
    CONTAINER_STOPPED,
    D_BAD_ATR,
    D_OFF_GRID,
    D_SL_TRAIL,
    D_SL_TRAIL_UNIT,
    EXPIRE_REQUIRED,
    EXPIRED_ON_ARRIVAL,
    GROUP_CANCELS,
    GROUP_CLOSED,
    GROUP_SET,
    K_NOW,
    MIN_NOTIONAL,
    NO_PRICE,
    NONE,
    NOT_SHORTABLE,
    O_ACTIVATION,
    O_BAR,
    O_BASIS,
    O_CHILDREN,
    O_COUNT,
    O_CREATED,
    O_DORMANT,
    O_EXPIRE,
    O_EXTREME,
    O_FILLED,
    O_FIRST,
    O_GROUP,
    O_HAS_BRACKET,
    O_IS_LIMIT,
    O_JOIN,
    O_KIND,
    O_LIMIT,
    O_LOTS,
    O_OCO,
    O_OFFSET,
    O_OWNER,
    O_PARENT,
    O_POINT,
    O_POST,
    O_REASON,
    O_REDUCE,
    O_ROLE,
    O_SIDE,
    O_SIZE,
    O_SL,
    O_SL_UNIT,
    O_STATE,
    O_STOP,
    O_STOP_EXIT,
    O_SYMBOL,
    O_TAG,
    O_TIF,
    O_TP,
    O_TP_UNIT,
    O_TRAIL,
    O_TRAIL_UNIT,
    O_UPDATED,
    OCO_GROUP_CLOSED,
    P_MARGIN,
    PRICE_NOT_POSITIVE,
    PRICE_OFF_GRID,
    PRICE_REQUIRED,
    QTY_ABOVE_MAX,
    QTY_BELOW_MIN,
    QTY_NOT_POSITIVE,
    REDUCE_ONLY_NO_POSITION,
    ROLE_LIQUIDATION,
    ROLE_SIGNAL,
    ROLE_STOP_LOSS,
    ROLE_TAKE_PROFIT,
    ROLE_TRAILING,
    S_BRACKETS,
    S_CURSOR,
    S_DATED,
    S_LIVE,
    S_LOTS,
    S_MARK,
    S_MAX_LOTS,
    S_MIN_LOTS,
    S_MIN_NOTIONAL,
    S_OPEN,
    S_SAFE_LOTS,
    S_SCALE,
    S_SHORTABLE,
    SHORT_NOT_ALLOWED,
    STATUS_OVERFLOW,
    STOP_LIMIT_INCOMPLETE,
    TAG_OF_ROLE,
    TRAIL_INVALID,
)
from engine.execution.bar_order import (
    BASIS_ABSOLUTE,
    BASIS_FILL,
    CANCELLED,
    FILLED,
    GTC,
    GTD,
    LIMIT,
    MARKET,
    MARKET_IF_TOUCHED,
    MOC,
    MOO,
    OCO_CANCEL,
    OCO_DEFAULT,
    OFFSET_ATR,
    OFFSET_PPB,
    OFFSET_PRICE,
    REJECTED,
    ROUTED,
    STOP,
    STOP_LIMIT,
    TRAILING_STOP,
    TRAILING_STOP_LIMIT,
)
from engine.model.bar_columns import IntArray

_PPB: Final = 1_000_000_000


@unit
def new_order(q: IntArray, o: IntArray, symbol: int, side: int, kind: int, lots: int) -> int:
    """Return the row of a fresh order; everything that is not given is absent."""
    row = q[A_ORDERS]
    q[A_ORDERS] = row + 1
    for column in range(O_COUNT):
        o[row, column] = 0
    o[row, O_SYMBOL] = symbol
    o[row, O_SIDE] = side
    o[row, O_KIND] = kind
    o[row, O_LOTS] = lots
    o[row, O_LIMIT] = NO_PRICE
    o[row, O_STOP] = NO_PRICE
    o[row, O_ACTIVATION] = NO_PRICE
    o[row, O_EXTREME] = NO_PRICE
    o[row, O_SL] = NO_PRICE
    o[row, O_TP] = NO_PRICE
    o[row, O_PARENT] = -1
    o[row, O_POINT] = -1
    o[row, O_CREATED] = q[K_NOW]
    o[row, O_UPDATED] = q[K_NOW]
    return row


@unit
def route(s: IntArray, o: IntArray, w: IntArray, row: int) -> None:
    """Let the order *row* work from the next bar of its symbol on (FILL-1, R2)."""
    symbol = o[row, O_SYMBOL]
    o[row, O_STATE] = ROUTED
    o[row, O_IS_LIMIT] = 1 if o[row, O_KIND] == LIMIT else 0
    o[row, O_JOIN] = s[symbol, S_CURSOR]
    o[row, O_FIRST] = s[symbol, S_CURSOR]
    o[row, O_BAR] = s[symbol, S_CURSOR] - 1
    if o[row, O_ACTIVATION] == NO_PRICE and not o[row, O_DORMANT]:
        o[row, O_EXTREME] = s[symbol, S_MARK]
    w[symbol, s[symbol, S_OPEN]] = row
    s[symbol, S_OPEN] += 1
    s[symbol, S_LIVE] += 1
    if o[row, O_TIF] == GTD:
        s[symbol, S_DATED] = 1


@unit
def add_children(
    q: IntArray, s: IntArray, o: IntArray, w: IntArray, row: int, trail: int, trail_unit: int
) -> None:
    """Create the dormant exits of the entry *row*: stop, trailing stop, target (R15)."""
    for place in range(3):
        kind = STOP
        if place == 0 and o[row, O_SL] == NO_PRICE:
            continue
        if place == 1:
            if not trail_unit:
                continue
            kind = TRAILING_STOP
        elif place == 2:
            if o[row, O_TP] == NO_PRICE:
                continue
            kind = LIMIT
        child = new_order(q, o, o[row, O_SYMBOL], -o[row, O_SIDE], kind, 0)
        if place == 0:
            o[child, O_STOP] = o[row, O_SL] if o[row, O_BASIS] == BASIS_ABSOLUTE else 0
            o[child, O_ROLE] = ROLE_STOP_LOSS
        elif place == 1:
            o[child, O_TRAIL] = trail
            o[child, O_TRAIL_UNIT] = trail_unit
            o[child, O_ROLE] = ROLE_TRAILING
        else:
            o[child, O_LIMIT] = o[row, O_TP] if o[row, O_BASIS] == BASIS_ABSOLUTE else 0
            o[child, O_ROLE] = ROLE_TAKE_PROFIT
        o[child, O_STOP_EXIT] = 1 if place < 2 else 0
        o[child, O_PARENT] = row
        o[child, O_REDUCE] = 1
        o[child, O_DORMANT] = 1
        o[child, O_TAG] = o[row, O_TAG]
        o[child, O_OWNER] = o[row, O_OWNER]
        o[row, O_CHILDREN] += 1
        route(s, o, w, child)
    s[o[row, O_SYMBOL], S_BRACKETS] = 1


@part
def is_offset(unit_code: int, value: int) -> bool:
    """Return whether a trail or an offset is one."""
    return OFFSET_PRICE <= unit_code <= OFFSET_ATR and (
        value > 0 and (unit_code != OFFSET_PPB or value < _PPB)
    )


@unit
def problem_of(
    q: IntArray, s: IntArray, o: IntArray, w: IntArray, d: IntArray, row: int, r: int
) -> int:
    """Return the reason to reject the order *row* of the signal *r*, `NONE` to route it (6.2)."""
    symbol = o[row, O_SYMBOL]
    side, kind, lots = o[row, O_SIDE], o[row, O_KIND], o[row, O_LOTS]
    limit, stop = o[row, O_LIMIT], o[row, O_STOP]
    if q[A_STOPPED]:
        return CONTAINER_STOPPED
    at_market = kind == MARKET or kind == MOO or kind == MOC
    if (
        (at_market and (limit != NO_PRICE or stop != NO_PRICE))
        or (o[row, O_POST] and kind != LIMIT and kind != STOP_LIMIT)
        or (o[row, O_SIZE] and lots)
    ):
        return BAD_TYPE
    if o[row, O_SIZE]:
        if not 0 < o[row, O_SIZE] <= _PPB:
            return QTY_NOT_POSITIVE
    elif lots <= 0:
        return QTY_NOT_POSITIVE
    elif lots < s[symbol, S_MIN_LOTS]:
        return QTY_BELOW_MIN
    elif lots > s[symbol, S_MAX_LOTS]:
        return QTY_ABOVE_MAX
    if kind == STOP_LIMIT and (limit == NO_PRICE or stop == NO_PRICE):
        return STOP_LIMIT_INCOMPLETE
    if (kind == LIMIT and limit == NO_PRICE) or (
        (kind == STOP or kind == MARKET_IF_TOUCHED) and stop == NO_PRICE
    ):
        return PRICE_REQUIRED
    if (
        (limit != NO_PRICE and limit <= 0)
        or (stop != NO_PRICE and stop <= 0)
        or (o[row, O_ACTIVATION] != NO_PRICE and o[row, O_ACTIVATION] <= 0)
    ):
        return PRICE_NOT_POSITIVE
    if (kind == TRAILING_STOP or kind == TRAILING_STOP_LIMIT) and not is_offset(
        o[row, O_TRAIL_UNIT], o[row, O_TRAIL]
    ):
        return TRAIL_INVALID
    if o[row, O_OFFSET] < 0:
        return TRAIL_INVALID
    if o[row, O_TIF] == GTD:
        if o[row, O_EXPIRE] <= 0:
            return EXPIRE_REQUIRED
        if o[row, O_EXPIRE] <= q[K_NOW]:
            return EXPIRED_ON_ARRIVAL
    reason = bracket_problem(o, d, row, r)
    if reason:
        return reason
    net = s[symbol, S_LOTS]
    if o[row, O_REDUCE] and net * side >= 0:
        return REDUCE_ONLY_NO_POSITION
    least = s[symbol, S_MIN_NOTIONAL]
    if least and not o[row, O_REDUCE] and not o[row, O_SIZE] and lots * side != -net:
        price = limit
        if price == NO_PRICE:
            price = stop
        if price == NO_PRICE:
            price = s[symbol, S_MARK]
        if price != NO_PRICE and price * lots * s[symbol, S_SCALE] < least:
            return MIN_NOTIONAL
    if (
        side < 0
        and not o[row, O_REDUCE]
        and not (s[symbol, S_SHORTABLE] and q[P_MARGIN])
        and not (net > 0 and lots <= net - selling(s, o, w, symbol, o[row, O_GROUP]))
    ):
        return SHORT_NOT_ALLOWED if s[symbol, S_SHORTABLE] else NOT_SHORTABLE
    if o[row, O_GROUP] and w[s.shape[0], o[row, O_GROUP] - 1] & GROUP_CLOSED:
        return OCO_GROUP_CLOSED
    return NONE


@unit
def bracket_problem(o: IntArray, d: IntArray, row: int, r: int) -> int:
    """Return what is wrong with the bracket of the order *row*, `NONE` if nothing is."""
    sl, tp = o[row, O_SL], o[row, O_TP]
    if not o[row, O_HAS_BRACKET]:
        return NONE
    trails = d[r, D_SL_TRAIL] != NO_PRICE and d[r, D_SL_TRAIL_UNIT] != 0
    if trails and not is_offset(d[r, D_SL_TRAIL_UNIT], d[r, D_SL_TRAIL]):
        return TRAIL_INVALID
    if o[row, O_BASIS] == BASIS_FILL:
        if sl != NO_PRICE and not is_offset(o[row, O_SL_UNIT], sl):
            return BRACKET_INVERTED
        if tp != NO_PRICE and not is_offset(o[row, O_TP_UNIT], tp):
            return BRACKET_INVERTED
        return NONE
    if (sl != NO_PRICE and sl <= 0) or (tp != NO_PRICE and tp <= 0):
        return PRICE_NOT_POSITIVE
    entry = o[row, O_LIMIT]
    if entry == NO_PRICE:
        entry = o[row, O_STOP]
    if entry == NO_PRICE:
        return NONE
    side = o[row, O_SIDE]
    if (sl != NO_PRICE and side * (entry - sl) <= 0) or (
        tp != NO_PRICE and side * (tp - entry) <= 0
    ):
        return BRACKET_INVERTED
    return NONE


@unit
def selling(s: IntArray, o: IntArray, w: IntArray, symbol: int, group: int) -> int:
    """Return what working sells may still sell, those of *group* aside."""
    total = 0
    for index in range(s[symbol, S_OPEN]):
        row = w[symbol, index]
        if (
            o[row, O_STATE] < FILLED
            and not o[row, O_DORMANT]
            and o[row, O_SIDE] < 0
            and not o[row, O_REDUCE]
            and (not group or o[row, O_GROUP] != group)
        ):
            total += o[row, O_LOTS] - o[row, O_FILLED]
    return total


@unit
def submit(
    q: IntArray, s: IntArray, o: IntArray, w: IntArray, d: IntArray, row: int, r: int
) -> None:
    """Check the order *row* that the signal *r* made, and route or reject it."""
    if o[row, O_KIND] == MOO or o[row, O_KIND] == MOC:
        o[row, O_TIF] = GTC
    o[row, O_BAR] = -1
    reason = problem_of(q, s, o, w, d, row, r)
    unknown = d[r, D_BAD_ATR]
    if not reason and (unknown & 1 or (unknown and o[row, O_HAS_BRACKET])):
        reason = TRAIL_INVALID
    if not reason and d[r, D_OFF_GRID]:
        reason = PRICE_OFF_GRID
    if reason:
        o[row, O_STATE] = REJECTED
        o[row, O_REASON] = reason
        return
    if o[row, O_LOTS] > s[o[row, O_SYMBOL], S_SAFE_LOTS]:
        q[A_STATUS] = STATUS_OVERFLOW
    route(s, o, w, row)
    if o[row, O_GROUP]:
        at = o[row, O_GROUP] - 1
        if not w[s.shape[0], at] & GROUP_SET:
            cancels = o[row, O_OCO] == OCO_CANCEL
            if o[row, O_OCO] == OCO_DEFAULT:
                cancels = not o[row, O_REDUCE]
            w[s.shape[0], at] |= GROUP_SET
            if cancels:
                w[s.shape[0], at] |= GROUP_CANCELS
    if o[row, O_HAS_BRACKET]:
        unit_code = d[r, D_SL_TRAIL_UNIT] if d[r, D_SL_TRAIL] != NO_PRICE else 0
        if unit_code or o[row, O_SL] != NO_PRICE or o[row, O_TP] != NO_PRICE:
            add_children(q, s, o, w, row, d[r, D_SL_TRAIL], unit_code)


@unit
def cancel_working(
    q: IntArray, s: IntArray, o: IntArray, w: IntArray, symbol: int, reason: int, keep: int
) -> None:
    """Cancel the open orders of *symbol*; *keep* 1 spares exits, 2 liquidations, 0 nothing."""
    for index in range(s[symbol, S_OPEN]):
        row = w[symbol, index]
        if (
            o[row, O_STATE] >= FILLED
            or (keep == 1 and o[row, O_REDUCE])
            or (keep == 2 and o[row, O_ROLE] == ROLE_LIQUIDATION)
        ):
            continue
        end_order(q, o, row, CANCELLED, reason)


@unit
def force_close(q: IntArray, s: IntArray, o: IntArray, w: IntArray, symbol: int, role: int) -> int:
    """Return the row of a routed MARKET order that closes the position of *symbol*."""
    lots = s[symbol, S_LOTS]
    row = new_order(q, o, symbol, -1 if lots > 0 else 1, MARKET, abs(lots))
    o[row, O_REDUCE] = 1
    o[row, O_ROLE] = role
    o[row, O_TAG] = TAG_OF_ROLE - role
    if role == ROLE_SIGNAL and not s[symbol, S_MIN_LOTS] <= abs(lots) <= s[symbol, S_MAX_LOTS]:
        o[row, O_STATE] = REJECTED
        o[row, O_REASON] = QTY_BELOW_MIN if abs(lots) < s[symbol, S_MIN_LOTS] else QTY_ABOVE_MAX
        o[row, O_BAR] = -1
    else:
        route(s, o, w, row)
    return row
