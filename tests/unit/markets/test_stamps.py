from __future__ import annotations

import pytest

from engine.markets.stamps import ONE_DAY, parse_bar_duration
from engine.model.clock import SECOND_NS, from_iso, to_iso


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h", 3600), ("5m", 300), ("1d", 86_400), ("90", 90), ("1W", 604_800), ("2w", 1_209_600)],
)
def test_fixed_lengths(text: str, seconds: int) -> None:
    duration = parse_bar_duration(text)
    assert duration.nominal_ns == duration.fixed_ns == seconds * SECOND_NS
    assert duration.end_of(7) - 7 == 7 - duration.start_of(7) == seconds * SECOND_NS


@pytest.mark.parametrize(
    ("text", "opens", "closes"),
    [
        ("1mo", "2024-01-01", "2024-02-01"),
        ("1mo", "2024-01-15", "2024-02-01"),
        ("1mo", "2023-12-01", "2024-01-01"),
        ("3mo", "2024-04-01", "2024-07-01"),
        ("1y", "2024-01-01", "2025-01-01"),
        ("1y", "1969-06-01", "1970-01-01"),
    ],
)
def test_calendar_lengths_end_at_the_next_period(text: str, opens: str, closes: str) -> None:
    duration = parse_bar_duration(text)
    assert to_iso(duration.end_of(from_iso(opens)))[:10] == closes


@pytest.mark.parametrize(
    ("text", "closes", "opens"),
    [
        ("1mo", "2024-02-01", "2024-01-01"),
        ("1mo", "2024-01-31", "2024-01-01"),
        ("1y", "2024-01-01", "2023-01-01"),
        ("1y", "2023-12-31", "2023-01-01"),
    ],
)
def test_calendar_lengths_start_with_their_period(text: str, closes: str, opens: str) -> None:
    duration = parse_bar_duration(text)
    assert to_iso(duration.start_of(from_iso(closes)))[:10] == opens


def test_a_month_is_about_a_twelfth_of_a_year() -> None:
    assert parse_bar_duration("1y").nominal_ns == 12 * parse_bar_duration("1mo").nominal_ns
    assert 30 * ONE_DAY.nominal_ns < parse_bar_duration("1mo").nominal_ns < 31 * ONE_DAY.nominal_ns


@pytest.mark.parametrize("text", ["", "0s", "0mo", "0w", "-1h", "hour", "1 fortnight"])
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(ValueError, match=r"write for example"):
        parse_bar_duration(text)
