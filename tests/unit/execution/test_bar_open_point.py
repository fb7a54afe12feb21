"""Eligibility, timing and the open point: FILL-1 to FILL-11."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.execution.bar_order import (
    FOK,
    IOC,
    LIMIT,
    MARKET,
    MARKET_IF_TOUCHED,
    MOO,
    STOP,
    STOP_LIMIT,
    TRAILING_STOP,
    BarOrder,
    Bracket,
)
from engine.testing.bar_run import DAY_NS, BarRun, Script, bar_columns

FLAT = (100, 100, 100, 100)
UP = (103, 106, 101, 105)


def play(script: Script, *bars: tuple[float, float, float, float], **settings: Any) -> BarRun:
    return BarRun(bar_columns(list(bars)), script=script, **settings).run()


def test_fill_1_an_order_made_at_a_close_fills_from_the_next_bar_on() -> None:
    played = play({1: [BarOrder(0, 1, MARKET, 1)]}, FLAT, UP, (110, 112, 109, 111))
    assert played.prices() == [(1, Decimal(110))]
    assert played.fills[0].ts == 2 * DAY_NS


def test_fill_1_an_order_before_the_first_bar_fills_at_its_open() -> None:
    assert play({-1: [BarOrder(0, 1, MARKET, 1)]}, UP).prices() == [(1, Decimal(103))]


def test_fill_2_this_close_fills_at_once_and_restates_the_sample() -> None:
    script: Script = {1: [BarOrder(0, 1, MARKET, 1), BarOrder(0, 1, LIMIT, 1, limit=20000)]}
    settings = {"fill_timing": "this_close", "commission_model": {"kind": "per_trade", "flat": 5}}
    played = play(script, FLAT, UP, (110, 112, 109, 111), **settings)
    assert played.prices() == [(1, Decimal(105)), (1, Decimal(110))]
    assert [fill.ts for fill in played.fills] == [2 * DAY_NS, 2 * DAY_NS]
    assert played.money(played.broker.samples[1]) == 99995


def test_fill_2_latency_makes_a_market_order_miss_the_close() -> None:
    settings = {"fill_timing": "this_close", "latency_ms": 1}
    played = play({0: [BarOrder(0, 1, MARKET, 1)]}, FLAT, UP, **settings)
    # It joins at the first extreme of a bar in which nothing else works: the nearer one.
    assert played.prices() == [(1, Decimal(101))]


@pytest.mark.parametrize(
    ("latency_ms", "price", "ts"),
    [
        (0, 103, 1 * DAY_NS),
        # The path of a flat book with a buy working is O H L C: 103, 106, 101, 105.
        (1, 106, 2 * DAY_NS - 1),
        (28_800_000, 106, 2 * DAY_NS - 1),
        (28_800_001, 101, 2 * DAY_NS - 1),
        (57_600_001, 105, 2 * DAY_NS),
        (86_399_999, 105, 2 * DAY_NS),
        (86_400_000, 110, 2 * DAY_NS),
    ],
    ids=["open", "first", "at a third", "second", "close", "last ms", "next bar"],
)
def test_fill_3_and_4_latency_joins_the_path(latency_ms: int, price: int, ts: int) -> None:
    # Late orders do not work at the open point: an earlier limit that never fills sets the path.
    script: Script = {0: [BarOrder(0, 1, LIMIT, 1, limit=1), BarOrder(0, 1, MARKET, 1)]}
    bars = (FLAT, UP, (110, 112, 109, 111))
    run = BarRun(bar_columns(list(bars)), script={}, latency_ms=latency_ms, path="ohlc")
    run.script = script
    played = run.run()
    assert played.prices() == [(1, Decimal(price))]
    assert played.fills[0].ts == ts


def test_fill_3_a_limit_that_joins_late_takes_what_it_can_reach_there() -> None:
    script: Script = {0: [BarOrder(0, 1, LIMIT, 1, limit=10300)]}
    played = play(script, FLAT, UP, latency_ms=30_000_000, path="ohlc")
    # It joins at the low, 101, and takes; the open at 103 was before it arrived.
    assert played.prices() == [(1, Decimal(101))]
    assert not played.fills[0].is_maker


def test_fill_5_reductions_first_then_stop_exits_then_by_seq() -> None:
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 10, bracket=Bracket(sl=9000, tp=12000))],
        1: [
            BarOrder(0, 1, MARKET, 1),
            BarOrder(0, 1, MARKET, 2),
            BarOrder(0, -1, MARKET, 3),
            BarOrder(0, -1, MARKET, 4),
        ],
    }
    played = play(script, FLAT, FLAT, (80, 80, 80, 80))
    # The stop exit gapped: it comes before the plain sells, which find no position and open.
    assert [(fill.order.role, fill.side, fill.lots) for fill in played.fills[1:]] == [
        ("stop_loss", -1, 10),
        ("entry", 1, 1),
        ("entry", -1, 3),
        ("entry", 1, 2),
        ("entry", -1, 4),
    ]


def test_fill_6_moo_waits_for_the_first_bar_of_a_session() -> None:
    columns = bar_columns(
        [FLAT, (101, 101, 101, 101), (102, 102, 102, 102)], duration_ns=3_600_000_000_000, ends=[1]
    )
    played = BarRun(columns, script={0: [BarOrder(0, 1, MOO, 1)]}).run()
    assert [(fill.bar, fill.ticks, fill.is_maker) for fill in played.fills] == [(2, 10200, False)]


@pytest.mark.parametrize(
    ("order", "price"),
    [
        (BarOrder(0, 1, STOP, 1, stop=10300), 103),
        (BarOrder(0, 1, STOP, 1, stop=10301), Decimal("103.01")),
        (BarOrder(0, -1, STOP, 1, stop=10300), 103),
        (BarOrder(0, -1, STOP, 1, stop=10400), 103),
        (BarOrder(0, 1, MARKET_IF_TOUCHED, 1, stop=10400), 103),
        (BarOrder(0, 1, MARKET_IF_TOUCHED, 1, stop=10300), 103),
        (BarOrder(0, 1, MARKET_IF_TOUCHED, 1, stop=10200), 102),
        (BarOrder(0, -1, MARKET_IF_TOUCHED, 1, stop=10200), 103),
        (BarOrder(0, -1, MARKET_IF_TOUCHED, 1, stop=10500), 105),
    ],
)
def test_fill_7_stops_and_touches_at_and_beyond_the_open(order: BarOrder, price: Decimal) -> None:
    played = play({0: [order]}, FLAT, UP)
    assert played.prices() == [(order.side, Decimal(price))]
    assert not played.fills[0].is_maker


def test_fill_8_a_limit_takes_on_its_first_bar_and_makes_later() -> None:
    down = (98, 99, 97, 98)
    played = play({0: [BarOrder(0, 1, LIMIT, 1, limit=9900)]}, FLAT, FLAT, down)
    assert [(fill.ticks, fill.is_maker) for fill in played.fills] == [(9800, True)]
    played = play({0: [BarOrder(0, 1, LIMIT, 1, limit=9900)]}, FLAT, down)
    assert [(fill.ticks, fill.is_maker) for fill in played.fills] == [(9800, False)]


def test_fill_8_a_post_only_limit_never_takes() -> None:
    order = BarOrder(0, 1, LIMIT, 1, limit=9900, post_only=True)
    assert play({0: [order]}, FLAT, (98, 99, 97, 98)).states() == [
        ("REJECTED", "POST_ONLY_CROSSES")
    ]
    order = BarOrder(0, 1, LIMIT, 1, limit=9900, post_only=True)
    assert play({0: [order]}, FLAT, FLAT, (98, 99, 97, 98)).states() == [("FILLED", "")]


@pytest.mark.parametrize(("limit", "price", "is_maker"), [(10300, 103, False), (10200, 102, True)])
def test_fill_9_a_gapped_stop_limit_fills_at_the_open_or_rests(
    limit: int, price: int, *, is_maker: bool
) -> None:
    order = BarOrder(0, 1, STOP_LIMIT, 1, stop=10100, limit=limit)
    played = play({0: [order]}, FLAT, UP, path="ohlc")
    assert played.prices() == [(1, Decimal(price))]
    assert played.fills[0].is_maker is is_maker
    assert order.is_triggered


def test_fill_10_the_gap_is_tested_before_the_open_moves_the_extreme() -> None:
    order = BarOrder(0, -1, TRAILING_STOP, 1, trail_unit=3, trail_value=300)
    # The stop is 97 from the mark of 100: an open of 97 hits it, one above moves it.
    assert play({0: [order]}, FLAT, (97, 99, 97, 98)).prices() == [(-1, Decimal(97))]
    order = BarOrder(0, -1, TRAILING_STOP, 1, trail_unit=3, trail_value=300)
    played = play({0: [order]}, FLAT, (104, 104, 102, 103))
    assert (order.extreme, order.level, played.fills) == (10400, 10100, [])


@pytest.mark.parametrize(
    ("order", "volume", "fills", "state"),
    [
        (BarOrder(0, 1, MARKET, 10, tif=IOC), 8, [4], ("CANCELLED", "IOC")),
        (BarOrder(0, 1, MARKET, 4, tif=IOC), 8, [4], ("FILLED", "")),
        (BarOrder(0, 1, MARKET, 10, tif=FOK), 8, [], ("CANCELLED", "FOK")),
        (BarOrder(0, 1, MARKET, 4, tif=FOK), 8, [4], ("FILLED", "")),
        (BarOrder(0, 1, LIMIT, 4, limit=10200, tif=IOC), 8, [], ("CANCELLED", "IOC")),
        (BarOrder(0, 1, LIMIT, 4, limit=10300, tif=IOC), 8, [4], ("FILLED", "")),
        (BarOrder(0, 1, LIMIT, 4, limit=10200, tif=FOK), 8, [], ("CANCELLED", "FOK")),
        (BarOrder(0, 1, STOP, 4, stop=10500, tif=IOC), 8, [], ("CANCELLED", "IOC")),
        (BarOrder(0, 1, MARKET, 1, tif=IOC), 1, [], ("CANCELLED", "IOC")),
    ],
)
def test_fill_11_ioc_and_fok_act_at_their_first_open_point_only(
    order: BarOrder, volume: int, fills: list[int], state: tuple[str, str]
) -> None:
    columns = bar_columns([FLAT, UP, UP], volumes=[volume] * 3)
    played = BarRun(columns, script={0: [order]}, max_participation="0.5").run()
    assert [fill.lots for fill in played.fills] == fills
    assert played.states() == [state]


def test_fill_11_a_fok_without_funds_is_cancelled() -> None:
    order = BarOrder(0, 1, MARKET, 10_000, tif=FOK)
    assert play({0: [order]}, FLAT, UP).states() == [("CANCELLED", "FOK")]
