"""The simulated broker of sessions as a broker: replace, positions, fills, what it can do (7.1)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from engine.execution.broker import BrokerHealth
from engine.execution.fill_record import FillRecord
from engine.execution.reports import OrderCancelled, OrderFilled, OrderReport
from engine.execution.settings import BrokerSettings, build_commission, build_simulated_broker
from engine.execution.simulated_broker import SimulatedBroker
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import (
    OrderRequest,
    OrderTrigger,
    OrderType,
    PositionAction,
    TradeType,
    TriggerKind,
)
from engine.model.quotes import QuoteTick, TradeTick

MARKET = ConnectorPair("paper", "ACME-USD")
GRID = Instrument(MARKET, tick=Decimal("0.01"), lot=Decimal(1), taker_ppb=0, maker_ppb=0)


@pytest.fixture
def broker() -> SimulatedBroker:
    settings = BrokerSettings.model_validate({"depth": "synthetic"})
    made = build_simulated_broker(
        settings,
        instruments={MARKET: GRID},
        commission=build_commission(settings.commission_model),
        seed=1,
    )
    made.on_market(quote(1, 1000, 1002))
    return made


def quote(ts_ns: int, bid: int, ask: int, *, lots: int = 100) -> QuoteTick:
    return QuoteTick(MARKET, ts_ns, bid, ask, lots, lots)


def order(
    name: str,
    lots: int = 10,
    limit: int | None = 990,
    *,
    side: TradeType = TradeType.BUY,
    trigger: OrderTrigger | None = None,
) -> OrderRequest:
    return OrderRequest(
        client_order_id=name,
        market=MARKET,
        side=side,
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        lots=lots,
        limit_ticks=limit,
        position_action=PositionAction.OPEN,
        leverage=1,
        owner_id="X",
        role="entry",
        trigger=trigger,
    )


def filled(reports: Sequence[OrderReport]) -> list[tuple[str, int, int]]:
    return [
        (one.fill.client_order_id, one.fill.lots, one.fill.ticks)
        for one in reports
        if isinstance(one, OrderFilled)
    ]


def test_a_new_price_goes_to_the_end_of_the_queue(broker: SimulatedBroker) -> None:
    for name, limit in (("a", 980), ("b", 990)):
        broker.submit(order(name, limit=limit), now_ns=2)
    assert broker.replace("a", lots=10, limit_ticks=990, now_ns=3)
    assert [one.limit_ticks for one in broker.open_orders()] == [990, 990]
    assert filled(broker.on_market(quote(4, 988, 990, lots=15))) == [("b", 10, 990), ("a", 5, 990)]


def test_a_smaller_size_keeps_its_place_and_a_larger_one_does_not(broker: SimulatedBroker) -> None:
    for name in ("a", "b"):
        broker.submit(order(name), now_ns=2)
    assert broker.replace("a", lots=4, limit_ticks=990, now_ns=3)
    assert filled(broker.on_market(quote(4, 988, 990, lots=4))) == [("a", 4, 990)]
    broker.submit(order("c"), now_ns=5)
    assert broker.replace("b", lots=12, limit_ticks=990, now_ns=6)
    assert filled(broker.on_market(quote(7, 988, 990, lots=12))) == [("c", 10, 990), ("b", 2, 990)]


def test_a_price_that_the_quote_reaches_takes_and_is_told_with_the_next_news(
    broker: SimulatedBroker,
) -> None:
    broker.submit(order("a"), now_ns=2)
    assert broker.replace("a", lots=10, limit_ticks=1005, now_ns=3)
    assert filled(broker.on_time(4)) == [("a", 10, 1002)]
    assert broker.on_time(5) == []


def test_a_size_that_has_been_filled_cancels_the_rest(broker: SimulatedBroker) -> None:
    broker.submit(order("a"), now_ns=2)
    broker.on_market(quote(3, 988, 990, lots=6))
    assert broker.replace("a", lots=6, limit_ticks=990, now_ns=4)
    (ended,) = broker.on_market(quote(5, 1000, 1002))
    assert isinstance(ended, OrderCancelled)
    assert broker.open_orders() == ()
    assert not broker.replace("a", lots=7, limit_ticks=990, now_ns=6)
    assert not broker.replace("nobody", lots=7, limit_ticks=990, now_ns=6)


def test_what_cannot_have_another_price_is_told(broker: SimulatedBroker) -> None:
    stop = OrderTrigger(TriggerKind.STOP, stop_ticks=1100)
    broker.submit(order("stop", limit=None, trigger=stop), now_ns=2)
    broker.submit(order("both", limit=1110, trigger=stop), now_ns=2)
    assert not broker.replace("stop", lots=10, limit_ticks=1000, now_ns=3)
    assert not broker.replace("both", lots=10, limit_ticks=1120, now_ns=3)
    assert broker.replace("both", lots=3, limit_ticks=1110, now_ns=3)
    assert broker.replace("stop", lots=2, limit_ticks=None, now_ns=3)
    assert filled(broker.on_market(quote(4, 1099, 1101))) == [("stop", 2, 1101), ("both", 3, 1101)]


def test_it_tells_what_its_fills_made(broker: SimulatedBroker) -> None:
    assert (broker.positions(), broker.fills(), broker.balances()) == ({}, (), {})
    broker.submit(order("a", limit=None), now_ns=2)
    broker.submit(order("b", lots=4, limit=None, side=TradeType.SELL), now_ns=3)
    assert broker.positions() == {MARKET: 6}
    assert [one.client_order_id for one in broker.fills()] == ["a", "b"]
    assert [one.client_order_id for one in broker.fills(1)] == ["b"]
    # Ten bought at 10.02, four sold at 10.00.
    assert broker.balances() == {"USD": Decimal("-60.20")}


def test_what_it_can_do_and_how_it_is(broker: SimulatedBroker) -> None:
    able = broker.capabilities()
    assert {"MARKET", "LIMIT_MAKER", "STOP_MARKET", "STOP_LIMIT", "TRAILING_MARKET"} <= {
        *able["types"]  # type: ignore[misc]
    }
    assert able["reduce_only"]
    assert able["replace"]
    broker.connect()
    assert broker.health() is BrokerHealth.HEALTHY
    broker.close()


def test_a_trade_is_market_data_too(broker: SimulatedBroker) -> None:
    broker.submit(order("a"), now_ns=2)
    assert filled(broker.on_market(TradeTick(MARKET, 3, 989, 7))) == [("a", 7, 990)]


def test_fills_are_numbered_and_the_last_are_kept(broker: SimulatedBroker) -> None:
    record = FillRecord(kept=2)
    for number in range(3):
        broker.submit(order(f"o{number}", limit=None, lots=1), now_ns=number)
        record.add(broker.fills()[-1])
    assert [one.client_order_id for one in record.since(0)] == ["o1", "o2"]
    assert [one.client_order_id for one in record.since(2)] == ["o2"]
    assert (record.since(3), record.count) == ((), 3)
