"""The loop over the bars (EVT-4, FAST-1).

Arguments as in `engine.backtest.kernel_bar` and `engine.backtest.kernel_orders`.
"""

from __future__ import annotations

from typing import Final

from engine.backtest.jit import (
    kernel,
    unit,
)
from engine.backtest.kernel_bar import (
    Bars,
    load_bar,
    match_bar,
    tidy,
)
from engine.backtest.kernel_fill import (
    end_order,
    execute,
    fill_order,
)
from engine.backtest.kernel_layout import (
    A_BANKRUPT,
    A_BURST,
    A_CASH,
    A_EQUITY,
    A_EXPOSED,
    A_FACTOR,
    A_FILLS,
    A_HALTED,
    A_LIQUIDATIONS,
    A_ORDERS,
    A_PEAK,
    A_ROW,
    A_SAMPLES,
    A_SHORTFALL,
    A_STATUS,
    A_STEP,
    A_STOPPED,
    A_TOKEN,
    B_C,
    B_CLOSE_TS,
    B_FLAGS,
    B_H,
    B_L,
    B_O,
    B_OPEN_TS,
    D_STEP,
    DAY_EXPIRED,
    END_OF_RUN,
    FLAG_ENDS,
    FOK_UNFILLED,
    GTD_EXPIRED,
    IOC_REST,
    K_BAR,
    K_C,
    K_CHILD_FIRST,
    K_CLOSE_TS,
    K_DEFER,
    K_DONE,
    K_NOW,
    K_O,
    K_OPEN_TS,
    K_POOL,
    K_TS,
    K_UNKNOWN,
    LIQUIDATED,
    MAX_PRICE,
    O_CREATED,
    O_DORMANT,
    O_EXPIRE,
    O_JOIN,
    O_KIND,
    O_LOTS,
    O_PARENT,
    O_POINT,
    O_STATE,
    O_TIF,
    P_CLOSE_AT_END,
    P_FLATTENS,
    P_HAS_DAY_ORDERS,
    P_LEVERAGE,
    P_MAINTENANCE,
    P_MARGIN,
    P_MAX_DRAWDOWN,
    P_REDUCE_AT,
    P_REDUCTION,
    P_TIMING,
    P_WATCH_FROM,
    P_WATCHES,
    RISK_HALT,
    ROLE_END,
    ROLE_LIQUIDATION,
    ROLE_SIGNAL,
    S_CURSOR,
    S_DATED,
    S_DONE,
    S_DONE_BAR,
    S_FIRST,
    S_LIVE,
    S_LOTS,
    S_MARK,
    S_OFFSET,
    S_OPEN,
    S_POOL,
    S_SCALE,
    S_SKIP_HIGH,
    S_SKIP_LOW,
    STATUS_BANKRUPT,
    STATUS_FULL,
    STATUS_RUNNING,
)
from engine.backtest.kernel_numbers import (
    ByteArray,
    ppb_ceil,
)
from engine.backtest.kernel_orders import (
    cancel_working,
    force_close,
)
from engine.backtest.kernel_path import (
    play_point,
)
from engine.backtest.kernel_quiet import (
    first_end,
    first_reach,
    plain_samples,
)
from engine.backtest.kernel_risk import (
    take_signal,
)
from engine.execution.bar_order import (
    CANCELLED,
    DAY,
    EXPIRED,
    FILLED,
    FOK,
    GTD,
    IOC,
    MARKET,
)
from engine.model.bar_columns import IntArray

_PPB: Final = 1_000_000_000


@unit
def sample(q: IntArray, s: IntArray, o: IntArray, x: IntArray, w: IntArray) -> int:
    """Return the equity sample after margin and bankruptcy were looked at (PF-13, PF-14)."""
    equity = q[A_EQUITY]
    if equity <= 0:
        go_bankrupt(q, s, o, x, w)
        return 0
    if q[P_MARGIN]:
        used = 0
        for symbol in range(s.shape[0]):
            if s[symbol, S_LOTS]:
                used += abs(s[symbol, S_LOTS]) * s[symbol, S_MARK] * s[symbol, S_SCALE]
        if used and equity * q[P_LEVERAGE] < ppb_ceil(used, q[P_MAINTENANCE]):
            liquidate(q, s, o, w)
    return equity


@unit
def liquidate(q: IntArray, s: IntArray, o: IntArray, w: IntArray) -> None:
    """Cancel what works and close every position at the next open (R19)."""
    q[A_LIQUIDATIONS] += 1
    q[K_TS] = q[K_NOW]
    for symbol in range(s.shape[0]):
        cancel_working(q, s, o, w, symbol, LIQUIDATED, 2)
        tidy(s, o, w, symbol)
    for symbol in range(s.shape[0]):
        if s[symbol, S_LOTS] and not s[symbol, S_OPEN]:
            force_close(q, s, o, w, symbol, ROLE_LIQUIDATION)


@unit
def go_bankrupt(q: IntArray, s: IntArray, o: IntArray, x: IntArray, w: IntArray) -> None:
    """Close everything at the marks, at no cost, and take no more orders (R20)."""
    q[K_TS] = q[K_NOW]
    for symbol in range(s.shape[0]):
        cancel_working(q, s, o, w, symbol, LIQUIDATED, 0)
        tidy(s, o, w, symbol)
    for symbol in range(s.shape[0]):
        if s[symbol, S_LOTS]:
            row = force_close(q, s, o, w, symbol, ROLE_LIQUIDATION)
            q[K_BAR] = s[symbol, S_CURSOR] - 1
            mark = s[symbol, S_MARK]
            fill_order(q, s, o, x, w, row, o[row, O_LOTS], mark, mark, 0, 0, 0)
            tidy(s, o, w, symbol)
    q[A_BANKRUPT] = 1
    q[A_SHORTFALL] = -q[A_EQUITY]
    q[A_STOPPED] = 1


@unit
def watch(q: IntArray, s: IntArray, o: IntArray, w: IntArray) -> None:
    """Compare the equity with its peak: smaller sizes, then the kill switch (RISK-4)."""
    equity = q[A_EQUITY]
    if equity >= q[A_PEAK]:
        q[A_PEAK] = equity
        q[A_FACTOR] = _PPB
        return
    fall = q[A_PEAK] - equity
    if (
        q[P_MAX_DRAWDOWN] >= 0
        and not q[A_HALTED]
        and fall >= ppb_ceil(q[A_PEAK], q[P_MAX_DRAWDOWN])
    ):
        q[A_HALTED] = 1
        q[K_TS] = q[K_NOW]
        for symbol in range(s.shape[0]):
            cancel_working(q, s, o, w, symbol, RISK_HALT, 1)
        if q[P_FLATTENS]:
            for symbol in range(s.shape[0]):
                if s[symbol, S_LOTS] and not q[A_STOPPED]:
                    force_close(q, s, o, w, symbol, ROLE_SIGNAL)
        for symbol in range(s.shape[0]):
            tidy(s, o, w, symbol)
    elif q[P_REDUCE_AT] >= 0:
        is_deep = fall >= ppb_ceil(q[A_PEAK], q[P_REDUCE_AT])
        q[A_FACTOR] = q[P_REDUCTION] if is_deep else _PPB


@unit
def end_dated(q: IntArray, s: IntArray, o: IntArray, w: IntArray, symbol: int, now: int) -> None:
    """Expire the GTD orders of *symbol* that end by *now* (EVT-4 a)."""
    q[K_TS] = now
    left = 0
    for index in range(s[symbol, S_OPEN]):
        row = w[symbol, index]
        if o[row, O_TIF] == GTD and o[row, O_STATE] < FILLED:
            if o[row, O_EXPIRE] <= now:
                end_order(q, o, row, EXPIRED, GTD_EXPIRED)
            else:
                left = 1
    s[symbol, S_DATED] = left
    tidy(s, o, w, symbol)


@unit
def end_day(q: IntArray, s: IntArray, o: IntArray, w: IntArray, symbol: int, bar: int) -> None:
    """Expire the DAY orders of *symbol* whose session ends with *bar* (8.7)."""
    q[K_TS] = q[K_NOW]
    ended = 0
    for index in range(s[symbol, S_OPEN]):
        row = w[symbol, index]
        if (
            o[row, O_TIF] == DAY
            and o[row, O_STATE] < FILLED
            and not o[row, O_DORMANT]
            and o[row, O_JOIN] <= bar
        ):
            end_order(q, o, row, EXPIRED, DAY_EXPIRED)
            ended = 1
    if ended:
        tidy(s, o, w, symbol)


@unit
def play_bar(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    x: IntArray,
    w: IntArray,
    z: IntArray,
    b: Bars,
    symbol: int,
    bar: int,
) -> None:
    """Match a bar of *symbol* that may reach one of its orders."""
    i = s[symbol, S_OFFSET] + bar
    if s[symbol, S_DATED]:
        end_dated(q, s, o, w, symbol, b[B_OPEN_TS][i])
    if load_bar(q, s, b, symbol, bar):
        match_bar(q, s, o, x, w, z, symbol)


@unit
def fill_at_close(
    q: IntArray, s: IntArray, o: IntArray, x: IntArray, w: IntArray, b: Bars, symbol: int, bar: int
) -> None:
    """Fill the MARKET orders of this close (FILL-2, R18)."""
    q[A_TOKEN] += 1
    token = q[A_TOKEN]
    count = 0
    for index in range(s[symbol, S_OPEN]):
        row = w[symbol, index]
        if (
            o[row, O_KIND] == MARKET
            and o[row, O_STATE] < FILLED
            and not o[row, O_DORMANT]
            and o[row, O_CREATED] == q[K_NOW]
        ):
            o[row, O_POINT] = token
            count += 1
    if not count:
        return
    was_matched = s[symbol, S_DONE_BAR] == bar
    done, pool = s[symbol, S_DONE], s[symbol, S_POOL]
    if not load_bar(q, s, b, symbol, bar):
        return
    if was_matched:
        q[K_DONE], q[K_POOL] = done, pool
    q[K_TS] = q[K_CLOSE_TS]
    q[K_CHILD_FIRST] = bar + 1
    q[K_DEFER] = 0
    play_point(q, s, o, x, w, symbol, q[K_C], token, 0, 1)
    for index in range(s[symbol, S_OPEN]):
        row = w[symbol, index]
        if o[row, O_POINT] == token and o[row, O_STATE] < FILLED and o[row, O_PARENT] < 0:
            if o[row, O_TIF] == IOC:
                end_order(q, o, row, CANCELLED, IOC_REST)
            elif o[row, O_TIF] == FOK:
                end_order(q, o, row, CANCELLED, FOK_UNFILLED)
    s[symbol, S_DONE], s[symbol, S_POOL] = q[K_DONE], q[K_POOL]
    tidy(s, o, w, symbol)


@kernel
def finish_run(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    x: IntArray,
    w: IntArray,
    b: Bars,
    e: IntArray,
    c: IntArray,
    exposed: ByteArray,
) -> None:
    """Cancel what works and close positions at their last closes (PF-15, R21)."""
    last = q[A_STEP] - 1
    if q[P_CLOSE_AT_END]:
        q[K_TS] = q[K_NOW]
        for symbol in range(s.shape[0]):
            cancel_working(q, s, o, w, symbol, END_OF_RUN, 0)
            tidy(s, o, w, symbol)
        q[A_EXPOSED] = 0
        for symbol in range(s.shape[0]):
            if not s[symbol, S_LOTS] or q[A_BANKRUPT]:
                continue
            bar = s[symbol, S_CURSOR] - 1
            q[K_NOW] = b[B_CLOSE_TS][s[symbol, S_OFFSET] + bar]
            row = force_close(q, s, o, w, symbol, ROLE_END)
            was_matched = s[symbol, S_DONE_BAR] == bar
            done = s[symbol, S_DONE]
            load_bar(q, s, b, symbol, bar)
            q[K_DONE] = done if was_matched else 0
            q[K_POOL] = MAX_PRICE
            q[K_UNKNOWN] = 0
            q[K_DEFER] = 0
            q[K_TS] = q[K_CLOSE_TS]
            execute(q, s, o, x, w, row, q[K_C], q[K_C], 0)
            tidy(s, o, w, symbol)
        if last >= 0 and not q[A_BANKRUPT]:
            e[q[A_SAMPLES] - 1] = q[A_EQUITY]
            if q[A_EXPOSED]:
                exposed[q[A_SAMPLES] - 1] = 1
    if q[A_SAMPLES]:
        c[q[A_SAMPLES] - 1] = q[A_CASH]


@kernel
def run_bars(
    q: IntArray,
    s: IntArray,
    o: IntArray,
    x: IntArray,
    w: IntArray,
    z: IntArray,
    b: Bars,
    t: IntArray,
    d: IntArray,
    e: IntArray,
    c: IntArray,
    exposed: ByteArray,
    stop: int,
) -> None:
    """Play the bars up to step *stop*, or until a table is full or the account is done.

    *t* is the timeline, rows (symbol, bar, instant); without rows there is one symbol whose bars
    are the steps. *d* are the signals; *e*, *c*, *exposed* take the samples of each instant.
    """
    decisions = d.shape[0]
    is_single = t.shape[0] == 0
    while q[A_STEP] < stop and q[A_STATUS] == STATUS_RUNNING:
        if is_single:
            skip_quiet(q, s, b, d, e, c, exposed, stop)
            if q[A_STEP] >= stop:
                return
        if not has_room(q, s, o, x, w, z):
            q[A_STATUS] = STATUS_FULL
            return
        start = q[A_STEP]
        end = start + 1
        if not is_single:
            while end < t.shape[0] and t[end, 2] == t[start, 2]:
                end += 1
        q[A_EXPOSED] = 0
        for symbol in range(s.shape[0]):
            if s[symbol, S_LOTS]:
                q[A_EXPOSED] = 1
        for step in range(start, end):
            symbol = 0 if is_single else t[step, 0]
            bar = s[0, S_FIRST] + step if is_single else t[step, 1]
            s[symbol, S_CURSOR] = bar + 1
            i = s[symbol, S_OFFSET] + bar
            if s[symbol, S_OPEN] and (
                s[symbol, S_LIVE]
                or s[symbol, S_DATED]
                or b[B_H][i] >= s[symbol, S_SKIP_HIGH]
                or b[B_L][i] <= s[symbol, S_SKIP_LOW]
            ):
                play_bar(q, s, o, x, w, z, b, symbol, bar)
        for step in range(start, end):
            symbol = 0 if is_single else t[step, 0]
            bar = s[0, S_FIRST] + step if is_single else t[step, 1]
            i = s[symbol, S_OFFSET] + bar
            close = b[B_C][i]
            if s[symbol, S_LOTS]:
                q[A_EQUITY] += s[symbol, S_LOTS] * (close - s[symbol, S_MARK]) * s[symbol, S_SCALE]
            s[symbol, S_MARK] = close
            q[K_NOW] = b[B_CLOSE_TS][i]
        number = q[A_SAMPLES]
        q[A_SAMPLES] = number + 1
        e[number] = sample(q, s, o, x, w)
        c[number] = q[A_CASH]
        if q[P_WATCHES]:
            watch(q, s, o, w)
        for step in range(start, end):
            symbol = 0 if is_single else t[step, 0]
            bar = s[0, S_FIRST] + step if is_single else t[step, 1]
            if s[symbol, S_OPEN] and b[B_FLAGS][s[symbol, S_OFFSET] + bar] & FLAG_ENDS:
                end_day(q, s, o, w, symbol, bar)
        while q[A_ROW] < decisions and d[q[A_ROW], D_STEP] < end:
            row = q[A_ROW]
            q[A_ROW] = row + 1
            q[K_TS] = q[K_NOW]
            take_signal(q, s, o, w, d, row)
        if q[P_TIMING]:
            fills = q[A_FILLS]
            for step in range(start, end):
                symbol = 0 if is_single else t[step, 0]
                bar = s[0, S_FIRST] + step if is_single else t[step, 1]
                fill_at_close(q, s, o, x, w, b, symbol, bar)
            if q[A_FILLS] != fills:
                e[number] = 0 if q[A_BANKRUPT] else q[A_EQUITY]
        exposed[number] = q[A_EXPOSED]
        q[A_STEP] = end
        if q[A_BANKRUPT]:
            q[A_STATUS] = STATUS_BANKRUPT


@unit
def skip_quiet(
    q: IntArray,
    s: IntArray,
    b: Bars,
    d: IntArray,
    e: IntArray,
    c: IntArray,
    exposed: ByteArray,
    stop: int,
) -> None:
    """Mark the bars of a single symbol up to the next at which anything can happen."""
    if s[0, S_LIVE] or s[0, S_DATED] or (q[P_WATCHES] and q[A_FACTOR] != _PPB):
        return
    step = q[A_STEP]
    first = s[0, S_FIRST]
    until = stop
    if q[A_ROW] < d.shape[0]:
        until = min(until, d[q[A_ROW], D_STEP])
    lots, scale, cash = s[0, S_LOTS], s[0, S_SCALE], q[A_CASH]
    flag = 1 if lots else 0
    # The equity at a price of zero; below `floor` ticks of value something must be looked at.
    base = q[A_EQUITY] - (lots * s[0, S_MARK] * scale if lots else 0)
    value = lots * scale
    need = 0
    if q[P_MARGIN]:
        need = q[P_MAINTENANCE]
    leverage = q[P_LEVERAGE]
    is_watched = s[0, S_OPEN] > 0
    above, below = s[0, S_SKIP_HIGH], s[0, S_SKIP_LOW]
    high, low, close, flags = b[B_H], b[B_L], b[B_C], b[B_FLAGS]
    days = q[P_HAS_DAY_ORDERS]
    peak, alarm = MAX_PRICE, -MAX_PRICE
    if q[P_WATCHES]:
        peak = q[A_PEAK]
        alarm = peak - ppb_ceil(peak, q[P_WATCH_FROM])
    if not q[P_WATCHES] and until - step > 1:
        far = until
        if is_watched:
            far = first_reach(high, low, above, below, first + step, first + until) - first
            if days:
                far = first_end(flags, first + step, first + far) - first
        if need and lots:
            # Enough for any requirement of at most the whole value is more than is asked for.
            if need <= _PPB and plain_samples(
                close, e, c, exposed, first, step, far, base, value, cash, flag, leverage, 1
            ):
                step = far
        elif plain_samples(close, e, c, exposed, first, step, far, base, value, cash, flag, 1, 0):
            step = far
    while step < until:
        i = first + step
        if is_watched and (high[i] >= above or low[i] <= below or (days and flags[i] & FLAG_ENDS)):
            break
        worth = value * close[i]
        equity = base + worth
        if equity <= 0 or (lots and need and equity * leverage < ppb_ceil(abs(worth), need)):
            break
        if equity >= peak:
            peak = equity
            alarm = peak - ppb_ceil(peak, q[P_WATCH_FROM])
        elif equity <= alarm:
            break
        e[step] = equity
        c[step] = cash
        exposed[step] = flag
        step += 1
    if q[P_WATCHES]:
        q[A_PEAK] = peak
    if step > q[A_STEP]:
        q[A_EQUITY] = e[step - 1]
        s[0, S_MARK] = close[first + step - 1]
        s[0, S_CURSOR] = first + step
        # What the next bar needs besides: asked for together, memory is waited for once.
        q[K_NOW] = b[B_CLOSE_TS][first + step - 1]
        q[K_OPEN_TS] = b[B_OPEN_TS][first + step - 1]
        q[K_O] = b[B_O][first + step - 1]
        q[A_SAMPLES] = step
        q[A_STEP] = step


@unit
def has_room(q: IntArray, s: IntArray, o: IntArray, x: IntArray, w: IntArray, z: IntArray) -> bool:
    """Return whether the tables hold whatever the next instant may add."""
    most = total = 0
    for symbol in range(s.shape[0]):
        most = max(most, s[symbol, S_OPEN])
        total += s[symbol, S_OPEN]
    more = 4 * q[A_BURST] + 2
    return (
        q[A_ORDERS] + more + 2 * s.shape[0] < o.shape[0]
        and q[A_FILLS] + 4 * total + more + 2 * s.shape[0] < x.shape[0]
        and most + more < w.shape[1]
        and 2 * most + more + 2 + 4 * total < z.shape[0]
    )
