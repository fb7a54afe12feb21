from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.markets.bar_file import BarFileOptions, load_bars
from engine.markets.data_report import MarketDataError
from engine.markets.stamps import ONE_DAY
from engine.model.clock import SECOND_NS

DAY_NS = 86_400 * SECOND_NS

CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PRICES = st.decimals(Decimal("0.0001"), Decimal(100_000), places=4)


@st.composite
def bars(draw: st.DrawFn) -> list[tuple[Decimal, Decimal, Decimal, Decimal]]:
    rows = draw(st.lists(st.tuples(PRICES, PRICES, PRICES, PRICES), min_size=1, max_size=20))
    return [(row[0], max(row), min(row), row[3]) for row in rows]


def text_of(rows: list[tuple[Decimal, Decimal, Decimal, Decimal]]) -> list[str]:
    return [
        f"{index * 86_400}," + ",".join(f"{price:f}" for price in row)
        for index, row in enumerate(rows)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bars")


def daily(path: Path, lines: list[str], tick: Decimal | None = None) -> BarFileOptions:
    path.write_text("\n".join(["time,o,h,l,c", *lines]), encoding="utf-8")
    return BarFileOptions(epoch_unit="s", bar=ONE_DAY, tick=tick)


@given(rows=bars())
@settings(max_examples=80, deadline=None)
def test_what_is_read_is_what_was_written_to_the_last_digit(
    folder: Path, rows: list[tuple[Decimal, Decimal, Decimal, Decimal]]
) -> None:
    path = folder / "exact.csv"
    table = load_bars(path, daily(path, text_of(rows)))
    columns = (table.open_ticks, table.high_ticks, table.low_ticks, table.close_ticks)
    assert [
        tuple(ticks * table.tick for ticks in row) for row in zip(*columns, strict=True)
    ] == rows
    assert table.ts_open_ns == tuple(index * DAY_NS for index in range(len(rows)))
    assert table.report.defects == 0


@given(rows=bars(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_rows_does_not_matter(
    folder: Path, rows: list[tuple[Decimal, Decimal, Decimal, Decimal]], data: st.DataObject
) -> None:
    path = folder / "order.csv"
    lines = text_of(rows)
    expected = load_bars(path, daily(path, lines))
    shuffled = load_bars(path, daily(path, data.draw(st.permutations(lines))))
    assert shuffled.open_ticks == expected.open_ticks
    assert shuffled.close_ticks == expected.close_ticks
    assert shuffled.ts_open_ns == expected.ts_open_ns


@given(rows=bars(), tick=st.sampled_from([Decimal("0.0001"), Decimal("0.25"), Decimal("0.01")]))
@settings(max_examples=60, deadline=None)
def test_rounding_to_a_tick_moves_no_price_by_more_than_half_of_it_and_keeps_the_range(
    folder: Path, rows: list[tuple[Decimal, Decimal, Decimal, Decimal]], tick: Decimal
) -> None:
    path = folder / "tick.csv"
    rows = [row for row in rows if min(row) > tick]
    lines = text_of(rows) or ["0,1,1,1,1"]
    table = load_bars(path, daily(path, lines, tick))
    assert table.report.largest_rounding <= tick / 2
    for index, row in enumerate(rows):
        opened, high = table.open_ticks[index], table.high_ticks[index]
        low, close = table.low_ticks[index], table.close_ticks[index]
        assert low <= min(opened, close)
        assert max(opened, close) <= high
        assert abs(opened * tick - row[0]) <= tick / 2
        assert abs(close * tick - row[3]) <= tick / 2


@given(content=st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_bars_or_one_sentence(folder: Path, content: bytes) -> None:
    path = folder / "noise.csv"
    path.write_bytes(b"date,open,high,low,close,volume\n" + content)
    found = outcome(path)
    assert found == "one sentence" or isinstance(found, int)


@given(
    cells=st.lists(
        st.one_of(CELLS, st.sampled_from(["1", "2.5", "nan", "inf", "1e5", "-3"])),
        min_size=5,
        max_size=5,
    )
)
@settings(max_examples=150, deadline=None)
def test_any_cells_give_one_bar_or_one_sentence(folder: Path, cells: list[str]) -> None:
    path = folder / "cells.csv"
    quoted = ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)
    path.write_bytes(f"date,open,high,low,close,volume\n2024-01-01,{quoted}\n".encode())
    assert outcome(path) in (1, "one sentence")


def outcome(path: Path) -> int | str:
    try:
        return len(load_bars(path))
    except MarketDataError as error:
        is_sentence = str(error).startswith(f"{path}:") and "\n" not in str(error)
        return "one sentence" if is_sentence else repr(error)
