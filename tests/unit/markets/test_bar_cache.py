from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.markets.bar_cache import INDEX_FILE, load_bar_cache, save_bar_cache
from engine.markets.catalog import read_catalog, write_catalog
from engine.markets.data_report import MarketDataError
from engine.markets.mapped_columns import is_mapped
from engine.model.bar_columns import INTEGER_COLUMNS, BarColumns
from engine.model.clock import from_iso, to_iso

MakeBars = Callable[..., BarColumns]


@pytest.fixture
def bars(make_bars: MakeBars) -> BarColumns:
    plain = make_bars(90, start_ns=from_iso("2024-01-15"))
    return plain.with_columns(vwap=plain.close, features={"a/b": np.arange(90.0)})


def test_cached_bars_are_the_same_and_mapped_data_5(bars: BarColumns, tmp_path: Path) -> None:
    save_bar_cache(bars, tmp_path)
    found = load_bar_cache(tmp_path, is_checked=True)
    assert found.data_hash == bars.data_hash
    assert found.instrument == bars.instrument
    assert found.features["a/b"].tolist() == bars.features["a/b"].tolist()
    for name in (*INTEGER_COLUMNS, "vwap", "ends_session"):
        values = getattr(found, name)
        assert isinstance(values, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1


def test_few_bars_stay_in_memory_for_many_runs_over_them(bars: BarColumns, tmp_path: Path) -> None:
    save_bar_cache(bars, tmp_path)
    found = load_bar_cache(tmp_path, is_checked=True, resident_rows=90)
    assert found.data_hash == bars.data_hash
    for values in (found.close, found.ts_open, found.vwap, found.features["a/b"]):
        assert values is not None
        assert not is_mapped(values)
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1
    # They are the pages of the file, not a copy of it.
    with (tmp_path / "close.npy").open("r+b") as file:
        file.seek(-8, 2)
        file.write((77).to_bytes(8, "little"))
    assert int(found.close[-1]) == 77
    assert is_mapped(load_bar_cache(tmp_path, resident_rows=89).close)


def test_a_cache_that_was_changed_is_found_out(bars: BarColumns, tmp_path: Path) -> None:
    save_bar_cache(bars, tmp_path)
    np.save(tmp_path / "close.npy", bars.close + 1)
    with pytest.raises(MarketDataError, match=r"data_hash: .* is not that of the columns"):
        load_bar_cache(tmp_path, is_checked=True)
    (tmp_path / "close.npy").unlink()
    with pytest.raises(MarketDataError, match="make the cache again"):
        load_bar_cache(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"), [(None, "cannot be read"), ("{", "is no JSON"), ("[]", "format: is not")]
)
def test_a_folder_that_is_no_cache(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / INDEX_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(MarketDataError, match=said):
        load_bar_cache(tmp_path)


def test_a_catalogue_has_a_part_for_each_month_data_6(bars: BarColumns, tmp_path: Path) -> None:
    folder = write_catalog(tmp_path, bars, "1d")
    assert folder == tmp_path / "bars" / "A" / "1d"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert [part["file"] for part in manifest["parts"]] == [
        "2024-01.parquet",
        "2024-02.parquet",
        "2024-03.parquet",
        "2024-04.parquet",
    ]
    assert [part["rows"] for part in manifest["parts"]] == [17, 29, 31, 13]
    assert sum(part["rows"] for part in manifest["parts"]) == manifest["rows"] == 90
    assert all(len(part["sha256"]) == 64 for part in manifest["parts"])
    found = read_catalog(tmp_path, "A", "1d")
    assert found.data_hash == bars.data_hash
    assert found.features["a/b"].tolist() == bars.features["a/b"].tolist()


def test_only_the_months_of_the_range_are_read(bars: BarColumns, tmp_path: Path) -> None:
    folder = write_catalog(tmp_path, bars, "1d")
    for month in ("2024-01", "2024-04"):
        (folder / f"{month}.parquet").write_bytes(b"damaged")
    found = read_catalog(
        tmp_path, "A", "1d", start_ns=from_iso("2024-02-10"), end_ns=from_iso("2024-03-05")
    )
    assert to_iso(int(found.ts_open[0])).startswith("2024-02-10")
    assert to_iso(int(found.ts_open[-1])).startswith("2024-03-04")
    assert isinstance(found.close, np.memmap)
    with pytest.raises(MarketDataError, match="is not what the manifest says"):
        read_catalog(tmp_path, "A", "1d")


def test_later_readers_map_the_same_files(bars: BarColumns, tmp_path: Path) -> None:
    folder = write_catalog(tmp_path, bars, "1d")
    first = read_catalog(tmp_path, "A", "1d")
    for part in folder.glob("*.parquet"):
        part.unlink()  # the map is enough from now on
    again = read_catalog(tmp_path, "A", "1d")
    assert again.data_hash == first.data_hash
    assert len(list((folder / ".map").iterdir())) == 1


def test_writing_again_replaces_the_parts(bars: BarColumns, tmp_path: Path) -> None:
    folder = write_catalog(tmp_path, bars, "1d")
    write_catalog(tmp_path, bars.prefix(10), "1d")
    assert [path.name for path in folder.glob("*.parquet")] == ["2024-01.parquet"]
    assert len(read_catalog(tmp_path, "A", "1d")) == 10


def test_what_the_catalogue_does_not_have(bars: BarColumns, tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match="write the catalogue first"):
        read_catalog(tmp_path, "A", "1d")
    folder = write_catalog(tmp_path, bars, "1d")
    with pytest.raises(MarketDataError, match="no bars in the range"):
        read_catalog(tmp_path, "A", "1d", start_ns=from_iso("2030-01-01"))
    for text, said in (("{", "is no JSON"), ("{}", "format: is not")):
        (folder / "manifest.json").write_text(text, encoding="utf-8")
        with pytest.raises(MarketDataError, match=said):
            read_catalog(tmp_path, "A", "1d")


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden"])
def test_names_that_would_leave_the_catalogue(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a folder"):
        read_catalog(tmp_path, name, "1d")
    with pytest.raises(ValueError, match="is no name of a folder"):
        read_catalog(tmp_path, "A", name)
