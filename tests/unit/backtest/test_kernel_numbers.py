"""FAST-4, DET-3, DET-4: integers inside the kernels on the full sign grid."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.backtest import kernel_numbers as numbers
from engine.backtest.jit import kernel
from engine.model import draws, rounding
from engine.model.run_tables import EQUITY_DTYPE, FILL_DTYPE, ORDER_DTYPE, digest64


def callable_part(name: str) -> Any:
    """Return a part of the kernels as something that Python can call."""
    return kernel(getattr(numbers, name).py_func)


SHARE = callable_part("half_even_share")
UNIFORM = callable_part("uniform")
MIX = callable_part("mix")
FEE = callable_part("fee_ppb")
WHOLE = (0, 1, 2, 3, 7, 99, 10**9 - 1, 10**9, 10**9 + 1, 2**40 + 1, 2**61 + 1, 2**62 - 1)
SIGNED = sorted({sign * value for value in WHOLE for sign in (1, -1)})
DIVISORS = (1, 2, 3, 7, 10**9, 2**31, 2**62 - 1)
RATES = (0, 1, 2, 500_000, 10**9 - 1, 10**9, 10**9 + 1, 8 * 10**9)


@pytest.mark.parametrize("name", ["ceil_div", "trunc_div", "half_even_div"])
def test_compiled_divisions_are_the_shared_ones(name: str) -> None:
    compiled, plain = callable_part(name), getattr(rounding, name)
    for numerator in SIGNED:
        for divisor in DIVISORS:
            assert compiled(numerator, divisor) == plain(numerator, divisor)


@pytest.mark.parametrize("name", ["ppb_floor", "ppb_ceil"])
def test_compiled_products_with_rates_are_the_shared_ones(name: str) -> None:
    compiled, plain = callable_part(name), getattr(rounding, name)
    for value in [one for one in SIGNED if abs(one) < 2**59]:
        for rate in RATES:
            assert compiled(value, rate) == plain(value, rate)


def test_compiled_fees_are_the_shared_ones() -> None:
    for value in [one for one in WHOLE if one < 2**59]:
        for rate in RATES:
            assert FEE(value, rate) == rounding.fee_ppb(value, rate)
            assert FEE(value, -rate) == rounding.fee_ppb(value, -rate)


@given(total=st.integers(0, 2**62 - 1), whole=st.integers(1, 2**62 - 1), share=st.fractions(0, 1))
def test_shares_of_128_bit_products_are_exact(total: int, whole: int, share: Fraction) -> None:
    part = int(share * whole)
    assert SHARE(total, part, whole) == round(Fraction(total * part, whole))


@given(seed=st.integers(0, 2**62), order=st.integers(0, 2**31), bar=st.integers(0, 2**31))
def test_draws_are_those_of_the_event_path(seed: int, order: int, bar: int) -> None:
    assert UNIFORM(seed, 1, order, bar) == draws.uniform(seed, 1, order, bar)


@given(st.integers(0, 2**64 - 1))
def test_mixing_is_that_of_the_event_path(value: int) -> None:
    assert int(MIX(np.uint64(value))) == draws.mix(value)


def test_the_digest_is_that_of_the_tables() -> None:
    fills = np.zeros(3, dtype=FILL_DTYPE)
    equity = np.zeros(4, dtype=EQUITY_DTYPE)
    orders = np.zeros(2, dtype=ORDER_DTYPE)
    for table in (fills, equity, orders):
        for place, name in enumerate(table.dtype.names or ()):
            table[name] = np.arange(len(table)) + place
    fills["side"] = [1, -1, 1]
    equity["equity_atoms"] = [5, -7, 2**61, 0]
    assert numbers.digest(fills, equity, orders) == digest64(fills, equity, orders)
