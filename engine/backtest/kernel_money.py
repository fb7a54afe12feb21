"""Prices, fees, funds and the ledger of one fill.

The arguments of kernels are told in `engine.backtest.kernel_fill`.
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
    A_SAFE_ATOMS,
    A_STATUS,
    FEE_MAKER_TAKER,
    FEE_NONE,
    FEE_PER_TRADE,
    FEE_PERCENT,
    K_DONE,
    K_H,
    K_IMPACT,
    K_L,
    K_SPREAD,
    K_VOLUME,
    NO_PRICE,
    O_FEE,
    O_FILLED,
    O_FILLS,
    O_LIMIT,
    O_NOTIONAL,
    O_SIDE,
    O_SYMBOL,
    P_CLAMP_BAR,
    P_FEE,
    P_FEE_MAX,
    P_FEE_MIN,
    P_FEE_RATE,
    P_LEVERAGE,
    P_MARGIN,
    P_SHARE_FACTOR,
    P_SHARE_LIMIT,
    P_SLIPPAGE,
    S_COST,
    S_FEE_MAKER,
    S_FEE_PER,
    S_FEE_RATE,
    S_FEE_TAKER,
    S_FEES,
    S_LOTS,
    S_MARK,
    S_REALISED,
    S_SAFE_LOTS,
    S_SCALE,
    S_SLIP_TICKS,
    S_SPOT,
    SLIP_NONE,
    SLIP_PPB,
    SLIP_SPREAD,
    SLIP_TICKS,
    SLIP_VOLUME_SHARE,
    STATUS_OVERFLOW,
)
from engine.backtest.kernel_numbers import (
    ceil_div,
    fee_ppb,
    half_even_share,
    ppb_ceil,
    ppb_floor,
)
from engine.model.bar_columns import IntArray

_PPB: Final = 1_000_000_000


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
