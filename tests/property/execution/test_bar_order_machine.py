"""Life cycle of bar orders under random use: a rule-based machine."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.execution.bar_order import (
    FILLED,
    GTD,
    KIND_NAMES,
    LIMIT,
    MARKET,
    STOP,
    BarFill,
    BarOrder,
    Bracket,
    OrderNews,
)
from engine.execution.order_manager import IllegalTransition
from engine.model.orders import TRANSITIONS, OrderStatus
from engine.testing.bar_run import DAY_NS, BarRun, bar_columns

STATES = st.sampled_from(list(OrderStatus))
_BARS = [
    (100, 104, 97, 102),
    (102, 103, 95, 96),
    (96, 109, 96, 108),
    (108, 108, 99, 101),
    (90, 112, 90, 111),
    (111, 111, 111, 111),
    (105, 110, 88, 92),
    (92, 100, 92, 99),
]
_SILENT = {OrderStatus.RECEIVED, OrderStatus.VALIDATED}


@given(old=STATES, new=STATES)
def test_ord_1_every_other_transition_raises_and_changes_nothing(
    old: OrderStatus, new: OrderStatus
) -> None:
    order = BarOrder(0, 1, MARKET, 1)
    order.state = old.value
    order.reason = "before"
    if new in TRANSITIONS[old]:
        order.advance(new.value, 7, "after")
        assert (order.status, order.ts_updated, order.reason) == (new, 7, "after")
        return
    with pytest.raises(IllegalTransition):
        order.advance(new.value, 7, "after")
    assert (order.status, order.ts_updated, order.reason) == (old, 0, "before")


class BarOrders(RuleBasedStateMachine):
    """Submits, changes and cancels orders between bars; the news must tell a legal story."""

    def __init__(self) -> None:
        super().__init__()
        volumes = [6, 4, 0, 9, 3, 50, 50, 8]
        columns = bar_columns(_BARS, tick="1", volumes=volumes, ends=[1, 4, 7])
        self.run = BarRun(columns, max_participation="0.5")
        self.broker = self.run.broker
        self.bar = 0
        self.told: dict[int, OrderStatus] = {}
        self.filled: dict[int, int] = {}

    @property
    def now_ns(self) -> int:
        return self.bar * DAY_NS

    @rule(
        side=st.sampled_from([1, -1]),
        kind=st.integers(0, len(KIND_NAMES) - 1),
        lots=st.integers(0, 6),
        price=st.integers(88, 112),
        tif=st.integers(0, 4),
        reduce_only=st.booleans(),
        group=st.sampled_from([0, 0, "g"]),
        has_exits=st.booleans(),
    )
    def submit(
        self,
        side: int,
        kind: int,
        lots: int,
        price: int,
        tif: int,
        group: str | int,
        *,
        reduce_only: bool,
        has_exits: bool,
    ) -> None:
        exits = Bracket(sl=price - 5 * side, tp=price + 5 * side, sl_trail_unit=3, sl_trail_value=4)
        self.broker.submit(
            BarOrder(
                0,
                side,
                kind,
                lots,
                limit=price if kind in (LIMIT, 3) else None,
                stop=price if kind in (STOP, 3, 8) else None,
                trail_unit=3,
                trail_value=3,
                tif=tif,
                expire_ns=self.now_ns + DAY_NS + 5 if tif == GTD else 0,
                reduce_only=reduce_only,
                oco_group=group,
                bracket=exits if has_exits else None,
            ),
            now_ns=self.now_ns,
        )

    @precondition(lambda self: self.bar < len(_BARS))
    @rule()
    def play_a_bar(self) -> None:
        bars = [(0, self.bar)]
        self.broker.before(bars)
        self.broker.match(bars)
        self.broker.mark(bars)
        self.broker.expire_day(bars)
        self.bar += 1

    @precondition(lambda self: self.broker.orders)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.broker.orders))
        was_open = order.is_open
        assert self.broker.cancel(order, now_ns=self.now_ns) is was_open

    @precondition(lambda self: self.broker.orders)
    @rule(
        data=st.data(), lots=st.none() | st.integers(1, 9), price=st.none() | st.integers(88, 112)
    )
    def replace(self, data: st.DataObject, lots: int | None, price: int | None) -> None:
        order = data.draw(st.sampled_from(self.broker.orders))
        revision = order.revision
        changed = self.broker.replace(
            order.client_id, now_ns=self.now_ns, lots=lots, limit=price if order.limit else None
        )
        assert order.revision == revision + (changed and order.is_open)

    @rule()
    def cancel_everything(self) -> None:
        self.broker.cancel_all(now_ns=self.now_ns)
        assert self.broker.open_orders() == []

    @invariant()
    def the_news_is_a_legal_story(self) -> None:
        for item in self.broker.news:
            assert isinstance(item, BarFill | OrderNews)
            seq = item.order.seq
            if isinstance(item, BarFill):
                assert self.told[seq] in (OrderStatus.ROUTED, OrderStatus.PARTIAL)
                self.filled[seq] = self.filled.get(seq, 0) + item.lots
                continue
            new = OrderStatus(item.state)
            old = self.told.get(seq, OrderStatus.VALIDATED)
            if item.reason != "REPLACED":
                assert new in TRANSITIONS[old], (old, new)
            self.told[seq] = new
        self.broker.news.clear()
        for order in self.broker.orders:
            # Dormant exits are routed with their entry and tell of their end only.
            told = self.told.setdefault(order.seq, OrderStatus.ROUTED)
            assert told is order.status
            assert self.filled.get(order.seq, 0) == order.filled_lots
            if order.status is OrderStatus.PARTIAL:
                assert 0 < order.filled_lots < order.lots
            if order.status is OrderStatus.FILLED:
                assert order.filled_lots == order.lots
            assert bool(order.reason) is (order.state > FILLED)

    @invariant()
    def indexes_hold_what_is_open(self) -> None:
        broker = self.broker
        is_open = {order.seq for order in broker.orders if order.is_open}
        book = broker.books[0]
        awake = {order.seq for order in book.orders}
        asleep = {
            child.seq
            for group in book.groups
            for child in group.children
            if child.is_open and child.is_dormant
        }
        assert awake | asleep == is_open
        assert not awake & asleep
        assert broker.open_count == len(is_open)

    @invariant()
    def exits_never_protect_more_than_the_position(self) -> None:
        book = self.broker.books[0]
        for side in (1, -1):
            protected = sum(group.remaining for group in book.groups if group.side == side)
            assert protected <= max(0, side * book.position.lots)


TestBarOrders = BarOrders.TestCase
TestBarOrders.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
