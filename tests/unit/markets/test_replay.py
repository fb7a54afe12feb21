from __future__ import annotations

from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from engine.markets.bar_file import load_bars
from engine.markets.replay import ReplayConfig, ReplaySource
from engine.model.clock import SECOND_NS, from_iso
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import QuoteTick

DAY_NS = 86_400 * SECOND_NS


def source(folder: Path, *rows: str, **settings: Any) -> ReplaySource:
    path = folder / "bars.csv"
    path.write_text("\n".join(("date,open,high,low,close", *rows)), encoding="utf-8")
    bars = load_bars(path)
    instrument = Instrument(ConnectorPair("paper", "A-B"), bars.tick, Decimal(1))
    settings.setdefault("spread_ticks", 2)
    config = ReplayConfig(path="bars.csv", **settings)
    return ReplaySource(instrument=instrument, bars=bars, config=config)


def prices(quotes: list[QuoteTick]) -> list[int]:
    return [(quote.bid_ticks + quote.ask_ticks) // 2 for quote in quotes]


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ("100,103,90,95", [100, 103, 90, 95]),
        ("100,110,98,105", [100, 98, 110, 105]),
        ("100,105,95,99", [100, 95, 105, 99]),
        ("100,100,90,95", [100, 100, 90, 95]),
        ("100,110,100,105", [100, 100, 110, 105]),
        ("100,100,100,100", [100, 100, 100, 100]),
    ],
    ids=["near high", "near low", "tie goes low", "opens at high", "opens at low", "flat"],
)
def test_a_bar_walks_to_its_nearer_extreme_first(tmp_path: Path, row: str, path: list[int]) -> None:
    assert prices(list(source(tmp_path, f"2024-01-01,{row}").ticks(0))) == path


def test_points_lie_at_thirds_and_just_before_the_close(tmp_path: Path) -> None:
    quotes = list(source(tmp_path, "2024-01-01,100,103,90,95", speed=86_400).ticks(50))
    assert [quote.ts_ns - 50 for quote in quotes] == [
        0,
        SECOND_NS // 3,
        2 * SECOND_NS // 3,
        SECOND_NS - 1,
    ]
    opened = from_iso("2024-01-01")
    assert [quote.source_ns - opened for quote in quotes] == [
        0,
        DAY_NS // 3,
        2 * DAY_NS // 3,
        DAY_NS - 1,
    ]


@pytest.mark.parametrize(("skip_gaps", "days"), [(True, 3), (False, 6)])
def test_gaps_of_the_file_are_passed_over_or_kept(
    tmp_path: Path, skip_gaps: bool, days: int
) -> None:
    quotes = list(
        source(
            tmp_path,
            "2024-01-01,100,103,90,95",
            "2024-01-02,100,103,90,95",
            "2024-01-03,100,103,90,95",
            "2024-01-07,96,98,95,97",
            speed=86_400,
            skip_gaps=skip_gaps,
        ).ticks(0)
    )
    assert quotes[12].ts_ns == days * SECOND_NS
    assert quotes[12].source_ns == from_iso("2024-01-07")


def test_without_repeat_the_quotes_end_with_the_file(tmp_path: Path) -> None:
    rows = ("2024-01-01,100,103,90,95", "2024-01-02,96,98,95,97")
    assert len(list(source(tmp_path, *rows).ticks(0))) == 8


def test_repeat_starts_again_with_time_that_goes_on(tmp_path: Path) -> None:
    endless = source(tmp_path, "2024-01-01,100,103,90,95", speed=86_400, repeat=True)
    quotes = list(islice(endless.ticks(0), 12))
    assert prices(quotes) == [100, 103, 90, 95] * 3
    assert [quote.ts_ns // SECOND_NS for quote in quotes] == [0] * 4 + [1] * 4 + [2] * 4
    assert [quote.source_ns for quote in quotes[:4]] == [quote.source_ns for quote in quotes[4:8]]


def test_stamps_rise_even_when_the_bars_are_shorter_than_their_points(tmp_path: Path) -> None:
    quotes = list(source(tmp_path, "2024-01-01,100,103,90,95", "2024-01-02,96,98,95,97").ticks(0))
    assert quotes[-1].ts_ns > 0
    fast = source(tmp_path, "2024-01-01,100,103,90,95", speed="1e9", repeat=True)
    stamps = [quote.ts_ns for quote in islice(fast.ticks(0), 4000)]
    assert all(before < after for before, after in pairwise(stamps))


@pytest.mark.parametrize(
    ("settings", "bid", "ask"),
    [
        ({"spread_ticks": 1}, 10_000, 10_001),
        ({"spread_ticks": 3}, 9_999, 10_002),
        ({"spread_ticks": 4}, 9_998, 10_002),
        ({"spread_ticks": None, "spread_bps": 2}, 9_999, 10_001),
        ({"spread_ticks": None, "spread_bps": "2.5"}, 9_999, 10_002),
        ({"spread_ticks": None, "spread_bps": "0.001"}, 10_000, 10_001),
        ({"spread_ticks": None}, 10_000, 10_001),
    ],
)
def test_the_spread_lies_around_the_path(
    tmp_path: Path, settings: dict[str, Any], bid: int, ask: int
) -> None:
    first = next(source(tmp_path, "2024-01-01,10000,10000,10000,10000", **settings).ticks(0))
    assert (first.bid_ticks, first.ask_ticks) == (bid, ask)


def test_a_price_of_one_tick_still_has_two_sides(tmp_path: Path) -> None:
    first = next(source(tmp_path, "2024-01-01,1,1,1,1", spread_ticks=8).ticks(0))
    assert (first.bid_ticks, first.ask_ticks) == (1, 9)


def test_sizes_are_worth_the_configured_depth(tmp_path: Path) -> None:
    first = next(source(tmp_path, "2024-01-01,100,100,100,100", depth_quote=990).ticks(0))
    assert (first.bid_lots, first.ask_lots) == (10, 9)
    tiny = next(source(tmp_path, "2024-01-01,100,100,100,100", depth_quote=1).ticks(0))
    assert (tiny.bid_lots, tiny.ask_lots) == (1, 1)


def test_every_call_starts_anew(tmp_path: Path) -> None:
    market = source(tmp_path, "2024-01-01,100,103,90,95")
    assert list(market.ticks(7)) == list(market.ticks(7))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"speed": 0}, "greater than 0"),
        ({"speed": "nan"}, "finite"),
        ({"spread_ticks": 0}, "greater than or equal to 1"),
        ({"spread_bps": 0, "spread_ticks": None}, "greater than 0"),
        ({"spread_bps": 1}, "both set, keep one"),
        ({"bar": "fortnight"}, "not a duration"),
        ({"pace": 1}, "Extra inputs are not permitted"),
    ],
)
def test_settings_outside_their_range(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        source(tmp_path, "2024-01-01,100,103,90,95", **settings)
