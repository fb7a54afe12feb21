"""The trigger index against a model that looks at every order at every price (TICK-2, FILL-17)."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.execution.commission import NoCommission
from engine.execution.live_order import LiveOrder
from engine.execution.queue_model import QueueKind, QueueModel
from engine.execution.reports import OrderFilled, OrderReport
from engine.execution.simulated_broker import SimulatedBroker
from engine.execution.slippage import NoSlippage
from engine.execution.trigger_book import TriggerBook, trailing_level
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
PRICES = st.integers(90, 110)


@st.composite
def triggers(draw: st.DrawFn) -> OrderTrigger:
    kind = draw(st.sampled_from(list(TriggerKind)))
    if kind is not TriggerKind.TRAILING:
        return OrderTrigger(kind, stop_ticks=draw(PRICES))
    trail = draw(st.sampled_from([(2, 0), (5, 0), (0, 30_000_000)]))
    return OrderTrigger(
        kind,
        trail_ticks=trail[0],
        trail_ppb=trail[1],
        activation_ticks=draw(st.none() | PRICES),
    )


def request(number: int, side: TradeType, trigger: OrderTrigger | None) -> OrderRequest:
    return OrderRequest(
        client_order_id=f"O{number}",
        market=MARKET,
        side=side,
        order_type=OrderType.MARKET,
        lots=1,
        limit_ticks=None,
        position_action=PositionAction.OPEN,
        leverage=1,
        owner_id="X",
        role="entry",
        trigger=trigger,
    )


@dataclass
class Plain:
    """One waiting order, polled."""

    sign: int
    trigger: OrderTrigger
    extreme: int | None = field(default=None)

    def is_reached(self, reference: int) -> bool:
        trigger = self.trigger
        if trigger.kind is TriggerKind.TRAILING:
            if self.extreme is None:
                return False
            return self.sign * (reference - trailing_level(self.extreme, trigger, self.sign)) >= 0
        way = self.sign if trigger.kind is TriggerKind.STOP else -self.sign
        return way * (reference - 2 * (trigger.stop_ticks or 0)) >= 0

    def follow(self, reference: int) -> None:
        if self.trigger.kind is not TriggerKind.TRAILING:
            return
        if self.extreme is None:
            activation = self.trigger.activation_ticks
            if activation is None or self.sign * (2 * activation - reference) >= 0:
                self.extreme = reference
        elif self.sign * (self.extreme - reference) > 0:
            self.extreme = reference


STEPS = st.lists(
    st.tuples(
        st.lists(
            st.tuples(st.sampled_from([TradeType.BUY, TradeType.SELL]), triggers()), max_size=3
        ),
        PRICES,
        st.integers(0, 3),
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.integers(180, 220))
def test_the_index_reaches_what_polling_reaches(
    steps: list[tuple[list[tuple[TradeType, OrderTrigger]], int, int]], first: int
) -> None:
    book = TriggerBook()
    plain: dict[int, Plain] = {}
    orders: dict[int, LiveOrder] = {}
    number = 0
    buy = sell = first
    for submitted, bid, spread in steps:
        for side, trigger in submitted:
            number += 1
            order = orders[number] = LiveOrder(request(number, side, trigger), number)
            reference = buy if order.sign > 0 else sell
            book.add(order, reference)
            plain[number] = Plain(order.sign, trigger)
            if trigger.activation_ticks is None:
                plain[number].extreme = reference
        buy, sell = 2 * (bid + spread), 2 * bid
        expected = [
            key for key, one in plain.items() if one.is_reached(buy if one.sign > 0 else sell)
        ]
        reached = book.reached(buy, sell)
        assert [order.number for order in reached] == expected
        for order in reached:
            book.discard(order)
            del plain[order.number]
        book.follow(buy, sell)
        for one in plain.values():
            one.follow(buy if one.sign > 0 else sell)
    for key in plain:
        book.discard(orders[key])
    assert len(book) == 0


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["quote", "trade", "buy", "sell"]), PRICES, st.integers(1, 9)),
        max_size=25,
    ),
    st.sampled_from(list(QueueKind)),
)
def test_limits_never_fill_worse_and_never_twice(
    steps: list[tuple[str, int, int]], queue: QueueKind
) -> None:
    instrument = Instrument(MARKET, tick=Decimal(1), lot=Decimal(1))
    broker = SimulatedBroker(
        instruments={MARKET: instrument},
        slippage=NoSlippage(),
        commission=NoCommission(),
        queue=QueueModel(queue),
    )
    reports: list[OrderReport] = []
    limits: dict[str, tuple[int, int, int]] = {}
    for at, (what, price, lots) in enumerate(steps):
        if what == "quote":
            reports += broker.on_quote(QuoteTick(MARKET, at, price, price + 1, lots, lots))
        elif what == "trade":
            reports += broker.on_trade(TradeTick(MARKET, at, price, lots, 0, at))
        else:
            side = TradeType.BUY if what == "buy" else TradeType.SELL
            order = OrderRequest(
                client_order_id=f"O{at}",
                market=MARKET,
                side=side,
                order_type=OrderType.LIMIT,
                lots=lots,
                limit_ticks=price,
                position_action=PositionAction.OPEN,
                leverage=1,
                owner_id="X",
                role="entry",
            )
            limits[order.client_order_id] = (side.sign, price, lots)
            reports += broker.submit(order, now_ns=at)
    filled: dict[str, int] = {}
    for report in reports:
        if not isinstance(report, OrderFilled):
            continue
        fill = report.fill
        sign, limit, lots = limits[fill.client_order_id]
        assert sign * (fill.ticks - limit) <= 0
        filled[fill.client_order_id] = filled.get(fill.client_order_id, 0) + fill.lots
        assert filled[fill.client_order_id] <= lots
    is_open = {order.client_order_id for order in broker.open_orders()}
    assert is_open == {key for key, (_, _, lots) in limits.items() if filled.get(key, 0) < lots}
