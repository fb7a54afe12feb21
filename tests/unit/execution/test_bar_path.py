"""The walk of a bar: FILL-12 to FILL-19, FILL-23, FILL-24."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from engine.execution.bar_order import (
    LIMIT,
    MARKET,
    MARKET_IF_TOUCHED,
    MOC,
    MOO,
    OFFSET_ATR,
    OFFSET_PPB,
    OFFSET_TICKS,
    STOP,
    STOP_LIMIT,
    TRAILING_STOP,
    TRAILING_STOP_LIMIT,
    BarOrder,
    Bracket,
)
from engine.model.bar_columns import MISSING
from engine.model.draws import uniform
from engine.testing.bar_run import DAY_NS, BarRun, Script, bar_columns

Bars = Sequence[tuple[float, float, float, float]]
FLAT = (100, 100, 100, 100)
UP = (103, 106, 101, 105)
HOUR_NS = 3_600_000_000_000


def play(script: Script, *bars: tuple[float, float, float, float], **settings: Any) -> BarRun:
    return BarRun(bar_columns(list(bars)), script=script, **settings).run()


def order_of_fills(played: BarRun) -> list[tuple[int, int]]:
    return [(fill.order.seq, fill.ticks) for fill in played.fills]


@pytest.mark.parametrize(
    ("path", "before", "high_first"),
    [
        ("ohlc", [], True),
        ("olhc", [], False),
        ("adaptive", [], False),
        ("pessimistic", [BarOrder(0, 1, MARKET, 1)], False),
        ("pessimistic", [BarOrder(0, -1, MARKET, 1)], True),
    ],
)
def test_path_by_mode_and_position(path: str, before: list[BarOrder], *, high_first: bool) -> None:
    probes = [BarOrder(0, 1, STOP, 1, stop=10600), BarOrder(0, -1, STOP, 1, stop=9900)]
    orders = [BarOrder(one.symbol, one.side, one.kind, one.lots) for one in before]
    # O 103, H 106, L 99: the high is nearer than the low by (O - L) 4 and (H - O) 3.
    bar = (103, 106, 99, 105) if path != "adaptive" else (103, 107, 99, 105)
    played = BarRun(
        bar_columns([FLAT, (103, 103, 103, 103), bar]), script={0: orders, 1: probes}, path=path
    ).run()
    sides = [fill.side for fill in played.fills if fill.bar == 2]
    assert sides == ([1, -1] if high_first else [-1, 1])


@pytest.mark.parametrize(
    ("sides", "high_first"), [((1, 1), True), ((-1, -1), False), ((1, -1), None)]
)
def test_pessimistic_path_of_a_flat_book_goes_against_its_entries(
    sides: tuple[int, int],
    high_first: bool | None,
) -> None:
    orders = [BarOrder(0, side, LIMIT, 1, limit=9900 if side > 0 else 10700) for side in sides]
    trail = BarOrder(0, sides[0], MARKET_IF_TOUCHED, 1, stop=1 if sides[0] > 0 else 99999)
    bar = (103, 107, 99, 105)
    columns = bar_columns([FLAT, bar])
    played = BarRun(columns, script={0: [*orders, trail]}).run()
    if high_first is None:
        # Both sides: adaptive, and a tie goes low first.
        assert [fill.side for fill in played.fills] == [1, -1]
    else:
        assert [fill.ticks for fill in played.fills] == [orders[0].limit] * 2


def test_reduce_only_orders_do_not_choose_the_path() -> None:
    entry = BarOrder(0, 1, MARKET, 1)
    script: Script = {
        0: [entry],
        1: [
            BarOrder(0, -1, LIMIT, 1, limit=30000, reduce_only=True),
            BarOrder(0, -1, MARKET, 1),
            BarOrder(0, 1, STOP, 1, stop=10600),
            BarOrder(0, 1, LIMIT, 1, limit=10100),
        ],
    }
    # Flat after the open with only buys that open: high first, so the stop is hit first.
    played = play(script, FLAT, FLAT, (103, 106, 101, 101))
    assert [fill.ticks for fill in played.fills if fill.bar == 2] == [10300, 10600, 10100]


def test_fill_12_levels_in_the_order_of_the_walk_stops_before_limits() -> None:
    script: Script = {
        0: [
            BarOrder(0, -1, LIMIT, 1, limit=10400),
            BarOrder(0, 1, STOP, 1, stop=10400),
            BarOrder(0, 1, STOP, 1, stop=10350),
            BarOrder(0, 1, STOP, 1, stop=10400),
            BarOrder(0, 1, LIMIT, 1, limit=10200),
            BarOrder(0, -1, STOP, 1, stop=10250),
            BarOrder(0, -1, LIMIT, 1, limit=10601),
        ]
    }
    played = play(script, FLAT, UP, path="ohlc")
    assert order_of_fills(played) == [
        (2, 10350),
        (1, 10400),
        (3, 10400),
        (0, 10400),
        (5, 10250),
        (4, 10200),
    ]


def test_fill_12_a_level_at_the_start_of_a_segment_was_decided_before() -> None:
    # A limit at the low is touched at the end of the falling segment only once.
    played = play({0: [BarOrder(0, 1, LIMIT, 2, limit=10100)]}, FLAT, UP, path="olhc")
    assert order_of_fills(played) == [(0, 10100)]


@pytest.mark.parametrize(
    ("order", "price", "is_maker"),
    [
        (BarOrder(0, 1, STOP, 1, stop=10600), "106.53", False),
        (BarOrder(0, -1, STOP, 1, stop=10100), "100.49", False),
        (BarOrder(0, 1, LIMIT, 1, limit=10100), "101", True),
        (BarOrder(0, -1, LIMIT, 1, limit=10600), "106", True),
        (BarOrder(0, 1, MARKET_IF_TOUCHED, 1, stop=10100), "101.51", False),
    ],
)
def test_fill_13_and_14_stops_slip_and_limits_do_not(
    order: BarOrder, price: str, *, is_maker: bool
) -> None:
    played = play({0: [order]}, FLAT, UP, slippage_model={"kind": "bps", "bps": 50})
    assert played.prices() == [(order.side, Decimal(price))]
    assert played.fills[0].is_maker is is_maker


@pytest.mark.parametrize(
    ("limit", "low", "price"),
    [
        (10100, 101, None),
        (10100, 100.99, "101"),
        (10300, 101, "103"),
        (10301, 101, "103"),
    ],
    ids=["touched", "through", "open touched, then through", "open through"],
)
def test_fill_15_through_needs_one_tick_more(limit: int, low: float, price: str | None) -> None:
    played = play(
        {0: [BarOrder(0, 1, LIMIT, 1, limit=limit)]},
        FLAT,
        (103, 106, low, 105),
        limit_fill="through",
    )
    assert [str(one[1]) for one in played.prices()] == (
        [] if price is None else [str(Decimal(price).quantize(Decimal("0.01")))]
    )


@pytest.mark.parametrize("seed", range(6))
def test_fill_15_a_touch_fills_by_the_draw_of_order_and_bar(seed: int) -> None:
    columns = bar_columns([FLAT, *[UP] * 6])
    order = BarOrder(0, 1, LIMIT, 1, limit=10100)
    settings: dict[str, Any] = {"limit_fill": {"kind": "probability", "p": "0.4"}}
    played = BarRun(columns, script={0: [order]}, seed=seed, **settings).run()
    lucky = [bar for bar in range(1, 7) if uniform(seed, 1, 0, bar) < 0.4]
    assert [fill.bar for fill in played.fills] == lucky[:1]
    order = BarOrder(0, 1, LIMIT, 1, limit=10101)
    assert len(BarRun(columns, script={0: [order]}, seed=seed, **settings).run().fills) == 1


@pytest.mark.parametrize(
    ("limit", "fills"),
    [
        (10600, [(10500, False)]),
        (10500, [(10500, False)]),
        (10450, [(10450, True)]),
        (10100, [(10100, True)]),
        (10050, []),
    ],
)
def test_fill_16_stop_limit_inside_a_bar(limit: int, fills: list[tuple[int, bool]]) -> None:
    order = BarOrder(0, 1, STOP_LIMIT, 1, stop=10500, limit=limit)
    played = play({0: [order]}, FLAT, (103, 106, 101, 102), path="ohlc")
    assert [(fill.ticks, fill.is_maker) for fill in played.fills] == fills


def test_fill_16_a_taker_is_clamped_to_its_limit() -> None:
    order = BarOrder(0, 1, STOP_LIMIT, 1, stop=10500, limit=10510)
    played = play({0: [order]}, FLAT, UP, slippage_model={"kind": "percent", "rate": "0.01"})
    assert played.fills[0].ticks == 10510


@pytest.mark.parametrize(
    ("unit", "value", "level"),
    [(OFFSET_PPB, 30_000_000, 10088), (OFFSET_TICKS, 250, 10150), (OFFSET_PPB, 30_000_001, 10087)],
)
def test_fill_17_sell_trail_rounds_down(unit: int, value: int, level: int) -> None:
    order = BarOrder(0, -1, TRAILING_STOP, 1, trail_unit=unit, trail_value=value)
    play({0: [order]}, FLAT, (103, 104, 103, 104))
    assert order.level == level


def test_fill_17_buy_trail_rounds_up_and_freezes_while_the_price_rises() -> None:
    order = BarOrder(0, 1, TRAILING_STOP, 1, trail_unit=OFFSET_PPB, trail_value=30_000_000)
    played = play({0: [order]}, FLAT, (98, 98.5, 95.01, 97), (97, 98, 97, 98))
    # 95.01 * 1.03 = 97.8603 is rounded up to 97.87.
    assert [(fill.bar, fill.ticks) for fill in played.fills] == [(2, 9787)]


def test_fill_17_atr_is_frozen_at_submission() -> None:
    # True ranges: 4, then 10 (from the close before), mean 7; twice that is 14.
    bars = [(100, 102, 98, 101), (108, 111, 105, 110), (110, 130, 110, 125)]
    order = BarOrder(
        0, -1, TRAILING_STOP, 1, trail_unit=OFFSET_ATR, trail_value=2_000_000_000, trail_n=5
    )
    play({1: [order]}, *bars)
    assert (order.trail_value, order.extreme, order.level) == (1400, 13000, 11600)


def test_fill_17_an_atr_without_bars_is_refused() -> None:
    order = BarOrder(
        0, -1, TRAILING_STOP, 1, trail_unit=OFFSET_ATR, trail_value=2_000_000_000, trail_n=5
    )
    assert play({-1: [order]}, FLAT).states() == [("REJECTED", "TRAIL_INVALID")]


def test_fill_17_activation_starts_the_extreme() -> None:
    order = BarOrder(
        0, -1, TRAILING_STOP, 1, trail_unit=OFFSET_TICKS, trail_value=100, activation=10500
    )
    played = play({0: [order]}, FLAT, (100, 104, 97, 103), (103, 106, 103, 105.5))
    assert (order.extreme, order.level, played.fills) == (10600, 10500, [])
    order = BarOrder(
        0, -1, TRAILING_STOP, 1, trail_unit=OFFSET_TICKS, trail_value=100, activation=10500
    )
    played = play({0: [order]}, FLAT, (100, 104, 97, 103), (103, 106, 103, 104.99), path="ohlc")
    assert [fill.ticks for fill in played.fills] == [10500]


def test_fill_17_trail_update_close_moves_at_closes_only() -> None:
    def order() -> BarOrder:
        return BarOrder(0, -1, TRAILING_STOP, 1, trail_unit=OFFSET_TICKS, trail_value=300)

    moving, waiting = order(), order()
    bars: Bars = [FLAT, (100, 110, 100, 104)]
    play({0: [moving]}, *bars, path="olhc")
    assert moving.state == 4
    play({0: [waiting]}, *bars, path="olhc", trail_update="close")
    assert (waiting.state, waiting.extreme, waiting.level) == (2, 10400, 10100)


@pytest.mark.parametrize(("offset", "fills"), [(0, [(9700, False)]), (50, [(9700, False)])])
def test_fill_17_trailing_stop_limit_places_a_limit_beyond_its_trigger(
    offset: int, fills: list[tuple[int, bool]]
) -> None:
    order = BarOrder(
        0,
        -1,
        TRAILING_STOP_LIMIT,
        1,
        trail_unit=OFFSET_TICKS,
        trail_value=300,
        limit_offset=offset,
    )
    played = play({0: [order]}, FLAT, (100, 100, 96, 98))
    assert [(fill.ticks, fill.is_maker) for fill in played.fills] == fills
    assert order.limit == 9700 - offset


def test_fill_17_a_trailing_stop_limit_that_is_not_through_rests() -> None:
    order = BarOrder(
        0, -1, TRAILING_STOP_LIMIT, 1, trail_unit=OFFSET_TICKS, trail_value=300, limit_offset=0
    )
    played = play({0: [order]}, FLAT, (100, 100, 96, 98), limit_fill="through", path="ohlc")
    assert [(fill.ticks, fill.is_maker) for fill in played.fills] == [(9700, True)]


def test_fill_18_moc_fills_at_the_close_of_the_session() -> None:
    bars: Bars = [FLAT, UP, (105, 107, 104, 106)]
    columns = bar_columns(bars, duration_ns=HOUR_NS, ends=[2])
    played = BarRun(columns, script={0: [BarOrder(0, 1, MOC, 1)]}).run()
    assert [(fill.bar, fill.ticks, fill.ts, fill.is_maker) for fill in played.fills] == [
        (2, 10600, 3 * HOUR_NS, False)
    ]
    assert play({0: [BarOrder(0, 1, MOC, 1)]}, FLAT, UP).prices() == [(1, Decimal(105))]


def test_the_rest_of_moo_and_moc_goes_on_at_the_next_open() -> None:
    columns = bar_columns([FLAT, UP, UP], volumes=[4, 4, 8], duration_ns=HOUR_NS, ends=[0, 1])
    script: Script = {0: [BarOrder(0, 1, MOO, 4), BarOrder(0, 1, MOC, 4)]}
    played = BarRun(columns, script=script, max_participation="0.5").run()
    # Bar 1 takes 2 of the MOO at its open; the pool of bar 2 is 4: 2 and 2.
    assert [(f.order.kind, f.bar, f.lots, f.ticks) for f in played.fills] == [
        (MOO, 1, 2, 10300),
        (MOO, 2, 2, 10300),
    ]
    columns = bar_columns([FLAT, UP, UP], volumes=[4, 4, 8], duration_ns=HOUR_NS, ends=[1])
    script = {0: [BarOrder(0, 1, MOC, 4)]}
    played = BarRun(columns, script=script, max_participation="0.5").run()
    assert [(f.bar, f.lots, f.ticks) for f in played.fills] == [(1, 2, 10500), (2, 2, 10300)]


def test_fill_19_nothing_happens_on_synthetic_bars_and_bars_without_volume() -> None:
    bars: Bars = [FLAT, (90, 90, 90, 90), UP]
    columns = bar_columns(bars, synthetic=[1])
    script: Script = {0: [BarOrder(0, 1, MARKET, 1), BarOrder(0, 1, STOP, 1, stop=9000)]}
    played = BarRun(columns, script=script).run()
    assert [(fill.bar, fill.ticks) for fill in played.fills] == [(2, 10300), (2, 10300)]
    columns = bar_columns(bars, volumes=[9, 0, 9])
    script = {0: [BarOrder(0, 1, MARKET, 1)]}
    assert [f.bar for f in BarRun(columns, script=script).run().fills] == [1]
    script = {0: [BarOrder(0, 1, MARKET, 1)]}
    assert [f.bar for f in BarRun(columns, script=script, max_participation=1).run().fills] == [2]


def test_fill_19_nothing_fills_outside_of_the_sessions_of_a_calendar() -> None:
    bars: Bars = [FLAT, (90, 90, 90, 90), UP]
    script: Script = {0: [BarOrder(0, 1, MARKET, 1), BarOrder(0, 1, LIMIT, 1, limit=9500)]}
    played = BarRun(bar_columns(bars, closed=[1]), script=script).run()
    assert [(fill.bar, fill.ticks) for fill in played.fills] == [(2, 10300)]
    columns = bar_columns(bars, closed=[1], synthetic=[2])
    assert columns.blocks_fills.tolist() == [False, True, True]
    assert columns.slice(1, 2).blocks_fills.tolist() == [True]


def test_fill_23_only_what_the_other_path_changes_is_ambiguous() -> None:
    # One resting limit: every path fills it at its price.
    played = play({0: [BarOrder(0, 1, LIMIT, 1, limit=10100)]}, FLAT, UP)
    assert [fill.is_ambiguous for fill in played.fills] == [False]
    # Two independent ones: the same again.
    script: Script = {
        0: [BarOrder(0, 1, LIMIT, 1, limit=10100), BarOrder(0, -1, LIMIT, 1, limit=10600)]
    }
    assert [fill.is_ambiguous for fill in play(script, FLAT, UP).fills] == [False, False]
    # A stop-limit that rests after its trigger fills on one path only.
    script = {0: [BarOrder(0, 1, STOP_LIMIT, 1, stop=10500, limit=10200)]}
    played = play(script, FLAT, UP, path="ohlc")
    assert [(fill.ticks, fill.is_ambiguous) for fill in played.fills] == [(10200, True)]


def test_fill_23_a_trial_leaves_no_trace() -> None:
    script: Script = {
        0: [
            BarOrder(
                0,
                1,
                MARKET,
                3,
                bracket=Bracket(sl=9500, tp=10300, sl_trail_unit=3, sl_trail_value=400),
            )
        ]
    }
    plain = play(script, FLAT, (100, 104, 94, 99), path="ohlc")
    assert order_of_fills(plain) == [(0, 10000), (3, 10300)]
    assert plain.states() == [
        ("FILLED", ""),
        ("CANCELLED", "OCO"),
        ("CANCELLED", "OCO"),
        ("FILLED", ""),
    ]
    assert plain.broker.endings == {(5, "OCO"): 2}
    assert plain.account.cash == plain.account.equity == plain.account.initial + 900 * 10**6
    assert plain.broker.open_count == 0


@pytest.mark.parametrize(
    ("basis", "vwap", "buy", "sell"),
    [
        ("open", None, 10300, 10300),
        ("close", None, 10506, 10506),
        ("mid", None, 10351, 10350),
        ("typical", None, 10403, 10402),
        ("vwap", None, 10403, 10402),
        ("vwap", [MISSING, 10411], 10411, 10411),
        ("vwap", [10000, MISSING], 10403, 10402),
    ],
)
def test_fill_24_market_basis_is_rounded_against_us(
    basis: str, vwap: list[int] | None, buy: int, sell: int
) -> None:
    columns = bar_columns([FLAT, (103, 106.01, 101, 105.06)], vwap=vwap)
    for side, ticks in ((1, buy), (-1, sell)):
        script: Script = {0: [BarOrder(0, side, MARKET, 1)]}
        played = BarRun(columns, script=script, market_basis=basis).run()
        assert [fill.ticks for fill in played.fills] == [ticks]
        assert played.fills[0].ts == (DAY_NS if basis == "open" else 2 * DAY_NS - 1)


def test_fill_24_exits_wait_for_the_stamp_of_a_basis_fill() -> None:
    bracket = Bracket(sl=10200, tp=10550)
    script: Script = {0: [BarOrder(0, 1, MARKET, 1, bracket=bracket)]}
    played = play(script, FLAT, UP, market_basis="mid")
    # Both exits were reached before the fill was known: neither acts in this bar.
    assert order_of_fills(played) == [(0, 10350)]
    script = {0: [BarOrder(0, 1, MARKET, 1, bracket=Bracket(sl=10500, tp=20000))]}
    played = play(script, FLAT, UP, market_basis="mid")
    assert [(f.ticks, f.ts) for f in played.fills] == [
        (10350, 2 * DAY_NS - 1),
        (10500, 2 * DAY_NS),
    ]
