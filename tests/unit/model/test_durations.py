"""Durations as people write them."""

from __future__ import annotations

import pytest

from engine.model.durations import parse_duration_ns

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("90", 90 * SECOND),
        ("0.5", SECOND // 2),
        ("90s", 90 * SECOND),
        ("1h30m", 5400 * SECOND),
        ("1h 30m", 5400 * SECOND),
        ("1.5h", 5400 * SECOND),
        ("250ms", SECOND // 4),
        ("2D", 2 * 86_400 * SECOND),
    ],
)
def test_a_duration_is_read(text: str, ns: int) -> None:
    assert parse_duration_ns(text) == ns


@pytest.mark.parametrize("text", ["", "4hh", "h", "-1", "1 fortnight", "1e3"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"write for example 90s, 4h or 1h30m"):
        parse_duration_ns(text)
