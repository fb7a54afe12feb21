"""Values as an operator types them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.api.typed_values import parse_fraction, parse_number, parse_seconds, plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.05", "0.05"),
        (" 7 ", "7"),
        ("-3", "-3"),
        ("1.5k", "1500"),
        ("2M", "2000000"),
        ("0.1b", "100000000"),
        ("1,000", "1000"),
        ("-1,234,567.89", "-1234567.89"),
        ("1,500k", "1500000"),
        ("1_000", "1000"),
        ("1e3", "1000"),
        (".5", "0.5"),
    ],
)
def test_numbers(text: str, value: str) -> None:
    assert parse_number(text) == Decimal(value)


@pytest.mark.parametrize(
    "text", ["", "k", "ten", "1.2.3", "1k5", "0,05", "1,5", "1,00", "12,34", "1,0000", ",5", "1,"]
)
def test_what_is_no_number_is_said_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number; write for example 0\.05 or 1\.5k"):
        parse_number(text)


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "sNaN"])
def test_a_number_is_finite(text: str) -> None:
    with pytest.raises(ValueError, match=r"finite|not a number"):
        parse_number(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2%", "0.02"),
        ("0.02", "0.02"),
        ("-0.5 %", "-0.005"),
        ("25bp", "0.0025"),
        ("25 BPS", "0.0025"),
        ("1,000%", "10"),
        ("0.000000000000000001%", "0.00000000000000000001"),
    ],
)
def test_fractions(text: str, value: str) -> None:
    assert parse_fraction(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "two", "0,02"])
def test_what_is_no_fraction(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a fraction; write for example 2% or 0\.02"):
        parse_fraction(text)


@pytest.mark.parametrize("text", ["%", "x%", "2,5%"])
def test_a_percentage_needs_a_number(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        parse_fraction(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("300", 300), ("4h", 14_400), ("1h30m", 5_400), ("2000ms", 2)]
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "said"), [("1500ms", "not a whole number of seconds"), ("soon", "not a duration")]
)
def test_what_is_no_duration(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [("1.500", "1.5"), ("100", "100"), ("1E+3", "1000"), ("0.00", "0"), ("-2.50", "-2.5")],
)
def test_plain_text_has_no_exponent_and_no_idle_zeros(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text
