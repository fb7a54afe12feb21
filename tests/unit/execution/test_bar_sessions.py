"""Sessions and endings: DAY, GTD, replace, halt, end of the run (8.7, ORD-6, ORD-7, PF-15)."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from engine.execution.bar_broker import BarBroker
from engine.execution.bar_order import (
    DAY,
    GTD,
    LIMIT,
    MARKET,
    STOP,
    BarFill,
    BarOrder,
    Bracket,
    OrderNews,
)
from engine.testing.bar_run import DAY_NS, BarRun, Script, bar_columns

FLAT = (100, 100, 100, 100)
UP = (103, 106, 101, 105)
HOUR_NS = 3_600_000_000_000


def play(script: Script, *bars: tuple[float, float, float, float], **settings: Any) -> BarRun:
    return BarRun(bar_columns(list(bars)), script=script, **settings).run()


def test_a_day_order_expires_at_the_end_of_the_session_in_which_it_became_eligible() -> None:
    bars = [FLAT, FLAT, FLAT, UP, FLAT]
    columns = bar_columns(bars, duration_ns=HOUR_NS, ends=[1, 3])
    seen: list[str] = []
    order = BarOrder(0, 1, LIMIT, 1, limit=9000, tif=DAY)
    script: Script = {
        1: [order],
        2: [lambda _: seen.append(order.status.name)],
        3: [lambda _: seen.append(order.status.name)],
    }
    played = BarRun(columns, script=script).run()
    # It was made at the last bar of a session and works in the next one, to its end.
    assert seen == ["ROUTED", "EXPIRED"]
    assert order.ts_updated == 4 * HOUR_NS
    assert played.broker.cancellations == {"DAY": 1}


def test_a_daily_day_order_works_for_one_bar() -> None:
    order = BarOrder(0, 1, LIMIT, 1, limit=9000, tif=DAY)
    assert play({0: [order]}, FLAT, FLAT, (90, 90, 90, 90)).states() == [("EXPIRED", "DAY")]


def test_a_partially_filled_day_order_expires_with_what_it_has() -> None:
    columns = bar_columns([FLAT, FLAT, FLAT], volumes=[8, 8, 8])
    order = BarOrder(0, 1, MARKET, 9, tif=DAY)
    BarRun(columns, script={0: [order]}, max_participation="0.5").run()
    assert (order.status.name, order.filled_lots, order.reason) == ("EXPIRED", 4, "DAY")


@pytest.mark.parametrize(
    ("expire", "opening", "fills", "state"),
    [
        (2 * DAY_NS, 89, 0, ("EXPIRED", "GTD")),
        (2 * DAY_NS + 1, 89, 1, ("FILLED", "")),
        (2 * DAY_NS + 1, 95, 0, ("EXPIRED", "GTD")),
        (3 * DAY_NS - 1, 95, 0, ("EXPIRED", "GTD")),
        (3 * DAY_NS, 95, 1, ("FILLED", "")),
    ],
    ids=["at the open", "just after, gap", "just after", "before the close", "at the close"],
)
def test_gtd_around_a_bar(expire: int, opening: float, fills: int, state: tuple[str, str]) -> None:
    order = BarOrder(0, 1, LIMIT, 1, limit=9000, tif=GTD, expire_ns=expire)
    played = play({0: [order]}, FLAT, FLAT, (opening, 96, 88, 95), FLAT)
    assert (len(played.fills), played.states()) == (fills, [state])


def test_gtd_is_checked_on_arrival() -> None:
    def gtd(expire: int) -> BarOrder:
        return BarOrder(0, 1, LIMIT, 1, limit=9000, tif=GTD, expire_ns=expire)

    played = play({0: [gtd(0), gtd(DAY_NS), gtd(DAY_NS + 1)]}, FLAT)
    assert played.states() == [
        ("REJECTED", "EXPIRE_REQUIRED"),
        ("REJECTED", "EXPIRED_ON_ARRIVAL"),
        ("ROUTED", ""),
    ]


def test_ord_6_a_replaced_price_loses_its_place() -> None:
    first, second = (BarOrder(0, 1, LIMIT, 4, limit=9900) for _ in range(2))
    columns = bar_columns([FLAT, FLAT, (100, 100, 98, 100)], volumes=[8, 8, 8])
    script: Script = {
        0: [first, second],
        1: [lambda broker: broker.replace(first, now_ns=2 * DAY_NS, limit=9900)],
    }
    played = BarRun(columns, script=script, max_participation="0.5").run()
    assert [(fill.order.seq, fill.lots) for fill in played.fills] == [(1, 4)]
    assert (first.revision, first.client_id) == (1, "bt-O00000000")


def resize(broker: BarBroker, *, order: BarOrder, lots: int) -> None:
    broker.replace(order, now_ns=2 * DAY_NS, lots=lots)


def test_ord_6_a_smaller_quantity_keeps_its_place_and_a_larger_one_does_not() -> None:
    for lots, seq in ((3, 0), (5, 1)):
        first, second = (BarOrder(0, 1, LIMIT, 4, limit=9900) for _ in range(2))
        columns = bar_columns([FLAT, FLAT, (100, 100, 98, 100)], volumes=[8, 8, 6])
        script: Script = {
            0: [first, second],
            1: [partial(resize, order=first, lots=lots)],
        }
        played = BarRun(columns, script=script, max_participation="0.5").run()
        assert played.fills[0].order.seq == seq


def test_ord_6_a_quantity_that_is_filled_already_cancels_the_rest() -> None:
    columns = bar_columns([FLAT, FLAT, FLAT], volumes=[8, 8, 8])
    order = BarOrder(0, 1, MARKET, 9)
    script: Script = {
        0: [order],
        1: [lambda broker: broker.replace("bt-O00000000", now_ns=2 * DAY_NS, lots=4)],
    }
    BarRun(columns, script=script, max_participation="0.5").run()
    assert (order.status.name, order.reason, order.filled_lots) == ("CANCELLED", "USER", 4)


def test_a_replaced_limit_is_a_taker_again() -> None:
    order = BarOrder(0, 1, LIMIT, 1, limit=9000)
    script: Script = {
        0: [order],
        2: [lambda broker: broker.replace(order, now_ns=3 * DAY_NS, limit=10500)],
    }
    played = play(script, FLAT, FLAT, FLAT, FLAT)
    assert [(fill.ticks, fill.is_maker) for fill in played.fills] == [(10000, False)]


def test_what_cannot_be_replaced_or_cancelled() -> None:
    market = BarOrder(0, 1, MARKET, 1, bracket=Bracket(sl=9000))
    played = BarRun(bar_columns([FLAT]), script={0: [market]}).run()
    broker = played.broker
    child = broker.orders[1]
    assert not broker.replace(market, now_ns=DAY_NS, limit=1)
    assert not broker.replace(market, now_ns=DAY_NS, stop=1)
    assert not broker.replace(child, now_ns=DAY_NS, lots=1)
    assert not broker.replace("bt-O00000099", now_ns=DAY_NS, lots=1)
    assert not broker.replace(BarOrder(0, 1, MARKET, 1), now_ns=DAY_NS, lots=1)
    assert broker.replace(child, now_ns=DAY_NS, stop=9100)
    assert broker.cancel(market, now_ns=DAY_NS)
    assert not broker.cancel(market, now_ns=DAY_NS)
    assert not broker.cancel("elsewhere", now_ns=DAY_NS)


def test_halt_lets_reductions_pass() -> None:
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 5)],
        1: [
            lambda broker: broker.halt(),
            BarOrder(0, 1, MARKET, 1),
            BarOrder(0, -1, MARKET, 1),
            BarOrder(0, -1, STOP, 1, stop=9000, reduce_only=True),
            lambda broker: broker.resume(),
            BarOrder(0, 1, MARKET, 1),
            lambda broker: broker.stop(),
            BarOrder(0, -1, MARKET, 1),
        ],
    }
    played = play(script, FLAT, FLAT)
    assert played.states()[1:] == [
        ("REJECTED", "RISK_HALTED"),
        ("ROUTED", ""),
        ("ROUTED", ""),
        ("ROUTED", ""),
        ("REJECTED", "CONTAINER_STOPPED"),
    ]
    assert played.broker.rejections == {"CONTAINER_STOPPED": 1, "RISK_HALTED": 1}


def test_pf_15_the_end_closes_everything() -> None:
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 10, bracket=Bracket(sl=9000))],
        1: [BarOrder(0, 1, LIMIT, 1, limit=9000)],
    }
    columns = bar_columns([FLAT, UP], volumes=[1, 2])
    played = BarRun(
        columns,
        script=script,
        commission_model={"kind": "per_trade", "flat": 1},
        slippage_model={"kind": "fixed", "ticks": 2},
    ).run(finish=True)
    last = played.fills[-1]
    assert (last.lots, last.ticks, last.ts, last.is_maker) == (10, 10498, 2 * DAY_NS, False)
    assert (last.order.role, last.order.tag) == ("end", "END")
    assert played.states() == [
        ("FILLED", ""),
        ("CANCELLED", "END_OF_RUN"),
        ("CANCELLED", "END_OF_RUN"),
        ("FILLED", ""),
    ]
    # Bought at 103.02, sold at 104.98, two fees; the last sample is restated.
    assert played.money(played.broker.samples[-1]) == 100_000 + Decimal("19.60") - 2
    assert len(played.broker.samples) == 2


def test_pf_15_the_end_ignores_volume() -> None:
    columns = bar_columns([FLAT, FLAT], volumes=[4, 4])
    script: Script = {-1: [BarOrder(0, 1, MARKET, 2)], 0: [BarOrder(0, 1, MARKET, 2)]}
    played = BarRun(columns, script=script, max_participation="0.5").run(finish=True)
    assert [fill.lots for fill in played.fills] == [2, 2, 4]


def test_pf_15_positions_may_stay_open() -> None:
    played = play({0: [BarOrder(0, 1, MARKET, 10)]}, FLAT, UP)
    played.broker.finish(close_positions=False, now_ns=2 * DAY_NS)
    assert played.broker.positions() == {"X": 10}
    assert len(played.fills) == 1


def test_ord_7_nothing_happens_silently() -> None:
    entry = BarOrder(0, 1, MARKET, 10, bracket=Bracket(sl=9000, tp=10500))
    played = play({0: [entry, BarOrder(0, 1, LIMIT, 0, limit=1)]}, FLAT, UP)
    told = [
        ("FILL", item.order.seq, item.ticks)
        if isinstance(item, BarFill)
        else (item.state, item.order.seq, item.reason)
        for item in played.broker.news
        if isinstance(item, BarFill | OrderNews)
    ]
    assert told == [
        (2, 0, ""),
        (6, 3, "QTY_NOT_POSITIVE"),
        ("FILL", 0, 10300),
        (4, 0, ""),
        ("FILL", 2, 10500),
        (4, 2, ""),
        (5, 1, "OCO"),
    ]
    assert isinstance(played.broker.news[0], OrderNews)


def test_nobody_listens_and_nothing_is_told() -> None:
    played = BarRun(bar_columns([FLAT, UP]), script={0: [BarOrder(0, 1, MARKET, 1)]})
    played.broker.listening = False
    assert played.run().broker.news == []
