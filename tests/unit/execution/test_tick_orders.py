"""Triggers, trades, queues and times in force of the tick broker: TICK-2, TICK-3, TICK-5."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.execution.commission import NoCommission
from engine.execution.liquidity import Depth
from engine.execution.order_manager import OrderManager
from engine.execution.order_validator import OrderContext, find_problem
from engine.execution.queue_model import QueueKind, QueueModel
from engine.execution.reasons import ReasonCode
from engine.execution.reports import (
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderReport,
)
from engine.execution.settings import BrokerSettings, build_simulated_broker
from engine.execution.simulated_broker import SimulatedBroker
from engine.execution.slippage import FixedSlippage, NoSlippage, SpreadSlippage
from engine.execution.trigger_book import TriggerBasis, TriggerBook, trailing_level
from engine.model.draws import uniform
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import (
    OrderRequest,
    OrderStatus,
    OrderTrigger,
    OrderType,
    PositionAction,
    TimeInForce,
    TradeType,
    TriggerKind,
)
from engine.model.quotes import QuoteTick, TradeTick

MARKET = ConnectorPair("paper", "ACME-USD")
GRID = Instrument(MARKET, tick=Decimal("0.01"), lot=Decimal(1))
BUY = OrderRequest(
    client_order_id="O1",
    market=MARKET,
    side=TradeType.BUY,
    order_type=OrderType.MARKET,
    lots=10,
    limit_ticks=None,
    position_action=PositionAction.OPEN,
    leverage=1,
    owner_id="X1",
    role="entry",
)


def order(
    side: str = "buy",
    *,
    kind: TriggerKind | None = None,
    stop: int | None = None,
    limit: int | None = None,
    order_id: str = "O1",
    **changes: Any,
) -> OrderRequest:
    trigger = changes.pop("trigger", None)
    if kind is not None:
        trigger = OrderTrigger(kind, stop_ticks=stop)
    return replace(
        BUY,
        client_order_id=order_id,
        side=TradeType.BUY if side == "buy" else TradeType.SELL,
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit_ticks=limit,
        trigger=trigger,
        **changes,
    )


def broker(**changes: Any) -> SimulatedBroker:
    arguments: dict[str, Any] = {
        "instruments": {MARKET: GRID},
        "slippage": NoSlippage(),
        "commission": NoCommission(),
    }
    return SimulatedBroker(**(arguments | changes))


def quote(bid: int, ask: int, *, ts_ns: int = 1, lots: int = 5) -> QuoteTick:
    return QuoteTick(MARKET, ts_ns, bid, ask, lots, lots)


def trade(
    ticks: int, *, ts_ns: int = 1, lots: int = 5, aggressor: int = 0, seq: int = 0
) -> TradeTick:
    return TradeTick(MARKET, ts_ns, ticks, lots, aggressor, seq)


def prices(reports: Iterable[OrderReport]) -> list[tuple[str, int, int, bool]]:
    return [
        (item.fill.client_order_id, item.fill.lots, item.fill.ticks, item.fill.is_maker)
        for item in reports
        if isinstance(item, OrderFilled)
    ]


@pytest.mark.parametrize(
    ("request_", "quotes", "fill"),
    [
        (order(kind=TriggerKind.STOP, stop=105), [(103, 104), (104, 106)], 106),
        (order(kind=TriggerKind.STOP, stop=105), [(103, 104), (104, 105)], 105),
        (order("sell", kind=TriggerKind.STOP, stop=95), [(96, 97), (95, 96)], 95),
        (order("sell", kind=TriggerKind.STOP, stop=95), [(96, 97), (93, 96)], 93),
        (order(kind=TriggerKind.TOUCH, stop=95), [(95, 96), (94, 95)], 95),
        (order("sell", kind=TriggerKind.TOUCH, stop=105), [(104, 105), (106, 107)], 106),
    ],
    ids=["stop gap", "stop", "sell stop", "sell stop gap", "touch", "sell touch"],
)
def test_tick_2_triggers_by_bid_and_ask(
    request_: OrderRequest, quotes: list[tuple[int, int]], fill: int
) -> None:
    one = broker()
    one.on_quote(quote(99, 101))
    assert prices(one.submit(request_, now_ns=1)) == []
    assert prices(one.on_quote(quote(*quotes[0]))) == []
    assert prices(one.on_quote(quote(*quotes[1]))) == [("O1", 10, fill, False)]
    assert one.open_orders() == ()


def test_tick_2_a_stop_that_is_reached_on_arrival_acts_at_once() -> None:
    one = broker()
    one.on_quote(quote(99, 101))
    reports = one.submit(order(kind=TriggerKind.STOP, stop=101), now_ns=1)
    assert isinstance(reports[0], OrderAccepted)
    assert prices(reports) == [("O1", 10, 101, False)]


def test_tick_2_last_is_the_default_when_trades_exist() -> None:
    one = broker()
    one.on_quote(quote(99, 101))
    one.on_trade(trade(100))
    one.submit(order(kind=TriggerKind.STOP, stop=105), now_ns=1)
    assert prices(one.on_quote(quote(105, 107))) == []
    # The trade triggers it, the quote of the moment fills it.
    assert prices(one.on_trade(trade(105))) == [("O1", 10, 107, False)]


def test_tick_2_the_price_that_triggers_can_be_chosen() -> None:
    one = broker(trigger=TriggerBasis.MID)
    one.on_quote(quote(99, 101))
    one.submit(order(kind=TriggerKind.STOP, stop=105), now_ns=1)
    assert prices(one.on_quote(quote(103, 106))) == []
    assert prices(one.on_quote(quote(104, 106))) == [("O1", 10, 106, False)]
    one = broker(trigger=TriggerBasis.LAST)
    one.submit(order(kind=TriggerKind.STOP, stop=105), now_ns=1)
    assert prices(one.on_quote(quote(110, 111))) == []
    assert prices(one.on_trade(trade(106))) == [("O1", 10, 111, False)]


def test_without_quotes_takers_fill_at_trades() -> None:
    one = broker()
    one.on_trade(trade(100))
    one.submit(order(kind=TriggerKind.STOP, stop=105), now_ns=1)
    assert prices(one.on_trade(trade(106))) == [("O1", 10, 106, False)]
    assert prices(one.submit(order(order_id="O2"), now_ns=1)) == []
    assert prices(one.on_trade(trade(107))) == [("O2", 10, 107, False)]
    sized = broker(depth=Depth.SYNTHETIC, slippage=FixedSlippage(1))
    sized.on_trade(trade(100))
    sized.submit(order(), now_ns=1)
    assert prices(sized.on_trade(trade(107, lots=4))) == [("O1", 4, 108, False)]
    assert prices(sized.on_trade(trade(107, lots=40))) == [("O1", 6, 108, False)]


def test_stop_limits_and_post_only() -> None:
    one = broker()
    one.on_quote(quote(99, 101))
    one.submit(order(kind=TriggerKind.STOP, stop=105, limit=106), now_ns=1)
    assert prices(one.on_quote(quote(106, 107))) == []
    assert prices(one.on_quote(quote(104, 106))) == [("O1", 10, 106, True)]
    maker = replace(
        order(kind=TriggerKind.STOP, stop=108, limit=108, order_id="O2"),
        order_type=OrderType.LIMIT_MAKER,
    )
    one.submit(maker, now_ns=1)
    reports = one.on_quote(quote(107, 108))
    assert [r.code for r in reports if isinstance(r, OrderRejected)] == [
        ReasonCode.POST_ONLY_CROSSES
    ]


@pytest.mark.parametrize(
    ("trigger", "level"),
    [
        (OrderTrigger(TriggerKind.TRAILING, trail_ticks=3), 97),
        (OrderTrigger(TriggerKind.TRAILING, trail_ppb=30_000_000), 97),
        (OrderTrigger(TriggerKind.TRAILING, trail_ppb=31_000_000), 96),
    ],
)
def test_trailing_levels_lie_away_from_the_market(trigger: OrderTrigger, level: int) -> None:
    assert trailing_level(200, trigger, -1) == 2 * level
    assert trailing_level(200, trigger, 1) == 2 * (200 - level)


def test_a_trailing_stop_follows_the_bid_and_is_hit_on_the_way_back() -> None:
    one = broker()
    one.on_quote(quote(100, 101))
    trail = OrderTrigger(TriggerKind.TRAILING, trail_ticks=3)
    one.submit(order("sell", trigger=trail), now_ns=1)
    for bid in (99, 104, 106, 104):
        assert prices(one.on_quote(quote(bid, bid + 1))) == []
    assert prices(one.on_quote(quote(103, 104))) == [("O1", 10, 103, False)]
    one.submit(order(trigger=trail, order_id="O2"), now_ns=1)
    assert prices(one.on_quote(quote(99, 100))) == []
    assert prices(one.on_quote(quote(102, 103))) == [("O2", 10, 103, False)]


def test_activation_and_cancel_of_a_trailing_stop() -> None:
    one = broker()
    one.on_quote(quote(100, 101))
    trail = OrderTrigger(TriggerKind.TRAILING, trail_ticks=3, activation_ticks=105)
    one.submit(order("sell", trigger=trail), now_ns=1)
    for bid in (90, 104, 105):
        assert prices(one.on_quote(quote(bid, bid + 1))) == []
    assert prices(one.on_quote(quote(102, 103))) == [("O1", 10, 102, False)]
    one.submit(order("sell", trigger=trail, order_id="O2"), now_ns=1)
    one.on_quote(quote(106, 107))
    assert [type(item) for item in one.cancel("O2", now_ns=1)] == [OrderCancelled]
    assert prices(one.on_quote(quote(90, 91))) == []
    book = TriggerBook()
    assert len(book) == 0


def test_a_trailing_stop_limit_is_placed_beyond_its_trigger() -> None:
    one = broker()
    one.on_quote(quote(100, 101))
    trail = OrderTrigger(TriggerKind.TRAILING, trail_ticks=3, limit_offset_ticks=1)
    request = replace(order("sell", trigger=trail), order_type=OrderType.LIMIT)
    one.submit(request, now_ns=1)
    assert prices(one.on_quote(quote(96, 97))) == [("O1", 10, 96, False)]


def resting(one: SimulatedBroker, limit: int = 100, *, lots: int = 10) -> None:
    one.on_quote(quote(100, 102, lots=6))
    one.submit(replace(order(limit=limit), lots=lots), now_ns=1)


@pytest.mark.parametrize(
    ("queue", "ticks", "filled"),
    [
        (QueueKind.FRONT, 101, False),
        (QueueKind.FRONT, 100, True),
        (QueueKind.BACK, 100, False),
        (QueueKind.BACK, 99, True),
        (QueueKind.VOLUME, 99, True),
    ],
)
def test_tick_3_a_print_at_or_through_the_price(
    queue: QueueKind, ticks: int, *, filled: bool
) -> None:
    one = broker(queue=QueueModel(queue))
    resting(one)
    expected = [("O1", 10, 100, True)] if filled else []
    assert prices(one.on_trade(trade(ticks, aggressor=-1))) == expected


def test_tick_3_volume_ahead_is_used_up_by_opposing_prints() -> None:
    one = broker(queue=QueueModel(QueueKind.VOLUME))
    resting(one)
    # 6 lots were displayed at the price on arrival; buyers do not use them up.
    assert prices(one.on_trade(trade(100, lots=6, aggressor=-1))) == []
    assert prices(one.on_trade(trade(100, lots=6, aggressor=1))) == []
    assert prices(one.on_trade(trade(100, lots=1, aggressor=-1))) == [("O1", 10, 100, True)]
    inside = broker(queue=QueueModel(QueueKind.VOLUME))
    resting(inside, 101)
    assert prices(inside.on_trade(trade(101, lots=1))) == [("O1", 10, 101, True)]


def test_tick_3_probability_is_keyed_by_order_and_print() -> None:
    for seed in range(8):
        one = broker(queue=QueueModel(QueueKind.PROB, 0.5, seed))
        resting(one)
        lucky = uniform(seed, 1, 1, 77) < 0.5
        assert bool(prices(one.on_trade(trade(100, seq=77)))) is lucky


def test_prints_fill_sells_and_are_bounded_by_their_size() -> None:
    one = broker(depth=Depth.SYNTHETIC)
    one.on_quote(quote(100, 102))
    one.submit(order("sell", limit=103), now_ns=1)
    one.submit(replace(order("sell", limit=103, order_id="O2"), lots=2), now_ns=1)
    assert prices(one.on_trade(trade(104, lots=4))) == [("O1", 4, 103, True)]
    assert prices(one.on_trade(trade(104, lots=7))) == [
        ("O1", 6, 103, True),
        ("O2", 1, 103, True),
    ]
    one.submit(order(limit=99, order_id="O3", reduce_only=True), now_ns=1)
    assert prices(one.on_trade(trade(98, lots=40))) == [("O3", 10, 99, True)]


def test_a_reduce_only_order_without_position_ends_at_a_print() -> None:
    one = broker()
    one.on_quote(quote(100, 102))
    one.submit(order(limit=99, reduce_only=True), now_ns=1)
    reports = one.on_trade(trade(98))
    assert [item.code for item in reports if isinstance(item, OrderCancelled)] == [
        ReasonCode.REDUCE_ONLY
    ]
    unquoted = broker()
    unquoted.on_trade(trade(98))
    unquoted.submit(order(reduce_only=True), now_ns=1)
    assert [type(item) for item in unquoted.on_trade(trade(98))] == [OrderCancelled]


def test_tick_5_consume() -> None:
    for consume, second in ((True, [("O2", 5, 102, False)]), (False, [("O2", 5, 101, False)])):
        one = broker(depth=Depth.SYNTHETIC, consume=consume)
        one.on_quote(quote(99, 101))
        one.submit(replace(order(), lots=5), now_ns=1)
        assert prices(one.submit(replace(order(order_id="O2"), lots=5), now_ns=1)) == second


@pytest.mark.parametrize(
    ("tif", "limit", "lots", "codes"),
    [
        (TimeInForce.IOC, 101, 5, [ReasonCode.IOC]),
        (TimeInForce.IOC, 100, 0, [ReasonCode.IOC]),
        (TimeInForce.IOC, 102, 10, []),
        (TimeInForce.FOK, 101, 0, [ReasonCode.FOK]),
        (TimeInForce.FOK, 100, 0, [ReasonCode.FOK]),
        (TimeInForce.FOK, 102, 10, []),
        (TimeInForce.FOK, None, 10, []),
    ],
)
def test_ioc_and_fok(
    tif: TimeInForce, limit: int | None, lots: int, codes: list[ReasonCode]
) -> None:
    one = broker(depth=Depth.SYNTHETIC)
    one.on_quote(quote(99, 101))
    reports = one.submit(order(limit=limit, time_in_force=tif), now_ns=1)
    assert sum(filled for _, filled, _, _ in prices(reports)) == lots
    assert [item.code for item in reports if isinstance(item, OrderCancelled)] == codes
    assert one.open_orders() == ()


def test_gtd_ends_at_its_time() -> None:
    one = broker()
    one.on_quote(quote(99, 101))
    for order_id, expire in (("O1", 50), ("O2", 70), ("O3", 90)):
        one.submit(
            order(limit=90, order_id=order_id, time_in_force=TimeInForce.GTD, expire_ns=expire),
            now_ns=1,
        )
    assert one.next_arrival_ns() == 50
    assert one.on_quote(quote(89, 90, ts_ns=50))[0] == OrderExpired("O1", 50, ReasonCode.GTD)
    assert one.on_time(100) == []
    assert one.next_arrival_ns() is None
    late = broker(latency_ns=10)
    late.submit(order(time_in_force=TimeInForce.GTD, expire_ns=5), now_ns=1)
    assert late.on_time(5) == [OrderExpired("O1", 5, ReasonCode.GTD)]
    assert late.on_time(20) == []
    stop = broker()
    stop.submit(
        order(kind=TriggerKind.STOP, stop=105, time_in_force=TimeInForce.GTD, expire_ns=5), now_ns=1
    )
    assert stop.on_trade(trade(106, ts_ns=5)) == [OrderExpired("O1", 5, ReasonCode.GTD)]


def test_the_order_manager_knows_expiry() -> None:
    manager = OrderManager(instruments={MARKET: GRID})
    request = order(limit=90, time_in_force=TimeInForce.GTD, expire_ns=50)
    manager.admit(request, now_ns=1)
    manager.apply(OrderAccepted("O1", 1))
    expired = manager.apply(OrderExpired("O1", 50, ReasonCode.GTD))
    assert expired is not None
    assert (expired.status, expired.reason) == (OrderStatus.EXPIRED, "GTD")
    late = manager.admit(replace(request, client_order_id="O2"), now_ns=50)
    assert late.reason.startswith("EXPIRED_ON_ARRIVAL")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (order(kind=TriggerKind.STOP), "PRICE_REQUIRED"),
        (order(kind=TriggerKind.STOP, stop=0), "PRICE_NOT_POSITIVE"),
        (order(trigger=OrderTrigger(TriggerKind.TRAILING)), "TRAIL_INVALID"),
        (
            order(trigger=OrderTrigger(TriggerKind.TRAILING, trail_ticks=1, trail_ppb=1)),
            "TRAIL_INVALID",
        ),
        (
            order(trigger=OrderTrigger(TriggerKind.TRAILING, trail_ticks=1, limit_offset_ticks=-1)),
            "TRAIL_INVALID",
        ),
        (order(time_in_force=TimeInForce.DAY), "BAD_TYPE"),
        (order(time_in_force=TimeInForce.GTD), "EXPIRE_REQUIRED"),
        (order(kind=TriggerKind.STOP, stop=105), None),
        (order(trigger=OrderTrigger(TriggerKind.TRAILING, trail_ticks=1)), None),
    ],
)
def test_validator(request_: OrderRequest, code: str | None) -> None:
    problem = find_problem(request_, OrderContext(instrument=GRID))
    assert (None if problem is None else problem.code.value) == code


def test_a_trailing_stop_limit_needs_no_limit_and_a_stop_counts_for_the_notional() -> None:
    trail = OrderTrigger(TriggerKind.TRAILING, trail_ticks=1, limit_offset_ticks=2)
    request = replace(order(trigger=trail), order_type=OrderType.LIMIT)
    assert find_problem(request, OrderContext(instrument=GRID)) is None
    grid = replace(GRID, min_notional=Decimal(11))
    stop = order(kind=TriggerKind.STOP, stop=100)
    problem = find_problem(stop, OrderContext(instrument=grid, mark_twice=10_000))
    assert problem is not None
    assert problem.code is ReasonCode.MIN_NOTIONAL


def test_slippage_by_half_the_quoted_spread() -> None:
    one = broker(slippage=SpreadSlippage())
    one.on_quote(quote(99, 103))
    assert prices(one.submit(order(), now_ns=1)) == [("O1", 10, 105, False)]


@pytest.mark.parametrize("kind", list(QueueKind))
def test_settings(kind: QueueKind) -> None:
    settings = BrokerSettings.model_validate(
        {"queue": kind.value, "trigger": "mid", "consume": False}
    )
    assert settings.queue.kind is kind
    built = build_simulated_broker(
        settings, instruments={MARKET: GRID}, commission=NoCommission(), seed=3
    )
    built.on_quote(quote(100, 102))
    built.submit(order(limit=100), now_ns=1)
    expected = kind is QueueKind.FRONT or (kind is QueueKind.PROB and uniform(3, 1, 1, 9) < 0.5)
    assert bool(prices(built.on_trade(trade(100, seq=9, lots=4)))) is expected
