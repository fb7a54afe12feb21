"""One symbol and plain market orders: a small loop that compiles at once (FAST-1, FAST-8).

Arguments as in `engine.backtest.kernel_run`. Every order is over at the next open, so there is no
list of working orders; ``w`` holds 1 + the row of the one that waits. What it leaves is what the
whole kernels leave.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from engine.backtest.jit import (
    kernel,
    part,
)
from engine.backtest.kernel_layout import (
    A_CASH,
    A_EQUITY,
    A_FILLS,
    A_ORDERS,
    A_ROW,
    A_SAFE_ATOMS,
    A_SAMPLES,
    A_SIGNALS,
    A_STATUS,
    A_STEP,
    B_C,
    B_CLOSE_TS,
    B_O,
    B_OPEN_TS,
    D_KIND,
    D_ONLY_FLAT,
    D_SIDE,
    D_STEP,
    D_STRENGTH,
    D_TAG,
    D_VALUE,
    END_OF_RUN,
    FEE_MAKER_TAKER,
    FEE_NONE,
    FEE_PER_TRADE,
    FEE_PERCENT,
    INSUFFICIENT_FUNDS,
    K_IMPACT,
    K_NOW,
    KIND_DIRECTION,
    KIND_EXIT,
    KIND_ORDER,
    KIND_TARGET_QTY,
    KIND_TARGET_WEIGHT,
    NO_PRICE,
    NONE,
    NOT_SHORTABLE,
    O_BAR,
    O_CREATED,
    O_FEE,
    O_FILLED,
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
    O_SIZE,
    O_STATE,
    O_STOP,
    O_TAG,
    O_UPDATED,
    P_ALL_IN,
    P_CLOSE_AT_END,
    P_FEE,
    P_FEE_MAX,
    P_FEE_MIN,
    P_FEE_RATE,
    P_LEVERAGE,
    P_MAINTENANCE,
    P_MARGIN,
    P_SIZER,
    P_SLIPPAGE,
    P_TRIM,
    QTY_ABOVE_MAX,
    QTY_BELOW_MIN,
    R_FIRST,
    REDUCE_ONLY,
    ROLE_END,
    ROLE_ENTRY,
    ROLE_SIGNAL,
    S_COST,
    S_FEE_PER,
    S_FEE_RATE,
    S_FEE_TAKER,
    S_FIRST,
    S_LOTS,
    S_MARK,
    S_MAX_LOTS,
    S_MIN_LOTS,
    S_SAFE_LOTS,
    S_SCALE,
    S_SHORTABLE,
    S_SIZE_VALUE,
    S_SLIP_TICKS,
    S_SPOT,
    SHORT_NOT_ALLOWED,
    SIZE_ZERO,
    SIZER_WEIGHT,
    SLIP_PPB,
    SLIP_TICKS,
    STATUS_OVERFLOW,
    STATUS_RUNNING,
    STATUS_WHOLE,
    TAG_OF_ROLE,
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
from engine.backtest.kernel_numbers import (
    ByteArray,
    ceil_div,
    fee_ppb,
    half_even_share,
    ppb_ceil,
    ppb_floor,
)
from engine.backtest.kernel_quiet import (
    samples_hold,
)
from engine.execution.bar_order import (
    CANCELLED,
    FILLED,
    REJECTED,
    ROUTED,
)
from engine.model.bar_columns import IntArray

_PPB: Final = 1_000_000_000
Bars: TypeAlias = tuple[IntArray, ...]


@part
def first_fee(q: IntArray, s: IntArray, lots: int, notional: int) -> int:
    """Return the fee of an order that fills at once, as a taker (COST-4)."""
    model = q[P_FEE]
    if model == FEE_NONE:
        return 0
    if model == FEE_MAKER_TAKER:
        return fee_ppb(notional, s[0, S_FEE_TAKER])
    if model == FEE_PER_TRADE:
        return q[P_FEE_MIN]
    if model == FEE_PERCENT:
        charge = ppb_ceil(notional, q[P_FEE_RATE])
    else:
        charge = ceil_div(lots * s[0, S_FEE_RATE], s[0, S_FEE_PER])
    charge = max(charge, q[P_FEE_MIN])
    if q[P_FEE_MAX] >= 0:
        charge = min(charge, q[P_FEE_MAX])
    return charge


@part
def most_lots(q: IntArray, s: IntArray, budget: int, against: int, price: int, most: int) -> int:
    """Return the largest quantity above *against* that *budget* pays with its fee (R12).

    *budget* is the free funds times the leverage, *against* what closes.
    """
    unit_value = price * s[0, S_SCALE]
    leverage = q[P_LEVERAGE]
    # Without its fee the bound is too high, with the fee of the bound too low: halve between.
    high = min(most, against + max(budget, 0) // unit_value)
    fee = first_fee(q, s, high, high * unit_value)
    low = min(high, against + max(budget - fee * leverage, 0) // unit_value)
    fee = first_fee(q, s, low, low * unit_value)
    high = max(low, min(high, against + max(budget - fee * leverage, 0) // unit_value))
    while low < high:
        middle = (low + high + 1) // 2
        fee = first_fee(q, s, middle, middle * unit_value)
        if (middle - against) * unit_value + fee * leverage <= budget:
            low = middle
        else:
            high = middle - 1
    return low


@part
def taken(q: IntArray, s: IntArray, raw: int, side: int) -> int:
    """Return the price of a taker at *raw* (COST-1)."""
    if q[P_SLIPPAGE] == SLIP_TICKS:
        return max(raw + side * s[0, S_SLIP_TICKS], 1)
    if q[P_SLIPPAGE] == SLIP_PPB:
        return max(raw + side * ppb_ceil(raw, q[K_IMPACT]), 1)
    return raw


@part
def fill_now(
    q: IntArray, s: IntArray, o: IntArray, x: IntArray, row: int, raw: int, ts: int, bar: int
) -> None:
    """Fill the market order *row* at *raw*, or end it (R9 to R12)."""
    side, scale = o[row, O_SIDE], s[0, S_SCALE]
    held, mark = s[0, S_LOTS], s[0, S_MARK]
    if mark == NO_PRICE:
        mark = raw
        s[0, S_MARK] = raw
    against = max(0, -held * side)
    o[row, O_UPDATED] = ts
    price = taken(q, s, raw, side)
    no_short = side < 0 and not (q[P_MARGIN] and s[0, S_SHORTABLE])
    budget = 0
    if q[P_MARGIN]:
        equity = q[A_EQUITY] + held * (raw - mark) * scale + side * against * (raw - price) * scale
        used = 0 if against else abs(held) * raw * scale
        budget = equity * q[P_LEVERAGE] - used
    else:
        budget = q[A_CASH]
        if against:
            budget -= side * against * price * scale
            if not s[0, S_SPOT]:
                budget += side * s[0, S_COST]
        budget *= q[P_LEVERAGE]
    lots = o[row, O_LOTS]
    if not lots:
        lots = against
        if not no_short:
            most = max(min(s[0, S_MAX_LOTS], s[0, S_SAFE_LOTS]), against)
            share = o[row, O_SIZE]
            funds = budget if share == _PPB else ppb_floor(budget, share)
            lots = most_lots(q, s, funds, against, price, most)
        if lots < s[0, S_MIN_LOTS]:
            o[row, O_STATE] = REJECTED
            o[row, O_REASON] = INSUFFICIENT_FUNDS
            return
        o[row, O_LOTS] = lots
    left = lots
    if o[row, O_REDUCE] or no_short:
        lots = min(lots, against)
        if not lots:
            o[row, O_STATE] = CANCELLED if o[row, O_REDUCE] else REJECTED
            o[row, O_REASON] = REDUCE_ONLY if o[row, O_REDUCE] else SHORT_NOT_ALLOWED
            return
    wanted = lots
    fee = first_fee(q, s, lots, lots * price * scale)
    need = (lots - against) * price * scale + fee * q[P_LEVERAGE]
    if lots > against and budget < need:
        lots = against
        if q[P_TRIM]:
            lots = most_lots(q, s, budget, against, price, wanted)
        if not lots:
            o[row, O_STATE] = REJECTED
            o[row, O_REASON] = INSUFFICIENT_FUNDS
            return
        fee = first_fee(q, s, lots, lots * price * scale)
    number = q[A_FILLS]
    q[A_FILLS] = number + 1
    x[number, X_TS] = ts
    x[number, X_ORDER] = row
    x[number, X_SIDE] = side
    x[number, X_LIQUIDITY] = 1
    x[number, X_LOTS] = lots
    x[number, X_TICKS] = price
    x[number, X_FEE] = fee
    x[number, X_BAR] = bar
    x[number, X_RAW] = raw
    x[number, X_REASON] = o[row, O_ROLE]
    book_now(q, s, side, lots, price, fee)
    x[number, X_CASH] = q[A_CASH]
    o[row, O_FILLED] = lots
    o[row, O_NOTIONAL] = lots * price * scale
    o[row, O_PRICE_LOTS] = lots * price
    o[row, O_FEE] = fee
    if lots == left:
        o[row, O_STATE] = FILLED
        return
    o[row, O_STATE] = CANCELLED
    if o[row, O_REDUCE] and s[0, S_LOTS] * side >= 0:
        o[row, O_REASON] = REDUCE_ONLY
    elif lots < wanted:
        o[row, O_REASON] = INSUFFICIENT_FUNDS
    else:
        o[row, O_REASON] = SHORT_NOT_ALLOWED


@part
def book_now(q: IntArray, s: IntArray, side: int, lots: int, price: int, fee: int) -> None:
    """Enter a fill into ledger, cash and equity (PF-2, PF-4)."""
    held, scale = s[0, S_LOTS], s[0, S_SCALE]
    realised = 0
    if held * side >= 0:
        s[0, S_COST] += lots * price * scale
    else:
        size = abs(held)
        closed = min(size, lots)
        removed = s[0, S_COST]
        if closed != size:
            removed = half_even_share(removed, closed, size)
        realised = side * (removed - closed * price * scale)
        s[0, S_COST] -= removed
        if lots > size:
            s[0, S_COST] = (lots - size) * price * scale
    s[0, S_LOTS] = held + side * lots
    if s[0, S_SPOT]:
        q[A_CASH] -= side * lots * price * scale + fee
    else:
        q[A_CASH] += realised - fee
    q[A_EQUITY] += side * lots * (s[0, S_MARK] - price) * scale - fee
    if abs(s[0, S_LOTS]) > s[0, S_SAFE_LOTS] or abs(q[A_CASH]) > q[A_SAFE_ATOMS]:
        q[A_STATUS] = STATUS_OVERFLOW


@part
def market_order(q: IntArray, o: IntArray, side: int, lots: int, role: int, bar: int) -> int:
    """Return the row of a new market order."""
    row = q[A_ORDERS]
    q[A_ORDERS] = row + 1
    o[row, O_SIDE] = side
    o[row, O_LOTS] = lots
    o[row, O_ROLE] = role
    o[row, O_LIMIT] = NO_PRICE
    o[row, O_STOP] = NO_PRICE
    o[row, O_PARENT] = -1
    o[row, O_BAR] = bar
    o[row, O_CREATED] = q[K_NOW]
    o[row, O_UPDATED] = q[K_NOW]
    o[row, O_STATE] = ROUTED
    return row


@part
def decide(q: IntArray, s: IntArray, o: IntArray, d: IntArray, r: int, bar: int) -> int:
    """Return the row of the order that the signal *r* makes, -1 if it makes none."""
    kind, value = d[r, D_KIND], d[r, D_VALUE]
    held, scale, mark = s[0, S_LOTS], s[0, S_SCALE], s[0, S_MARK]
    q[A_SIGNALS] += 1
    if d[r, D_ONLY_FLAT] and held:
        return -1
    side, lots, size, role = 0, 0, 0, ROLE_ENTRY
    reduces = 0
    if kind == KIND_EXIT or (value == 0 and kind != KIND_ORDER):
        if not held:
            return -1
        side, lots, role, reduces = -1 if held > 0 else 1, abs(held), ROLE_SIGNAL, 1
    elif kind == KIND_DIRECTION and q[P_ALL_IN]:
        side = 1 if value > 0 else -1
        if held * side > 0:
            return -1
        size = ppb_floor(q[P_ALL_IN], d[r, D_STRENGTH])
        if size <= 0:
            q[R_FIRST + SIZE_ZERO] += 1
            return -1
    elif kind == KIND_ORDER:
        side, lots = d[r, D_SIDE], value
        if lots <= max(0, -side * held):
            role = ROLE_SIGNAL
    else:
        target = abs(value)
        if kind != KIND_TARGET_QTY:
            weight = target
            if kind == KIND_DIRECTION:
                weight = s[0, S_SIZE_VALUE]
            target = weight
            if kind == KIND_TARGET_WEIGHT or q[P_SIZER] == SIZER_WEIGHT:
                target = ppb_floor(max(q[A_EQUITY], 0), weight) // (mark * scale)
        if d[r, D_STRENGTH] != _PPB:
            target = ppb_floor(target, d[r, D_STRENGTH])
        if target == 0 and held == 0:
            q[R_FIRST + SIZE_ZERO] += 1
            return -1
        delta = (target if value > 0 else -target) - held
        if delta == 0:
            return -1
        side, lots = 1 if delta > 0 else -1, abs(delta)
        if lots <= max(0, -side * held):
            role = ROLE_SIGNAL
    row = market_order(q, o, side, lots, role, bar)
    o[row, O_SIZE] = size
    o[row, O_REDUCE] = reduces
    o[row, O_TAG] = d[r, D_TAG]
    o[row, O_OWNER] = r
    reason = NONE
    if not size:
        if lots < s[0, S_MIN_LOTS]:
            reason = QTY_BELOW_MIN
        elif lots > s[0, S_MAX_LOTS]:
            reason = QTY_ABOVE_MAX
    can_short = s[0, S_SHORTABLE] and q[P_MARGIN]
    if (
        not reason
        and side < 0
        and not reduces
        and not can_short
        and not (held > 0 and lots <= held)
    ):
        reason = SHORT_NOT_ALLOWED if s[0, S_SHORTABLE] else NOT_SHORTABLE
    if reason:
        o[row, O_STATE] = REJECTED
        o[row, O_REASON] = reason
        o[row, O_BAR] = -1
        return -1
    if lots > s[0, S_SAFE_LOTS]:
        q[A_STATUS] = STATUS_OVERFLOW
    return row


@kernel
def run_market(
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
    """Play the bars up to step *stop*; with *last* the run ends there (PF-15).

    One symbol and at most one signal a bar, each of a plain market order: what such an order does
    is over at the next open. An account that a whole kernel must look at leaves with a status. The
    cash is told by the fills, *c* may be empty.
    """
    opening, close = b[B_O], b[B_C]
    open_ts, close_ts = b[B_OPEN_TS], b[B_CLOSE_TS]
    first, scale = s[0, S_FIRST], s[0, S_SCALE]
    decisions = d.shape[0]
    need, leverage = 0, q[P_LEVERAGE]
    if q[P_MARGIN]:
        need = q[P_MAINTENANCE]
    step = q[A_STEP]
    pending = w[0, 0] - 1
    while step < stop and q[A_STATUS] == STATUS_RUNNING:
        i = first + step
        flag = 1 if s[0, S_LOTS] else 0
        if pending >= 0:
            fills = q[A_FILLS]
            fill_now(q, s, o, x, pending, opening[i], open_ts[i], i)
            pending = -1
            if q[A_FILLS] != fills:
                flag = 1
        until = stop
        if q[A_ROW] < decisions:
            until = min(stop, d[q[A_ROW], D_STEP] + 1)
        lots = s[0, S_LOTS]
        value = lots * scale
        base = q[A_EQUITY]
        if lots:
            base -= value * s[0, S_MARK]
        if until > step:
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
            q[K_NOW] = close_ts[first + step - 1]
        if q[A_ROW] < decisions and d[q[A_ROW], D_STEP] == step - 1:
            q[A_ROW] += 1
            pending = decide(q, s, o, d, q[A_ROW] - 1, first + step - 1)
    q[A_STEP] = step
    q[A_SAMPLES] = step
    w[0, 0] = pending + 1
    if last and step and q[P_CLOSE_AT_END]:
        if pending >= 0:
            o[pending, O_STATE] = CANCELLED
            o[pending, O_REASON] = END_OF_RUN
            o[pending, O_UPDATED] = q[K_NOW]
        if s[0, S_LOTS]:
            lots = s[0, S_LOTS]
            i = first + step - 1
            row = market_order(q, o, -1 if lots > 0 else 1, abs(lots), ROLE_END, i)
            o[row, O_REDUCE] = 1
            o[row, O_TAG] = TAG_OF_ROLE - ROLE_END
            fill_now(q, s, o, x, row, close[i], close_ts[i], i)
            e[step - 1] = q[A_EQUITY]
            exposed[step - 1] = 1
