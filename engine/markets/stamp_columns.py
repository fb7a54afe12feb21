"""Stamps of whole columns to nanoseconds (DATA-2, DATA-3)."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from engine.markets.number_columns import FormatProblem
from engine.markets.stamps import EpochUnit, StampReader
from engine.model.bar_columns import DAY_NS, BoolArray, IntArray
from engine.model.clock import SECOND_NS

_DATE: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_ISO: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})?$"
)
_HAS_OFFSET: Final = r"(?:[Zz]|[+-][0-9]{2}:?[0-9]{2}(?::[0-9]{2})?)$"
_FIRST_YEAR, _LAST_YEAR = 1678, 2261


class MixedZonesError(FormatProblem):
    """Some stamps carry an offset and some do not."""


class StampColumns:
    """Reads the stamps of one file batch by batch.

    Args:
        timezone: name of the zone of stamps that carry no offset; None means UTC.
        epoch_unit: unit of stamps that are whole numbers; None refuses these.

    Raises:
        ValueError: the time zone is not known.
    """

    def __init__(self, *, timezone: str | None, epoch_unit: EpochUnit | None) -> None:
        self._reader = StampReader(timezone=timezone, epoch_unit=epoch_unit)
        self._timezone = timezone
        self._epoch_unit = epoch_unit
        self._has_offsets: bool | None = None
        self._clock_changes = 0
        self.are_dates = True
        """Whether all stamps so far were plain dates."""

    @property
    def clock_changes(self) -> int:
        """Return how many local stamps met so far exist twice or never."""
        return self._clock_changes + self._reader.clock_changes

    def read(self, texts: pl.Series) -> IntArray:
        """Return *texts* in nanoseconds since the epoch.

        Raises:
            FormatProblem: one is no stamp.
            MixedZonesError: one has an offset and another has none.
        """
        texts = texts.fill_null("").str.strip_chars()
        stamps = np.zeros(len(texts), dtype=np.int64)
        if self._epoch_unit is not None:
            self.are_dates = False
            return self._slow(texts, stamps, np.ones(len(texts), dtype=np.bool_))
        year = texts.str.slice(0, 4).cast(pl.Int64, strict=False).fill_null(0)
        in_range = ((year >= _FIRST_YEAR) & (year <= _LAST_YEAR)).to_numpy()
        is_date = texts.str.contains(_DATE).to_numpy() & in_range
        is_iso = texts.str.contains(_ISO).to_numpy() & in_range
        self.are_dates = self.are_dates and bool(is_date.all())
        with_offset = texts.str.contains(_HAS_OFFSET).to_numpy() & ~is_date
        is_open = ~(is_date | is_iso)
        if self._has_offsets is None and len(texts):
            self._has_offsets = bool(with_offset[int(np.argmin(is_open))])
        for mask, has_time in ((is_date, False), (is_iso, True)):
            rows = np.flatnonzero(mask)
            if len(rows):
                part = texts.gather(rows)
                values = self._as_utc(part, _calendar_ns(part, has_time=has_time))
                stamps[rows] = values.fill_null(0).to_numpy()
                is_open[rows] = values.is_null().to_numpy()
        stamps = self._slow(texts, stamps, is_open)
        self._check_offsets(with_offset)
        return stamps

    def read_epochs(self, values: pl.Series) -> IntArray:
        """Return whole numbers *values* of the declared unit in nanoseconds.

        Raises:
            FormatProblem: one is out of range, or no unit is declared.
        """
        return self.read(values.cast(pl.String))

    def read_moments(self, values: pl.Series) -> IntArray:
        """Return a column of dates or of moments, as Parquet files have them, in nanoseconds.

        Raises:
            FormatProblem: one is missing or out of range.
        """
        is_date = values.dtype == pl.Date
        self.are_dates = self.are_dates and is_date
        days = values.cast(pl.Date).cast(pl.Int64)
        bad = (days.is_null() | (days.abs() > 2**63 // DAY_NS - 1)).to_numpy()
        if bad.any():
            raise FormatProblem(int(np.flatnonzero(bad)[0]), "is missing or out of range")
        zone = None if is_date else values.dtype.time_zone  # type: ignore[attr-defined]  # a Datetime
        if zone is None and self._timezone is not None and not is_date:
            naive = values.cast(pl.Datetime("ns")).cast(pl.Int64)
            local = self._localised(naive)
            rows = np.flatnonzero(local.is_null().to_numpy())
            stamps = local.fill_null(0).to_numpy().copy()
            for row in rows:
                stamps[row] = self._reader.read(str(values[int(row)]))
            return stamps
        return values.cast(pl.Datetime("ns", zone)).cast(pl.Int64).to_numpy().copy()

    def _check_offsets(self, with_offset: BoolArray) -> None:
        """Refuse a file in which some stamps have an offset and some have none."""
        odd = np.flatnonzero(with_offset != self._has_offsets)
        if len(odd):
            has, others = ("has no", "one") if self._has_offsets else ("has an", "none")
            text = f"{has} offset from UTC, the first row has {others}: use one form in all rows"
            raise MixedZonesError(int(odd[0]), text)

    def _as_utc(self, texts: pl.Series, naive: pl.Series) -> pl.Series:
        """Take the offset off *naive* nanoseconds; null where it does not exist."""
        if not self._has_offsets:
            is_plain_date = bool((texts.str.len_bytes() == len("2017-01-31")).all())
            return naive if self._timezone is None or is_plain_date else self._localised(naive)
        if (texts.str.tail(1) == "Z").all():
            return naive
        tail = texts.str.tail(6)
        hours = tail.str.slice(0, 3).cast(pl.Int64, strict=False)
        minutes = tail.str.slice(4, 2).cast(pl.Int64, strict=False)
        sign = pl.select(
            pl.when(tail.str.slice(0, 1) == "-").then(pl.lit(-1)).otherwise(pl.lit(1))
        ).to_series()
        offset_s = hours * 3600 + sign * minutes * 60
        return naive - offset_s * SECOND_NS

    def _localised(self, naive: pl.Series) -> pl.Series:
        """Return local *naive* nanoseconds in UTC, the earlier of two; null where none exists."""
        zone = self._timezone or "UTC"
        moments = naive.cast(pl.Datetime("ns"))
        first, second = (
            moments.dt.replace_time_zone(zone, ambiguous=which, non_existent="null").cast(pl.Int64)
            for which in ("earliest", "latest")
        )
        self._clock_changes += int((first != second).fill_null(value=False).sum())
        return first

    def _slow(self, texts: pl.Series, stamps: IntArray, is_open: BoolArray) -> IntArray:
        if self._epoch_unit is not None:
            stamps = self._epochs(texts, stamps, is_open)
        for row in np.flatnonzero(is_open):
            try:
                stamps[row] = self._reader.read(texts[int(row)])
            except ValueError as error:
                raise FormatProblem(int(row), str(error)) from error
        return stamps

    def _epochs(self, texts: pl.Series, stamps: IntArray, is_open: BoolArray) -> IntArray:
        """Read the plain whole numbers in bulk; close their rows in *is_open*."""
        unit_ns = {"s": SECOND_NS, "ms": 10**6, "us": 1000, "ns": 1}[self._epoch_unit or "ns"]
        values = texts.cast(pl.Int64, strict=False)
        limit = (2**63 - 1) // unit_ns
        is_plain = texts.str.contains(r"^-?[0-9]{1,19}$") & values.is_between(-limit, limit)
        rows = np.flatnonzero(is_plain.fill_null(value=False).to_numpy())
        stamps[rows] = values.gather(rows).to_numpy() * unit_ns
        is_open[rows] = False
        return stamps


def _calendar_ns(texts: pl.Series, *, has_time: bool) -> pl.Series:
    """Return ISO *texts* as nanoseconds of their own clock; null where a field is out of range."""
    days = texts.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).cast(pl.Int64)
    if not has_time:
        return days * DAY_NS
    hour, minute, second = (
        texts.str.slice(start, 2).cast(pl.Int64, strict=False) for start in (11, 14, 17)
    )
    fraction = texts.str.extract(r"\.([0-9]{1,9})").fill_null("0").str.pad_end(9, "0")
    in_range = (hour < 24) & (minute < 60) & (second < 60)
    ns = days * DAY_NS + ((hour * 60 + minute) * 60 + second) * SECOND_NS + fraction.cast(pl.Int64)
    return ns.set(~in_range, None)
