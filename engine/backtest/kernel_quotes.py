"""Looks along the quotes of bars for the first that can wake anything (FAST-1).

A quote is a number: four times its bar plus its place on the bar's path. Prices are ticks.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.backtest.jit import kernel, part
from engine.backtest.kernel_layout import WALK_HIGH_FIRST, WALK_NEARER
from engine.model.bar_columns import MISSING, IntArray

POINTS: Final = 4
"""Quotes of a bar: open, two extremes, close."""
_BLOCK: Final = 16


@part
def is_high_before(path: int, opening: int, high: int, low: int) -> bool:
    """Return whether the path of a bar goes to its high before its low."""
    if path == WALK_NEARER:
        return high - opening < opening - low
    return path == WALK_HIGH_FIRST


@part
def wakes(price: int, spread: int, keys: IntArray) -> bool:
    """Return whether a quote around *price* reaches one of *keys*.

    These are the least values of -bid, bid, -ask, ask, -(bid + ask), bid + ask that wake.
    """
    bid = max(1, price - spread // 2)
    ask = bid + spread
    return bool(
        -bid >= keys[0]
        or bid >= keys[1]
        or -ask >= keys[2]
        or ask >= keys[3]
        or -bid - ask >= keys[4]
        or bid + ask >= keys[5]
    )


@part
def spread_of(spreads: IntArray, bar: int) -> int:
    """Return the spread of *bar*, 0 where the data have none."""
    if not len(spreads) or spreads[bar] == MISSING:
        return 0
    return int(spreads[bar])


@part
def may_wake(high: int, low: int, spread: int, keys: IntArray) -> bool:
    """Return whether a bar reaches one of *keys*: its extremes reach whatever its path does."""
    return wakes(high, spread, keys) or wakes(low, spread, keys)


@kernel
def first_waking(
    opening: IntArray,
    high: IntArray,
    low: IntArray,
    close: IntArray,
    spreads: IntArray,
    is_absent: NDArray[np.bool_],
    keys: IntArray,
    path: int,
    start: int,
    start_path: int,
    stop: int,
) -> int:
    """Return the number of the first quote from *start* to *stop* that reaches a key, or *stop*.

    *start_path* is the path of the bar that *start* lies in, *path* that of the bars after it.
    Bars that *is_absent* names have no quotes. Without spreads one price is bid and ask, and
    bars are compared in blocks with the nearest keys below and above.
    """
    top = min(keys[1], keys[3], (keys[5] + 1) // 2)
    bottom = max(-keys[0], -keys[2], (-keys[4]) // 2)
    is_plain = len(spreads) == 0
    bar = start // POINTS
    first = start % POINTS
    while bar * POINTS + first < stop:
        if is_plain and first == 0:
            bar = skipped(high, low, top, bottom, bar, stop // POINTS)
            if bar * POINTS >= stop:
                return stop
        spread = spread_of(spreads, bar)
        if not is_absent[bar] and may_wake(high[bar], low[bar], spread, keys):
            here = start_path if bar == start // POINTS else path
            before = is_high_before(here, opening[bar], high[bar], low[bar])
            for point in range(first, POINTS):
                price = opening[bar]
                if point == 3:
                    price = close[bar]
                elif point:
                    price = high[bar] if before == (point == 1) else low[bar]
                if wakes(price, spread, keys):
                    return min(bar * POINTS + point, stop)
        bar += 1
        first = 0
    return stop


@part
def skipped(high: IntArray, low: IntArray, top: int, bottom: int, bar: int, stop: int) -> int:
    """Return the first of the bars from *bar* to *stop* in the first block that reaches a bound."""
    while bar + _BLOCK <= stop:
        tops, bottoms = high[bar : bar + _BLOCK], low[bar : bar + _BLOCK]
        hits = 0
        for place in range(_BLOCK):
            hits |= (tops[place] >= top) | (bottoms[place] <= bottom)
        if hits:
            break
        bar += _BLOCK
    return bar
