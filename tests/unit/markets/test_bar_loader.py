from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine.markets import records
from engine.markets.bar_cache import save_bar_cache
from engine.markets.bar_loader import LoadedBars, load_bar_columns
from engine.markets.bar_options import BarFileOptions, InstrumentTerms
from engine.markets.data_report import MarketDataError
from engine.markets.stamps import parse_bar_duration
from engine.model.bar_columns import INTEGER_COLUMNS, MISSING
from engine.model.calendar import SessionCalendar
from engine.model.clock import from_iso
from engine.model.instruments import Settlement

HEADER = "timestamp,open,high,low,close,volume"
DAY_1 = "2024-01-01,10.00,12.5,9,11,100"
DAY_2 = "2024-01-02,11,13,10,12.25,200"
DAY_3 = "2024-01-03,12,14,11,13,300"
SAMPLES = Path(__file__).parents[3] / "sample_configs" / "data"
TERMS = InstrumentTerms("SPX")
HOUR = parse_bar_duration("1h")
HOUR_NS = HOUR.fixed_ns


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "bars.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def load(
    folder: Path,
    *rows: str,
    header: str = HEADER,
    options: BarFileOptions | None = None,
    terms: InstrumentTerms = TERMS,
) -> LoadedBars:
    return load_bar_columns(write(folder, *rows, header=header), terms=terms, options=options)


def refused(path: Path, options: BarFileOptions | None = None) -> str:
    with pytest.raises(MarketDataError) as caught:
        load_bar_columns(path, terms=TERMS, options=options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def hours(*hours_: int) -> list[str]:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return [
        f"{(start + timedelta(hours=hour)).isoformat()},10,12,9,{10 + hour % 3},5"
        for hour in hours_
    ]


def test_a_clean_file_becomes_columns_with_their_instrument(tmp_path: Path) -> None:
    terms = InstrumentTerms(
        "SPX", lot=Decimal("0.1"), multiplier=Decimal(50), settlement=Settlement.DERIVATIVE
    )
    bars = load(tmp_path, DAY_1, DAY_2, terms=terms).columns
    assert bars.symbol == "SPX"
    assert bars.instrument.tick == Decimal("0.01")
    assert bars.instrument.lot == Decimal("0.1")
    assert bars.instrument.settlement is Settlement.DERIVATIVE
    assert bars.instrument.atoms_per_tick_lot == 5_000_000
    assert bars.open.tolist() == [1000, 1100]
    assert bars.high.tolist() == [1250, 1300]
    assert bars.close.tolist() == [1100, 1225]
    assert bars.volume.tolist() == [1000, 2000]
    assert bars.ends_session.tolist() == bars.starts_session.tolist() == [True, True]
    assert bars.duration_ns == 24 * HOUR_NS
    assert bars.vwap is bars.trades is bars.spread is None


def test_columns_cannot_be_written_data_11(tmp_path: Path) -> None:
    bars = load(tmp_path, f"{DAY_1},1.5", header=f"{HEADER},rsi").columns
    for name in INTEGER_COLUMNS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(bars, name)[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        bars.features["rsi"][0] = 1.0
    with pytest.raises(TypeError):
        bars.features["rsi"] = bars.features["rsi"]  # type: ignore[index]  # that it cannot is the test


def test_the_report_is_plain_json_values(tmp_path: Path) -> None:
    report = load(tmp_path, DAY_1, DAY_2, DAY_3, "2024-01-05,12,14,11,13,").report.to_dict()
    assert report["rows_read"] == report["rows_kept"] == 4
    assert report["counts"]["V2"] == report["unknown_volumes"] == 1
    assert report["gap_count"] == 1
    assert report["gaps"] == [
        {
            "from": "2024-01-04T00:00:00.000000Z",
            "to": "2024-01-05T00:00:00.000000Z",
            "seconds": 86_400,
        }
    ]
    assert report["tick"] == "0.01"
    assert report["tick_inferred"] is True
    assert report["first_ts"] == "2024-01-01T00:00:00.000000Z"
    assert report["last_ts"] == "2024-01-06T00:00:00.000000Z"
    assert len(report["data_hash"]) == 64


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_typed_files_give_the_same_columns_as_text_data_5(tmp_path: Path, suffix: str) -> None:
    expected = load(tmp_path, DAY_1, DAY_2, DAY_3).columns
    frame = pl.DataFrame(
        {
            "Date": [date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3)],
            "O": [10.0, 11.0, 12.0],
            "H": pl.Series([Decimal("12.50"), Decimal(13), Decimal(14)]),
            "L": [9, 10, 11],
            "C": ["11", "12.25", "13"],
            "Vol": [100, 200, 300],
        }
    )
    path = tmp_path / f"bars.{suffix}"
    frame.write_parquet(path) if suffix == "parquet" else frame.write_ipc(path)
    bars = load_bar_columns(path, terms=TERMS).columns
    assert bars.data_hash == expected.data_hash
    assert bars.ts_open.tolist() == expected.ts_open.tolist()


def test_floats_of_both_widths_are_read_as_their_shortest_decimals(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    prices = [1.05236, 1.05237]
    pl.DataFrame(
        {
            "time": [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 1, tzinfo=UTC)],
            "open": pl.Series(prices, dtype=pl.Float32),
            "high": prices,
            "low": prices,
            "close": prices,
        }
    ).write_parquet(path)
    bars = load_bar_columns(path, terms=TERMS, options=BarFileOptions(bar=HOUR)).columns
    assert bars.instrument.tick == Decimal("0.00001")
    assert bars.open.tolist() == bars.close.tolist() == [105_236, 105_237]
    assert bars.volume.tolist() == [-1, -1]


def test_a_row_of_a_typed_file_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    pl.DataFrame(
        {
            "time": [date(2024, 1, 1), date(2024, 1, 2)],
            "open": [10.0, None],
            "high": [12.0, 12.0],
            "low": [9.0, 9.0],
            "close": [11.0, 11.0],
        }
    ).write_parquet(path)
    assert f"{path}:2: open: '' is blank" in refused(path)


@pytest.mark.parametrize("name", ["bars.parquet", "bars.arrow"])
def test_a_damaged_typed_file_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"no such format at all" * 10)
    assert "file: is not a readable" in refused(path)


def test_a_column_of_a_wrong_type_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    good = {name: [1.0] for name in ("open", "high", "low", "close")}
    pl.DataFrame({"time": [1.5], **good}).write_parquet(path)
    assert "is of the type Float64" in refused(path)
    pl.DataFrame({"time": [date(2024, 1, 1)], **good, "volume": [True]}).write_parquet(path)
    assert "volume: 'True' is of the type Boolean" in refused(path)


def test_whole_numbers_of_typed_files_may_be_blank_but_not_too_large(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    good: dict[str, object] = {"time": [date(2024, 1, 1), date(2024, 1, 2)]}
    good |= {name: [10, 11] for name in ("open", "high", "low", "close")}
    pl.DataFrame({**good, "volume": [None, 5]}).write_parquet(path)
    assert load_bar_columns(path, terms=TERMS).columns.volume.tolist() == [-1, 5]
    pl.DataFrame({**good, "volume": [None, None]}).write_parquet(path)
    assert load_bar_columns(path, terms=TERMS).columns.volume.tolist() == [-1, -1]
    huge = pl.Series("volume", [1, 2**64 - 1], dtype=pl.UInt64)
    pl.DataFrame(good).with_columns(huge).write_parquet(path)
    assert "more digits than 62 bits hold" in refused(path)


def test_features_of_typed_files_are_floats(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    frame = pl.DataFrame({"time": [date(2024, 1, 1)], "o": [1], "h": [1], "l": [1], "c": [1]})
    frame.with_columns(rank=pl.lit(7), flag=pl.lit(value=True)).write_parquet(path)
    found = load_bar_columns(path, terms=TERMS)
    assert found.columns.features["rank"].tolist() == [7.0]
    assert found.report.ignored_columns == ("flag",)


def test_a_header_of_several_lines_is_read_by_the_slow_reader(tmp_path: Path) -> None:
    found = load(tmp_path, f"{DAY_1},1", f"{DAY_2},2", header=f'{HEADER},"my\nscore"')
    assert found.columns.features["my\nscore"].tolist() == [1.0, 2.0]


def test_a_price_too_large_for_the_tick_of_another_block_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_BLOCK_BYTES", 16)
    path = write(
        tmp_path,
        "2024-01-01,100000000000000,100000000000000,100000000000000,100000000000000,1",
        "2024-01-02,0.000000001,0.000000001,0.000000001,0.000000001,1",
    )
    assert f"{path}:2: close: '100000000000000' is too large for a tick as fine" in refused(path)


def test_a_feature_that_turns_to_text_later_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_BLOCK_BYTES", 16)
    path = write(tmp_path, f"{DAY_1},1", f"{DAY_2},2", f"{DAY_3},x", header=f"{HEADER},score")
    for size in (0, 2**30):
        found = load_bar_columns(path, terms=TERMS, large_file_bytes=size)
        assert not found.columns.features
        assert found.report.ignored_columns == ("score",)


def test_filled_bars_have_no_optional_values(tmp_path: Path) -> None:
    rows = [f"{row},10.5,3.5" for row in hours(0, 1, 2, 4)]
    options = BarFileOptions(bar=HOUR, fill_gaps="flat")
    bars = load(tmp_path, *rows, header=f"{HEADER},vwap,score", options=options).columns
    assert bars.vwap is not None
    assert bars.vwap.tolist() == [10, 10, 10, MISSING, 10]  # half to even
    assert np.isnan(bars.features["score"]).tolist() == [False, False, False, True, False]


def test_months_are_never_filled(tmp_path: Path) -> None:
    rows = [f"2024-{month:02}-01,10,12,9,11,1" for month in (1, 2, 3, 4, 5, 6, 9)]
    options = BarFileOptions(bar=parse_bar_duration("1mo"), fill_gaps="flat")
    found = load(tmp_path, *rows, options=options)
    assert (found.report.inserted_bars, found.report.counts["V9"]) == (0, 1)


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert f"{tmp_path}:1: file: is a directory: name a file of bars (.csv" in refused(tmp_path)


def test_a_file_in_another_encoding_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_bytes(f"{HEADER}\n{DAY_1}\n".encode() + "2024-01-02,1,1,1,1,ü\n".encode("latin-1"))
    assert f"{path}:3: file: is not UTF-8 text: save it as UTF-8" in refused(path)
    path.write_bytes(f"{HEADER}\n{DAY_1}\n".encode("utf-16"))
    assert "file: is not UTF-8 text" in refused(path)


def test_mixed_time_zones_name_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, "2024-01-01T00:00:00Z,1,1,1,1,1", "2024-01-01T01:00:00,1,1,1,1,1")
    message = refused(path, BarFileOptions(bar=HOUR))
    assert f"{path}:3: timestamp: '2024-01-01T01:00:00' has no offset from UTC" in message
    assert message.endswith("(MIXED_ZONES)")


def test_different_offsets_are_different_instants_not_different_zones(tmp_path: Path) -> None:
    rows = ("2024-03-31T01:00:00+01:00,1,1,1,1,1", "2024-03-31T03:00:00+02:00,1,1,1,1,1")
    bars = load(tmp_path, *rows, options=BarFileOptions(bar=HOUR)).columns
    assert np.diff(bars.ts_open).tolist() == [HOUR_NS]


def test_lines_are_named_behind_quotes_and_blank_lines(tmp_path: Path) -> None:
    rows = [f'"{DAY_1.replace(",", chr(34) + "," + chr(34))}","a\nb"', "", f"{DAY_2},c"]
    path = write(tmp_path, *rows, "2024-01-03,12,14,11,x,300,d", header=f"{HEADER},note")
    assert f"{path}:6: close: 'x' is not a number" in refused(path)
    assert len(load(tmp_path, *rows, header=f"{HEADER},note").columns) == 2


def test_a_quotation_in_the_middle_of_a_value_is_read_by_the_slow_reader(tmp_path: Path) -> None:
    found = load(tmp_path, f'{DAY_1},5" pipe', DAY_2 + ",none", header=f"{HEADER},note")
    assert len(found.columns) == 2
    assert found.report.ignored_columns == ("note",)


def test_old_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_bytes("\r".join((HEADER, DAY_1, DAY_2)).encode())
    assert len(load_bar_columns(path, terms=TERMS).columns) == 2
    path.write_bytes("\r\n".join((HEADER, DAY_1, DAY_2, "")).encode())
    assert len(load_bar_columns(path, terms=TERMS).columns) == 2


@pytest.mark.parametrize("row", ["2024-01-02,11,13,10,12.25", f"{DAY_2},7"])
def test_a_row_with_too_few_or_too_many_values_is_found_in_any_block(
    tmp_path: Path, row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_BLOCK_BYTES", 16)
    path = write(tmp_path, DAY_1, row, DAY_3)
    assert f"{path}:3: row: has" in refused(path)


def test_small_blocks_and_temporary_files_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = SAMPLES / "eurusd-1h.csv"
    options = BarFileOptions(bar=HOUR)
    whole = load_bar_columns(path, terms=TERMS, options=options)
    monkeypatch.setattr(records, "_BLOCK_BYTES", 4096)
    in_files = load_bar_columns(path, terms=TERMS, options=options, large_file_bytes=0)
    assert in_files.columns.data_hash == whole.columns.data_hash
    assert in_files.report == whole.report
    assert isinstance(in_files.columns.close, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        in_files.columns.close[0] = 1


def test_mended_rows_are_the_same_in_temporary_files(tmp_path: Path) -> None:
    rows = [DAY_3, DAY_1, DAY_1, "2024-01-02,11,,10,12.25,", "2024-01-04,12,11,13,12,-4"]
    options = BarFileOptions(policies={"V1": "fix", "V3": "fix", "V5": "fix"})
    path = write(tmp_path, *rows)
    in_memory = load_bar_columns(path, terms=TERMS, options=options)
    in_files = load_bar_columns(path, terms=TERMS, options=options, large_file_bytes=0)
    assert in_files.columns.data_hash == in_memory.columns.data_hash
    assert in_files.report == in_memory.report
    assert in_memory.columns.is_synthetic.tolist() == [False, True, False, False]
    counts = in_memory.report.counts
    assert {code: counts[code] for code in ("V1", "V3", "V5", "V6", "V8")} == {
        "V1": 1,
        "V3": 1,
        "V5": 1,
        "V6": 1,
        "V8": 1,
    }


def test_the_line_of_a_bad_value_is_right_after_sorting_and_dropping(tmp_path: Path) -> None:
    rows = [DAY_3, DAY_1, DAY_1, "2024-01-02,11,13,10,-1,200"]
    path = write(tmp_path, *rows)
    assert f"{path}:5: close: '-1' is not above 0: a positive price is allowed (V4)" in refused(
        path
    )


def test_prices_at_or_below_zero_are_allowed_when_declared_v4(tmp_path: Path) -> None:
    row = "2024-01-01,1,2,-3,0,1"
    found = load(tmp_path, row, options=BarFileOptions(allow_nonpositive=True))
    assert found.columns.low.tolist() == [-3]
    assert found.report.counts["V4"] == 0


def test_off_grid_prices_of_many_rows_are_rounded_and_counted_v12(tmp_path: Path) -> None:
    terms = InstrumentTerms("SPX", tick=Decimal("0.5"))
    found = load(tmp_path, DAY_1, DAY_2, DAY_3, terms=terms)
    assert found.columns.close.tolist() == [22, 24, 26]  # 12.25 is halfway: even
    assert found.report.counts["V12"] == 1
    assert found.report.largest_rounding == Decimal("0.25")
    assert found.report.is_tick_inferred is False


def test_prices_that_no_common_tick_can_hold_ask_for_one(tmp_path: Path) -> None:
    rows = ("2024-01-01,1e14,1e14,1e14,1e14,1", "2024-01-02,1e-9,1e-9,1e-9,1e-9,1")
    path = write(tmp_path, *rows)
    assert "more digits than 62 bits hold" in refused(path)


def test_a_scale_that_is_no_whole_number_of_atoms_is_told_unit_4(tmp_path: Path) -> None:
    terms = InstrumentTerms("SPX", tick=Decimal("0.0001"), lot=Decimal("0.00001"))
    with pytest.raises(MarketDataError, match="NON_INTEGRAL_SCALE"):
        load(tmp_path, "2024-01-01,1,1,1,1,1", terms=terms)


def test_vwap_trades_and_spread_are_columns_of_the_bar(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        f"{DAY_1},10.755,42,0.02",
        f"{DAY_2},,,",
        header=f"{HEADER},VWAP,Trades,Spread",
        terms=InstrumentTerms("SPX", tick=Decimal("0.01")),
    ).columns
    assert found.vwap is not None
    assert found.trades is not None
    assert found.spread is not None
    assert found.vwap.tolist() == [1076, MISSING]
    assert found.trades.tolist() == [42, MISSING]
    assert found.spread.tolist() == [2, MISSING]
    assert not found.features


def test_optional_prices_follow_the_tick_of_later_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_BLOCK_BYTES", 16)
    found = load(
        tmp_path,
        "2024-01-01,10,12,9,11,1,10.5",
        "2024-01-02,11,13,10,12.25,1,",
        header=f"{HEADER},vwap",
    ).columns
    assert found.close.tolist() == [1100, 1225]
    assert found.vwap is not None
    assert found.vwap.tolist() == [1000, MISSING]  # half to even on the tick known so far


@pytest.mark.parametrize(("hour", "inserted"), [(3, 0), (4, 1), (7, 4)])
def test_gaps_are_filled_flat_when_asked_data_8(tmp_path: Path, hour: int, inserted: int) -> None:
    rows = hours(0, 1, 2, hour, hour + 1, hour + 2, hour + 3)
    found = load(tmp_path, *rows, options=BarFileOptions(bar=HOUR, fill_gaps="flat"))
    bars, report = found.columns, found.report
    assert report.inserted_bars == report.synthetic_bars == inserted
    assert np.diff(bars.ts_open).tolist() == [HOUR_NS] * (len(bars) - 1)
    new = bars.is_synthetic
    assert set(bars.volume[new].tolist()) <= {0}
    for name in ("open", "high", "low", "close"):
        assert set(getattr(bars, name)[new].tolist()) <= {int(bars.close[2])}
    assert len(load(tmp_path, *rows, options=BarFileOptions(bar=HOUR)).columns) == 7


def test_a_calendar_limits_gaps_and_filling_to_its_sessions(tmp_path: Path) -> None:
    calendar = SessionCalendar(opens_ns=9 * HOUR_NS, closes_ns=17 * HOUR_NS)
    rows = hours(9, 10, 11, 13, 14, 33, 34, 35, 36, 37)
    options = BarFileOptions(bar=HOUR, calendar=calendar, fill_gaps="flat")
    found = load(tmp_path, *rows, options=options)
    assert found.report.counts["V9"] == 1
    assert found.report.inserted_bars == 1
    starts = np.flatnonzero(found.columns.starts_session)
    assert [int(found.columns.ts_open[row]) for row in starts] == [
        from_iso("2024-01-01T09:00:00"),
        from_iso("2024-01-02T09:00:00"),
    ]
    assert np.flatnonzero(found.columns.ends_session).tolist() == [5, 10]


def test_intraday_sessions_are_days_in_utc_without_a_calendar(tmp_path: Path) -> None:
    bars = load(tmp_path, *hours(22, 23, 24, 25), options=BarFileOptions(bar=HOUR)).columns
    assert bars.starts_session.tolist() == [True, False, True, False]
    assert bars.ends_session.tolist() == [False, True, False, True]


def test_an_adjusted_close_is_a_feature_unless_asked_for_data_7(tmp_path: Path) -> None:
    rows = ("2024-01-01,10,12,9,10,100,5", "2024-01-02,10,12,9,10,100,10")
    header = f"{HEADER},Adj Close"
    plain = load(tmp_path, *rows, header=header).columns
    assert plain.close.tolist() == [10, 10]
    assert plain.features["Adj Close"].tolist() == [5.0, 10.0]
    options = BarFileOptions(price_adjust="ratio")
    scaled = load(tmp_path, *rows, header=header, options=options).columns
    assert scaled.open.tolist() == [5, 10]
    assert scaled.high.tolist() == [6, 12]
    assert scaled.low.tolist() == [4, 9]  # 4.5 is halfway: even
    assert scaled.volume.tolist() == [200, 100]


@pytest.mark.parametrize(
    ("header", "value", "said"),
    [
        (f"{HEADER},note", "1", "lacks an adjusted close"),
        (f"{HEADER},adj_close", "", "the adjusted close of bar 0 is nan"),
        (f"{HEADER},adj_close", "-1", "the adjusted close of bar 0 is -1.0, not above 0"),
        (f"{HEADER},adj_close", "1e15", "cannot be used"),
    ],
)
def test_an_adjusted_close_that_cannot_be_used(
    tmp_path: Path, header: str, value: str, said: str
) -> None:
    path = write(tmp_path, f"{DAY_1},{value}", header=header)
    assert said in refused(path, BarFileOptions(price_adjust="ratio"))


def test_a_folder_of_cached_bars_is_a_source_too(tmp_path: Path) -> None:
    first = load(tmp_path, DAY_1, DAY_2, DAY_3).columns
    folder = tmp_path / "cache"
    save_bar_cache(first, folder)
    found = load_bar_columns(folder, terms=InstrumentTerms("ES"))
    assert found.columns.symbol == "ES"
    assert found.columns.data_hash == first.data_hash == found.report.data_hash
    with pytest.raises(MarketDataError, match=r"tick: 0\.01 is not the tick 1 asked for"):
        load_bar_columns(folder, terms=InstrumentTerms("ES", tick=Decimal(1)))


def test_the_hash_is_of_the_data_and_not_of_their_source_data_10(tmp_path: Path) -> None:
    first = load(tmp_path, DAY_1, DAY_2).columns
    again = load(
        tmp_path, f"{DAY_2},x", f"{DAY_1},y", header=f"{HEADER},note", terms=InstrumentTerms("B")
    ).columns
    assert again.data_hash == first.data_hash
    assert load(tmp_path, DAY_2, DAY_3).columns.data_hash != first.data_hash
    finer = InstrumentTerms("SPX", tick=Decimal("0.001"))
    assert load(tmp_path, DAY_1, DAY_2, terms=finer).columns.data_hash != first.data_hash
