"""Integer rounding that the event path and the compiled kernels share (UNIT-5, UNIT-8).

Every function is one expression of integer arithmetic, leaf-level and without Python objects, so
that the kernels compile the very same source for 64-bit integers that the event path runs with
unbounded ones. Rates are parts per billion with a magnitude below nine (`PPB` times nine): the
long product is split at a billion, so each partial product stays inside 64 bits.
"""

from __future__ import annotations

from typing import Final

_PPB: Final = 1_000_000_000


def ceil_div(numerator: int, denominator: int) -> int:
    """Return *numerator* / *denominator* rounded up; *denominator* is positive."""
    return -(-numerator // denominator)


def trunc_div(numerator: int, denominator: int) -> int:
    """Return *numerator* / *denominator* rounded toward zero; *denominator* is positive."""
    if numerator < 0:
        return -(-numerator // denominator)
    return numerator // denominator


def half_even_div(numerator: int, denominator: int) -> int:
    """Return *numerator* / *denominator* rounded half to even; *denominator* is positive."""
    quotient = numerator // denominator
    rest = numerator - quotient * denominator
    other = denominator - rest
    if rest > other or (rest == other and quotient & 1):
        return quotient + 1
    return quotient


def ppb_floor(value: int, rate_ppb: int) -> int:
    """Return *value* * *rate_ppb* / 1e9 rounded down."""
    whole = value // _PPB
    return whole * rate_ppb + (value - whole * _PPB) * rate_ppb // _PPB


def ppb_ceil(value: int, rate_ppb: int) -> int:
    """Return *value* * *rate_ppb* / 1e9 rounded up."""
    whole = value // _PPB
    return whole * rate_ppb - (-(value - whole * _PPB) * rate_ppb // _PPB)


def ppb_trunc(value: int, rate_ppb: int) -> int:
    """Return *value* * *rate_ppb* / 1e9 rounded toward zero; *value* is zero or more."""
    whole = value // _PPB
    rest = value - whole * _PPB
    if rate_ppb < 0:
        return whole * rate_ppb - rest * -rate_ppb // _PPB
    return whole * rate_ppb + rest * rate_ppb // _PPB


def fee_ppb(notional_atoms: int, rate_ppb: int) -> int:
    """Return the fee of *notional_atoms* (zero or more): a cost up, a rebate toward zero."""
    whole = notional_atoms // _PPB
    rest = notional_atoms - whole * _PPB
    if rate_ppb < 0:
        return whole * rate_ppb - rest * -rate_ppb // _PPB
    return whole * rate_ppb - (-rest * rate_ppb // _PPB)
