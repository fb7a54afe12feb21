"""Columns in temporary files: the same values, few pages in memory, a full disk is told."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine.markets.bar_loader import load_bar_columns
from engine.markets.bar_options import BarFileOptions, InstrumentTerms
from engine.markets.mapped_columns import (
    NoRoomError,
    column_like,
    is_mapped,
    on_disk,
    require_room,
    table_like,
    temporary_column,
    temporary_folder,
)
from engine.markets.stamps import parse_bar_duration
from engine.model.bar_columns import (
    BLOCK_ROWS,
    DAY_NS,
    BarColumns,
    blocks,
    picked,
    placed,
    release_pages,
)
from engine.model.calendar import SessionCalendar

HOUR_NS = DAY_NS // 24
MakeBars = Callable[..., BarColumns]
INT = np.dtype(np.int64)
FULL_DISK = """
import resource, sys
from pathlib import Path
from engine.flow.errors import EngineError
from engine.markets.bar_loader import load_bar_columns
from engine.markets.bar_options import BarFileOptions, InstrumentTerms
from engine.markets.stamps import parse_bar_duration
# What the kernel says of a file that may not grow is what it says of a disk that is full.
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    load_bar_columns(
        Path(sys.argv[1]),
        terms=InstrumentTerms("A"),
        options=BarFileOptions(bar=parse_bar_duration("1m")),
        large_file_bytes=0,
    )
except EngineError as error:
    print(type(error).__name__, error)
"""


def minutes(path: Path, count: int) -> Path:
    stamps = (np.datetime64("2024-01-01T00:00:00") + 60 * np.arange(count)).astype(str)
    rows = [f"{stamp},10.25,10.75,10,10.5,{place}" for place, stamp in enumerate(stamps)]
    path.write_text("\n".join(("timestamp,open,high,low,close,volume", *rows, "")), "utf-8")
    return path


def test_a_map_is_found_behind_any_view_and_keeps_its_values() -> None:
    column = temporary_column(1000, INT)
    column[:] = np.arange(1000)
    views = (column, column[3:], np.ascontiguousarray(column[3:]), column.reshape(10, 100))
    assert all(map(is_mapped, views))
    assert not is_mapped(column + 1)
    release_pages(*views)
    assert column.tolist() == list(range(1000))
    samples = temporary_column(10, np.dtype([("ts", "<i8"), ("held", "<u1")]))
    assert is_mapped(samples["held"])


def test_pages_of_a_private_map_are_not_let_go(tmp_path: Path, make_bars: MakeBars) -> None:
    path = tmp_path / "closes"
    np.arange(10, dtype=np.int64).tofile(path)
    closes = np.memmap(path, dtype=np.int64, mode="c")
    closes[3] = 77
    bars = make_bars(10).with_columns(close=closes)
    assert not is_mapped(closes)
    assert not is_mapped(bars.close[2:])
    release_pages(closes, bars.close)
    assert bars.close.tolist() == [0, 1, 2, 77, 4, 5, 6, 7, 8, 9]


def test_columns_are_made_where_others_are() -> None:
    in_file, in_memory = temporary_column(3, INT), np.zeros(3, dtype=np.int64)
    assert is_mapped(column_like(in_file, dtype=np.dtype(np.bool_), length=7))
    assert not is_mapped(column_like(in_memory))
    assert is_mapped(table_like(in_file, (2, 5)))
    assert table_like(in_memory, (2, 5)).tolist() == [[0] * 5] * 2
    assert len(temporary_column(0, INT)) == 0


def test_blocks_cover_all_rows() -> None:
    assert list(blocks(7, rows=3)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert list(blocks(0)) == []


def test_places_of_mapped_columns_are_looked_up_as_in_memory() -> None:
    values = np.sort(np.random.default_rng(1).integers(0, 9999, 5000))
    column = temporary_column(len(values), INT)
    column[:] = values
    wanted = np.arange(0, 9999, 3)
    places = np.arange(0, 5000, 2)
    for one in (values, column):
        assert picked(one, places).tolist() == values[places].tolist()
        assert placed(one, wanted, "right").tolist() == (
            np.searchsorted(values, wanted, side="right").tolist()
        )


def test_bars_in_files_are_the_same_bars(make_bars: MakeBars) -> None:
    bars = make_bars(500)
    moved = on_disk(bars)
    assert is_mapped(moved.close)
    assert moved.data_hash == bars.data_hash
    assert (moved.lowest, moved.highest, moved.has_blocked) == (97, 602, False)
    with pytest.raises(ValueError, match="read-only"):
        moved.close[0] = 1


def test_the_folder_is_on_disk_unless_tmpdir_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    assert temporary_folder() == Path("/var/tmp")  # noqa: S108 (what is asked about)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert temporary_folder() == tmp_path


def test_too_little_room_is_told_before_anything_is_read() -> None:
    require_room(10, free=10)
    with pytest.raises(NoRoomError) as caught:
        require_room(12_000_000, free=7_000)
    text = str(caught.value)
    assert str(temporary_folder()) in text
    assert "12,000,000 bytes are needed, 7,000 are free" in text
    assert "TMPDIR" in text


@pytest.mark.parametrize("most", [4096, 60_000], ids=["while-reading", "after-reading"])
def test_a_full_disk_is_a_refusal_and_no_crash(tmp_path: Path, most: int) -> None:
    path = minutes(tmp_path / "bars.csv", 4000)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(most)],
        check=True,
        capture_output=True,
        text=True,
    )
    if most < 8 * 4000:
        assert done.stdout.startswith("NoRoomError")
        assert "no room for the columns of a large file" in done.stdout
    else:
        assert not done.stdout


def test_a_compressed_file_counts_by_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    pl.read_csv(minutes(tmp_path / "bars.csv", 3000), try_parse_dates=True).write_parquet(path)
    assert path.stat().st_size < 100_000
    options = BarFileOptions(bar=parse_bar_duration("1m"))
    for size, is_in_file in ((100_000, True), (1_000_000, False)):
        found = load_bar_columns(
            path, terms=InstrumentTerms("A"), options=options, large_file_bytes=size
        )
        assert is_mapped(found.columns.close) is is_in_file


def test_sessions_of_a_calendar_are_the_same_in_files(tmp_path: Path) -> None:
    path = minutes(tmp_path / "bars.csv", 3000)
    night = SessionCalendar(opens_ns=9 * HOUR_NS, closes_ns=17 * HOUR_NS, timezone="Europe/Berlin")
    options = BarFileOptions(bar=parse_bar_duration("1m"), calendar=night)
    in_memory, in_files = (
        load_bar_columns(
            path, terms=InstrumentTerms("A"), options=options, large_file_bytes=size
        ).columns
        for size in (1 << 40, 0)
    )
    for name in ("starts_session", "ends_session"):
        assert getattr(in_files, name).tolist() == getattr(in_memory, name).tolist()
    assert 1 < np.count_nonzero(in_files.starts_session) < 20


def test_reading_needs_the_memory_of_a_batch_however_long_the_file_is(tmp_path: Path) -> None:
    options = BarFileOptions(bar=parse_bar_duration("1m"))

    def most_memory(count: int) -> int:
        path = minutes(tmp_path / f"{count}.csv", count)
        tracemalloc.start()
        try:
            found = load_bar_columns(
                path, terms=InstrumentTerms("A"), options=options, large_file_bytes=0
            )
            assert len(found.columns) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    most_memory(100)  # what is imported and compiled once
    # From two blocks on: the arrays of the block before may still be there.
    assert most_memory(3 * BLOCK_ROWS) < most_memory(2 * BLOCK_ROWS) + 100_000
