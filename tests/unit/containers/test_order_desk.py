"""The way of an order: risk manager, order manager, broker, portfolio (EVT-1, ORD-7)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.containers.bus import BusKind
from engine.model.orders import OrderStatus
from engine.testing.small_session import MARKET, SmallSession, small_plan


def session_with(**sections: Any) -> SmallSession:
    session = SmallSession(small_plan(sections=sections))
    session.begin()
    session.quote(1, "99.99", "100.01")
    return session


def test_a_denied_order_is_recorded_as_rejected_with_the_reason() -> None:
    session = session_with(risk={"blocked_symbols": ["AAA-USDT"]})
    executor_id = session.create()
    order = session.container.order_manager.orders()[0]
    assert order.status is OrderStatus.REJECTED
    assert order.request.owner_id == executor_id
    assert "risk.blocked_symbols" in order.reason
    assert session.container.portfolio.net_lots(MARKET) == 0
    assert any("risk.blocked_symbols" in notice.text for notice in session.notices)
    assert session.published().orders[order.request.client_order_id] == order


def test_an_order_that_is_too_large_is_clamped_and_noticed() -> None:
    session = session_with(risk={"max_order_notional": 150})
    executor_id = session.create()
    (order,) = session.container.order_manager.orders()
    assert order.status is OrderStatus.FILLED
    assert order.request.lots == 1499
    assert session.snapshot(executor_id).opened_lots == 1499
    warnings = [notice.text for notice in session.notices if notice.level == "warning"]
    assert any("max_order_notional" in text for text in warnings)


def test_an_order_for_an_unknown_market_never_comes_about() -> None:
    session = session_with()
    result = session.act(
        "create",
        executor_type="position_executor",
        config={"connector_name": "sim", "trading_pair": "ZZZ-USDT", "side": "BUY", "amount": "1"},
    )
    assert not result.ok
    assert "ZZZ-USDT" in result.message
    assert session.container.order_manager.orders() == ()


def test_with_latency_an_order_arrives_later_and_trades_with_the_quote_of_then() -> None:
    session = session_with(broker={"latency_ms": 400})
    session.create()
    (order,) = session.container.order_manager.orders()
    assert order.is_open
    effects = session.quote(1.2, "100.99", "101.01")
    assert not effects.fills
    effects = session.quote(1.5, "109.99", "110.01")
    (fill,) = effects.fills
    assert fill.ticks == 10101


def test_the_timer_lets_an_order_land_without_a_quote() -> None:
    session = session_with(broker={"latency_ms": 400})
    session.create()
    (fill,) = session.timer(2).fills
    assert fill.ticks == 10001


def test_what_an_open_order_locks_is_given_back_at_its_end() -> None:
    session = session_with()
    budget_before = session.published().account.cash
    executor_id = session.create(
        entry_price="90", triple_barrier_config={"open_order_type": "LIMIT"}
    )
    too_much = {"amount": "1100", "entry_price": "90"}
    poor = session.create(triple_barrier_config={"open_order_type": "LIMIT"}, **too_much)
    assert session.snapshot(poor).close_type is None
    session.act("stop", executor_id=poor)
    session.act("stop", executor_id=executor_id)
    assert all(not order.is_open for order in session.container.order_manager.orders())
    assert session.published().account.cash == budget_before
    rich = session.create(triple_barrier_config={"open_order_type": "LIMIT"}, **too_much)
    assert session.snapshot(rich).close_type is None


@pytest.mark.parametrize("kind", [BusKind.ORDER, BusKind.CANCEL])
def test_a_foreign_payload_on_the_order_route_is_an_error(kind: BusKind) -> None:
    session = session_with()
    bus = session.container._scope.bus
    bus.publish(kind, "buy!", market=MARKET)
    with pytest.raises(TypeError, match="carries str"):
        bus.drain()


def test_a_cancel_of_an_order_that_is_gone_changes_nothing() -> None:
    session = session_with()
    executor_id = session.create(
        entry_price="90", triple_barrier_config={"open_order_type": "LIMIT"}
    )
    session.act("stop", executor_id=executor_id)
    (order,) = session.container.order_manager.orders()
    assert order.status is OrderStatus.CANCELLED
    session.act("stop", executor_id=executor_id)
    assert session.container.order_manager.orders() == (order,)


def test_cash_and_position_follow_the_fills() -> None:
    session = session_with()
    session.create()
    account = session.container.portfolio.account_snapshot()
    assert account.fees == Decimal("0.10001")
    assert account.cash["USDT"] == Decimal(100_000) - Decimal("0.10001")
    assert account.unrealised == Decimal("-0.02")
