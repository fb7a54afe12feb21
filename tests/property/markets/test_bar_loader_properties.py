from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.markets.bar_loader import load_bar_columns
from engine.markets.bar_options import BarFileOptions, InstrumentTerms
from engine.markets.number_columns import parse_column, parse_float_column, places_for, to_grid
from engine.markets.resampling import resample
from engine.markets.stamp_columns import StampColumns
from engine.markets.stamps import ONE_DAY, StampReader, parse_bar_duration
from engine.markets.windows import SplitSettings, split_windows
from engine.model.bar_columns import INTEGER_COLUMNS, BarColumns, day_sessions
from engine.model.clock import to_iso
from engine.model.instruments import ConnectorPair, Instrument

TERMS = InstrumentTerms("A")
MINUTE_NS = 60_000_000_000
DAY_NS = 1440 * MINUTE_NS
PRICES = st.decimals(Decimal("0.0001"), Decimal(100_000), places=4)
NUMBERS = st.one_of(
    st.decimals(-1000, 1000, places=6),
    st.decimals(0, 1000, places=14),
    st.decimals(0, 10**9, places=2),
)


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[Decimal, Decimal, Decimal, Decimal, int]]:
    prices = draw(st.lists(st.tuples(PRICES, PRICES, PRICES, PRICES), min_size=1, max_size=15))
    volumes = draw(st.lists(st.integers(0, 10**9), min_size=len(prices), max_size=len(prices)))
    return [
        (row[0], max(row), min(row), row[3], volume)
        for row, volume in zip(prices, volumes, strict=True)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bars")


@given(rows=rows())
@settings(max_examples=50, deadline=None)
def test_csv_parquet_and_arrow_of_the_same_data_give_the_same_columns(
    folder: Path, rows: list[tuple[Decimal, Decimal, Decimal, Decimal, int]]
) -> None:
    stamps = [index * DAY_NS for index in range(len(rows))]
    texts = pl.DataFrame(
        {
            "time": [to_iso(stamp) for stamp in stamps],
            **{
                name: [f"{row[place]}" for row in rows]
                for place, name in enumerate(("open", "high", "low", "close", "volume"))
            },
        }
    )
    floats = texts.with_columns(
        pl.Series("time", stamps).cast(pl.Datetime("ns", "UTC")),
        pl.col("open", "high", "low", "close").cast(pl.Float64),
        pl.col("volume").cast(pl.Int64),
    )
    texts.write_csv(folder / "same.csv")
    floats.write_parquet(folder / "same.parquet")
    floats.write_ipc(folder / "same.arrow")
    options = BarFileOptions(bar=ONE_DAY)
    hashes = {
        load_bar_columns(folder / f"same.{suffix}", terms=TERMS, options=options).columns.data_hash
        for suffix in ("csv", "parquet", "arrow")
    }
    assert len(hashes) == 1


@given(rows=rows(), size=st.integers(1, 15))
@settings(max_examples=40, deadline=None)
def test_earlier_bars_do_not_depend_on_later_ones(
    folder: Path, rows: list[tuple[Decimal, Decimal, Decimal, Decimal, int]], size: int
) -> None:
    terms = InstrumentTerms("A", tick=Decimal("0.0001"))
    found = []
    for name, part in (("whole", rows), ("part", rows[:size])):
        lines = [f"{index * 86_400}," + ",".join(map(str, row)) for index, row in enumerate(part)]
        path = folder / f"{name}.csv"
        path.write_text("\n".join(["time,o,h,l,c,v", *lines]), encoding="utf-8")
        options = BarFileOptions(bar=ONE_DAY, epoch_unit="s")
        found.append(load_bar_columns(path, terms=terms, options=options).columns)
    longer, shorter = found
    assert longer.prefix(len(shorter)).data_hash == shorter.data_hash


@given(numbers=st.lists(NUMBERS, min_size=1, max_size=20), places=st.integers(0, 12))
@settings(max_examples=150, deadline=None)
def test_any_numbers_go_to_the_grid_as_decimal_arithmetic_does(
    numbers: list[Decimal], places: int
) -> None:
    step = Decimal(1).scaleb(-places)
    texts = pl.Series([f"{number:f}" for number in numbers])
    try:
        grid = to_grid(parse_column(texts, places_for(step)), step)
    except OverflowError:
        assert max(abs(number) for number in numbers) * 10 ** max(places, 14) >= 2**62
        return
    expected = [int((one / step).to_integral_value(ROUND_HALF_EVEN)) for one in numbers]
    assert grid.steps.tolist() == expected
    assert grid.is_moved.tolist() == [one % step != 0 for one in numbers]


@given(values=st.lists(st.floats(1e-6, 1e8), min_size=1, max_size=20))
@settings(max_examples=150, deadline=None)
def test_floats_are_read_as_the_text_that_names_them(values: list[float]) -> None:
    try:
        by_float = parse_float_column(np.array(values))
    except OverflowError:
        return
    by_text = parse_column(pl.Series([repr(value) for value in values]))
    assert by_float.at(9).tolist() == by_text.at(9).tolist()
    ends = [
        [0] * len(values) if one.beyond is None else one.beyond.tolist()
        for one in (by_float, by_text)
    ]
    assert ends[0] == ends[1]


@given(
    stamps=st.lists(st.datetimes(), min_size=1, max_size=10),
    zone=st.sampled_from([None, "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
    separator=st.sampled_from([" ", "T"]),
)
@settings(max_examples=100, deadline=None)
def test_columns_of_stamps_are_read_as_single_stamps_are(
    stamps: list[object], zone: str | None, separator: str
) -> None:
    texts = [str(stamp).replace(" ", separator) for stamp in stamps]
    one_by_one = StampReader(timezone=zone)
    try:
        expected = [one_by_one.read(text) for text in texts]
    except ValueError:
        with pytest.raises(ValueError, match=r"is not a stamp|out of range"):
            StampColumns(timezone=zone, epoch_unit=None).read(pl.Series(texts))
        return
    columns = StampColumns(timezone=zone, epoch_unit=None)
    assert columns.read(pl.Series(texts)).tolist() == expected
    assert columns.clock_changes == one_by_one.clock_changes


@st.composite
def minute_bars(draw: st.DrawFn) -> BarColumns:
    count = draw(st.integers(1, 60))
    gaps = draw(st.lists(st.integers(1, 40), min_size=count, max_size=count))
    opens = np.cumsum(np.array(gaps, dtype=np.int64)) * MINUTE_NS
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    prices = rng.integers(1, 1000, (4, count))
    starts, ends = day_sessions(opens, opens + MINUTE_NS)
    return BarColumns(
        instrument=Instrument(ConnectorPair("backtest", "A"), Decimal("0.01"), Decimal(1)),
        symbol="A",
        duration_ns=MINUTE_NS,
        ts_open=opens,
        ts_close=opens + MINUTE_NS,
        open=prices[0],
        high=prices.max(axis=0),
        low=prices.min(axis=0),
        close=prices[3],
        volume=rng.integers(0, 100, count),
        is_synthetic=np.zeros(count, dtype=np.bool_),
        starts_session=starts,
        ends_session=ends,
    )


@given(bars=minute_bars(), partial=st.booleans())
@settings(max_examples=60, deadline=None)
def test_resampling_in_two_steps_is_resampling_in_one_data_9(
    bars: BarColumns, *, partial: bool
) -> None:
    coarse, coarser = parse_bar_duration("5m"), parse_bar_duration("1h")
    at_once = resample(bars, coarser, keep_partial_end=partial)
    between = resample(bars, coarse, keep_partial_end=True)
    in_steps = resample(between, coarser, keep_partial_end=True)
    for name in INTEGER_COLUMNS:
        found = getattr(in_steps, name)[: len(at_once)]
        assert found.tolist() == getattr(at_once, name).tolist()


@given(bars=minute_bars(), cut=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_coarse_bars_never_change_when_more_fine_ones_come(bars: BarColumns, cut: int) -> None:
    duration = parse_bar_duration("15m")
    early, late = resample(bars.prefix(cut), duration), resample(bars, duration)
    assert early.data_hash == late.prefix(len(early)).data_hash
    if len(early):
        assert int(early.ts_close[-1]) <= int(bars.prefix(cut).ts_close[-1])


@given(
    one=minute_bars(),
    two=minute_bars(),
    train=st.decimals(Decimal("0.05"), Decimal("0.95"), places=2),
    purge=st.integers(0, 5),
)
@settings(max_examples=80, deadline=None)
def test_no_bar_of_train_ends_after_a_bar_of_test_starts_to_count_coord_6(
    one: BarColumns, two: BarColumns, train: Decimal, purge: int
) -> None:
    columns = [one, two]
    split = SplitSettings(train=train, purge=purge)
    instants = sorted({*one.ts_close.tolist(), *two.ts_close.tolist()})
    count = int(train * len(instants))
    if not count or count + purge >= len(instants):
        with pytest.raises(ValueError, match="both need at least one"):
            split_windows(columns, split, name="test")
        return
    before = split_windows(columns, split, name="train")
    after = split_windows(columns, split, name="test")
    ends = [
        int(bars.ts_close[span.stop_bar - 1])
        for bars, span in zip(columns, before, strict=True)
        if len(span)
    ]
    decisions = [
        int(bars.ts_close[span.decision_bar])
        for bars, span in zip(columns, after, strict=True)
        if len(span)
    ]
    assert max(ends) < min(decisions)
    assert instants.index(min(decisions)) - instants.index(max(ends)) == purge + 1
