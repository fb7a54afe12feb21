from __future__ import annotations

from decimal import Decimal

import pytest

from engine.markets.numbers import (
    floor_steps,
    most_decimals,
    nearest_steps,
    parse_number,
    parse_plain_numbers,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.05236", "1.05236"),
        ("-7", "-7"),
        ("+0.50", "0.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
        ("1.5E-3", "0.0015"),
    ],
)
def test_numbers_are_exact(text: str, number: str) -> None:
    assert parse_number(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", " ", "NaN", "null", "None", "-", "N/A"])
def test_what_means_nothing(text: str) -> None:
    assert parse_number(text).is_nan()


@pytest.mark.parametrize("text", ["inf", "-Inf", "+infinity"])
def test_what_means_infinity(text: str) -> None:
    assert parse_number(text).is_infinite()


@pytest.mark.parametrize("text", ["1,5", "1 5", "1_5", "0x1", "\u0663", "1.2.3", "1e999", "x"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        parse_number(text)


@pytest.mark.parametrize("text", ["1000000000000000", "1e15", "-1e20"])
def test_what_is_too_large(text: str) -> None:
    with pytest.raises(ValueError, match="is too large"):
        parse_number(text)


def test_plain_rows_are_read_at_once_and_others_not_at_all() -> None:
    assert parse_plain_numbers(["1", "2.5", "3", "4"]) == [
        Decimal(1),
        Decimal("2.5"),
        Decimal(3),
        Decimal(4),
    ]
    assert parse_plain_numbers(["1,2", "3", "4", "5"]) is None
    assert parse_plain_numbers(["1", "", "3", "4"]) is None
    assert parse_plain_numbers(["-1", "2", "3", "4"]) is None


def test_decimals_count_without_trailing_zeros_up_to_nine() -> None:
    assert most_decimals([]) == 0
    assert most_decimals([Decimal("1.500"), Decimal(2)]) == 1
    assert most_decimals([Decimal("1.00001"), Decimal("0.01")]) == 5
    assert most_decimals([Decimal("1e-12")]) == 9


def test_steps() -> None:
    assert nearest_steps(Decimal("1.5"), Decimal("0.5")) == (3, Decimal(0))
    assert nearest_steps(Decimal("1.25"), Decimal("0.5")) == (2, Decimal("0.25"))
    assert nearest_steps(Decimal("1.75"), Decimal("0.5")) == (4, Decimal("0.25"))
    assert floor_steps(Decimal("1.9"), Decimal(1)) == (1, True)
    assert floor_steps(Decimal(2), Decimal(1)) == (2, False)
