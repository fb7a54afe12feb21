"""Life cycle, indexes and idempotency of the order manager."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from engine.execution.order_manager import IllegalTransition, OrderManager, OverFillError
from engine.execution.reasons import ReasonCode
from engine.execution.reports import (
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    OrderReport,
)
from engine.flow.errors import ExistsError, NotFoundError
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.orders import (
    Fill,
    Order,
    OrderRequest,
    OrderState,
    OrderStatus,
    OrderType,
    PositionAction,
    TradeType,
)

MARKET = ConnectorPair("paper", "ACME-USD")
OTHER = ConnectorPair("paper", "BETA-USD")
BUY = OrderRequest(
    client_order_id="O1",
    market=MARKET,
    side=TradeType.BUY,
    order_type=OrderType.LIMIT,
    lots=10,
    limit_ticks=1000,
    position_action=PositionAction.OPEN,
    leverage=1,
    owner_id="X1",
    role="entry",
)


@pytest.fixture
def manager() -> OrderManager:
    return OrderManager(
        instruments={
            market: Instrument(market, tick=Decimal("0.01"), lot=Decimal(1))
            for market in (MARKET, OTHER)
        }
    )


def fill(number: int, lots: int, *, order_id: str = "O1", ticks: int = 1000) -> OrderFilled:
    return OrderFilled(
        Fill(
            fill_id=f"{order_id}-F{number}",
            client_order_id=order_id,
            owner_id="X1",
            role="entry",
            market=MARKET,
            side=TradeType.BUY,
            lots=lots,
            ticks=ticks,
            notional_atoms=ticks * lots * 10**6,
            fee_atoms=7,
            is_maker=True,
            ts_ns=number,
        )
    )


ACCEPTED = OrderAccepted("O1", 1)
REJECTED = OrderRejected("O1", 1, ReasonCode.NO_QUOTE, "no quote")
CANCELLED = OrderCancelled("O1", 1, ReasonCode.USER)


def routed(manager: OrderManager, request: OrderRequest = BUY) -> Order:
    manager.admit(request, now_ns=0)
    order = manager.apply(OrderAccepted(request.client_order_id, 1))
    assert order is not None
    return order


PATHS: dict[OrderStatus, list[OrderReport]] = {
    OrderStatus.VALIDATED: [],
    OrderStatus.ROUTED: [ACCEPTED],
    OrderStatus.PARTIAL: [ACCEPTED, fill(1, 4)],
    OrderStatus.FILLED: [ACCEPTED, fill(1, 10)],
    OrderStatus.CANCELLED: [ACCEPTED, CANCELLED],
    OrderStatus.REJECTED: [REJECTED],
}
NEXT: dict[OrderStatus, OrderReport] = {
    OrderStatus.ROUTED: ACCEPTED,
    OrderStatus.PARTIAL: fill(2, 1),
    OrderStatus.FILLED: fill(2, 6),
    OrderStatus.CANCELLED: CANCELLED,
    OrderStatus.REJECTED: REJECTED,
}
LEGAL = {
    (OrderStatus.VALIDATED, OrderStatus.ROUTED),
    (OrderStatus.VALIDATED, OrderStatus.CANCELLED),
    (OrderStatus.VALIDATED, OrderStatus.REJECTED),
    (OrderStatus.ROUTED, OrderStatus.PARTIAL),
    (OrderStatus.ROUTED, OrderStatus.FILLED),
    (OrderStatus.ROUTED, OrderStatus.CANCELLED),
    (OrderStatus.ROUTED, OrderStatus.REJECTED),
    (OrderStatus.PARTIAL, OrderStatus.PARTIAL),
    (OrderStatus.PARTIAL, OrderStatus.FILLED),
    (OrderStatus.PARTIAL, OrderStatus.CANCELLED),
}


@pytest.mark.parametrize("old", list(PATHS), ids=lambda status: status.name)
@pytest.mark.parametrize("new", list(NEXT), ids=lambda status: status.name)
def test_life_cycle_is_the_table(manager: OrderManager, old: OrderStatus, new: OrderStatus) -> None:
    manager.admit(BUY, now_ns=0)
    for report in PATHS[old]:
        manager.apply(report)
    before = manager.get_order("O1")
    assert before.status is old
    report = NEXT[new]
    if isinstance(report, OrderFilled) and new is OrderStatus.FILLED:
        report = fill(2, max(1, before.remaining_lots))
    if (old, new) in LEGAL:
        after = manager.apply(report)
        assert after is not None
        assert after.status is new
    elif old is new is OrderStatus.ROUTED:
        assert manager.apply(report) is None
    else:
        with pytest.raises((IllegalTransition, OverFillError)):
            manager.apply(report)
        assert manager.get_order("O1") == before


def test_illegal_transition_names_both_states(manager: OrderManager) -> None:
    routed(manager)
    manager.apply(CANCELLED)
    with pytest.raises(IllegalTransition, match="O1 is CANCELLED and cannot become ROUTED"):
        manager.apply(ACCEPTED)


def test_sequence_counts_admitted_orders(manager: OrderManager) -> None:
    orders = [manager.admit(replace(BUY, client_order_id=f"O{i}"), now_ns=i) for i in range(3)]
    assert [order.seq for order in orders] == [0, 1, 2]
    assert manager.total_count == 3
    assert manager.orders() == tuple(orders)


def test_an_invalid_order_is_rejected_and_kept_with_its_reason(manager: OrderManager) -> None:
    order = manager.admit(replace(BUY, lots=0), now_ns=5)
    assert order.status is OrderStatus.REJECTED
    assert order.state is OrderState.FAILED
    assert order.reason == "QTY_NOT_POSITIVE: the amount is 0 lots"
    assert manager.open_count == 0
    assert manager.endings == {(OrderStatus.REJECTED, "QTY_NOT_POSITIVE"): 1}


def test_admitting_again_is_idempotent(manager: OrderManager) -> None:
    order = routed(manager)
    assert manager.admit(BUY, now_ns=9) == order
    assert manager.total_count == 1


def test_a_client_id_is_never_used_twice(manager: OrderManager) -> None:
    manager.admit(BUY, now_ns=0)
    with pytest.raises(ExistsError, match="asks for something else") as caught:
        manager.admit(replace(BUY, lots=11), now_ns=0)
    assert caught.value.details == {"code": "DUPLICATE_CLIENT_ID"}


def test_a_denied_order_ends_rejected(manager: OrderManager) -> None:
    manager.admit(BUY, now_ns=0)
    order = manager.deny("O1", reason="RISK_HALTED: halted", now_ns=3)
    assert (order.status, order.reason, order.updated_ns) == (
        OrderStatus.REJECTED,
        "RISK_HALTED: halted",
        3,
    )
    assert manager.working_lots(MARKET) == (0, 0)


def test_fills_add_up(manager: OrderManager) -> None:
    routed(manager)
    manager.apply(fill(1, 4, ticks=999))
    order = manager.apply(fill(2, 6, ticks=1000))
    assert order is not None
    assert (order.status, order.filled_lots, order.fee_atoms) == (OrderStatus.FILLED, 10, 14)
    assert order.filled_atoms == (4 * 999 + 6 * 1000) * 10**6
    assert manager.average_price(order) == Decimal("9.996")
    assert manager.endings == {(OrderStatus.FILLED, ""): 1}


def test_average_price_is_rounded_half_even_to_nine_decimals(manager: OrderManager) -> None:
    assert manager.average_price(routed(manager)) is None
    manager.apply(fill(1, 1, ticks=1))
    order = manager.apply(fill(2, 2, ticks=2))
    assert order is not None
    assert manager.average_price(order) == Decimal("0.016666667")


@pytest.mark.parametrize("lots", [4, 10])
def test_a_repeated_fill_is_ignored_and_counted(manager: OrderManager, lots: int) -> None:
    routed(manager)
    order = manager.apply(fill(1, lots))
    assert manager.apply(fill(1, lots)) is None
    assert manager.duplicate_fills == 1
    assert manager.get_order("O1") == order


def test_an_over_fill_raises_and_changes_nothing(manager: OrderManager) -> None:
    routed(manager)
    before = manager.apply(fill(1, 4))
    with pytest.raises(OverFillError, match="7 lots exceeds the 6 lots"):
        manager.apply(fill(2, 7))
    assert manager.get_order("O1") == before
    assert manager.apply(fill(2, 6)) is not None


def test_cancelled_keeps_what_was_filled(manager: OrderManager) -> None:
    routed(manager)
    manager.apply(fill(1, 4))
    order = manager.apply(CANCELLED)
    assert order is not None
    assert (order.status, order.filled_lots, order.reason) == (OrderStatus.CANCELLED, 4, "USER")
    assert manager.endings == {(OrderStatus.CANCELLED, "USER"): 1}


def test_a_cancel_request_is_a_flag_that_a_refusal_takes_back(manager: OrderManager) -> None:
    routed(manager)
    order = manager.request_cancel("O1", now_ns=4)
    assert order is not None
    assert order.state is OrderState.PENDING_CANCEL
    assert order.status is OrderStatus.ROUTED
    refusal = CancelRejected("O1", 5, ReasonCode.UNKNOWN_ORDER)
    order = manager.apply(refusal)
    assert order is not None
    assert order.state is OrderState.OPEN
    assert manager.apply(refusal) is None


def test_cancel_requests_for_done_and_unknown_orders_do_nothing(manager: OrderManager) -> None:
    routed(manager)
    manager.apply(fill(1, 10))
    assert manager.request_cancel("O1", now_ns=4) is None
    assert manager.request_cancel("O9", now_ns=4) is None
    assert manager.apply(CancelRejected("O1", 5, ReasonCode.ORDER_DONE)) is None


def test_indexes_follow_the_orders(manager: OrderManager) -> None:
    routed(manager)
    sell = replace(BUY, client_order_id="O2", side=TradeType.SELL, owner_id="X2")
    routed(manager, sell)
    routed(manager, replace(BUY, client_order_id="O3", market=OTHER))

    def ids(orders: tuple[Order, ...]) -> list[str]:
        return [order.request.client_order_id for order in orders]

    assert ids(manager.open_orders()) == ["O1", "O2", "O3"]
    assert ids(manager.open_orders(market=MARKET)) == ["O1", "O2"]
    assert ids(manager.open_orders(owner_id="X1")) == ["O1", "O3"]
    assert ids(manager.open_orders(market=OTHER, owner_id="X1")) == ["O3"]
    assert manager.open_orders(owner_id="nobody") == ()
    assert manager.working_lots(MARKET) == (10, 10)
    manager.apply(fill(1, 4))
    assert manager.working_lots(MARKET) == (6, 10)
    manager.apply(OrderCancelled("O2", 1, ReasonCode.USER))
    assert manager.working_lots(MARKET) == (6, 0)
    assert (manager.open_count, manager.open_count_of(MARKET)) == (2, 1)
    assert manager.open_count_of(ConnectorPair("paper", "GONE-USD")) == 0


def test_a_stopped_manager_admits_nothing(manager: OrderManager) -> None:
    routed(manager)
    manager.stop()
    late = manager.admit(replace(BUY, client_order_id="O2"), now_ns=0)
    assert late.reason.startswith("CONTAINER_STOPPED")
    assert manager.apply(fill(1, 10)) is not None


def test_forgetting_needs_an_end(manager: OrderManager) -> None:
    routed(manager)
    with pytest.raises(IllegalTransition, match="cannot be forgotten yet"):
        manager.forget("O1")
    manager.apply(CANCELLED)
    manager.forget("O1")
    manager.forget("O1")
    assert manager.find_order("O1") is None
    with pytest.raises(NotFoundError, match="no order 'O1'"):
        manager.get_order("O1")


def test_a_report_about_an_unknown_order_raises(manager: OrderManager) -> None:
    with pytest.raises(NotFoundError):
        manager.apply(ACCEPTED)
    assert manager.apply(CancelRejected("O1", 5, ReasonCode.UNKNOWN_ORDER)) is None
