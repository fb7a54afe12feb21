"""The session's clock: ``int`` nanoseconds since the epoch, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

SECOND_NS: Final = 1_000_000_000
MILLISECOND_NS: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Clock(Protocol):
    """Something that knows the time."""

    def now_ns(self) -> int:
        """Return nanoseconds since the epoch, UTC."""
        ...


class SimulatedClock:
    """A clock that moves only when told and never back."""

    __slots__ = ("_now_ns",)

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """Return nanoseconds since the epoch, UTC."""
        return self._now_ns

    def advance_to(self, now_ns: int) -> None:
        """Move the clock to *now_ns*; an instant that is already past leaves it where it is."""
        self._now_ns = max(self._now_ns, now_ns)

    def rewind(self, now_ns: int = 0) -> None:
        """Begin again for another run; never within one."""
        self._now_ns = now_ns


def to_iso(ns: int) -> str:
    """Return *ns* as ISO 8601 in UTC with microseconds, ``2017-01-01T22:00:00.000000Z``."""
    moment = _EPOCH + timedelta(microseconds=ns // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_iso(text: str) -> int:
    """Return the nanoseconds of an ISO 8601 stamp or date; a stamp without offset is UTC.

    Raises:
        ValueError: *text* is not an ISO 8601 stamp.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return ((moment - _EPOCH) // _MICROSECOND) * 1000
