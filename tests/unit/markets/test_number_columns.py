from __future__ import annotations

from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from engine.markets.number_columns import (
    ABOVE_HALF,
    ABSENT,
    BELOW_HALF,
    EXACT,
    HALF,
    INFINITE,
    FormatProblem,
    NumberColumn,
    floor_to_grid,
    parse_column,
    parse_float_column,
    parse_floats,
    places_for,
    rescaled,
    to_grid,
)


def parse(*texts: str | None) -> NumberColumn:
    return parse_column(pl.Series(list(texts), dtype=pl.String))


def parse_floats_as_numbers(*values: float) -> NumberColumn:
    return parse_float_column(np.array(values, dtype=np.float64))


def test_plain_digits_become_integers_at_the_finest_decimal_unit_3() -> None:
    column = parse("1.05", "2", "0.125", "10.500")
    assert column.decimals == 3
    assert column.scaled.tolist() == [1050, 2000, 125, 10_500]
    assert column.beyond is None
    assert column.kinds is None


def test_signs_and_exponents_are_exact() -> None:
    column = parse("-0.5", "+1.25", "1e2", "25E-3", ".5", "3.")
    assert column.decimals == 3
    assert column.scaled.tolist() == [-500, 1250, 100_000, 25, 500, 3000]


def test_words_and_blanks_have_their_kinds() -> None:
    column = parse("1", "", "nan", None, "n/a", "inf", "-Infinity")
    assert column.kinds is not None
    assert column.kinds.tolist() == [0, ABSENT, ABSENT, ABSENT, ABSENT, INFINITE, INFINITE]


@pytest.mark.parametrize(
    ("text", "scaled", "beyond"),
    [
        ("1.1234567890", 1_123_456_789, EXACT),
        ("1.12345678901", 1_123_456_789, BELOW_HALF),
        ("1.1234567895", 1_123_456_789, HALF),
        ("1.12345678950000001", 1_123_456_789, ABOVE_HALF),
        ("1.1234567899999999", 1_123_456_789, ABOVE_HALF),
        ("-1.12345678901", -1_123_456_790, ABOVE_HALF),
        ("-1.1234567895", -1_123_456_790, HALF),
        ("5e-12", 0, BELOW_HALF),
    ],
)
def test_what_nine_decimals_cannot_hold_is_compared_with_half_unit_3(
    text: str, scaled: int, beyond: int
) -> None:
    column = parse(text, "0.000000001")
    assert column.decimals == 9
    assert column.scaled[0] == scaled
    assert (0 if column.beyond is None else column.beyond[0]) == beyond


def test_rounding_is_half_to_even() -> None:
    column = parse("0.0000000005", "0.0000000015", "0.00000000250001", "0.000000003")
    rounded, changed = column.rounded()
    assert rounded.tolist() == [0, 2, 3, 3]
    assert changed == 3


@pytest.mark.parametrize("text", ["x", "1,000", "1_0", "--5", "1.5.2", "1e999", "9" * 16])
def test_what_is_no_number_names_its_row(text: str) -> None:
    with pytest.raises(FormatProblem) as caught:
        parse("1", "2.5", text)
    assert caught.value.row == 2


def test_numbers_that_do_not_fit_beside_each_other_overflow() -> None:
    with pytest.raises(OverflowError):
        parse("999999999999999", "0.000000001")
    with pytest.raises(OverflowError):
        parse("999999999999999", "-0.000000001")
    with pytest.raises(OverflowError):
        rescaled(np.array([2**60]), 1)


def test_floats_are_read_as_their_shortest_decimals_unit_3() -> None:
    column = parse_floats_as_numbers(0.1, 1.05236, 123456789.25, 1e-8, -2.5)
    assert column.decimals == 8
    assert column.scaled.tolist() == [
        10_000_000,
        105_236_000,
        12_345_678_925_000_000,
        1,
        -250_000_000,
    ]


def test_floats_with_many_digits_are_compared_with_half_too() -> None:
    column = parse_floats_as_numbers(1.05, 0.1 + 0.2, float("nan"), float("inf"))
    assert column.decimals == 9
    assert column.beyond is not None
    assert column.kinds is not None
    assert column.scaled[1] == 300_000_000
    assert column.beyond[1] == BELOW_HALF  # 0.30000000000000004
    assert column.kinds.tolist() == [0, 0, ABSENT, INFINITE]


def test_floats_that_are_too_large_name_their_row() -> None:
    with pytest.raises(FormatProblem) as caught:
        parse_floats_as_numbers(1.0, 1e16)
    assert caught.value.row == 1
    with pytest.raises(OverflowError):
        parse_floats_as_numbers(1e14, 1e-9)


def test_floats_and_their_texts_give_the_same_numbers() -> None:
    values = np.random.default_rng(7).uniform(0.001, 50_000, 2_000).round(5)
    by_float, by_text = parse_float_column(values), parse(*map(repr, values.tolist()))
    assert by_float.scaled.tolist() == by_text.scaled.tolist()
    assert by_float.decimals == by_text.decimals == 5


@pytest.mark.parametrize(
    ("text", "tick", "steps", "moved"),
    [
        ("10.25", "0.25", 41, "0"),
        ("10.125", "0.25", 40, "0.125"),
        ("10.375", "0.25", 42, "0.125"),
        ("10.3", "0.25", 41, "0.05"),
        ("0.02500000000000001", "0.01", 3, "0.005"),
        ("0.0249999999999", "0.01", 2, "0.005"),
        ("-0.025", "0.01", -2, "0.005"),
        ("100", "5", 20, "0"),
        ("102.5", "5", 20, "2.5"),
        ("1.0000000001", "0.000000001", 1_000_000_000, "0"),
        ("1.0000000015", "0.000000001", 1_000_000_002, "0"),
        ("1.00000000151", "0.0000000005", 2_000_000_003, "0"),
    ],
)
def test_prices_go_to_the_nearest_tick_half_to_even_v12(
    text: str, tick: str, steps: int, moved: str
) -> None:
    step = Decimal(tick)
    grid = to_grid(parse_column(pl.Series([text]), places_for(step)), step)
    assert grid.steps.tolist() == [steps]
    if Decimal(moved):
        assert grid.is_moved.tolist() == [True]
        assert abs(grid.largest_move - Decimal(moved)) <= Decimal("1e-9")


def test_a_tick_finer_than_nine_decimals_is_exact_too() -> None:
    step = Decimal("0.0000000001")
    texts = pl.Series(["0.000000001", "0.5"])
    grid = to_grid(parse_column(texts, places_for(step)), step)
    assert grid.steps.tolist() == [10, 5_000_000_000]
    assert not grid.is_moved.any()


def test_volumes_are_rounded_toward_zero() -> None:
    lots, changed = floor_to_grid(parse("1.57", "-1.57", "2", "0.00000000001"), Decimal("0.1"))
    assert lots.tolist() == [15, -15, 20, 0]
    assert changed == 3


def test_features_are_floats_or_none_at_all() -> None:
    values = parse_floats(pl.Series(["1.5", "", "nan", "-inf", "2e3", "n/a"]))
    assert values is not None
    assert np.isnan(values).tolist() == [False, True, True, False, False, True]
    assert values[0] == 1.5
    assert values[3] == -np.inf
    assert parse_floats(pl.Series(["1.5", "word"])) is None
