"""Brackets and OCO groups: FILL-20 to FILL-22, gaps over both legs (8.7)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.execution.bar_order import (
    BASIS_FILL,
    LIMIT,
    MARKET,
    OCO_CANCEL,
    OCO_REDUCE,
    OFFSET_ATR,
    OFFSET_PPB,
    OFFSET_TICKS,
    STOP,
    BarOrder,
    Bracket,
)
from engine.testing.bar_run import BarRun, Script, bar_columns

FLAT = (100, 100, 100, 100)
UP = (103, 106, 101, 105)


def play(script: Script, *bars: tuple[float, float, float, float], **settings: Any) -> BarRun:
    return BarRun(bar_columns(list(bars)), script=script, **settings).run()


def fills(played: BarRun) -> list[tuple[int, int, int]]:
    return [(fill.order.seq, fill.lots, fill.ticks) for fill in played.fills]


def test_fill_20_exits_sleep_until_the_entry_fills() -> None:
    entry = BarOrder(0, 1, LIMIT, 5, limit=10100, bracket=Bracket(sl=9900, tp=10500))
    played = BarRun(bar_columns([FLAT, (104, 106, 103, 105), FLAT]), script={0: [entry]})
    broker = played.broker
    broker.mark([(0, 0)])
    broker.submit(entry, now_ns=int(played.columns[0].ts_close[0]))
    assert [order.is_dormant for order in broker.orders] == [False, True, True]
    assert [order.status.name for order in broker.orders] == ["ROUTED"] * 3
    # The target is touched before the entry is: it is not there yet.
    broker.match([(0, 1)])
    assert broker.fill_log == []


def test_fill_20_exits_see_the_rest_of_the_bar_only() -> None:
    # O 104, H 106, L 101, C 105: the entry fills on the way down, the target on the way up.
    entry = BarOrder(0, 1, LIMIT, 5, limit=10200, bracket=Bracket(sl=9900, tp=10450))
    played = play({0: [entry]}, FLAT, (104, 106, 101, 105), path="ohlc")
    assert fills(played) == [(0, 5, 10200), (2, 5, 10450)]
    entry = BarOrder(0, 1, LIMIT, 5, limit=10200, bracket=Bracket(sl=9900, tp=10550))
    assert fills(play({0: [entry]}, FLAT, (104, 106, 101, 105), path="ohlc")) == [(0, 5, 10200)]


def test_fill_20_an_exit_that_is_marketable_acts_at_the_entry_price() -> None:
    entry = BarOrder(0, 1, MARKET, 5, bracket=Bracket(tp=10200, sl=9000))
    played = play({0: [entry]}, FLAT, UP)
    assert fills(played) == [(0, 5, 10300), (2, 5, 10300)]
    assert not played.fills[1].is_maker
    entry = BarOrder(0, 1, MARKET, 5, bracket=Bracket(tp=10200, sl=10400))
    played = play({0: [entry]}, FLAT, UP)
    # Both are marketable: the stop comes first (FILL-5).
    assert fills(played) == [(0, 5, 10300), (1, 5, 10300)]


def test_fill_20_exits_of_a_partial_entry_have_what_it_filled() -> None:
    columns = bar_columns([FLAT, FLAT, FLAT, (100, 104, 100, 103)], volumes=[8, 8, 8, 80])
    entry = BarOrder(0, 1, MARKET, 8, bracket=Bracket(tp=10300, sl=9000))
    played = BarRun(columns, script={0: [entry]}, max_participation="0.5").run()
    assert fills(played) == [(0, 4, 10000), (0, 4, 10000), (2, 8, 10300)]
    assert [order.lots for order in played.broker.orders] == [8, 8, 8]


def test_an_exit_that_closes_a_partial_entry_ends_the_entry() -> None:
    columns = bar_columns([FLAT, FLAT, (104, 104, 104, 104)], volumes=[8, 8, 80])
    entry = BarOrder(0, 1, MARKET, 20, bracket=Bracket(tp=10300, sl=9000))
    played = BarRun(columns, script={0: [entry]}, max_participation="0.5").run()
    assert fills(played) == [(0, 4, 10000), (2, 4, 10400)]
    assert played.states() == [("CANCELLED", "OCO"), ("CANCELLED", "OCO"), ("FILLED", "")]


def test_exits_of_an_entry_that_never_fills_are_closed_with_it() -> None:
    entry = BarOrder(0, 1, LIMIT, 5, limit=9000, bracket=Bracket(sl=8000, tp=9900))
    played = play({0: [entry], 1: [lambda broker: broker.cancel(entry, now_ns=1)]}, FLAT, FLAT)
    assert played.states() == [
        ("CANCELLED", "USER"),
        ("CANCELLED", "PARENT_CLOSED"),
        ("CANCELLED", "PARENT_CLOSED"),
    ]
    assert played.broker.books[0].groups == []


@pytest.mark.parametrize(
    ("side", "bracket", "stop", "limit"),
    [
        (
            1,
            Bracket(
                basis=BASIS_FILL,
                sl_unit=OFFSET_PPB,
                sl=20_000_000,
                tp_unit=OFFSET_PPB,
                tp=15_000_000,
            ),
            10094,
            10455,
        ),
        (
            -1,
            Bracket(
                basis=BASIS_FILL,
                sl_unit=OFFSET_PPB,
                sl=20_000_000,
                tp_unit=OFFSET_PPB,
                tp=15_000_000,
            ),
            10506,
            10145,
        ),
        (
            1,
            Bracket(basis=BASIS_FILL, sl_unit=OFFSET_TICKS, sl=150, tp_unit=OFFSET_TICKS, tp=250),
            10150,
            10550,
        ),
    ],
    ids=["long pct", "short pct", "long ticks"],
)
def test_fill_21_basis_fill_counts_from_the_average(
    side: int, bracket: Bracket, stop: int, limit: int
) -> None:
    played = play({0: [BarOrder(0, side, MARKET, 1, bracket=bracket)]}, FLAT, (103, 103, 103, 103))
    children = played.broker.orders[1:]
    assert [children[0].stop, children[1].limit] == [stop, limit]


def test_fill_21_the_average_of_several_fills_moves_the_exits() -> None:
    columns = bar_columns([FLAT, FLAT, (103, 103, 103, 103)], volumes=[2, 2, 4])
    entry = BarOrder(
        0, 1, MARKET, 3, bracket=Bracket(basis=BASIS_FILL, sl_unit=OFFSET_TICKS, sl=100)
    )
    played = BarRun(columns, script={0: [entry]}, max_participation="0.5").run()
    # 1 at 100 and 2 at 103: the average is 102, a stop 1 below it 101.
    assert fills(played) == [(0, 1, 10000), (0, 2, 10300)]
    assert played.broker.orders[1].stop == 10100


def test_fill_21_atr_offsets_are_frozen_at_submission() -> None:
    bracket = Bracket(
        basis=BASIS_FILL,
        sl_unit=OFFSET_ATR,
        sl=10**9,
        sl_n=3,
        tp_unit=OFFSET_ATR,
        tp=2 * 10**9,
        tp_n=3,
    )
    played = play(
        {0: [BarOrder(0, 1, MARKET, 1, bracket=bracket)]}, (100, 102, 99, 101), (103, 103, 103, 103)
    )
    children = played.broker.orders[1:]
    assert [children[0].stop, children[1].limit] == [10000, 10900]


def test_fill_22_oco_reduce_lowers_siblings() -> None:
    columns = bar_columns([FLAT, FLAT, UP, (90, 90, 90, 90)], volumes=[80, 80, 6, 80])
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 8)],
        1: [
            BarOrder(0, -1, LIMIT, 8, limit=10500, oco_group="x", reduce_only=True),
            BarOrder(0, -1, STOP, 8, stop=9500, oco_group="x", reduce_only=True),
        ],
    }
    played = BarRun(columns, script=script, max_participation="0.5", path="ohlc").run()
    assert fills(played) == [(0, 8, 10000), (1, 3, 10500), (2, 5, 9000)]
    assert played.states()[1:] == [("CANCELLED", "OCO"), ("FILLED", "")]


def test_fill_22_oco_cancel_ends_siblings_at_the_first_fill() -> None:
    script: Script = {
        0: [
            BarOrder(0, 1, STOP, 4, stop=10400, oco_group=7),
            BarOrder(0, -1, STOP, 4, stop=10200, oco_group=7),
        ]
    }
    played = play(script, FLAT, UP, path="ohlc")
    assert fills(played) == [(0, 4, 10400)]
    assert played.states()[1] == ("CANCELLED", "OCO")


def test_fill_22_the_mode_of_a_group_can_be_given() -> None:
    columns = bar_columns([FLAT, UP, UP], volumes=[8, 8, 80])
    script: Script = {
        0: [
            BarOrder(0, 1, STOP, 6, stop=10400, oco_group=7, oco_mode=OCO_REDUCE),
            BarOrder(0, 1, LIMIT, 6, limit=10200, oco_group=7, oco_mode=OCO_REDUCE),
        ]
    }
    played = BarRun(columns, script=script, max_participation="0.5", path="ohlc").run()
    # 4 of the stop; the limit has 2 left, the stop 2 more at the next open, which ends it.
    assert fills(played) == [(0, 4, 10400), (0, 2, 10300)]
    assert played.states() == [("FILLED", ""), ("CANCELLED", "OCO")]
    script = {
        0: [BarOrder(0, 1, MARKET, 4)],
        1: [
            BarOrder(
                0, -1, LIMIT, 2, limit=10500, oco_group=1, oco_mode=OCO_CANCEL, reduce_only=True
            ),
            BarOrder(0, -1, STOP, 4, stop=9000, oco_group=1, reduce_only=True),
        ],
    }
    assert play(script, FLAT, FLAT, UP).states()[2] == ("CANCELLED", "OCO")


def test_fill_22_a_closed_group_takes_no_more_orders() -> None:
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 1, oco_group=1), BarOrder(0, 1, LIMIT, 1, limit=1, oco_group=1)],
        1: [BarOrder(0, 1, MARKET, 1, oco_group=1)],
    }
    assert play(script, FLAT, FLAT, FLAT).states() == [
        ("FILLED", ""),
        ("CANCELLED", "OCO"),
        ("REJECTED", "OCO_GROUP_CLOSED"),
    ]


def test_fill_22_closing_by_something_else_ends_the_exits() -> None:
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 5, bracket=Bracket(sl=9000, tp=12000))],
        1: [BarOrder(0, -1, MARKET, 5)],
    }
    played = play(script, FLAT, FLAT, FLAT)
    assert played.states()[1:3] == [("CANCELLED", "PARENT_CLOSED")] * 2


def test_fill_22_a_partial_reduction_shrinks_the_exits_of_the_oldest_entry() -> None:
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 5, bracket=Bracket(sl=9000))],
        1: [BarOrder(0, 1, MARKET, 4, bracket=Bracket(sl=9100))],
        2: [BarOrder(0, -1, MARKET, 6)],
    }
    played = play(script, FLAT, FLAT, FLAT, FLAT)
    orders = played.broker.orders
    assert (orders[1].status.name, orders[1].reason) == ("CANCELLED", "PARENT_CLOSED")
    assert (orders[3].lots, orders[3].status.name) == (3, "ROUTED")


def test_a_reversal_protects_what_it_opened() -> None:
    script: Script = {
        0: [BarOrder(0, -1, MARKET, 5)],
        1: [BarOrder(0, 1, MARKET, 8, bracket=Bracket(sl=9000, tp=12000))],
        2: [],
    }
    played = play(script, FLAT, FLAT, FLAT)
    assert [order.lots for order in played.broker.orders[2:]] == [3, 3]
    script = {
        0: [BarOrder(0, -1, MARKET, 5)],
        1: [BarOrder(0, 1, MARKET, 5, bracket=Bracket(sl=9000, tp=12000))],
    }
    # It only closed: there is nothing to protect.
    assert play(script, FLAT, FLAT, FLAT).states()[2:] == [("CANCELLED", "PARENT_CLOSED")] * 2


@pytest.mark.parametrize(
    ("opening", "seq", "price"), [(90, 1, "90"), (130, 2, "130")], ids=["down", "up"]
)
def test_a_gap_over_both_legs_fills_the_leg_on_its_side(
    opening: float, seq: int, price: str
) -> None:
    script: Script = {0: [BarOrder(0, 1, MARKET, 5, bracket=Bracket(sl=9500, tp=12000))]}
    # The next bar gaps and then covers both levels.
    played = play(script, FLAT, FLAT, (opening, 131, 89, opening))
    assert [fill.order.seq for fill in played.fills[1:]] == [seq]
    assert played.prices()[1] == (-1, Decimal(price))


def test_reduce_only_is_trimmed_and_ends_with_its_position() -> None:
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 5)],
        1: [
            BarOrder(0, -1, MARKET, 8, reduce_only=True),
            BarOrder(0, -1, LIMIT, 2, limit=9000, reduce_only=True),
            BarOrder(0, -1, STOP, 2, stop=9000, reduce_only=True),
        ],
    }
    played = play(script, FLAT, FLAT, FLAT, (89, 89, 89, 89))
    assert fills(played) == [(0, 5, 10000), (1, 5, 10000)]
    assert played.states()[1:] == [("CANCELLED", "REDUCE_ONLY")] * 3


def test_a_bracket_may_be_used_again() -> None:
    bracket = Bracket(
        basis=BASIS_FILL,
        sl_unit=OFFSET_ATR,
        sl=10**9,
        sl_n=1,
        sl_trail_unit=OFFSET_ATR,
        sl_trail_value=10**9,
        sl_trail_n=1,
    )
    script: Script = {bar: [BarOrder(0, 1, MARKET, 1, bracket=bracket)] for bar in (0, 1)}
    played = play(script, (100, 102, 99, 101), (101, 108, 100, 107), (107, 107, 107, 107))
    # True ranges of 3 and of 8 at the two submissions.
    assert [order.stop for order in played.broker.orders if order.role == "stop_loss"] == [
        9800,
        9900,
    ]
    assert (bracket.sl_unit, bracket.sl, bracket.sl_trail_value) == (OFFSET_ATR, 10**9, 10**9)


@pytest.mark.parametrize(
    "bracket",
    [
        Bracket(basis=BASIS_FILL, sl_unit=OFFSET_ATR, sl=10**9, sl_n=1),
        Bracket(basis=BASIS_FILL, tp_unit=OFFSET_ATR, tp=10**9, tp_n=1),
        Bracket(sl_trail_unit=OFFSET_ATR, sl_trail_value=10**9, sl_trail_n=1),
    ],
)
def test_a_range_of_zero_is_no_offset(bracket: Bracket) -> None:
    played = play({0: [BarOrder(0, 1, MARKET, 1, bracket=bracket)]}, FLAT)
    assert played.states() == [("REJECTED", "TRAIL_INVALID")]


def test_a_later_fill_of_the_entry_adds_to_exits_that_live() -> None:
    columns = bar_columns([FLAT, FLAT, FLAT, (95, 95, 95, 95), (90, 90, 90, 90)], volumes=[8] * 5)
    entry = BarOrder(
        0, 1, MARKET, 8, bracket=Bracket(sl=9600, tp=12000, sl_trail_unit=3, sl_trail_value=300)
    )
    played = BarRun(columns, script={0: [entry]}, max_participation="0.5").run()
    # Two bars of 4 for the entry; the stop exit needs two bars as well, its siblings shrink.
    assert fills(played) == [
        (0, 4, 10000),
        (0, 4, 10000),
        (1, 4, 9500),
        (1, 4, 9000),
    ]
    assert [order.lots for order in played.broker.orders] == [8, 8, 4, 4]
    assert played.states()[2:] == [("CANCELLED", "OCO")] * 2


def test_an_external_close_ends_a_partial_entry_too() -> None:
    columns = bar_columns([FLAT] * 4, volumes=[8, 8, 12, 8])
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 9, bracket=Bracket(sl=9000))],
        1: [BarOrder(0, -1, MARKET, 4)],
    }
    played = BarRun(columns, script=script, max_participation="0.5").run()
    # The sale reduces, so it comes first in bar 2.
    assert fills(played) == [(0, 4, 10000), (2, 4, 10000)]
    assert played.states() == [
        ("CANCELLED", "PARENT_CLOSED"),
        ("CANCELLED", "PARENT_CLOSED"),
        ("FILLED", ""),
    ]


def test_fill_21_an_exit_that_moved_with_the_average_is_hit_at_its_new_price() -> None:
    # Five lots a bar: 5 at 100 and 5 at 98 make an average of 99, so the target moves from 102 to
    # 101 while the entry still rests; the next bar reaches 101.5 and nothing else.
    entry = BarOrder(
        0,
        1,
        LIMIT,
        15,
        limit=10000,
        bracket=Bracket(basis=BASIS_FILL, tp_unit=OFFSET_TICKS, tp=200),
    )
    bars = [FLAT, FLAT, (98, 98, 98, 98), (100.5, 101.5, 100.2, 100.4)]
    columns = bar_columns(bars, volumes=[5, 5, 5, 100])
    played = BarRun(columns, script={0: [entry]}, path="ohlc", max_participation=1).run()
    assert fills(played)[:3] == [(0, 5, 10000), (0, 5, 9800), (1, 10, 10100)]
    assert played.fills[2].bar == 3
