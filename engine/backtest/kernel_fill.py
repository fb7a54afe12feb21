"""Execution of one order at one price: size, costs, funds, ledger, followers.

Arguments of all kernels: ``q`` parameters, account, registers of the bar, counts; ``s`` symbols;
``o`` orders; ``x`` fills; ``w`` rows of the working orders of each symbol, and in one more row the
OCO groups. Their columns are in `engine.backtest.kernel_layout`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.backtest.jit import (
    part,
    unit,
)
from engine.backtest.kernel_layout import (
    A_CASH,
    A_EQUITY,
    A_EXPOSED,
    A_FILLS,
    A_SAFE_ATOMS,
    A_STATUS,
    A_UNKNOWN_VOLUME,
    FEE_MAKER_TAKER,
    FEE_NONE,
    FEE_PER_TRADE,
    FEE_PERCENT,
    FOK_UNFILLED,
    GROUP_CANCELS,
    GROUP_CLOSED,
    INSUFFICIENT_FUNDS,
    IOC_REST,
    K_BAR,
    K_CHILD_FIRST,
    K_DEFER,
    K_DONE,
    K_DRY,
    K_H,
    K_IMPACT,
    K_L,
    K_POINT,
    K_POOL,
    K_SPREAD,
    K_TS,
    K_UNKNOWN,
    K_VOLUME,
    NO_LIQUIDITY,
    NO_PRICE,
    NONE,
    O_BASIS,
    O_BRACKET,
    O_CHILDREN,
    O_DORMANT,
    O_EXTRA,
    O_EXTREME,
    O_FEE,
    O_FILLED,
    O_FILLS,
    O_FIRST,
    O_GROUP,
    O_JOIN,
    O_KIND,
    O_LIMIT,
    O_LOTS,
    O_NOTIONAL,
    O_PARENT,
    O_POINT,
    O_POST,
    O_PRICE_LOTS,
    O_REASON,
    O_REDUCE,
    O_ROLE,
    O_SIDE,
    O_SIZE,
    O_SL,
    O_SL_UNIT,
    O_STATE,
    O_STOP,
    O_SYMBOL,
    O_TIF,
    O_TP,
    O_TP_UNIT,
    O_TRAIL_UNIT,
    O_TRIGGERED,
    O_UPDATED,
    OCO,
    P_CLAMP_BAR,
    P_FEE,
    P_FEE_MAX,
    P_FEE_MIN,
    P_FEE_RATE,
    P_LEVERAGE,
    P_LIQUIDATION_FEE,
    P_MARGIN,
    P_SHARE_FACTOR,
    P_SHARE_LIMIT,
    P_SLIPPAGE,
    P_TRIM,
    P_UNKNOWN_REJECTS,
    P_VOLUME_ACTIVE,
    PARENT_CLOSED,
    POST_ONLY_CROSSES,
    REDUCE_ONLY,
    ROLE_LIQUIDATION,
    S_BRACKETS,
    S_COST,
    S_FEE_MAKER,
    S_FEE_PER,
    S_FEE_RATE,
    S_FEE_TAKER,
    S_FEES,
    S_LOTS,
    S_MARK,
    S_MAX_LOTS,
    S_MIN_LOTS,
    S_OPEN,
    S_REALISED,
    S_SAFE_LOTS,
    S_SCALE,
    S_SHORTABLE,
    S_SLIP_TICKS,
    S_SPOT,
    SHORT_NOT_ALLOWED,
    SLIP_NONE,
    SLIP_PPB,
    SLIP_SPREAD,
    SLIP_TICKS,
    SLIP_VOLUME_SHARE,
    STATUS_OVERFLOW,
    TOKEN_DEFERRED,
    UNKNOWN_VOLUME,
    X_AMBIGUOUS,
    X_BAR,
    X_FEE,
    X_LIQUIDITY,
    X_LOTS,
    X_ORDER,
    X_RAW,
    X_REASON,
    X_SIDE,
    X_SYMBOL,
    X_TICKS,
    X_TS,
)
from engine.backtest.kernel_numbers import (
    ceil_div,
    fee_ppb,
    half_even_share,
    ppb_ceil,
    ppb_floor,
)
from engine.execution.bar_order import (
    BASIS_FILL,
    CANCELLED,
    FILLED,
    FOK,
    IOC,
    LIMIT,
    MOC,
    OFFSET_PPB,
    PARTIAL,
    REJECTED,
    STOP,
)
from engine.model.bar_columns import IntArray

_PPB: Final = 1_000_000_000


@unit
def end_order(q: IntArray, o: IntArray, row: int, state: int, reason: int) -> None:
    """Give the order *row* its last *state*, its OCO group and its children what follows."""
    o[row, O_STATE] = state
    o[row, O_REASON] = reason
    o[row, O_UPDATED] = q[K_TS]
    if o[row, O_CHILDREN] and not o[row, O_BRACKET]:
        for child in range(row + 1, row + 1 + o[row, O_CHILDREN]):
            if o[child, O_STATE] < FILLED:
                o[child, O_STATE] = CANCELLED
                o[child, O_REASON] = PARENT_CLOSED
                o[child, O_UPDATED] = q[K_TS]


@part
def cut_order(q: IntArray, o: IntArray, row: int, reason: int) -> None:
    """Reject the order *row* if nothing of it filled, else cancel its rest (ORD-4)."""
    state = CANCELLED if o[row, O_FILLED] else REJECTED
    end_order(q, o, row, state, reason)


@part
def fee_of(
    q: IntArray, s: IntArray, o: IntArray, row: int, lots: int, notional: int, is_maker: int
) -> int:
    """Return the fee of the next fill of the order *row* (COST-4)."""
    model = q[P_FEE]
    if model == FEE_NONE:
        return 0
    if model == FEE_MAKER_TAKER:
        symbol = o[row, O_SYMBOL]
        return fee_ppb(notional, s[symbol, S_FEE_MAKER] if is_maker else s[symbol, S_FEE_TAKER])
    if model == FEE_PER_TRADE:
        return 0 if o[row, O_FILLS] else q[P_FEE_MIN]
    if model == FEE_PERCENT:
        charge = ppb_ceil(o[row, O_NOTIONAL] + notional, q[P_FEE_RATE])
    else:
        symbol = o[row, O_SYMBOL]
        charge = ceil_div((o[row, O_FILLED] + lots) * s[symbol, S_FEE_RATE], s[symbol, S_FEE_PER])
    charge = max(charge, q[P_FEE_MIN])
    if q[P_FEE_MAX] >= 0:
        charge = min(charge, q[P_FEE_MAX])
    return max(charge - o[row, O_FEE], 0)


@part
def taker_price(q: IntArray, s: IntArray, o: IntArray, row: int, raw: int, lots: int) -> int:
    """Return the price of a taker fill of *lots* at *raw* (COST-1, COST-2)."""
    side = o[row, O_SIDE]
    model = q[P_SLIPPAGE]
    worse = 0
    if model == SLIP_TICKS:
        worse = s[o[row, O_SYMBOL], S_SLIP_TICKS]
    elif model == SLIP_PPB:
        worse = ppb_ceil(raw, q[K_IMPACT])
    elif model == SLIP_SPREAD:
        worse = ceil_div(q[K_SPREAD], 2)
    elif model == SLIP_VOLUME_SHARE:
        share = np.float64(q[P_SHARE_LIMIT]) / 1e9
        if q[K_VOLUME] > 0:
            share = min(np.float64(q[K_DONE] + lots) / np.float64(q[K_VOLUME]), share)
        impact = np.float64(q[P_SHARE_FACTOR]) / 1e9 * (share * share)
        worse = ppb_ceil(raw, int(np.rint(impact * 1e9)))
    if model == SLIP_NONE:
        return raw
    price = max(raw + side * worse, 1)
    limit = o[row, O_LIMIT]
    if side > 0:
        if limit != NO_PRICE:
            price = min(price, limit)
        if q[P_CLAMP_BAR]:
            price = min(price, max(raw, q[K_H]))
    else:
        if limit != NO_PRICE:
            price = max(price, limit)
        if q[P_CLAMP_BAR]:
            price = max(price, min(raw, q[K_L]))
    return price


@unit
def spare_funds(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    row: int,
    raw: int,
    at: int,
    lots: int,
    is_maker: int,
    share: int,
) -> int:
    """Return what *share* ppb of the funds exceed the need of *lots* by; negative: too little.

    In atoms times the leverage (R10, R12). What closes is never checked.
    """
    symbol = o[row, O_SYMBOL]
    side = o[row, O_SIDE]
    scale = s[symbol, S_SCALE]
    held = s[symbol, S_LOTS]
    price = raw if is_maker else taker_price(q, s, o, row, raw, lots)
    closing = min(lots, abs(held)) if held * side < 0 else 0
    opening = lots - closing
    fee = fee_of(q, s, o, row, lots, lots * price * scale, is_maker)
    leverage = q[P_LEVERAGE]
    if q[P_MARGIN]:
        equity = q[A_EQUITY] + held * (at - s[symbol, S_MARK]) * scale
        equity += side * closing * (at - price) * scale
        used = abs(held + side * closing) * at * scale
        for other in range(s.shape[0]):
            if other != symbol:
                used += abs(s[other, S_LOTS]) * s[other, S_MARK] * s[other, S_SCALE]
        funds = equity * leverage - used
    else:
        cash = q[A_CASH] - side * closing * price * scale
        if not s[symbol, S_SPOT]:
            cash = q[A_CASH] + realised_by(s, symbol, side, closing, price)
        funds = cash * leverage
    if share != _PPB:
        funds = ppb_floor(funds, share)
    return funds - opening * price * scale - fee * leverage


@unit
def realised_by(s: IntArray, symbol: int, side: int, lots: int, price: int) -> int:
    """Return what closing *lots* of the position at *price* realises (PF-2)."""
    if lots == 0:
        return 0
    size = abs(s[symbol, S_LOTS])
    removed = s[symbol, S_COST]
    if lots != size:
        removed = half_even_share(removed, lots, size)
    return side * (removed - lots * price * s[symbol, S_SCALE])


@unit
def largest(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    row: int,
    raw: int,
    at: int,
    least: int,
    most: int,
    is_maker: int,
    share: int,
) -> int:
    """Return the largest quantity from *least* to *most* whose opening part can be paid.

    *least* is what closes; it needs no funds.
    """
    spare = spare_funds(q, s, o, row, raw, at, least, is_maker, share)
    unit = max(raw * s[o[row, O_SYMBOL], S_SCALE], 1)
    low, high = least, min(most, least + max(spare, 0) // unit + 1)
    # A price below the raw one (a limit) makes room for more than the bound: widen it.
    while high < most and spare_funds(q, s, o, row, raw, at, high, is_maker, share) >= 0:
        low = high
        high = min(most, 2 * high + 1)
    # Two steps of a fixed point come within a lot or two of the answer; halving does the rest.
    for _ in range(2):
        missing = spare_funds(q, s, o, row, raw, at, high, is_maker, share)
        if missing >= 0:
            return high
        guess = max(high - ceil_div(-missing, unit), least)
        if guess <= low:
            break
        if spare_funds(q, s, o, row, raw, at, guess, is_maker, share) >= 0:
            low = guess
            if spare_funds(q, s, o, row, raw, at, guess + 1, is_maker, share) < 0:
                return low
            break
        high = guess
    while high - low > 1:
        middle = (low + high) // 2
        if spare_funds(q, s, o, row, raw, at, middle, is_maker, share) >= 0:
            low = middle
        else:
            high = middle
    is_open = low == least and high > least
    if is_open and spare_funds(q, s, o, row, raw, at, high, is_maker, share) >= 0:
        return high
    return low


@unit
def book(q: IntArray, s: IntArray, symbol: int, side: int, lots: int, price: int, fee: int) -> None:
    """Enter a fill into ledger, cash and equity (PF-2, PF-4)."""
    held = s[symbol, S_LOTS]
    scale = s[symbol, S_SCALE]
    notional = lots * price * scale
    realised = 0
    if held * side >= 0:
        s[symbol, S_COST] += notional
    else:
        size = abs(held)
        closed = min(size, lots)
        realised = realised_by(s, symbol, side, closed, price)
        if lots >= size:
            s[symbol, S_COST] = (lots - closed) * price * scale
        else:
            s[symbol, S_COST] -= side * realised + closed * price * scale
        s[symbol, S_REALISED] += realised
    s[symbol, S_LOTS] = held + side * lots
    s[symbol, S_FEES] += fee
    if s[symbol, S_SPOT]:
        q[A_CASH] -= side * notional + fee
    else:
        q[A_CASH] += realised - fee
    q[A_EQUITY] += side * lots * (s[symbol, S_MARK] - price) * scale - fee
    if abs(s[symbol, S_LOTS]) > s[symbol, S_SAFE_LOTS] or abs(q[A_CASH]) > q[A_SAFE_ATOMS]:
        q[A_STATUS] = STATUS_OVERFLOW


@unit
def fill_order(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    x: IntArray,
    w: IntArray,
    row: int,
    lots: int,
    price: int,
    raw: int,
    fee: int,
    extra: int,
    is_maker: int,
) -> None:
    """Fill *lots* of the order *row*: record, ledger, state, and what follows for others."""
    symbol = o[row, O_SYMBOL]
    side = o[row, O_SIDE]
    number = q[A_FILLS]
    q[A_FILLS] = number + 1
    x[number, X_TS] = q[K_TS]
    x[number, X_ORDER] = row
    x[number, X_SYMBOL] = symbol
    x[number, X_SIDE] = side
    x[number, X_LIQUIDITY] = 0 if is_maker else 1
    x[number, X_LOTS] = lots
    x[number, X_TICKS] = price
    x[number, X_FEE] = fee + extra
    x[number, X_BAR] = q[K_BAR]
    x[number, X_RAW] = raw
    x[number, X_AMBIGUOUS] = 0
    x[number, X_REASON] = o[row, O_ROLE]
    q[A_EXPOSED] = 1
    held = s[symbol, S_LOTS]
    book(q, s, symbol, side, lots, price, fee + extra)
    o[row, O_FILLED] += lots
    o[row, O_NOTIONAL] += lots * price * s[symbol, S_SCALE]
    o[row, O_PRICE_LOTS] += lots * price
    o[row, O_FEE] += fee
    o[row, O_EXTRA] += extra
    o[row, O_FILLS] += 1
    o[row, O_UPDATED] = q[K_TS]
    if o[row, O_FILLED] >= o[row, O_LOTS]:
        o[row, O_STATE] = FILLED
    else:
        o[row, O_STATE] = PARTIAL
        if o[row, O_KIND] == MOC:
            o[row, O_TRIGGERED] = 1
    follow_up(q, s, o, w, row, held, lots, price)


@unit
def follow_up(
    q: IntArray, s: IntArray, o: IntArray, w: IntArray, row: int, held: int, lots: int, price: int
) -> None:
    """Wake, reduce and cancel what depends on a fill; *held* is the position before (8.4)."""
    symbol = o[row, O_SYMBOL]
    side = o[row, O_SIDE]
    reduced = held * side < 0
    if o[row, O_PARENT] >= 0:
        feed_siblings(q, o, row, lots)
    elif o[row, O_CHILDREN]:
        opened = max(0, lots - abs(held)) if reduced else lots
        if opened:
            feed_children(q, o, row, opened, price)
        if o[row, O_STATE] == FILLED and not o[row, O_BRACKET]:
            end_order(q, o, row, FILLED, NONE)
    if o[row, O_GROUP]:
        tell_group(q, s, o, w, row, lots)
    if (
        o[row, O_REDUCE]
        and o[row, O_STATE] < FILLED
        and s[symbol, S_LOTS] * side >= 0
        and o[row, O_PARENT] < 0
    ):
        end_order(q, o, row, CANCELLED, REDUCE_ONLY)
    if reduced and s[symbol, S_BRACKETS]:
        shrink_brackets(q, s, o, w, symbol)


@unit
def feed_children(q: IntArray, o: IntArray, row: int, lots: int, price: int) -> None:
    """Let the exits of *row* protect *lots* more; the first of them bring them to life (R15)."""
    o[row, O_BRACKET] += lots
    for child in range(row + 1, row + 1 + o[row, O_CHILDREN]):
        if o[child, O_STATE] >= FILLED:
            continue
        if o[row, O_BASIS] == BASIS_FILL:
            place_child(o, row, child)
        o[child, O_LOTS] = o[child, O_FILLED] + o[row, O_BRACKET]
        if not o[child, O_DORMANT] or o[child, O_POINT] == TOKEN_DEFERRED:
            continue
        if o[child, O_TRAIL_UNIT]:
            o[child, O_EXTREME] = price
        o[child, O_JOIN] = q[K_BAR]
        if q[K_DEFER]:
            o[child, O_FIRST] = q[K_BAR] + 1
            o[child, O_POINT] = TOKEN_DEFERRED
        else:
            o[child, O_FIRST] = q[K_CHILD_FIRST]
            o[child, O_POINT] = q[K_POINT]
            o[child, O_DORMANT] = 0


@unit
def feed_siblings(q: IntArray, o: IntArray, row: int, lots: int) -> None:
    """Lower the exits beside *row*, which closed *lots*; at zero cancel them (FILL-22)."""
    parent = o[row, O_PARENT]
    o[parent, O_BRACKET] -= lots
    left = o[parent, O_BRACKET]
    for child in range(parent + 1, parent + 1 + o[parent, O_CHILDREN]):
        if child != row and o[child, O_STATE] < FILLED:
            if left:
                o[child, O_LOTS] = o[child, O_FILLED] + left
            else:
                end_order(q, o, child, CANCELLED, OCO)
    if not left and o[parent, O_STATE] < FILLED:
        end_order(q, o, parent, CANCELLED, OCO)


@part
def place_child(o: IntArray, row: int, child: int) -> None:
    """Set the price of a child that counts from the average fill price of *row* (FILL-21).

    Rounded away from the entry.
    """
    side = o[row, O_SIDE]
    if o[child, O_KIND] == STOP:
        away, unit, offset = -side, o[row, O_SL_UNIT], o[row, O_SL]
    elif o[child, O_KIND] == LIMIT:
        away, unit, offset = side, o[row, O_TP_UNIT], o[row, O_TP]
    else:
        return
    total, lots = o[row, O_PRICE_LOTS], o[row, O_FILLED]
    if unit == OFFSET_PPB:
        # floor or ceiling of total * (1e9 + away * offset) / (lots * 1e9), in two exact steps
        factor = _PPB + away * offset
        if away < 0:
            level = ppb_floor(total, factor) // lots
        else:
            level = ceil_div(ppb_ceil(total, factor), lots)
    elif away < 0:
        level = total // lots - offset
    else:
        level = ceil_div(total, lots) + offset
    if o[child, O_KIND] == STOP:
        o[child, O_STOP] = level
    else:
        o[child, O_LIMIT] = level


@unit
def tell_group(q: IntArray, s: IntArray, o: IntArray, w: IntArray, row: int, lots: int) -> None:
    """Shrink or cancel the other orders of the group of *row* after a fill of *lots* (FILL-22)."""
    count = s.shape[0]
    group = o[row, O_GROUP] - 1
    cancels = w[count, group] & GROUP_CANCELS
    closes = cancels or o[row, O_STATE] == FILLED
    for symbol in range(count):
        for index in range(s[symbol, S_OPEN]):
            other = w[symbol, index]
            if other == row or o[other, O_GROUP] != group + 1 or o[other, O_STATE] >= FILLED:
                continue
            if cancels or not o[other, O_LOTS]:
                end_order(q, o, other, CANCELLED, OCO)
                continue
            if o[other, O_LOTS] - lots > o[other, O_FILLED]:
                o[other, O_LOTS] -= lots
            else:
                closes = True
                end_order(q, o, other, CANCELLED, OCO)
    if closes and not q[K_DRY]:
        w[count, group] |= GROUP_CLOSED


@unit
def shrink_brackets(q: IntArray, s: IntArray, o: IntArray, w: IntArray, symbol: int) -> None:
    """Let exits protect no more than there is of a position, the oldest shrink first (R15)."""
    position = s[symbol, S_LOTS]
    for side in (1, -1):
        excess = -max(side * position, 0)
        last = -1
        for index in range(s[symbol, S_OPEN]):
            row = w[symbol, index]
            parent = o[row, O_PARENT]
            if parent != last and parent >= 0 and o[row, O_STATE] < FILLED:
                last = parent
                if o[parent, O_SIDE] == side:
                    excess += o[parent, O_BRACKET]
        last = -1
        for index in range(s[symbol, S_OPEN]):
            if excess <= 0:
                break
            row = w[symbol, index]
            parent = o[row, O_PARENT]
            if parent == last or parent < 0 or o[row, O_STATE] >= FILLED:
                continue
            last = parent
            if o[parent, O_SIDE] != side:
                continue
            cut = min(excess, o[parent, O_BRACKET])
            if cut <= 0:
                continue
            o[parent, O_BRACKET] -= cut
            excess -= cut
            left = o[parent, O_BRACKET]
            for child in range(parent + 1, parent + 1 + o[parent, O_CHILDREN]):
                if o[child, O_STATE] < FILLED:
                    if left:
                        o[child, O_LOTS] = o[child, O_FILLED] + left
                    else:
                        end_order(q, o, child, CANCELLED, PARENT_CLOSED)
            if not left and o[parent, O_STATE] < FILLED:
                end_order(q, o, parent, CANCELLED, PARENT_CLOSED)


@unit
def execute(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    x: IntArray,
    w: IntArray,
    row: int,
    raw: int,
    at: int,
    is_maker: int,
) -> None:
    """Fill what can be filled of the order *row* at the raw price *raw* (R9 to R14).

    *at* is where the path stands; *is_maker* says that the order rested at its limit.
    """
    symbol = o[row, O_SYMBOL]
    side = o[row, O_SIDE]
    if s[symbol, S_MARK] == NO_PRICE:
        s[symbol, S_MARK] = at
    against = max(0, -s[symbol, S_LOTS] * side)
    if o[row, O_POST] and not is_maker:
        cut_order(q, o, row, POST_ONLY_CROSSES)
        return
    no_short = side < 0 and not (q[P_MARGIN] and s[symbol, S_SHORTABLE])
    if not o[row, O_LOTS]:
        if o[row, O_REDUCE] and not against:
            end_order(q, o, row, CANCELLED, REDUCE_ONLY)
            return
        lots = size_order(q, s, o, row, raw, at, is_maker, against, no_short)
        if lots < s[symbol, S_MIN_LOTS]:
            cut_order(q, o, row, INSUFFICIENT_FUNDS)
            return
        o[row, O_LOTS] = lots
    left = o[row, O_LOTS] - o[row, O_FILLED]
    lots = left
    if o[row, O_REDUCE] or no_short:
        lots = min(left, against)
        if not lots:
            if o[row, O_REDUCE]:
                end_order(q, o, row, CANCELLED, REDUCE_ONLY)
            else:
                cut_order(q, o, row, SHORT_NOT_ALLOWED)
            return
    if q[P_VOLUME_ACTIVE]:
        if q[K_UNKNOWN]:
            if q[P_UNKNOWN_REJECTS]:
                reason = NO_LIQUIDITY if o[row, O_FILLED] else UNKNOWN_VOLUME
                cut_order(q, o, row, reason)
                return
        else:
            lots = min(lots, q[K_POOL])
    if o[row, O_TIF] == FOK and lots < left:
        end_order(q, o, row, CANCELLED, FOK_UNFILLED)
        return
    if lots == 0:
        return
    wanted = lots
    opening = lots - min(lots, against)
    if opening and spare_funds(q, s, o, row, raw, at, lots, is_maker, _PPB) < 0:
        if o[row, O_TIF] == FOK:
            end_order(q, o, row, CANCELLED, FOK_UNFILLED)
            return
        lots = against
        if q[P_TRIM]:
            lots = largest(q, s, o, row, raw, at, against, wanted, is_maker, _PPB)
        if not lots:
            cut_order(q, o, row, INSUFFICIENT_FUNDS)
            return
    price = raw if is_maker else taker_price(q, s, o, row, raw, lots)
    notional = lots * price * s[symbol, S_SCALE]
    fee = fee_of(q, s, o, row, lots, notional, is_maker)
    extra = 0
    if o[row, O_ROLE] == ROLE_LIQUIDATION:
        extra = ppb_ceil(notional, q[P_LIQUIDATION_FEE])
    q[K_DONE] += lots
    q[K_POOL] -= lots
    if q[K_UNKNOWN]:
        q[A_UNKNOWN_VOLUME] += 1
    fill_order(q, s, o, x, w, row, lots, price, raw, fee, extra, is_maker)
    if o[row, O_STATE] >= FILLED:
        return
    if lots < wanted:
        end_order(q, o, row, CANCELLED, INSUFFICIENT_FUNDS)
    elif no_short and lots == against and not o[row, O_REDUCE]:
        end_order(q, o, row, CANCELLED, SHORT_NOT_ALLOWED)
    elif o[row, O_TIF] == IOC:
        end_order(q, o, row, CANCELLED, IOC_REST)


@unit
def size_order(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    row: int,
    raw: int,
    at: int,
    is_maker: int,
    against: int,
    no_short: int,
) -> int:
    """Return the lots that a share of the free funds makes (R12)."""
    share = o[row, O_SIZE]
    if o[row, O_REDUCE]:
        return ppb_floor(against, share)
    if no_short:
        return against
    symbol = o[row, O_SYMBOL]
    most = min(s[symbol, S_MAX_LOTS], s[symbol, S_SAFE_LOTS])
    return largest(q, s, o, row, raw, at, against, max(most, against), is_maker, share)
