"""Rows equal what the core says: executors, orders, fills, positions, markets, performance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from engine.api.executor_views import executor_detail, executor_row
from engine.api.order_views import display_price, fill_row, order_row, position_row
from engine.api.session_views import market_row, performance_view, session_row
from engine.live.published import PublishedSession
from engine.model.clock import SECOND_NS
from engine.model.funding import FundingRate
from engine.model.orders import PositionSide
from engine.strategies.signals import Signal, SignalKind
from engine.strategies.strategy import Strategy
from engine.testing.small_session import (
    MARKET,
    OTHER,
    START_NS,
    SmallSession,
    instrument_of,
    small_plan,
)


@pytest.fixture
def session() -> SmallSession:
    session = SmallSession()
    session.begin()
    session.quote(1, "99.99", "100.01")
    session.quote(1, "49.99", "50.01", OTHER)
    return session


def in_every_state(session: SmallSession) -> Iterator[tuple[str, str]]:
    """Yield (what it is, executor id) of executors in many states."""
    yield "long", session.create()
    yield "short", session.create(side="SELL", amount="1.234")
    yield (
        "resting",
        session.create(
            entry_price="90", triple_barrier_config={"open_order_type": "LIMIT", "stop_loss": "0.1"}
        ),
    )
    stopped = session.create(amount="3")
    session.act("stop", executor_id=stopped, keep_position=False)
    yield "flattened", stopped
    kept = session.create(amount="4")
    session.act("stop", executor_id=kept, keep_position=True)
    yield "kept", kept
    yield "poor", session.create(amount="5000")


def published_at(session: SmallSession, bid: str, ask: str) -> PublishedSession:
    session.quote(2, bid, ask)
    return session.published()


def test_rows_have_the_money_of_the_executor_info(session: SmallSession) -> None:
    executors = dict(in_every_state(session))
    published = published_at(session, "100.49", "100.53")
    for what, executor_id in executors.items():
        executor = session.container.orchestrator.find(executor_id)
        assert executor is not None
        info = executor.executor_info
        row = executor_row(published.executors[executor_id], published)
        assert row.net_pnl_quote == info.net_pnl_quote, what
        assert row.net_pnl_pct == info.net_pnl_pct, what
        assert row.fees_quote == info.cum_fees_quote, what
        assert row.volume_quote == info.filled_amount_quote, what
        assert row.lifecycle == info.lifecycle.value, what
        assert row.close_type == (info.close_type.name if info.close_type else None), what
    assert {published.executors[one].close_type for one in executors.values()} != {None}


def test_a_row_by_hand(session: SmallSession) -> None:
    executor_id = session.create()
    published = published_at(session, "100.49", "100.53")
    row = executor_row(published.executors[executor_id], published)
    assert (row.type, row.side, row.lifecycle, row.close_type) == (
        "position",
        "BUY",
        "running",
        None,
    )
    assert (row.amount, row.filled_amount) == (Decimal(2), Decimal(2))
    assert (row.entry_price, row.mark_price) == (Decimal("100.01"), Decimal("100.49"))
    # 2 x (100.49 - 100.01), minus the entry fee of 0.05 % of 200.02
    assert row.net_pnl_quote == Decimal("0.96") - Decimal("0.10001")
    assert row.net_pnl_pct == row.net_pnl_quote / Decimal("200.02")
    assert row.age_s == 1.0


def test_the_trend_is_the_result_in_quote(session: SmallSession) -> None:
    executor_id = session.create()
    published = published_at(session, "102.00", "102.02")
    trend = executor_row(published.executors[executor_id], published).trend
    assert trend == pytest.approx((-0.02 - 0.10001, 2 * 2.0 - 0.10001))


def test_nothing_filled_has_no_trend_and_no_price(session: SmallSession) -> None:
    executor_id = session.create(
        entry_price="90", triple_barrier_config={"open_order_type": "LIMIT"}
    )
    published = session.published()
    row = executor_row(published.executors[executor_id], published)
    assert (row.trend, row.filled_amount, row.net_pnl_quote) == ((), Decimal(0), Decimal(0))
    assert row.entry_price == Decimal("90.00")


@pytest.mark.parametrize(
    ("side", "stop_is_below", "bid", "ask"),
    [("BUY", True, "100.49", "100.53"), ("SELL", False, "99.49", "99.53")],
)
def test_distances_have_the_sign_of_the_way_to_go(
    session: SmallSession, side: str, stop_is_below: bool, bid: str, ask: str
) -> None:
    executor_id = session.create(side=side)
    published = published_at(session, bid, ask)
    detail = executor_detail(published.executors[executor_id], published)
    barriers = {barrier.kind: barrier for barrier in detail.barriers}
    mark = detail.row.mark_price
    assert mark == Decimal(bid if side == "BUY" else ask)
    for barrier in barriers.values():
        assert barrier.price is not None
        assert barrier.distance_pct == (barrier.price - mark) / mark
    stop, gain = barriers["stop_loss"].distance_pct, barriers["take_profit"].distance_pct
    assert stop is not None
    assert gain is not None
    assert (stop < 0) is stop_is_below
    assert (gain > 0) is stop_is_below
    assert barriers["stop_loss"].name == "stop loss"


def test_a_detail_tells_the_whole_story(session: SmallSession) -> None:
    other = session.create(side="SELL")
    executor_id = session.create(
        triple_barrier_config={"open_order_type": "MARKET", "stop_loss": "0.02", "time_limit": 60}
    )
    session.act("stop", executor_id=executor_id)
    published = session.published()
    detail = executor_detail(published.executors[executor_id], published)
    assert [order.role for order in detail.orders] == ["close", "entry"]
    assert [fill.role for fill in detail.fills] == ["close", "entry"]
    assert {order.executor_id for order in detail.orders} == {executor_id}
    assert other not in {fill.executor_id for fill in detail.fills}
    assert detail.timeline
    assert detail.updatable
    assert detail.barriers == ()
    assert dict(detail.info)["remaining amount"] == "0.000"
    config = {field.name: field for field in detail.config}
    assert config["triple_barrier_config.stop_loss"].value == "0.02"
    assert not config["triple_barrier_config.stop_loss"].is_default
    assert config["triple_barrier_config.take_profit"].value == "off"
    assert config["leverage"].is_default
    assert "id" not in config


def test_time_limits_are_instants(session: SmallSession) -> None:
    executor_id = session.create(
        triple_barrier_config={"open_order_type": "MARKET", "time_limit": 60}
    )
    published = session.published()
    (barrier,) = executor_detail(published.executors[executor_id], published).barriers
    assert barrier.at_ns == START_NS + 61 * SECOND_NS
    assert (barrier.price, barrier.distance_pct) == (None, None)


def test_a_terminated_executor_keeps_its_result_and_age(session: SmallSession) -> None:
    executor_id = session.create()
    session.quote(3, "100.49", "100.53")
    session.act("stop", executor_id=executor_id)
    before = session.published()
    row = executor_row(before.executors[executor_id], before)
    session.quote(500, "10.00", "10.02")
    after = session.published()
    assert executor_row(after.executors[executor_id], after) == row
    assert row.age_s == 2.0


def test_an_average_price_is_rounded_for_display(session: SmallSession) -> None:
    session.create(amount="1.5")
    (order,) = session.container.order_manager.orders()
    row = order_row(order, instrument_of(MARKET))
    assert (row.state, row.order_type, row.price) == ("filled", "MARKET", None)
    assert row.average_price == Decimal("100.010")
    uneven = replace(order, filled_lots=3, filled_atoms=30_004_000)
    assert order_row(uneven, instrument_of(MARKET)).average_price == Decimal("100.013")
    assert order_row(replace(order, filled_lots=0), instrument_of(MARKET)).average_price is None
    assert display_price(None, instrument_of(MARKET)) is None


def test_fills_and_positions(session: SmallSession) -> None:
    executor_id = session.create(side="SELL")
    kept = session.create(side="SELL", amount="1")
    session.act("stop", executor_id=kept, keep_position=True)
    published = session.published()
    row = fill_row(published.fills[0], instrument_of(MARKET))
    assert (row.executor_id, row.side, row.price, row.amount) == (
        executor_id,
        "SELL",
        Decimal("99.99"),
        Decimal(2),
    )
    assert (row.quote, row.fee_quote, row.is_maker) == (
        Decimal("199.98"),
        Decimal("0.09999"),
        False,
    )
    position = published.account.positions[0]
    line = position_row(position, published.held_lots.get((MARKET, PositionSide.BOTH), 0))
    assert (line.amount, line.held) == (Decimal(-3), Decimal(-1))
    assert (line.entry_price, line.mark_price) == (Decimal("99.99"), Decimal("100.00"))
    assert line.unrealized_pnl == Decimal("-0.03")


class BuyOnce(Strategy):
    """Buys one at the first quote."""

    def on_quote(self, quote: object) -> None:
        del quote
        if not self.ctx.net_lots(MARKET):
            self.ctx.signal(Signal(MARKET, SignalKind.TARGET_QTY, Decimal(1)))


def test_an_order_of_a_strategy_belongs_to_no_executor() -> None:
    session = SmallSession(small_plan(strategies=[(MARKET, BuyOnce())]))
    session.begin()
    session.quote(1, "99.99", "100.01")
    published = session.published()
    (order,) = published.orders.values()
    assert order_row(order, instrument_of(MARKET)).executor_id is None
    assert fill_row(published.fills[0], instrument_of(MARKET)).executor_id is None
    batch = session.built.recorder.take_batch(())
    assert [record.executor_id for record in batch.orders] == [None]
    assert [record.executor_id for record in batch.fills] == [None]
    assert batch.orders[0].role == "strategy"


def test_a_market_row_by_hand(session: SmallSession) -> None:
    session.quote(2.5, "102.00", "102.04")
    markets = session.published().markets
    row = market_row(MARKET, markets[MARKET])
    assert (row.bid, row.ask, row.mid) == (Decimal(102), Decimal("102.04"), Decimal("102.02"))
    assert row.change_pct == Decimal("0.0202")
    assert row.trend == pytest.approx((100.0, 102.02))
    assert row.source_ns is None


def test_a_market_before_its_first_quote() -> None:
    row = market_row(MARKET, SmallSession().published().markets[MARKET])
    assert (row.bid, row.ask, row.mid, row.change_pct, row.quote_ns) == (None,) * 5


def test_the_session_row(session: SmallSession) -> None:
    session.create()
    published = session.published()
    row = session_row(published)
    assert (row.name, row.mode, row.speed, row.currency) == ("main", "paper", "max", "USDT")
    assert row.markets == ("AAA-USDT", "BBB-USDT")
    assert row.equity == row.initial_equity + row.realized_pnl + row.unrealized_pnl - row.fees
    assert row.executors == {"running": 1}


def test_performance_is_the_sum_of_the_reports(session: SmallSession) -> None:
    executors = dict(in_every_state(session))
    session.act("store", executor_id=executors["flattened"])
    session.act(
        "create",
        executor_type="position_executor",
        controller_id="other",
        config={
            "connector_name": "sim",
            "trading_pair": "BBB-USDT",
            "side": "BUY",
            "amount": "1",
            "triple_barrier_config": {"open_order_type": "MARKET"},
        },
    )
    view = performance_view(published_at(session, "100.49", "100.53"))
    reports = session.container.orchestrator.get_all_performance().values()
    assert len(reports) == 2
    assert view.realized_pnl == sum(one.realized_pnl_quote for one in reports)
    assert view.unrealized_pnl == sum(one.unrealized_pnl_quote for one in reports)
    assert view.volume == sum(one.volume_traded for one in reports)
    assert view.fees == sum(one.total_fees_quote for one in reports)
    assert (view.wins, view.losses) == (
        sum(one.wins for one in reports),
        sum(one.losses for one in reports),
    )
    assert (view.active, view.done) == (
        sum(one.active for one in reports),
        sum(one.done for one in reports),
    )
    assert view.global_pnl == view.realized_pnl + view.unrealized_pnl
    assert view.global_pnl_pct == view.global_pnl / view.volume
    assert view.close_types == {
        "EARLY_STOP": 1,
        "INSUFFICIENT_BALANCE": 1,
        "POSITION_HOLD": 1,
    }


def test_performance_before_anything_happened(session: SmallSession) -> None:
    view = performance_view(session.published())
    assert {view.global_pnl, view.global_pnl_pct, view.win_rate} == {Decimal(0)}


def test_funding_is_part_of_the_global_result_and_has_a_place_of_its_own(
    session: SmallSession,
) -> None:
    session.create()
    before = session_row(session.published())
    session.apply(FundingRate(MARKET, session.container.clock.now_ns(), 1_000_000))
    row, view = session_row(session.published()), performance_view(session.published())
    assert row.funding < 0 == before.funding
    assert row.equity == before.equity + row.funding
    assert (row.realized_pnl, row.fees) == (before.realized_pnl, before.fees)
    assert view.funding == row.funding
    assert view.global_pnl == view.realized_pnl + view.unrealized_pnl + view.funding
