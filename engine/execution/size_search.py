"""Search for the largest quantity that the funds allow (FILL-29, FILL-30)."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def largest_fitting(
    fits: Callable[[int], bool], guess: int, most: int, starts: Sequence[int] = ()
) -> int:
    """Return the largest n in [0, *most*] with ``fits(n)``; 0 if none fits.

    ``fits`` must not turn from False to True as n grows, except at *starts* (where a fee falls).
    A good *guess* costs a few calls, a bad one a logarithm.
    """
    if most <= 0:
        return 0
    bounds = sorted({start for start in starts if 0 < start <= most}, reverse=True)
    top = most
    for start in bounds:
        if fits(start):
            return _largest(fits, min(max(guess, start), top), start, top)
        top = start - 1
    return _largest(fits, min(max(guess, 0), top), 0, top)


def _largest(fits: Callable[[int], bool], guess: int, low: int, high: int) -> int:
    """Return the largest n in [*low*, *high*] that fits, *low* if no other does."""
    step = 1
    if guess <= low or fits(guess):
        low = max(low, guess)
        while low < high:
            reach = min(high, low + step)
            if not fits(reach):
                high = reach
                break
            low = reach
            step *= 2
        else:
            return low
    else:
        high = guess
        while high - low > 1:
            reach = max(low, high - step)
            if reach == low or fits(reach):
                low = reach
                break
            high = reach
            step *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
