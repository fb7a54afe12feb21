"""UNIT-5, UNIT-8, FAST-4: shared integer rounding on the full sign grid, against fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from engine.model import rounding

NUMERATORS = (0, 1, 2, 3, 5, 7, 10, 15, 99, 100, 101, 10**9, 2**61 + 1, 2**62 - 1)
DENOMINATORS = (1, 2, 3, 4, 6, 7, 10, 10**9, 2**31, 2**62 - 1)
RATES = (0, 1, 2, 500_000, 10**9 - 1, 10**9, 10**9 + 1, 9 * 10**9)


def signed(values: tuple[int, ...]) -> list[int]:
    return sorted({sign * value for value in values for sign in (1, -1)})


@pytest.mark.parametrize("numerator", signed(NUMERATORS))
@pytest.mark.parametrize("denominator", DENOMINATORS)
def test_divisions_round_as_their_names_say(numerator: int, denominator: int) -> None:
    exact = Fraction(numerator, denominator)
    assert rounding.ceil_div(numerator, denominator) == math.ceil(exact)
    assert rounding.trunc_div(numerator, denominator) == math.trunc(exact)
    assert rounding.half_even_div(numerator, denominator) == round(exact)


@pytest.mark.parametrize("value", signed(NUMERATORS))
@pytest.mark.parametrize("rate", signed(RATES))
def test_products_with_a_rate_round_as_their_names_say(value: int, rate: int) -> None:
    exact = Fraction(value * rate, 10**9)
    assert rounding.ppb_floor(value, rate) == math.floor(exact)
    assert rounding.ppb_ceil(value, rate) == math.ceil(exact)


@pytest.mark.parametrize("value", NUMERATORS)
@pytest.mark.parametrize("rate", signed(RATES))
def test_a_cost_is_rounded_up_and_a_rebate_toward_zero(value: int, rate: int) -> None:
    exact = Fraction(value * rate, 10**9)
    assert rounding.ppb_trunc(value, rate) == math.trunc(exact)
    assert rounding.fee_ppb(value, rate) == (math.ceil(exact) if rate >= 0 else math.trunc(exact))
