from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from engine.markets.number_columns import FormatProblem
from engine.markets.stamp_columns import MixedZonesError, StampColumns
from engine.markets.stamps import EpochUnit, StampReader
from engine.model.clock import from_iso


def reader(timezone: str | None = None, epoch_unit: EpochUnit | None = None) -> StampColumns:
    return StampColumns(timezone=timezone, epoch_unit=epoch_unit)


@pytest.mark.parametrize(
    ("texts", "timezone", "unit"),
    [
        (["2017-01-01T22:00:00Z", "2017-01-01T22:00:00.123456Z"], None, None),
        (["2017-01-01 22:00:00", "2017-01-01 22:00"], None, None),
        (["2017-01-01T22:00:00+02:00", "2017-01-01T22:00:00-02:30"], None, None),
        (["2017-01-01", "1969-12-31"], None, None),
        (["20170101T22", "2017-W01-1"], None, None),
        (["2017-10-29 02:30:00", "2017-03-26 02:30:00", "2017-07-01 00:00"], "Europe/Berlin", None),
        (["2017-03-26"], "Europe/Berlin", None),
        (["1", "-5", "1483308000"], None, "s"),
        (["1483308000123"], None, "ms"),
    ],
)
def test_a_column_is_read_as_each_stamp_would_be(
    texts: list[str], timezone: str | None, unit: EpochUnit | None
) -> None:
    one_by_one = StampReader(timezone=timezone, epoch_unit=unit)
    whole = reader(timezone, unit)
    assert whole.read(pl.Series(texts)).tolist() == [one_by_one.read(text) for text in texts]
    assert whole.clock_changes == one_by_one.clock_changes
    assert whole.are_dates == one_by_one.are_dates


def test_nanoseconds_are_kept() -> None:
    stamps = reader().read(pl.Series(["2017-01-01T00:00:00.123456789Z"]))
    assert stamps.tolist() == [from_iso("2017-01-01") + 123_456_789]


@pytest.mark.parametrize(
    ("texts", "row"),
    [
        (["2017-01-01T00:00:00Z", "2017-01-01T01:00:00"], 1),
        (["2017-01-01 00:00:00", "2017-01-01 01:00:00", "2017-01-01T02:00:00+01:00"], 2),
        (["2017-01-01", "2017-01-02T00:00:00Z"], 1),
    ],
)
def test_stamps_with_and_without_offset_are_refused(texts: list[str], row: int) -> None:
    with pytest.raises(MixedZonesError, match="use one form in all rows") as caught:
        reader().read(pl.Series(texts))
    assert caught.value.row == row


def test_a_broken_first_stamp_is_named_before_any_mixture() -> None:
    with pytest.raises(FormatProblem, match="is not a stamp") as caught:
        reader().read(pl.Series(["x", "2017-01-01T00:00:00Z"]))
    assert caught.value.row == 0


def test_zones_may_not_change_between_batches_either() -> None:
    stamps = reader()
    stamps.read(pl.Series(["2017-01-01T00:00:00Z"]))
    with pytest.raises(MixedZonesError):
        stamps.read(pl.Series(["2017-01-01T01:00:00"]))


@pytest.mark.parametrize("text", ["2017-02-30", "2017-01-01T25:00:00Z", "x", "", "9999-01-01"])
def test_what_is_no_stamp_names_its_row(text: str) -> None:
    with pytest.raises(FormatProblem) as caught:
        reader().read(pl.Series(["2017-01-01", text]))
    assert caught.value.row == 1


def test_whole_numbers_need_a_unit_and_a_range() -> None:
    assert reader(epoch_unit="ms").read_epochs(pl.Series([5, 7])).tolist() == [5_000_000, 7_000_000]
    with pytest.raises(FormatProblem, match="declare its epoch_unit"):
        reader().read_epochs(pl.Series([5]))
    with pytest.raises(FormatProblem, match="within range"):
        reader(epoch_unit="s").read_epochs(pl.Series([10**15]))


def test_moments_and_dates_of_typed_files() -> None:
    days = reader()
    assert days.read_moments(pl.Series([date(2017, 1, 2)])).tolist() == [from_iso("2017-01-02")]
    assert days.are_dates
    aware = pl.Series([datetime(2017, 1, 2, 3, tzinfo=UTC)])
    assert reader().read_moments(aware).tolist() == [from_iso("2017-01-02T03:00:00")]
    naive = pl.Series([datetime(2017, 1, 2, 3)])  # noqa: DTZ001 (a naive one is the case)
    assert reader().read_moments(naive).tolist() == [from_iso("2017-01-02T03:00:00")]
    local = reader("America/New_York").read_moments(naive)
    assert local.tolist() == [from_iso("2017-01-02T08:00:00")]


def test_a_moment_that_the_local_clock_skips_or_repeats_is_counted() -> None:
    stamps = reader("Europe/Berlin")
    values = pl.Series(
        [datetime(2017, 3, 26, 2, 30), datetime(2017, 10, 29, 2, 30)]  # noqa: DTZ001 (local)
    )
    found = stamps.read_moments(values).tolist()
    assert found == [from_iso("2017-03-26T01:30:00"), from_iso("2017-10-29T00:30:00")]
    assert stamps.clock_changes == 2


def test_a_missing_moment_names_its_row() -> None:
    with pytest.raises(FormatProblem, match="missing") as caught:
        reader().read_moments(pl.Series([date(2017, 1, 2), None]))
    assert caught.value.row == 1
