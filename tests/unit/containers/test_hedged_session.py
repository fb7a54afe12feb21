"""A perpetual in HEDGE mode: a long and a short position of one market, side by side."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.model.funding import FundingRate
from engine.model.orders import OrderState, PositionSide, TradeType
from engine.portfolio.snapshots import PositionSnapshot
from engine.testing.small_session import HEDGED, SmallSession, small_plan

WIDE = {"open_order_type": "MARKET", "stop_loss": "0.5"}


@pytest.fixture
def session() -> SmallSession:
    played = SmallSession(small_plan(markets=(HEDGED,)))
    played.begin()
    played.quote(1, "9.99", "10.01", HEDGED)
    return played


def opened(session: SmallSession, side: str, amount: str) -> str:
    return session.create(
        connector_name="hedge", side=side, amount=amount, triple_barrier_config=WIDE
    )


def positions(session: SmallSession) -> dict[PositionSide, PositionSnapshot]:
    account = session.container.portfolio.account_snapshot()
    return {one.side: one for one in account.positions if one.market == HEDGED}


def order(session: SmallSession, side: str, amount: str, action: str = "CLOSE") -> str:
    result = session.act(
        "create",
        executor_type="order_executor",
        config={
            "connector_name": "hedge",
            "trading_pair": "AAA-USDT",
            "side": side,
            "amount": amount,
            "position_action": action,
            "execution_strategy": "MARKET",
        },
    )
    assert result.executor_id is not None, result.message
    return result.executor_id


def test_a_long_and_a_short_stand_side_by_side(session: SmallSession) -> None:
    opened(session, "BUY", "2")
    opened(session, "SELL", "1")
    held = positions(session)
    assert held[PositionSide.LONG].amount == 2
    assert held[PositionSide.LONG].entry_price == Decimal("10.01")
    assert held[PositionSide.SHORT].amount == -1
    assert held[PositionSide.SHORT].entry_price == Decimal("9.99")
    assert session.container.portfolio.net_lots(HEDGED) == 1000
    assert session.container.portfolio.side_lots(HEDGED) == (2000, 1000)
    # Each needs its own collateral: (2 + 1) x 10 at leverage 1.
    assert session.container.portfolio.account_snapshot().margin_used == 30
    assert session.container.differences() == ()


def test_profit_belongs_to_the_position_that_made_it(session: SmallSession) -> None:
    first, second = opened(session, "BUY", "2"), opened(session, "SELL", "1")
    session.quote(2, "10.99", "11.01", HEDGED)
    held = positions(session)
    assert held[PositionSide.LONG].unrealised == Decimal("1.98")
    assert held[PositionSide.SHORT].unrealised == Decimal("-1.01")
    session.act("stop", executor_id=first)
    held = positions(session)
    assert held[PositionSide.LONG].amount == 0
    assert held[PositionSide.LONG].realised == 2 * (Decimal("10.99") - Decimal("10.01"))
    assert held[PositionSide.SHORT].amount == -1
    assert held[PositionSide.SHORT].realised == 0
    session.act("stop", executor_id=second)
    assert positions(session)[PositionSide.SHORT].realised == Decimal("9.99") - Decimal("11.01")
    assert session.container.differences() == ()


def test_position_holds_have_a_bucket_for_each_side(session: SmallSession) -> None:
    for executor_id in (opened(session, "BUY", "2"), opened(session, "SELL", "1")):
        session.act("stop", executor_id=executor_id, keep_position=True)
    buckets = session.container.orchestrator.get_positions_report()["main"]
    assert [(one.bucket_side, one.position_side, one.amount) for one in buckets] == [
        (TradeType.BUY, PositionSide.LONG, Decimal(2)),
        (TradeType.SELL, PositionSide.SHORT, Decimal(1)),
    ]
    assert dict(session.container.held_lots()) == {
        (HEDGED, PositionSide.LONG): 2000,
        (HEDGED, PositionSide.SHORT): -1000,
    }
    session.quote(2, "10.99", "11.01", HEDGED)
    order(session, "SELL", "2")
    long, short = session.container.orchestrator.get_positions_report()["main"]
    assert (long.amount, long.realized_pnl_quote) == (Decimal(0), Decimal("1.96"))
    assert short.amount == 1
    assert positions(session)[PositionSide.LONG].amount == 0
    assert positions(session)[PositionSide.SHORT].amount == -1
    assert session.container.differences() == ()


def test_a_close_never_opens(session: SmallSession) -> None:
    opened(session, "BUY", "2")
    order(session, "SELL", "3")
    close = next(one for one in session.container.order_manager.orders() if one.request.is_closing)
    assert (close.filled_lots, close.state) == (2000, OrderState.CANCELED)
    assert session.container.portfolio.side_lots(HEDGED) == (0, 0)


def test_a_close_without_a_position_is_rejected(session: SmallSession) -> None:
    opened(session, "SELL", "2")
    order(session, "SELL", "1")
    last = session.container.order_manager.orders()[-1]
    assert last.state is OrderState.FAILED
    assert "there is no position that a SELL could reduce" in last.reason
    assert session.container.portfolio.side_lots(HEDGED) == (0, 2000)


def test_an_order_that_opens_needs_margin_whatever_the_other_side_holds() -> None:
    played = SmallSession(
        small_plan(
            markets=(HEDGED,),
            sections={"account": {"currency": "USDT", "initial_balance": "50"}},
        )
    )
    played.begin()
    played.quote(1, "9.99", "10.01", HEDGED)
    opened(played, "BUY", "4")
    second = played.snapshot(opened(played, "SELL", "4"))
    assert second.is_done
    assert second.close_type is not None
    assert second.close_type.name == "INSUFFICIENT_BALANCE"


def test_a_session_that_ends_flat_closes_both_positions(session: SmallSession) -> None:
    opened(session, "BUY", "2")
    opened(session, "SELL", "1")
    session.stop(2)
    assert session.container.portfolio.side_lots(HEDGED) == (0, 0)
    assert session.container.is_stopped


def test_a_flatten_closes_each_position_with_an_order_of_its_own(session: SmallSession) -> None:
    for executor_id in (opened(session, "BUY", "2"), opened(session, "SELL", "1")):
        session.act("stop", executor_id=executor_id, keep_position=True)
    session.container.flatten("kill")
    assert session.container.portfolio.side_lots(HEDGED) == (0, 0)
    closes = [one.request.client_order_id for one in session.container.order_manager.orders()][-2:]
    assert [one.rpartition("-")[2] for one in closes] == ["LONG", "SHORT"]


def test_funding_of_equal_positions_cancels_out(session: SmallSession) -> None:
    opened(session, "BUY", "2")
    opened(session, "SELL", "1")
    session.apply(FundingRate(HEDGED, session.container.clock.now_ns(), 1_000_000))
    assert session.container.portfolio.account_snapshot().funding == Decimal("-0.01")
    assert positions(session)[PositionSide.LONG].funding == Decimal("-0.01")
    opened(session, "SELL", "1")
    session.apply(FundingRate(HEDGED, session.container.clock.now_ns(), 1_000_000))
    assert session.container.portfolio.account_snapshot().funding == Decimal("-0.01")
    assert session.container.differences() == ()
