"""Margin, bankruptcy, dues and several symbols: PF-8 to PF-14, EVT-4, TIME-2, TIME-3."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from engine.execution.bar_order import (
    BASIS_FILL,
    GTD,
    LIMIT,
    MARKET,
    OFFSET_PPB,
    OFFSET_TICKS,
    STOP,
    TRAILING_STOP,
    BarOrder,
    Bracket,
)
from engine.execution.wrong_event import WrongEventKind
from engine.model.instruments import Settlement
from engine.model.market_events import CorporateAction, CorporateActionKind, Funding
from engine.model.run_tables import digest64, fingerprint
from engine.testing.bar_run import DAY_NS, BarRun, Script, bar_columns

FLAT = (100, 100, 100, 100)
SPLIT, DIVIDEND = CorporateActionKind.SPLIT, CorporateActionKind.DIVIDEND


def bars(*closes: float) -> list[tuple[float, float, float, float]]:
    return [(close, close, close, close) for close in closes]


def test_pf_13_liquidation_at_the_next_open() -> None:
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 4000), BarOrder(0, 1, LIMIT, 1, limit=1)],
        2: [BarOrder(0, 1, MARKET, 1)],
    }
    played = BarRun(
        bar_columns(bars(100, 100, 78, 77, 76)),
        script=script,
        account={"leverage": 5, "liquidation_fee_bps": 10},
    ).run()
    # At 78 the equity is 12,000 and the maintenance 31,200.
    assert played.states() == [
        ("FILLED", ""),
        ("CANCELLED", "LIQUIDATION"),
        ("FILLED", ""),
        ("FILLED", ""),
    ]
    forced = played.broker.orders[2]
    assert (forced.role, forced.reduce_only, forced.tag) == ("liquidation", True, "LIQUIDATION")
    fill = played.fills[1]
    assert (fill.bar, fill.lots, fill.ticks) == (3, 4000, 7700)
    assert played.money(fill.fee_atoms) == 308
    assert played.broker.liquidations == 1
    # The order that the strategy made afterwards opens: reductions come first.
    assert [f.order.seq for f in played.fills] == [0, 2, 3]


def test_pf_13_a_liquidation_that_waits_is_not_ordered_twice() -> None:
    columns = bar_columns(bars(100, 100, 78, 77, 77), volumes=[9999, 9999, 9999, 0, 9999])
    script: Script = {0: [BarOrder(0, 1, MARKET, 4000)]}
    played = BarRun(columns, script=script, account={"leverage": 5}, max_participation=1).run()
    assert [order.role for order in played.broker.orders] == ["entry", "liquidation"]
    assert played.fills[1].bar == 4


@pytest.mark.parametrize("is_single", [True, False], ids=["mark_one", "mark"])
def test_pf_14_a_flat_account_below_zero_is_bankrupt(is_single: bool) -> None:
    # The stop closes at the gap: 200,000 of value lose 120,000 of the 100,000 that there were.
    order = BarOrder(0, 1, MARKET, 2000, bracket=Bracket(sl=9000))
    played = BarRun(bar_columns(bars(100, 100, 40, 41)), script={}, account={"leverage": 2})
    broker = played.broker
    for bar in range(3):
        if is_single:
            broker.advance_one(0, bar)
            broker.close_one(0, bar)
        else:
            broker.match(((0, bar),))
            broker.mark(((0, bar),))
        if not bar:
            broker.submit(order, now_ns=broker.books[0].ts_close[bar])
    assert not broker.books[0].position.lots
    assert broker.is_bankrupt
    assert played.money(broker.shortfall_atoms) == 20_000
    assert list(broker.samples)[-1] == 0


@pytest.mark.parametrize(
    ("low", "fills"), [(79, [10000]), (78, [10000, 7800])], ids=["fine", "below"]
)
def test_pf_13_intrabar(low: float, fills: list[int]) -> None:
    # 87.5 percent of 400,000 is the level: (100,000 - 4000*(100-p)) < 4000*p*0.1 at p = 83.33.
    columns = bar_columns([FLAT, FLAT, (100, 101, 100, 100), (90, 91, low, 90)])
    script: Script = {0: [BarOrder(0, 1, MARKET, 4000, bracket=Bracket(sl=1000))]}
    account = {"leverage": 5, "intrabar_margin": True, "maintenance_ratio": "0.2"}
    played = BarRun(columns, script=script, account=account, path="olhc").run()
    assert [fill.ticks for fill in played.fills] == fills
    if len(fills) > 1:
        assert played.fills[1].order.role == "liquidation"
        assert played.states()[1] == ("CANCELLED", "LIQUIDATION")
        assert played.broker.liquidations == 1
        assert played.fills[1].ts == 4 * DAY_NS - 1


def test_pf_13_intrabar_closes_the_other_symbols_at_their_marks() -> None:
    first = bar_columns([FLAT, FLAT, (90, 91, 70, 90)], symbol="A")
    second = bar_columns([FLAT, FLAT, (100, 100, 100, 100)], symbol="B")
    script: Script = {0: [BarOrder(0, 1, MARKET, 4000), BarOrder(1, 1, MARKET, 10)]}
    account = {"leverage": 5, "intrabar_margin": True, "maintenance_ratio": "0.2"}
    played = BarRun(first, second, script=script, account=account, path="ohlc").run()
    assert [(f.symbol, f.side, f.ticks) for f in played.fills] == [
        (0, 1, 10000),
        (1, 1, 10000),
        (0, -1, 7000),
        (1, -1, 10000),
    ]


def test_pf_14_bankruptcy_closes_at_the_mark_and_stops() -> None:
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 4000), BarOrder(0, 1, LIMIT, 1, limit=1)],
        2: [BarOrder(0, 1, MARKET, 1)],
    }
    fee = {"kind": "percent", "rate": "0.001"}
    for settlement in (Settlement.SPOT, Settlement.DERIVATIVE):
        played = BarRun(
            bar_columns(bars(100, 100, 70, 90), settlement=settlement),
            script={key: [copy_of(one) for one in value] for key, value in script.items()},
            account={"leverage": 5},
            commission_model=fee,
        ).run(finish=True)
        broker = played.broker
        assert broker.is_bankrupt
        # 100,000 - 400 fee - 4,000 * 30
        assert played.money(broker.shortfall_atoms) == 20_400
        assert [played.money(atoms) for atoms in broker.samples] == [100_000, 99_600, 0, 0]
        last = played.fills[-1]
        assert (last.ticks, last.fee_atoms, last.bar, last.ts) == (7000, 0, 2, 3 * DAY_NS)
        assert last.order.tag == "BANKRUPT"
        assert played.states() == [
            ("FILLED", ""),
            ("CANCELLED", "LIQUIDATION"),
            ("FILLED", ""),
            ("REJECTED", "CONTAINER_STOPPED"),
        ]
        played.account.check()


def copy_of(order: object) -> BarOrder:
    assert isinstance(order, BarOrder)
    return BarOrder(order.symbol, order.side, order.kind, order.lots, limit=order.limit)


def test_pf_14_in_the_single_symbol_form() -> None:
    columns = bar_columns(bars(100, 100, 70, 90))
    played = BarRun(columns, account={"leverage": 5})
    broker = played.broker
    for bar in range(4):
        broker.advance_one(0, bar)
        broker.close_one(0, bar)
        if bar == 0:
            broker.submit(BarOrder(0, 1, MARKET, 4000), now_ns=DAY_NS)
    assert [played.money(atoms) for atoms in broker.samples] == [100_000, 100_000, 0, 0]
    table = broker.tables()[1]
    assert table["ts"].tolist() == [DAY_NS, 2 * DAY_NS, 3 * DAY_NS, 4 * DAY_NS]
    assert table["exposed"].tolist() == [0, 1, 1, 0]


def test_both_forms_give_the_same_fingerprint() -> None:
    closes = [100, 101, 99, 104, 95, 100, 102]
    prints = []
    for single in (False, True):
        columns = bar_columns([(c, c + 2, c - 2, c + 1) for c in closes])
        entry = BarOrder(0, 1, MARKET, 10, bracket=Bracket(sl=9400, tp=10500))
        played = BarRun(columns, script={} if single else {1: [entry]}, path="ohlc")
        broker = played.broker
        if single:
            broker.listening = False
            for bar in range(len(closes)):
                broker.advance_one(0, bar)
                broker.close_one(0, bar)
                if bar == 1:
                    broker.submit(entry, now_ns=2 * DAY_NS)
            broker.finish(close_positions=True, now_ns=7 * DAY_NS)
        else:
            played.run(finish=True)
        tables = broker.tables()
        prints.append((fingerprint(*tables), digest64(*tables), tables[1].tolist()))
    assert prints[0] == prints[1]


def test_funding_is_due_at_its_stamp() -> None:
    funding = {0: [Funding(0, 10**6), Funding(2 * DAY_NS, 10**6), Funding(2 * DAY_NS + 5, 10**7)]}
    columns = bar_columns(bars(100, 110, 120, 130), settlement=Settlement.DERIVATIVE)
    script: Script = {0: [BarOrder(0, 1, MARKET, 10)]}
    played = BarRun(columns, script=script, events={"funding": funding}).run()
    # 10 * 110 * 0.001 at the open of bar 2; 10 * 120 * 0.01 before bar 3.
    assert played.money(played.account.funding) == Decimal("1.1") + 12
    assert [played.money(cash) for cash in played.broker.tables()[1]["cash_atoms"].tolist()] == [
        100_000,
        100_000,
        Decimal("99998.9"),
        Decimal("99986.9"),
    ]


def test_days_are_charged_at_their_ends() -> None:
    account = {"borrow_rate": "0.365"}
    columns = bar_columns(bars(100, 100, 100))
    script: Script = {-1: [BarOrder(0, -1, MARKET, 10)]}
    played = BarRun(columns, script=script, account=account).run()
    # Two midnights, each 1,000 * 0.365 / 365.
    assert played.money(played.account.borrow) == 2
    weekend = bar_columns(bars(100, 100))
    late = weekend.ts_open.copy()
    late[1] += 2 * DAY_NS
    object.__setattr__(weekend, "ts_open", late)
    object.__setattr__(weekend, "ts_close", late + DAY_NS)
    script = {-1: [BarOrder(0, -1, MARKET, 10)]}
    assert BarRun(weekend, script=script, account=account).run().account.borrow == 3 * 10**8


def test_pf_10_a_split_scales_orders_and_exits() -> None:
    actions = {0: [CorporateAction(2 * DAY_NS, SPLIT, 2, 1), CorporateAction(1, DIVIDEND)]}
    trail = BarOrder(0, -1, TRAILING_STOP, 3, trail_unit=OFFSET_TICKS, trail_value=2001)
    percent = BarOrder(
        0, -1, TRAILING_STOP, 3, trail_unit=OFFSET_PPB, trail_value=10**8, activation=12001
    )
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 5, bracket=Bracket(sl=9001, tp=12001))],
        1: [
            BarOrder(0, 1, LIMIT, 3, limit=8001),
            BarOrder(0, 1, STOP, 3, stop=12001),
            BarOrder(0, 1, LIMIT, 3, limit=8001, bracket=Bracket(sl=7001)),
            trail,
            percent,
        ],
    }
    columns = bar_columns([*bars(100, 100), (50, 50, 50, 50)])
    played = BarRun(columns, script=script, events={"actions": actions}).run()
    orders = played.broker.orders
    assert played.broker.positions() == {"X": 10}
    assert played.account.equity == played.account.initial
    # Sell stop down, sell limit up, buy limit down, buy stop up.
    assert [(o.stop, o.limit, o.lots) for o in orders[1:5]] == [
        (4500, None, 10),
        (None, 6001, 10),
        (None, 4000, 6),
        (6001, None, 6),
    ]
    assert orders[6].stop == 3500
    assert (trail.trail_value, trail.extreme, trail.level) == (1001, 5000, 3999)
    assert (percent.trail_value, percent.activation) == (10**8, 6000)
    assert CorporateAction(0, SPLIT, 1, 3).ratio_den == 3
    with pytest.raises(ValueError, match="positive"):
        CorporateAction(0, SPLIT, 0, 1)


def test_pf_10_a_reverse_split_ends_what_is_below_a_lot() -> None:
    actions = {0: [CorporateAction(2 * DAY_NS, SPLIT, 1, 10)]}
    script: Script = {
        1: [BarOrder(0, 1, LIMIT, 3, limit=8001), BarOrder(0, 1, LIMIT, 30, limit=8001)]
    }
    columns = bar_columns([*bars(100, 100), (1000, 1000, 1000, 1000)])
    played = BarRun(columns, script=script, events={"actions": actions}).run()
    assert played.states() == [("CANCELLED", "NO_LIQUIDITY"), ("ROUTED", "")]
    assert played.broker.orders[1].lots == 3


def test_time_2_and_3_several_symbols() -> None:
    first = bar_columns(bars(100, 100, 110, 120), symbol="A")
    second = bar_columns(bars(50, 50, 60), symbol="B")
    script: Script = {0: [BarOrder(1, 1, MARKET, 10), BarOrder(0, 1, MARKET, 10)]}
    played = BarRun(first, second, script=script).run()
    # Matched in the order of the symbols; the mark of B stays when it has no bar.
    assert [fill.symbol for fill in played.fills] == [0, 1]
    assert [played.money(atoms) for atoms in played.broker.samples] == [
        100_000,
        100_000,
        100_200,
        100_300,
    ]
    assert played.broker.working_lots(0) == (0, 0)


def test_an_order_for_a_coarser_symbol_joins_its_bar_on_the_way() -> None:
    hourly = bar_columns(bars(*[100] * 24), symbol="H", duration_ns=DAY_NS // 24)
    daily = bar_columns([(100, 110, 90, 105)], symbol="D")
    run = BarRun(hourly, daily, path="ohlc")
    broker = run.broker
    for bar in range(24):
        now = (bar + 1) * DAY_NS // 24
        instant = [(0, bar)] + ([(1, 0)] if bar == 23 else [])
        broker.before(instant)
        broker.match(instant)
        broker.mark(instant)
        if bar == 11:
            broker.submit(BarOrder(1, 1, MARKET, 1), now_ns=now)
    # Noon is after a third of the day: it joins at the second extreme, the low.
    assert [(f.symbol, f.ticks) for f in run.fills] == [(1, 9000)]


def test_exposure_of_the_risk_manager() -> None:
    script: Script = {
        0: [BarOrder(0, 1, MARKET, 10, bracket=Bracket(sl=9000, tp=12000))],
        1: [
            BarOrder(0, 1, LIMIT, 3, limit=8000),
            BarOrder(0, -1, LIMIT, 4, limit=13000),
            BarOrder(0, -1, STOP, 10, stop=9500, reduce_only=True),
            BarOrder(0, 1, LIMIT, 1, limit=8000, tif=GTD, expire_ns=9 * DAY_NS),
        ],
    }
    played = BarRun(bar_columns([FLAT] * 3), script=script).run()
    assert played.broker.working_lots(0) == (4, 4)
    assert played.broker.nearest_stop(0) == 9500
    assert played.broker.due_ns == 9 * DAY_NS
    empty = BarRun(bar_columns([FLAT])).run()
    assert empty.broker.nearest_stop(0) is None
    shorts: Script = {0: [BarOrder(0, -1, MARKET, 1, bracket=Bracket(sl=12000))]}
    assert BarRun(bar_columns([FLAT] * 2), script=shorts).run().broker.nearest_stop(0) == 12000


def test_tables_of_an_empty_run() -> None:
    played = BarRun(bar_columns([FLAT])).run()
    fills, equity, orders = played.broker.tables()
    assert (len(fills), len(equity), len(orders)) == (0, 1, 0)
    nothing = BarRun(bar_columns([]))
    nothing.broker.finish(close_positions=True, now_ns=0)
    assert [len(table) for table in nothing.broker.tables()] == [0, 0, 0]
    assert np.array_equal(equity["exposed"], [0])


def test_evt_1_a_broker_takes_no_signals() -> None:
    played = BarRun(bar_columns([FLAT]))
    with pytest.raises(WrongEventKind, match="risk manager"):
        played.broker.submit("buy", now_ns=0)  # type: ignore[arg-type]  # that is the point
    assert played.broker.orders == []


def test_cont_11_a_reset_broker_is_as_new() -> None:
    fee = {"kind": "maker_taker_tiered", "tiers": [[0, 0, "0.01"], [1000, 0, "0.001"]]}
    funding = {0: [Funding(2 * DAY_NS, 10**6)]}
    columns = bar_columns([(100, 104, 97, 102), (102, 103, 95, 96), (96, 109, 96, 108)])
    played = BarRun(columns, commission_model=fee, events={"funding": funding})
    prints = []
    for _ in range(2):
        played.script = {
            0: [BarOrder(0, 1, MARKET, 5, bracket=Bracket(sl=9500, tp=10300)), BarOrder(9, 1, 0)],
            1: [lambda broker: broker.halt(), lambda broker: broker.stop()],
        }
        played.run(finish=True)
        prints.append((fingerprint(*played.broker.tables()), played.broker.rejections))
        played.broker.reset()
        assert played.broker.orders == []
        assert played.account.equity == played.account.initial
    assert prints[0] == prints[1]


def test_pf_10_a_split_scales_offsets_from_the_fill() -> None:
    actions = {0: [CorporateAction(2 * DAY_NS, SPLIT, 2, 1)]}
    bracket = Bracket(basis=BASIS_FILL, sl_unit=OFFSET_TICKS, sl=301, tp_unit=OFFSET_TICKS, tp=500)
    script: Script = {1: [BarOrder(0, 1, MARKET, 2, bracket=bracket)]}
    columns = bar_columns([*bars(100, 100), (50, 50, 50, 50)])
    played = BarRun(columns, script=script, events={"actions": actions}).run()
    assert [(o.stop, o.limit, o.lots) for o in played.broker.orders] == [
        (None, None, 4),
        (4849, None, 4),
        (None, 5250, 4),
    ]
