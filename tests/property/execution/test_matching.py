"""Matching over random quotes, orders and cancels: nothing twice, nothing worse, nothing lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from engine.execution.commission import MakerTakerCommission
from engine.execution.liquidity import Depth
from engine.execution.order_manager import OrderManager
from engine.execution.reports import OrderFilled, OrderReport
from engine.execution.simulated_broker import SimulatedBroker
from engine.execution.slippage import FixedSlippage
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import (
    Fill,
    OrderRequest,
    OrderStatus,
    OrderType,
    PositionAction,
    TradeType,
)
from engine.model.quotes import QuoteTick
from engine.portfolio.budget import Budget
from engine.portfolio.portfolio import Portfolio

MARKETS = (ConnectorPair("paper", "ONE-USD"), ConnectorPair("paper", "TWO-USD"))
GRIDS = {
    market: Instrument(
        market, tick=Decimal("0.01"), lot=Decimal("0.1"), maker_ppb=-100_000, taker_ppb=500_000
    )
    for market in MARKETS
}


@dataclass(frozen=True)
class Step:
    kind: str
    market: ConnectorPair
    bid: int
    spread: int
    size: int
    side: TradeType
    order_type: OrderType
    lots: int
    limit: int
    reduce_only: bool
    pick: int


steps = st.lists(
    st.builds(
        Step,
        kind=st.sampled_from(["quote", "quote", "order", "order", "cancel"]),
        market=st.sampled_from(MARKETS),
        bid=st.integers(90, 110),
        spread=st.integers(0, 3),
        size=st.integers(0, 8),
        side=st.sampled_from([TradeType.BUY, TradeType.SELL]),
        order_type=st.sampled_from(list(OrderType)),
        lots=st.integers(1, 20),
        limit=st.integers(88, 114),
        reduce_only=st.booleans(),
        pick=st.integers(0, 30),
    ),
    max_size=60,
)
brokers = st.builds(
    lambda depth, bound, slippage, latency: SimulatedBroker(
        instruments=GRIDS,
        slippage=FixedSlippage(slippage),
        commission=MakerTakerCommission(),
        depth=depth,
        max_fill_lots=bound,
        latency_ns=latency,
    ),
    depth=st.sampled_from(list(Depth)),
    bound=st.none() | st.integers(1, 7),
    slippage=st.integers(0, 3),
    latency=st.sampled_from([0, 3]),
)


@dataclass
class Desk:
    """Order manager, broker, portfolio and budget wired as a container wires them."""

    broker: SimulatedBroker
    orders: OrderManager = field(default_factory=lambda: OrderManager(instruments=GRIDS))
    portfolio: Portfolio = field(
        default_factory=lambda: Portfolio(
            instruments=GRIDS, initial_cash={"USD": Decimal(10_000)}, account_currency="USD"
        )
    )
    quotes: dict[ConnectorPair, QuoteTick] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    requests: list[OrderRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.budget = Budget(portfolio=self.portfolio, fees=MakerTakerCommission())

    def play(self, step: Step, now_ns: int) -> list[OrderReport]:
        if step.kind == "quote":
            quote = QuoteTick(
                step.market, now_ns, step.bid, step.bid + step.spread, step.size, step.size
            )
            self.quotes[step.market] = quote
            self.portfolio.mark(step.market, quote.bid_ticks + quote.ask_ticks)
            return self._book(self.broker.on_quote(quote))
        if step.kind == "cancel":
            return self._book(self.broker.cancel(f"O{step.pick}", now_ns=now_ns))
        request = OrderRequest(
            client_order_id=f"O{len(self.requests)}",
            market=step.market,
            side=step.side,
            order_type=step.order_type,
            lots=step.lots,
            limit_ticks=step.limit if step.order_type.is_limit_type else None,
            position_action=PositionAction.OPEN,
            leverage=1 + step.pick % 5,
            owner_id=f"X{step.pick % 3}",
            role="entry",
            reduce_only=step.reduce_only,
        )
        self.requests.append(request)
        net_lots = self.portfolio.net_lots(step.market)
        if not self.orders.admit(request, now_ns=now_ns, net_lots=net_lots).is_open:
            return []
        self.budget.reserve(request, step.limit)
        return self._book(self.broker.submit(request, now_ns=now_ns))

    def _book(self, reports: Iterable[OrderReport]) -> list[OrderReport]:
        taken = list(reports)
        for report in taken:
            order = self.orders.apply(report)
            if order is None:
                continue
            if isinstance(report, OrderFilled):
                self.fills.append(report.fill)
                self.budget.consume(report.client_order_id, report.fill.lots)
                self.portfolio.apply_fill(report.fill, leverage=order.request.leverage)
            if not order.is_open:
                self.budget.release(report.client_order_id)
        return taken


@given(brokers, steps)
def test_the_books_agree_whatever_happens(broker: SimulatedBroker, sequence: list[Step]) -> None:
    desk = Desk(broker)
    for now_ns, step in enumerate(sequence):
        desk.play(step, now_ns)
        for market in MARKETS:
            mine = [fill for fill in desk.fills if fill.market == market]
            net = sum(fill.side.sign * fill.lots for fill in mine)
            assert net == broker.net_lots(market) == desk.portfolio.net_lots(market)
            working = [0, 0]
            for order in desk.orders.open_orders(market=market):
                index = 0 if order.request.side is TradeType.BUY else 1
                if not order.request.reduce_only:
                    working[index] += order.remaining_lots
            assert desk.orders.working_lots(market) == tuple(working)
        open_ids = {order.request.client_order_id for order in desk.orders.open_orders()}
        assert open_ids == {request.client_order_id for request in broker.open_orders()}
    flows = sum(fill.notional_atoms * -fill.side.sign - fill.fee_atoms for fill in desk.fills)
    held = sum(
        ledger.net_lots * ledger.mark_twice * ledger.scale
        for ledger in desk.portfolio.ledgers.values()
    )
    assert desk.portfolio.equity_twice == 2 * (desk.portfolio.initial_atoms + flows) + held


@given(brokers, steps)
def test_no_order_fills_twice_and_every_fill_has_its_own_id(
    broker: SimulatedBroker, sequence: list[Step]
) -> None:
    desk = Desk(broker)
    for now_ns, step in enumerate(sequence):
        desk.play(step, now_ns)
    assert len({fill.fill_id for fill in desk.fills}) == len(desk.fills)
    assert desk.orders.duplicate_fills == 0
    for order in desk.orders.orders():
        mine = [f for f in desk.fills if f.client_order_id == order.request.client_order_id]
        assert [fill.fill_id.rpartition("-F")[2] for fill in mine] == [
            str(index) for index in range(1, len(mine) + 1)
        ]
        assert sum(fill.lots for fill in mine) == order.filled_lots <= order.request.lots
        assert sum(fill.fee_atoms for fill in mine) == order.fee_atoms
        assert (order.status is OrderStatus.FILLED) == (order.remaining_lots == 0)


@given(brokers, steps)
def test_fills_are_never_worse_than_the_limit_nor_better_than_the_quote(
    broker: SimulatedBroker, sequence: list[Step]
) -> None:
    desk = Desk(broker)
    by_id = {}
    for now_ns, step in enumerate(sequence):
        count = len(desk.fills)
        before = dict(desk.quotes)
        desk.play(step, now_ns)
        by_id = {request.client_order_id: request for request in desk.requests}
        for fill in desk.fills[count:]:
            request = by_id[fill.client_order_id]
            # With latency an order may have met the quote before this one.
            seen = [q[fill.market] for q in (before, desk.quotes) if fill.market in q]
            sign = fill.side.sign
            opposite = [quote.ask_ticks if sign > 0 else quote.bid_ticks for quote in seen]
            if request.limit_ticks is not None:
                assert sign * fill.ticks <= sign * request.limit_ticks
                assert any(sign * ticks <= sign * request.limit_ticks for ticks in opposite)
            if fill.is_maker:
                assert fill.ticks == request.limit_ticks
            else:
                assert request.order_type is not OrderType.LIMIT_MAKER
                assert any(sign * fill.ticks >= sign * ticks for ticks in opposite)


@given(brokers, steps)
def test_when_every_order_is_done_nothing_stays_locked(
    broker: SimulatedBroker, sequence: list[Step]
) -> None:
    desk = Desk(broker)
    for now_ns, step in enumerate(sequence):
        desk.play(step, now_ns)
    for order in desk.orders.open_orders():
        desk._book(broker.cancel(order.request.client_order_id, now_ns=10**6))
    assert desk.orders.open_count == 0
    assert desk.budget.free_cash_atoms("USD") == desk.portfolio.cash_of("USD")
    assert broker.open_orders() == ()


@given(steps)
def test_the_price_index_matches_as_a_scan_of_all_orders_does(sequence: list[Step]) -> None:
    desk = Desk(
        SimulatedBroker(
            instruments=GRIDS, slippage=FixedSlippage(0), commission=MakerTakerCommission()
        )
    )
    waiting: dict[str, OrderRequest] = {}
    for now_ns, step in enumerate(sequence):
        expected: list[tuple[int, int, str]] = []
        if step.kind == "quote":
            ask = step.bid + step.spread
            for index, (name, request) in enumerate(waiting.items()):
                limit = request.limit_ticks or 0
                sign = request.side.sign
                opposite = ask if sign > 0 else step.bid
                if request.market == step.market and sign * (limit - opposite) >= 0:
                    expected.append((-sign, -sign * limit, f"{index:04d} {name}"))
        reports = desk.play(step, now_ns)
        filled = [report.client_order_id for report in reports if isinstance(report, OrderFilled)]
        if step.kind == "quote":
            in_order = [name.split(" ")[1] for _, _, name in sorted(expected)]
            plain = [name for name in in_order if not waiting[name].reduce_only]
            assert [name for name in filled if not waiting[name].reduce_only] == plain
            assert set(filled) <= set(in_order)
        waiting = {
            order.request.client_order_id: order.request for order in desk.orders.open_orders()
        }
