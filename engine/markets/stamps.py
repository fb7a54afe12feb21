"""Stamps and lengths of bars (DATA-2, DATA-3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.model.clock import SECOND_NS, from_iso
from engine.model.durations import parse_duration_ns

EpochUnit: TypeAlias = Literal["s", "ms", "us", "ns"]

_DAY_NS: Final = 86_400 * SECOND_NS
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_UNIT_NS: Final[dict[str, int]] = {"s": SECOND_NS, "ms": 1_000_000, "us": 1_000, "ns": 1}
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_WHOLE: Final = re.compile(r"-?\d{1,19}", re.ASCII)
_CALENDAR: Final = re.compile(r"(\d{1,2})\s*(w|mo|y)", re.ASCII)
_LATEST_NS: Final = 2**63 - 1
_NOMINAL_MONTH_NS: Final = 2_629_746 * SECOND_NS
_MONTHS: Final = {"mo": 1, "y": 12}


@dataclass(frozen=True, slots=True)
class BarDuration:
    """Length of a bar: a fixed number of nanoseconds, or a number of calendar months."""

    text: str
    fixed_ns: int = 0
    months: int = 0

    @property
    def nominal_ns(self) -> int:
        """Return the length, for months their mean length."""
        return self.fixed_ns or self.months * _NOMINAL_MONTH_NS

    def end_of(self, open_ns: int) -> int:
        """Return the end of the bar that starts at *open_ns*; months end at the next period."""
        return open_ns + self.fixed_ns if self.fixed_ns else self._boundary(open_ns, after=True)

    def start_of(self, close_ns: int) -> int:
        """Return the start of the bar that ends at *close_ns*."""
        if self.fixed_ns:
            return close_ns - self.fixed_ns
        return self._boundary(close_ns - 1, after=False)

    def _boundary(self, ns: int, *, after: bool) -> int:
        moment = _EPOCH + timedelta(microseconds=ns // 1000)
        period = (moment.year * 12 + moment.month - 1) // self.months + after
        year, month = divmod(period * self.months, 12)
        return _utc_ns(datetime(year, month + 1, 1, tzinfo=UTC))


ONE_DAY: Final = BarDuration("1d", fixed_ns=_DAY_NS)


def parse_bar_duration(text: str) -> BarDuration:
    """Return the length that *text* names: ``5m``, ``1h``, ``1d``, ``1w``, ``1mo``, ``1y``.

    Raises:
        ValueError: it names none above zero.
    """
    calendar = _CALENDAR.fullmatch(text.strip().lower())
    if calendar:
        count, unit = int(calendar[1]), calendar[2]
        if unit == "w" and count:
            return BarDuration(text, fixed_ns=7 * count * _DAY_NS)
        if count:
            return BarDuration(text, months=count * _MONTHS[unit])
    else:
        fixed_ns = parse_duration_ns(text)
        if fixed_ns:
            return BarDuration(text, fixed_ns=fixed_ns)
    raise ValueError(f"a bar of length {text} has no length, write for example 1h, 1d or 1mo")


class StampReader:
    """Reads the stamps of one file.

    Args:
        timezone: name of the zone of stamps that carry no offset; None means UTC.
        epoch_unit: unit of stamps that are whole numbers; None refuses these.

    Raises:
        ValueError: the time zone is not known.
    """

    def __init__(self, *, timezone: str | None = None, epoch_unit: EpochUnit | None = None) -> None:
        self._zone: tzinfo | None = None if timezone is None else _zone(timezone)
        self._unit_ns = None if epoch_unit is None else _UNIT_NS[epoch_unit]
        self.clock_changes = 0
        """Local stamps met so far that exist twice or never."""
        self.are_dates = True
        """Whether all stamps so far were plain dates."""

    def read(self, text: str) -> int:
        """Return *text* in nanoseconds since the epoch.

        Raises:
            ValueError: it is no stamp; the message says what is allowed.
        """
        if self._unit_ns is not None:
            self.are_dates = False
            return self._epoch(text, self._unit_ns)
        is_date = len(text) == 10 and _DATE.fullmatch(text) is not None
        self.are_dates = self.are_dates and is_date
        if text[-4:].isdigit() and _WHOLE.fullmatch(text):
            raise ValueError("is a whole number: declare its epoch_unit (s, ms, us or ns)")
        try:
            stamp_ns = from_iso(text) if is_date or self._zone is None else self._local(text)
        except (ValueError, OverflowError) as error:
            raise ValueError("is not a stamp: write 2017-01-31T22:00:00Z or 2017-01-31") from error
        if abs(stamp_ns) > _LATEST_NS:
            raise ValueError("is out of range: the years 1678 to 2261 are allowed")
        return stamp_ns

    def _epoch(self, text: str, unit_ns: int) -> int:
        if not _WHOLE.fullmatch(text) or abs(int(text) * unit_ns) > _LATEST_NS:
            raise ValueError("is not a whole number of the declared epoch_unit within range")
        return int(text) * unit_ns

    def _local(self, text: str) -> int:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._zone)
            if moment.utcoffset() != moment.replace(fold=1).utcoffset():
                self.clock_changes += 1
        return _utc_ns(moment)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"time zone {name!r} is not known, use a name such as Europe/Berlin"
        ) from error


def _utc_ns(moment: datetime) -> int:
    return ((moment - _EPOCH) // _MICROSECOND) * 1000
