"""Execution of one order at one price: size, costs, funds, ledger, followers.

Arguments of all kernels: ``q`` parameters, account, registers of the bar, counts; ``s`` symbols;
``o`` orders; ``x`` fills; ``w`` rows of the working orders of each symbol, and in one more row the
OCO groups. Their columns are in `engine.backtest.kernel_layout`.
"""

from __future__ import annotations

from typing import Final

from engine.backtest.jit import (
    part,
    unit,
)
from engine.backtest.kernel_layout import (
    A_EXPOSED,
    A_FILLS,
    A_UNKNOWN_VOLUME,
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
    K_POINT,
    K_POOL,
    K_TS,
    K_UNKNOWN,
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
    P_LIQUIDATION_FEE,
    P_MARGIN,
    P_TRIM,
    P_UNKNOWN_REJECTS,
    P_VOLUME_ACTIVE,
    PARENT_CLOSED,
    POST_ONLY_CROSSES,
    REDUCE_ONLY,
    ROLE_LIQUIDATION,
    S_BRACKETS,
    S_LOTS,
    S_MARK,
    S_MAX_LOTS,
    S_MIN_LOTS,
    S_OPEN,
    S_SAFE_LOTS,
    S_SCALE,
    S_SHORTABLE,
    SHORT_NOT_ALLOWED,
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
from engine.backtest.kernel_money import book, fee_of, largest, spare_funds, taker_price
from engine.backtest.kernel_numbers import (
    ceil_div,
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
