"""Numbers, money, percent and time as the console shows them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tui import formatting as show


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1234.5"), "▲ +1,234.50"),
        (Decimal("-56.1"), "▼ -56.10"),
        (Decimal(0), "·  0.00"),
        (Decimal("-0.004"), "·  0.00"),
        (Decimal("0.005001"), "▲ +0.01"),
        (None, "--"),
        (Decimal("NaN"), "--"),
        (float("inf"), "--"),
        (12, "▲ +12.00"),
        (-0.5, "▼ -0.50"),
    ],
)
def test_signed_money_says_its_sign_three_times(value: show.Number | None, text: str) -> None:
    assert show.format_signed_money(value) == text


@pytest.mark.parametrize(
    ("value", "way"),
    [(Decimal(1), "up"), (Decimal(-1), "down"), (Decimal("-0.001"), "flat"), (None, "flat")],
)
def test_direction_is_that_of_the_rounded_value(value: Decimal | None, way: show.Direction) -> None:
    assert show.direction(value) == way


def test_money_has_separators_and_no_sign_on_zero() -> None:
    assert show.format_money(Decimal("-1234567.891")) == "-1,234,567.89"
    assert show.format_money(Decimal("-0.001")) == "0.00"
    assert show.format_money(None) == "--"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("64480.4"), "64,480.4"),
        (Decimal("64480.40"), "64,480.40"),
        (Decimal("1.08395"), "1.08395"),
        (Decimal("1E+3"), "1,000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("1E+60"), "--"),
        (Decimal("sNaN"), "--"),
        (None, "--"),
        (10, "10"),
    ],
)
def test_prices_keep_the_decimals_of_their_exponent(value: show.Number | None, text: str) -> None:
    assert show.format_decimal(value) == text


def test_prices_take_the_decimals_asked_for() -> None:
    assert show.format_decimal(Decimal("1.5"), 4) == "1.5000"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("981.2"), "981.20"),
        (Decimal(26_600), "26.6k"),
        (Decimal(1_200), "1.20k"),
        (Decimal(412_000), "412k"),
        (Decimal(1_200_000), "1.20M"),
        (Decimal(34_000_000_000), "34.0B"),
        (Decimal(-2_400), "-2.40k"),
        (None, "--"),
    ],
)
def test_compact_numbers(value: Decimal | None, text: str) -> None:
    assert show.format_compact(value) == text


def test_compact_numbers_can_show_a_plus() -> None:
    assert show.format_compact(Decimal(24_200), signed=True) == "+24.2k"


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (Decimal("0.0082"), "+0.82%"),
        (Decimal("-0.1"), "-10.00%"),
        (Decimal("0.00054"), "+5.4bp"),
        (Decimal("-0.00031"), "-3.1bp"),
        (Decimal("0.001"), "+0.10%"),
        (Decimal("0.000001"), "0.00%"),
        (Decimal(0), "0.00%"),
        (None, "--"),
    ],
)
def test_percent_is_a_fraction_times_100_and_basis_points_when_small(
    fraction: Decimal | None, text: str
) -> None:
    assert show.format_percent(fraction) == text


def test_percent_without_sign_and_share() -> None:
    assert show.format_percent(Decimal("0.02"), signed=False) == "2.00%"
    assert show.format_share(Decimal("0.617")) == "62%"
    assert show.format_share(None) == "--"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3 * 86_400 + 4 * 3_600 + 59, "3d04h"),
        (2 * 3_600 + 4 * 60, "2h04m"),
        (11 * 60 + 4, "11m04s"),
        (42.9, "42s"),
        (0.812, "812ms"),
        (0, "0s"),
        (-90, "-1m30s"),
        (float("nan"), "--"),
        (None, "--"),
    ],
)
def test_durations_show_their_two_largest_units(seconds: float | None, text: str) -> None:
    assert show.format_duration(seconds) == text


def test_clock_is_utc() -> None:
    at_ns = 1_772_453_071_204_999_999
    assert show.format_clock(at_ns) == "12:04:31"
    assert show.format_clock(at_ns, millis=True) == "12:04:31.204"
    assert show.format_date_time(at_ns) == "2026-03-02 12:04:31"


@pytest.mark.parametrize("at_ns", [None, -1, 10**30])
def test_an_instant_out_of_range_is_unknown(at_ns: int | None) -> None:
    assert show.format_clock(at_ns) == "--"
    assert show.format_date_time(at_ns) == "--"
