"""Bars at which nothing happens: how far they go, and their samples.

Prices are ticks, money atoms; bars are numbers of the joined columns, steps those of the run.
"""

from __future__ import annotations

from typing import Final

from engine.backtest.jit import part
from engine.backtest.kernel_layout import FLAG_ENDS, MAX_PRICE
from engine.backtest.kernel_numbers import ByteArray, ppb_ceil
from engine.model.bar_columns import IntArray

_PPB: Final = 1_000_000_000
_BLOCK: Final = 16
"""Bars that are compared at once."""


@part
def first_reach(
    high: IntArray, low: IntArray, above: int, below: int, start: int, stop: int
) -> int:
    """Return the first bar from *start* to *stop* that reaches *above* or *below*, or *stop*.

    Blocks without a way out of them are compared many bars at a time.
    """
    while start + _BLOCK <= stop:
        tops, bottoms = high[start : start + _BLOCK], low[start : start + _BLOCK]
        hits = 0
        for place in range(_BLOCK):
            hits |= (tops[place] >= above) | (bottoms[place] <= below)
        if hits:
            break
        start += _BLOCK
    while start < stop and high[start] < above and low[start] > below:
        start += 1
    return start


@part
def first_end(flags: IntArray, start: int, stop: int) -> int:
    """Return the first bar from *start* to *stop* that ends a session, or *stop*."""
    while start < stop and not flags[start] & FLAG_ENDS:
        start += 1
    return start


@part
def plain_samples(
    close: IntArray,
    e: IntArray,
    c: IntArray,
    exposed: ByteArray,
    first: int,
    step: int,
    stop: int,
    base: int,
    value: int,
    cash: int,
    flag: int,
    leverage: int,
    needs: int,
) -> bool:
    """Write the samples from *step* to *stop*; return whether none of them must be looked at.

    Nothing needs a look while the equity is positive and, with *needs*, times the leverage no
    less than the position's worth. Written samples of a False are void. *c* is empty where nobody
    wants the cash.
    """
    count = stop - step
    prices = close[first + step : first + stop]
    equities, held = e[step:stop], exposed[step:stop]
    least = MAX_PRICE
    for place in range(count):
        worth = value * prices[place]
        equity = base + worth
        equities[place] = equity
        least = min(least, equity - 1)
        if needs:
            least = min(least, equity * leverage - abs(worth))
    for place in range(count):
        held[place] = flag
    if len(c):
        cashes = c[step:stop]
        for place in range(count):
            cashes[place] = cash
    return bool(least >= 0)


@part
def samples_hold(
    close: IntArray,
    e: IntArray,
    c: IntArray,
    exposed: ByteArray,
    first: int,
    step: int,
    stop: int,
    base: int,
    value: int,
    cash: int,
    flag: int,
    leverage: int,
    need: int,
) -> bool:
    """Write the samples from *step* to *stop*; return whether the account needs no look.

    Arguments as `plain_samples`, but *need* is the maintenance margin in ppb of the worth.
    """
    needs = 1 if need and value else 0
    if need <= _PPB and plain_samples(
        close, e, c, exposed, first, step, stop, base, value, cash, flag, leverage, needs
    ):
        return True
    for place in range(step, stop):
        worth = value * close[first + place]
        equity = base + worth
        if equity <= 0 or (needs and equity * leverage < ppb_ceil(abs(worth), need)):
            return False
        e[place] = equity
        if len(c):
            c[place] = cash
        exposed[place] = flag
    return True
