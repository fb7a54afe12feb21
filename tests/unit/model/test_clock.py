"""Section 10 of the style guide: time inside is int nanoseconds, ISO 8601 at the edges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.clock import SimulatedClock, from_iso, to_iso


def test_the_simulated_clock_never_goes_back() -> None:
    clock = SimulatedClock(10)
    clock.advance_to(5)
    assert clock.now_ns() == 10
    clock.advance_to(11)
    assert clock.now_ns() == 11


@given(st.integers(0, 4_000_000_000_000_000))
def test_iso_text_keeps_microseconds(microseconds: int) -> None:
    assert from_iso(to_iso(microseconds * 1000)) == microseconds * 1000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01", 1_000_000_000),
        ("1970-01-01T01:00:01+01:00", 1_000_000_000),
        ("1970-01-01T00:00:00.000001Z", 1000),
    ],
)
def test_iso_text_is_read(text: str, ns: int) -> None:
    assert from_iso(text) == ns
