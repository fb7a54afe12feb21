from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from engine.flow.errors import ValidationError
from engine.markets.bar_file import BarFileOptions, load_bars
from engine.markets.bar_table import BarTable
from engine.markets.data_report import CHECKS, MarketDataError, Policy
from engine.markets.stamps import parse_bar_duration
from engine.model.clock import SECOND_NS, from_iso, to_iso
from engine.model.instruments import ConnectorPair
from engine.model.quotes import Bar

HEADER = "timestamp,open,high,low,close,volume"
DAY_1 = "2024-01-01,10,12,9,11,100"
DAY_2 = "2024-01-02,11,13,10,12,200"
DAY_3 = "2024-01-03,12,14,11,13,300"
SAMPLES = Path(__file__).parents[3] / "sample_configs" / "data"


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "bars.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def load(
    folder: Path, *rows: str, header: str = HEADER, options: BarFileOptions | None = None
) -> BarTable:
    return load_bars(write(folder, *rows, header=header), options)


def with_policy(code: str, policy: Policy) -> BarFileOptions:
    return BarFileOptions(policies={code: policy})


def message_of(
    folder: Path, *rows: str, header: str = HEADER, options: BarFileOptions | None = None
) -> str:
    path = write(folder, *rows, header=header)
    with pytest.raises(MarketDataError) as caught:
        load_bars(path, options)
    message = str(caught.value)
    assert message.startswith(f"{path}:")
    assert "\n" not in message
    return message.removeprefix(f"{path}:")


def hourly(**changes: object) -> BarFileOptions:
    return BarFileOptions(bar=parse_bar_duration("1h"), **changes)  # type: ignore[arg-type]  # any field


def test_a_clean_file_becomes_integer_columns(tmp_path: Path) -> None:
    table = load(tmp_path, "2024-01-01,1.10,1.25,1.0,1.2,7", "2024-01-02,1.2,1.3,1.1,1.25,8")
    assert table.tick == Decimal("0.01")
    assert len(table) == 2
    assert table.open_ticks == (110, 120)
    assert table.high_ticks == (125, 130)
    assert table.low_ticks == (100, 110)
    assert table.close_ticks == (120, 125)
    assert table.volume_lots == (7, 8)
    assert table.is_synthetic == (False, False)
    assert table.report.rows_read == table.report.rows_kept == 2
    assert table.report.defects == 0


def test_a_bar_event_comes_at_the_close_data_1(tmp_path: Path) -> None:
    (bar,) = load(tmp_path, DAY_1).bars(ConnectorPair("paper", "A-B"))
    opened = from_iso("2024-01-01")
    assert bar == Bar(
        ConnectorPair("paper", "A-B"), opened, opened + 86_400 * SECOND_NS, 10, 12, 9, 11, 100
    )


def test_columns_cannot_be_written_data_11(tmp_path: Path) -> None:
    table = load(tmp_path, DAY_1)
    with pytest.raises(TypeError):
        table.open_ticks[0] = 1  # type: ignore[index]  # that it cannot is the test


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("Timestamp,Open,HIGH,low,Close,Volume", DAY_1),
        ("date,o,h,l,c,v", DAY_1),
        ("time,o,h,l,c,vol", DAY_1),
        ("\ufeffDateTime, O ,H,L,C, V ", DAY_1),
        ("v,c,l,h,o,date", "100,11,9,12,10,2024-01-01"),
    ],
)
def test_header_aliases_in_any_case_and_order_data_4(tmp_path: Path, header: str, row: str) -> None:
    table = load(tmp_path, row, header=header)
    assert (table.open_ticks, table.high_ticks, table.low_ticks) == ((10,), (12,), (9,))
    assert (table.close_ticks, table.volume_lots) == ((11,), (100,))


def test_a_file_without_volume_has_unknown_volumes(tmp_path: Path) -> None:
    table = load(tmp_path, "2024-01-01,10,12,9,11", header="date,open,high,low,close")
    assert table.volume_lots == (-1,)
    assert table.report.counts["V2"] == 0


def test_other_numeric_columns_are_features_and_text_columns_are_named_data_4(
    tmp_path: Path,
) -> None:
    table = load(
        tmp_path,
        f"{DAY_1},10.5,a",
        f"{DAY_2},,b",
        header=f"{HEADER},adjusted_close,remark",
    )
    first, second = table.features["adjusted_close"]
    assert first == 10.5
    assert second != second
    assert table.report.ignored_columns == ("remark",)


@pytest.mark.parametrize(
    ("stamp", "options", "expected"),
    [
        ("2017-01-01T22:00:00Z", {}, "2017-01-01T22:00:00.000000Z"),
        ("2017-01-01 22:00:00", {}, "2017-01-01T22:00:00.000000Z"),
        ("2017-01-01T22:00:00+02:00", {}, "2017-01-01T20:00:00.000000Z"),
        ("2017-01-01", {}, "2017-01-01T00:00:00.000000Z"),
        ("1483308000", {"epoch_unit": "s"}, "2017-01-01T22:00:00.000000Z"),
        ("1483308000000", {"epoch_unit": "ms"}, "2017-01-01T22:00:00.000000Z"),
        ("1483308000000000", {"epoch_unit": "us"}, "2017-01-01T22:00:00.000000Z"),
        ("1483308000000000000", {"epoch_unit": "ns"}, "2017-01-01T22:00:00.000000Z"),
        ("2017-07-01T12:00:00", {"timezone": "Europe/Berlin"}, "2017-07-01T10:00:00.000000Z"),
        ("2017-07-01T12:00:00Z", {"timezone": "Europe/Berlin"}, "2017-07-01T12:00:00.000000Z"),
        ("2017-07-01", {"timezone": "Europe/Berlin"}, "2017-07-01T00:00:00.000000Z"),
    ],
)
def test_stamps_data_2_and_3(
    tmp_path: Path, stamp: str, options: dict[str, object], expected: str
) -> None:
    table = load(tmp_path, f"{stamp},10,12,9,11,1", options=hourly(**options))
    assert to_iso(table.ts_open_ns[0]) == expected
    assert table.ts_close_ns[0] - table.ts_open_ns[0] == 3600 * SECOND_NS


def test_a_local_stamp_that_exists_twice_has_the_earlier_offset_and_is_reported_data_3(
    tmp_path: Path,
) -> None:
    table = load(
        tmp_path, "2017-10-29T02:30:00,10,12,9,11,1", options=hourly(timezone="Europe/Berlin")
    )
    assert to_iso(table.ts_open_ns[0]) == "2017-10-29T00:30:00.000000Z"
    assert table.report.clock_changes == 1


def test_close_stamps_end_their_bars_data_2(tmp_path: Path) -> None:
    table = load(
        tmp_path,
        "2024-01-01T01:00:00Z,10,12,9,11,1",
        options=hourly(timestamp_is="close"),
    )
    assert to_iso(table.ts_open_ns[0]) == "2024-01-01T00:00:00.000000Z"
    assert to_iso(table.ts_close_ns[0]) == "2024-01-01T01:00:00.000000Z"


def test_months_end_where_the_next_one_starts_data_2(tmp_path: Path) -> None:
    rows = [f"2024-{month:02}-01,10,12,9,11,1" for month in range(1, 13)]
    table = load(tmp_path, *rows, options=BarFileOptions(bar=parse_bar_duration("1mo")))
    assert to_iso(table.ts_close_ns[1]).startswith("2024-03-01")
    assert to_iso(table.ts_close_ns[-1]).startswith("2025-01-01")


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (
            ["2024-01-01T00:00:00Z,10,12,9,11,1"],
            BarFileOptions(),
            "2: timestamp: has a time: declare bar",
        ),
        (
            ["1704067200,10,12,9,11,1"],
            hourly(),
            "2: timestamp: '1704067200' is a whole number: declare its epoch_unit",
        ),
        (["yesterday,10,12,9,11,1"], None, "2: timestamp: 'yesterday' is not a stamp: write 2017"),
        (["2024-13-01,10,12,9,11,1"], None, "2: timestamp: '2024-13-01' is not a stamp"),
        (["9999-01-01,10,12,9,11,1"], None, "2: timestamp: '9999-01-01' is out of range"),
        (
            ["1e9,10,12,9,11,1"],
            hourly(epoch_unit="s"),
            "2: timestamp: '1e9' is not a whole number of the declared epoch_unit",
        ),
        (
            ["9999999999999999999,10,12,9,11,1"],
            hourly(epoch_unit="s"),
            "2: timestamp: '9999999999999999999' is not a whole number",
        ),
        (
            [DAY_1, DAY_2, DAY_3],
            hourly(),
            (
                "3: timestamp: '2024-01-02' the rows are 86400 s apart (median), but bar 1h is "
                "declared: correct bar (BAR_SPACING)"
            ),
        ),
        ([DAY_1, "2024-01-02,11,13,ten,12,1"], None, "3: low: 'ten' is not a number: write digits"),
        (['2024-01-01,"1,000",2,1,1,1'], None, "2: open: '1,000' is not a number"),
        (["2024-01-01,1_000,2000,1,1,1"], None, "2: open: '1_000' is not a number"),
        (["2024-01-01,10,12,9,11,much"], None, "2: volume: 'much' is not a number"),
        (["2024-01-01,1e15,1e15,1,1,1"], None, "2: open: '1e15' is too large"),
        (["2024-01-01,10,12,9"], None, "2: row: has 4 values, the header names 6: mend the row"),
        ([f"{DAY_1},1"], None, "2: row: has 7 values, the header names 6"),
        ([], None, "1: row: none follows the header: add bars"),
        (['2024-01-01,"10,12,9,11,1'], None, "row: is not CSV"),
    ],
)
def test_a_row_that_cannot_be_read_says_line_column_value_and_what_is_allowed(
    tmp_path: Path, rows: list[str], options: BarFileOptions | None, said: str
) -> None:
    assert said in message_of(tmp_path, *rows, options=options)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("date,open,high,low", "1: header: 'date,open,high,low' lacks columns: add close (close"),
        ("date,time,open,high,low,close", "1: header: has two columns for 'timestamp': keep one"),
        (DAY_1, "lacks columns: add timestamp (timestamp, date, time, datetime); open (open, o)"),
    ],
)
def test_a_header_that_cannot_be_used(tmp_path: Path, header: str, said: str) -> None:
    assert said in message_of(tmp_path, DAY_1, header=header)


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_bytes(b"")
    with pytest.raises(MarketDataError, match="lacks columns"):
        load_bars(path)


def test_blank_lines_are_nothing(tmp_path: Path) -> None:
    assert len(load(tmp_path, DAY_1, "", DAY_2, "")) == 2


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_bytes(f"{HEADER}\n".encode() + b"\xff\xfe\n")
    with pytest.raises(MarketDataError, match=r"bars\.csv:2: file: is not UTF-8 text"):
        load_bars(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="file: cannot be read"):
        load_bars(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("prices", "tick"),
    [
        ("10,12,9,11", "1"),
        ("10.0,12.00,9,11", "1"),
        ("1.10,1.2,1.0,1.1", "0.1"),
        ("1.05236,1.06,1.05,1.0525", "0.00001"),
        ("1e1,1.2E+1,9,11", "1"),
        ("1.000000001,2,1,1", "0.000000001"),
    ],
)
def test_the_tick_is_the_finest_decimal_seen_unit_3(tmp_path: Path, prices: str, tick: str) -> None:
    assert load(tmp_path, f"2024-01-01,{prices},1").tick == Decimal(tick)


def test_more_than_nine_decimals_are_rounded_half_to_even_and_counted_unit_3(
    tmp_path: Path,
) -> None:
    table = load(tmp_path, "2024-01-01,1.0000000005,2,1,1.0000000015,1")
    assert table.tick == Decimal("1e-9")
    assert (table.open_ticks[0], table.close_ticks[0]) == (1_000_000_000, 1_000_000_002)
    assert table.report.rounded_prices == 2


def test_volumes_are_rounded_down_to_the_lot_and_counted(tmp_path: Path) -> None:
    table = load(tmp_path, "2024-01-01,10,12,9,11,1.57", options=BarFileOptions(lot=Decimal("0.1")))
    assert table.volume_lots == (15,)
    assert table.report.rounded_volumes == 1


BAD_ROWS: list[tuple[str, list[str], str]] = [
    ("V1", [DAY_1, "2024-01-02,11,,10,12,200"], "3: high: '' is blank"),
    ("V1", [DAY_1, "2024-01-02,11,13,10,NaN,200"], "3: close: 'NaN' is blank"),
    ("V3", [DAY_1, "2024-01-02,11,11.5,10,12,200"], "3: high: '11.5' is below another price"),
    ("V3", [DAY_1, "2024-01-02,11,13,11.5,12,200"], "3: low: '11.5' is above another"),
    ("V4", [DAY_1, "2024-01-02,11,13,0,12,200"], "3: low: '0' is not above 0"),
    ("V4", [DAY_1, "2024-01-02,11,13,-1,12,200"], "3: low: '-1' is not above 0"),
    ("V5", [DAY_1, "2024-01-02,11,13,10,12,-5"], "3: volume: '-5' is negative"),
    ("V7", [DAY_1, "2024-01-01,10,12,9,11,101"], "3: timestamp: '2024-01-01' has other values"),
    ("V11", [DAY_1, "2024-01-02,11,inf,10,12,200"], "3: high: 'inf' is infinite"),
    ("V11", [DAY_1, "2024-01-02,11,13,10,12,-Infinity"], "3: volume: '-Infinity' is infinite"),
]


@pytest.mark.parametrize(("code", "rows", "said"), BAD_ROWS)
def test_checks_that_refuse_by_default(
    tmp_path: Path, code: str, rows: list[str], said: str
) -> None:
    message = message_of(tmp_path, *rows)
    assert said in message
    assert message.endswith(f"({code})")


@pytest.mark.parametrize(("code", "rows", "said"), BAD_ROWS)
def test_a_dropped_row_is_gone_and_counted(
    tmp_path: Path, code: str, rows: list[str], said: str
) -> None:
    table = load(tmp_path, *rows, options=with_policy(code, "drop"))
    assert table.close_ticks == (11,)
    assert table.report.counts[code] == 1
    assert table.report.defects == 1
    assert (table.report.rows_read, table.report.rows_kept) == (2, 1)


def test_v1_fix_carries_the_close_and_marks_the_bar(tmp_path: Path) -> None:
    table = load(tmp_path, DAY_1, "2024-01-02,11,,10,12,9", options=with_policy("V1", "fix"))
    assert table.open_ticks[1] == table.high_ticks[1] == table.low_ticks[1] == 11
    assert table.close_ticks[1] == 11
    assert table.volume_lots[1] == 0
    assert table.is_synthetic == (False, True)


def test_v1_fix_has_nothing_to_carry_in_the_first_row(tmp_path: Path) -> None:
    message = message_of(tmp_path, "2024-01-01,,12,9,11,1", options=with_policy("V1", "fix"))
    assert "2: open: '' is blank and no earlier close exists" in message


def test_v2_makes_the_volume_unknown(tmp_path: Path) -> None:
    table = load(tmp_path, "2024-01-01,10,12,9,11,")
    assert table.volume_lots == (-1,)
    assert table.report.counts["V2"] == 1


def test_v2_may_drop_or_refuse(tmp_path: Path) -> None:
    rows = (DAY_1, "2024-01-02,10,12,9,11,n/a")
    assert len(load(tmp_path, *rows, options=with_policy("V2", "drop"))) == 1
    assert "volume: 'n/a'" in message_of(tmp_path, *rows, options=with_policy("V2", "error"))


def test_v3_fix_widens_high_and_low(tmp_path: Path) -> None:
    table = load(tmp_path, "2024-01-01,10,9,11,12,1", options=with_policy("V3", "fix"))
    assert (table.high_ticks, table.low_ticks) == ((12,), (9,))


def test_v4_keep_allows_prices_at_or_below_zero(tmp_path: Path) -> None:
    table = load(tmp_path, "2024-01-01,1,2,-3,0,1", options=with_policy("V4", "keep"))
    assert (table.low_ticks, table.close_ticks) == ((-3,), (0,))


def test_v5_fix_takes_the_absolute_value(tmp_path: Path) -> None:
    table = load(tmp_path, "2024-01-01,10,12,9,11,-5", options=with_policy("V5", "fix"))
    assert table.volume_lots == (5,)


def test_v6_drops_the_repetition_even_when_written_differently(tmp_path: Path) -> None:
    table = load(tmp_path, DAY_1, DAY_1, DAY_2)
    assert table.close_ticks == (11, 12)
    assert table.report.counts["V6"] == 1
    assert "repeats line 2" in message_of(
        tmp_path, DAY_1, DAY_1, options=with_policy("V6", "error")
    )


def test_v6_compares_blanks_too(tmp_path: Path) -> None:
    row = "2024-01-01,10,12,9,11,"
    assert load(tmp_path, row, row).report.counts["V6"] == 1


def test_v6_compares_numbers_and_not_their_text(tmp_path: Path) -> None:
    table = load(tmp_path, DAY_1, "2024-01-01,10.0,12,9,11,100")
    assert table.report.counts["V6"] == 1


def test_v6_needs_no_volume(tmp_path: Path) -> None:
    row = "2024-01-01,10,12,9,11"
    table = load(
        tmp_path,
        row,
        row,
        "2024-01-02,-1,12,-1,11",
        header="date,o,h,l,c",
        options=with_policy("V4", "keep"),
    )
    assert table.report.counts["V6"] == 1
    assert table.volume_lots == (-1, -1)


def test_v7_fix_keeps_the_last(tmp_path: Path) -> None:
    rows = (DAY_1, "2024-01-01,10,12,9,10,100")
    assert load(tmp_path, *rows, options=with_policy("V7", "fix")).close_ticks == (10,)


def test_v8_sorts_and_counts(tmp_path: Path) -> None:
    table = load(tmp_path, DAY_3, DAY_1, DAY_2)
    assert table.close_ticks == (11, 12, 13)
    assert table.report.counts["V8"] == 1
    assert "3: timestamp: '2024-01-01' is before the row above" in message_of(
        tmp_path, DAY_3, DAY_1, options=with_policy("V8", "error")
    )


def test_v9_reports_a_gap_and_makes_no_bars(tmp_path: Path) -> None:
    rows = (DAY_1, DAY_2, DAY_3, "2024-01-05,12,14,11,13,1")
    table = load(tmp_path, *rows)
    assert len(table) == 4
    assert table.report.counts["V9"] == 1
    assert table.report.defects == 0
    assert "5: timestamp: '2024-01-05' comes 86400 s after" in message_of(
        tmp_path, *rows, options=with_policy("V9", "error")
    )


@pytest.mark.parametrize(("close", "count"), [("16.5", 0), ("16.6", 1), ("5.5", 0), ("5.4", 1)])
def test_v10_reports_jumps_above_the_limit(tmp_path: Path, close: str, count: int) -> None:
    table = load(tmp_path, DAY_1, f"2024-01-02,11,20,5,{close},1")
    assert table.report.counts["V10"] == count


def test_v10_has_a_limit_and_may_refuse(tmp_path: Path) -> None:
    options = BarFileOptions(jump_limit=Decimal("0.01"), policies={"V10": "error"})
    assert "3: close: '12' moved by more than the fraction 0.01 from 11" in message_of(
        tmp_path, DAY_1, DAY_2, options=options
    )


@pytest.mark.parametrize(
    ("price", "ticks", "moved"),
    [("10.125", 40, "0.125"), ("10.375", 42, "0.125"), ("10.3", 41, "0.05")],
)
def test_v12_rounds_to_the_configured_tick_half_to_even(
    tmp_path: Path, price: str, ticks: int, moved: str
) -> None:
    table = load(
        tmp_path, f"2024-01-01,{price},12,9,11,1", options=BarFileOptions(tick=Decimal("0.25"))
    )
    assert table.tick == Decimal("0.25")
    assert table.open_ticks == (ticks,)
    assert table.report.counts["V12"] == 1
    assert table.report.largest_rounding == Decimal(moved)


def test_v12_may_drop_or_refuse(tmp_path: Path) -> None:
    rows = (DAY_1, "2024-01-02,11,13,10.1,12,1")
    drop = BarFileOptions(tick=Decimal(1), policies={"V12": "drop"})
    assert len(load(tmp_path, *rows, options=drop)) == 1
    refuse = BarFileOptions(tick=Decimal(1), policies={"V12": "error"})
    assert "3: low: '10.1' is not a multiple of the tick 1" in message_of(
        tmp_path, *rows, options=refuse
    )


def test_a_price_that_would_round_to_zero_is_no_price(tmp_path: Path) -> None:
    rows = ("2024-01-01,1,2,0.4,1,1", "2024-01-02,1,2,1,1,1")
    options = BarFileOptions(tick=Decimal(1))
    assert "2: low: '0.4' rounds to 0 with the tick 1: use a finer tick (V4)" in message_of(
        tmp_path, *rows, options=options
    )
    dropping = BarFileOptions(tick=Decimal(1), policies={"V4": "drop"})
    assert load(tmp_path, *rows, options=dropping).low_ticks == (1,)


def test_v13_refuses_or_drops_a_bar_that_overlaps(tmp_path: Path) -> None:
    rows = (
        "2024-01-01T00:00:00Z,10,12,9,11,1",
        "2024-01-01T01:00:00Z,10,12,9,12,1",
        "2024-01-01T01:30:00Z,10,12,9,10,1",
        "2024-01-01T02:00:00Z,10,12,9,11,1",
        "2024-01-01T03:00:00Z,10,12,9,11,1",
        "2024-01-01T04:00:00Z,10,12,9,11,1",
    )
    assert "4: timestamp: '2024-01-01T01:30:00Z' starts before the bar above ends" in message_of(
        tmp_path, *rows, options=hourly()
    )
    table = load(tmp_path, *rows, options=hourly(policies={"V13": "drop"}))
    assert table.close_ticks == (11, 12, 11, 11, 11)
    assert table.report.counts["V13"] == 1


def test_nothing_left_after_the_checks(tmp_path: Path) -> None:
    message = message_of(tmp_path, "2024-01-01,0,1,0,1,1", options=with_policy("V4", "drop"))
    assert "row: is left of none after the checks" in message


@pytest.mark.parametrize(("code", "policy"), [("V1", "keep"), ("V8", "drop"), ("V99", "fix")])
def test_a_policy_that_a_check_does_not_have(tmp_path: Path, code: str, policy: Policy) -> None:
    with pytest.raises(ValueError, match=f"policy {code}: {policy} is not allowed"):
        load(tmp_path, DAY_1, options=with_policy(code, policy))


def test_an_unknown_time_zone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="time zone 'Mars/Base' is not known"):
        load(tmp_path, DAY_1, options=BarFileOptions(timezone="Mars/Base"))


def test_the_report_counts_every_check(tmp_path: Path) -> None:
    assert load(tmp_path, DAY_1).report.counts == dict.fromkeys(CHECKS, 0)


@pytest.mark.parametrize(
    ("name", "bar", "rows", "tick", "first_open"),
    [
        ("eurusd-1h.csv", "1h", 6_225, "0.00001", 105_236),
        ("sp500-1d.csv", None, 5_031, "0.01", 122_923),
    ],
)
def test_the_bundled_files_have_no_defects(
    name: str, bar: str | None, rows: int, tick: str, first_open: int
) -> None:
    duration = None if bar is None else parse_bar_duration(bar)
    table = load_bars(SAMPLES / name, BarFileOptions(bar=duration))
    assert len(table) == rows
    assert table.tick == Decimal(tick)
    assert table.open_ticks[0] == first_open
    assert table.report.defects == 0
    assert table.report.counts["V10"] == 0
    assert not table.features
    assert not table.report.ignored_columns
