"""The broker that fills at once (7.3), and what every broker offers (7.1)."""

from __future__ import annotations

from engine.execution.bar_broker import BarBroker
from engine.execution.bar_order import (
    BASIS_FILL,
    LIMIT,
    MARKET,
    OFFSET_PPB,
    OFFSET_TICKS,
    STOP,
    BarFill,
    BarOrder,
    Bracket,
)
from engine.execution.broker import Broker, BrokerHealth
from engine.execution.passthrough_broker import PassthroughBroker, PassthroughSettings
from engine.portfolio.account_settings import AccountSettings
from engine.portfolio.bar_account import BarAccount
from engine.testing.bar_run import BarRun, bar_columns


def passthrough(**settings: object) -> PassthroughBroker:
    columns = bar_columns([(100, 100, 100, 100), (103, 106, 101, 105)])
    return PassthroughBroker(
        [columns],
        account=BarAccount(instruments=[columns.instrument], settings=AccountSettings()),
        settings=PassthroughSettings.model_validate(settings),
        listening=True,
    )


def test_it_fills_at_the_limit_the_stop_the_mark_or_the_default() -> None:
    broker = passthrough(default_price_ticks=777)
    broker.submit(BarOrder(0, 1, MARKET, 5), now_ns=1)
    broker.mark_one(0, 0)
    for order in (
        BarOrder(0, 1, LIMIT, 5, limit=9000),
        BarOrder(0, -1, STOP, 5, stop=9500),
        BarOrder(0, 1, MARKET, 5_000_000),
    ):
        assert broker.submit(order, now_ns=2)
    assert [(f.lots, f.ticks) for f in broker.fills()] == [
        (5, 777),
        (5, 9000),
        (5, 9500),
        (5_000_000, 10000),
    ]
    assert {order.status.name for order in broker.orders} == {"FILLED"}
    assert broker.fills(3) == broker.fill_log[3:]


def test_without_any_price_it_refuses() -> None:
    broker = passthrough()
    order = BarOrder(0, 1, MARKET, 5)
    broker.submit(order, now_ns=1)
    assert (order.status.name, order.reason) == ("REJECTED", "VENUE:NO_PRICE")


def test_a_bad_order_is_refused_and_a_fee_charged() -> None:
    broker = passthrough(commission_model={"kind": "per_trade", "flat": 2})
    broker.mark_one(0, 0)
    assert not broker.submit(BarOrder(0, 1, MARKET, 0), now_ns=1)
    broker.submit(BarOrder(0, 1, MARKET, size_ppb=10**9), now_ns=1)
    assert [(f.lots, f.fee_atoms) for f in broker.fills()] == [(999, 2 * 10**8)]


def test_a_share_of_nothing_is_refused() -> None:
    broker = passthrough(default_price_ticks=10**9)
    order = BarOrder(0, 1, MARKET, size_ppb=1)
    broker.submit(order, now_ns=1)
    assert (order.status.name, order.reason) == ("REJECTED", "INSUFFICIENT_FUNDS")


def test_exits_of_a_bracket_are_orders_of_their_own() -> None:
    broker = passthrough()
    broker.mark_one(0, 0)
    broker.submit(BarOrder(0, 1, MARKET, 5, bracket=Bracket(sl=9000, tp=11000)), now_ns=1)
    assert [(f.order.role, f.side, f.ticks) for f in broker.fills()] == [
        ("entry", 1, 10000),
        ("stop_loss", -1, 9000),
        ("take_profit", -1, 11000),
    ]
    offsets = Bracket(basis=BASIS_FILL, sl_unit=OFFSET_PPB, sl=10**8, tp_unit=OFFSET_TICKS, tp=50)
    broker.submit(BarOrder(0, -1, LIMIT, 5, limit=9999, bracket=offsets), now_ns=1)
    assert [f.ticks for f in broker.fills(3)] == [9999, 10999, 9949]


def test_both_brokers_offer_the_interface() -> None:
    played = BarRun(bar_columns([(100, 100, 100, 100), (103, 106, 101, 105)]))
    broker: Broker = played.broker
    assert broker.health() is BrokerHealth.HEALTHY
    broker.connect()
    order = BarOrder(0, 1, MARKET, 5)
    broker.submit(order, now_ns=0)
    assert broker.open_orders() == [order]
    news = broker.on_market([(0, 0)])
    assert [item.ticks for item in news if isinstance(item, BarFill)] == [10000]
    assert broker.positions() == {"X": 5}
    assert broker.balances() == {"USD": 99_500 * 10**8}
    assert broker.open_orders() == []
    assert "TRAILING_STOP" in str(broker.capabilities()["types"])
    assert broker.capabilities()["brackets"] is True
    broker.close()
    assert not broker.submit(BarOrder(0, 1, MARKET, 5), now_ns=0)
    assert isinstance(passthrough(), BarBroker)
