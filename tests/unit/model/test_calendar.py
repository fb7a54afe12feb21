from __future__ import annotations

import numpy as np

from engine.model.bar_columns import DAY_NS, IntArray
from engine.model.calendar import SessionCalendar
from engine.model.clock import from_iso

HOUR_NS = DAY_NS // 24
OUTSIDE = -(2**62)


def stamps(*texts: str) -> IntArray:
    return np.array([from_iso(text) for text in texts], dtype=np.int64)


def day(text: str) -> int:
    return from_iso(text) // DAY_NS


def test_a_day_session_follows_the_local_clock() -> None:
    calendar = SessionCalendar(
        "America/New_York", 9 * HOUR_NS + HOUR_NS // 2, 16 * HOUR_NS, frozenset(range(5))
    )
    found = calendar.sessions(
        stamps(
            "2024-01-05T14:29:59",
            "2024-01-05T14:30:00",
            "2024-07-05T13:30:00",
            "2024-07-05T20:00:00",
            "2024-01-06T15:00:00",
        )
    )
    assert found.tolist() == [OUTSIDE, day("2024-01-05"), day("2024-07-05"), OUTSIDE, OUTSIDE]


def test_a_session_over_midnight_carries_the_date_of_its_end() -> None:
    calendar = SessionCalendar("UTC", 22 * HOUR_NS, 22 * HOUR_NS, frozenset(range(5)))
    found = calendar.sessions(
        stamps("2024-01-07T21:59:59", "2024-01-07T22:00:00", "2024-01-08T10:00:00")
    )
    assert found.tolist() == [OUTSIDE, day("2024-01-08"), day("2024-01-08")]
    ends = calendar.bar_sessions(stamps("2024-01-08T22:00:00", "2024-01-08T23:00:00"))
    assert ends.tolist() == [day("2024-01-08"), day("2024-01-09")]
