"""Trading sessions of an exchange: which session a bar belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from engine.model.bar_columns import DAY_NS, IntArray

_HOUR_NS: Final = 3_600_000_000_000
OUTSIDE: Final = -(2**62)
"""The session of an instant outside of all sessions."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SessionCalendar:
    """Sessions that open and close at the same local times on given weekdays.

    ``opens_ns`` and ``closes_ns`` count from local midnight; a session that closes at or before
    its opening ends on the next day and carries that day's date. ``days`` are the weekdays of the
    dates that sessions carry, Monday 0. Holidays are days without bars.
    """

    timezone: str = "UTC"
    opens_ns: int = 0
    closes_ns: int = DAY_NS
    days: frozenset[int] = frozenset(range(7))

    def sessions(self, ts_ns: IntArray) -> IntArray:
        """Return the session of each instant: days since 1970-01-01, or `OUTSIDE`."""
        local = ts_ns + self._offsets(ts_ns)
        day = local // DAY_NS
        time = local - day * DAY_NS
        if self.closes_ns > self.opens_ns:
            is_open = (time >= self.opens_ns) & (time < self.closes_ns)
        else:
            is_evening = time >= self.opens_ns
            is_open = is_evening | (time < self.closes_ns)
            day = day + is_evening
        weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
        is_open &= np.isin(weekday, sorted(self.days))
        return np.where(is_open, day, OUTSIDE)

    def bar_sessions(self, ts_close: IntArray) -> IntArray:
        """Return the session of bars that end at *ts_close*."""
        return self.sessions(ts_close - 1)

    def _offsets(self, ts_ns: IntArray) -> IntArray:
        """Return the local offsets; they change on whole hours of UTC in all present zones."""
        if self.timezone == "UTC":
            return np.zeros(len(ts_ns), dtype=np.int64)
        zone = ZoneInfo(self.timezone)
        hours, place = np.unique(ts_ns // _HOUR_NS, return_inverse=True)
        offsets = [
            (_EPOCH + timedelta(hours=hour)).astimezone(zone).utcoffset() or timedelta()
            for hour in hours.tolist()
        ]
        in_ns = np.array(
            [int(one / timedelta(microseconds=1)) * 1000 for one in offsets], dtype=np.int64
        )
        return in_ns[place]
