"""From a form to a row, for every executor type that is registered."""

from __future__ import annotations

import json

import pytest

from engine.api.executor_forms import check_create, check_update, executor_types
from engine.api.executor_views import executor_detail, executor_row
from engine.executors.factory import ExecutorFactory, load_builtin_executors
from engine.model.instruments import ConnectorPair
from engine.testing.small_session import MARKET, OTHER, SmallSession, small_plan

load_builtin_executors()
FAR = ConnectorPair("far", "AAA-USDT")
TWO_VENUES = {
    "buying_market": str(MARKET),
    "selling_market": str(FAR),
    "order_amount": "1",
    "min_profitability": "0.5%",
}
TYPED = {
    "position_executor": {"amount": "2", "triple_barrier_config.stop_loss": "2%"},
    "progressive_executor": {"amount": "2", "triple_barrier_config.stop_loss": "2%"},
    "order_executor": {"amount": "2", "execution_strategy": "MARKET"},
    "dca_executor": {"amounts_quote": "100, 200", "prices": "99, 98"},
    "grid_executor": {
        "start_price": "95",
        "end_price": "105",
        "limit_price": "90",
        "total_amount_quote": "5k",
        "triple_barrier_config.take_profit": "1%",
    },
    "twap_executor": {
        "total_amount_quote": "1k",
        "total_duration": "10m",
        "order_interval": "1m",
    },
    "arbitrage_executor": TWO_VENUES,
    "xemm_executor": TWO_VENUES | {"target_profitability": "1%", "max_profitability": "2%"},
}


@pytest.fixture
def session() -> SmallSession:
    session = SmallSession(small_plan(markets=(MARKET, OTHER, FAR)))
    session.begin()
    for market in (MARKET, OTHER, FAR):
        session.quote(1, "99.99", "100.01", market)
    return session


def test_every_registered_type_is_covered() -> None:
    assert set(TYPED) == set(ExecutorFactory.registrations())


@pytest.mark.parametrize("type_name", TYPED)
def test_a_form_becomes_an_executor_and_a_row(session: SmallSession, type_name: str) -> None:
    check = check_create(session.published(), type_name, TYPED[type_name])
    assert check.errors == {}
    assert check.preview
    assert all(label and value for label, value in check.preview)
    config = json.loads(json.dumps(check.values, default=str))
    result = session.act("create", executor_type=type_name, config=config)
    assert result.ok, result.message
    executor_id = str(result.executor_id)
    session.quote(2, "99.49", "99.51")
    session.timer(3)
    published = session.published()
    executor = session.container.orchestrator.find(executor_id)
    assert executor is not None
    info = executor.executor_info
    row = executor_row(published.executors[executor_id], published)
    assert row.type == type_name.removesuffix("_executor")
    assert row.lifecycle == info.lifecycle.value
    assert row.net_pnl_quote == info.net_pnl_quote
    assert row.fees_quote == info.cum_fees_quote
    assert row.volume_quote == info.filled_amount_quote
    detail = executor_detail(published.executors[executor_id], published)
    assert detail.timeline
    assert {order.executor_id for order in detail.orders} <= {executor_id}
    assert len(detail.orders) == sum(
        order.request.owner_id == executor_id for order in published.orders.values()
    )
    untouched = check_update(published, published.executors[executor_id], {})
    assert list(untouched.errors) == [""]


@pytest.mark.parametrize("type_name", TYPED)
def test_before_the_first_quote_a_form_can_still_be_checked(type_name: str) -> None:
    session = SmallSession(small_plan(markets=(MARKET, OTHER, FAR)))
    check = check_create(session.published(), type_name, TYPED[type_name])
    assert check.errors == {}
    assert ("market", "no quote yet") in check.preview


@pytest.mark.parametrize("type_name", TYPED)
def test_the_venues_of_the_session_can_be_chosen(session: SmallSession, type_name: str) -> None:
    view = next(one for one in executor_types(session.published()) if one.type == type_name)
    choices = {field.name: field.choices for field in view.fields if field.choices}
    offered = choices.get("connector_name") or choices["buying_market"]
    assert any("far" in choice for choice in offered)
