"""A session that ends flat: executors, then what they left behind, then what strategies have."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.containers.inputs import ForceStopInput
from engine.model.orders import OrderType, PositionSide
from engine.model.quotes import QuoteTick
from engine.strategies.signals import Signal, SignalKind
from engine.strategies.strategy import Strategy
from engine.testing.small_session import MARKET, OTHER, START_NS, SmallSession, small_plan

ORDER = {
    "connector_name": "sim",
    "trading_pair": "AAA-USDT",
    "execution_strategy": "MARKET",
}


@pytest.fixture
def session() -> SmallSession:
    played = SmallSession()
    played.begin()
    played.quote(1, "9.99", "10.01")
    return played


def order(session: SmallSession, side: str, amount: str, controller_id: str = "main") -> None:
    config = {**ORDER, "side": side, "amount": amount}
    result = session.act(
        "create", executor_type="order_executor", config=config, controller_id=controller_id
    )
    assert result.ok, result.message


def test_what_was_held_is_closed_and_its_result_realized(session: SmallSession) -> None:
    order(session, "BUY", "2")
    session.act("stop", executor_id=session.create(amount="1"), keep_position=True)
    session.quote(2, "10.99", "11.01")
    session.stop(3)
    assert session.container.is_stopped
    assert session.container.portfolio.net_lots(MARKET) == 0
    assert dict(session.container.held_lots()) == {(MARKET, PositionSide.BOTH): 0}
    report = session.container.orchestrator.get_all_reports()["main"]
    (position,) = report.positions
    # 3 bought at 10.01 and sold at 10.99; fees of 0.05 % of both.
    assert position.realized_pnl_quote == Decimal("2.94")
    assert position.cum_fees_quote == (Decimal("30.03") + Decimal("32.97")) * Decimal("0.0005")
    assert report.performance.realized_pnl_quote == Decimal("2.94") - position.cum_fees_quote
    assert report.performance.unrealized_pnl_quote == 0
    account = session.container.portfolio.account_snapshot()
    assert account.equity - account.initial_equity == report.performance.global_pnl_quote
    assert session.container.differences() == ()


def test_executors_end_first_and_what_they_hand_over_is_closed_too(session: SmallSession) -> None:
    result = session.act(
        "create",
        executor_type="twap_executor",
        config={
            "connector_name": "sim",
            "trading_pair": "AAA-USDT",
            "side": "SELL",
            "total_amount_quote": "100",
            "total_duration": 60,
            "order_interval": 20,
        },
    )
    assert result.ok
    session.create(amount="3")
    assert session.container.portfolio.net_lots(MARKET) != 0
    session.stop(2)
    assert session.container.is_stopped
    assert session.container.portfolio.net_lots(MARKET) == 0
    assert session.container.differences() == ()
    closers = [
        one for one in session.published().executors.values() if one.type == "order_executor"
    ]
    assert len(closers) == 1


def test_every_controller_closes_its_own_hold(session: SmallSession) -> None:
    order(session, "BUY", "2", "one")
    order(session, "SELL", "2", "two")
    assert session.container.portfolio.net_lots(MARKET) == 0
    session.stop(2)
    reports = session.container.orchestrator.get_all_reports()
    assert [reports[name].positions[0].amount for name in ("one", "two")] == [0, 0]
    assert [reports[name].positions[0].realized_pnl_quote for name in ("one", "two")] == [
        Decimal("-0.04"),
        Decimal("-0.04"),
    ]


def test_positions_that_are_kept_stay_held(session: SmallSession) -> None:
    order(session, "BUY", "2")
    session.stop(2, keep_positions=True)
    assert session.container.is_stopped
    assert session.container.portfolio.net_lots(MARKET) == 2000


def test_too_little_for_an_order_stays_held_and_is_told(session: SmallSession) -> None:
    order(session, "BUY", "0.003")
    order(session, "SELL", "0.002")
    session.stop(2)
    assert session.container.is_stopped
    assert session.container.portfolio.net_lots(MARKET) == 1
    told = [one.text for one in session.notices]
    assert "0.001 sim:AAA-USDT is too little for an order, it stays held by main" in told


def test_a_hold_without_a_price_is_given_up_in_time() -> None:
    played = SmallSession()
    played.begin()
    played.quote(1, "9.99", "10.01")
    order(played, "BUY", "2")
    played.apply(QuoteTick(MARKET, START_NS + 10**9, 0, 0, 0, 0))
    played.stop(2)
    assert not played.container.is_stopped
    for second in range(3, 40):
        played.timer(second)
    assert played.container.is_stopped
    assert played.container.portfolio.net_lots(MARKET) == 2000
    assert played.container.differences() == ()


def test_a_forced_stop_closes_nothing_more(session: SmallSession) -> None:
    order(session, "BUY", "2")
    session.apply(ForceStopInput(session.container.clock.now_ns()))
    assert session.container.is_stopped
    assert session.container.portfolio.net_lots(MARKET) == 2000


class BuyAndRest(Strategy):
    """Buys 3 at market and wants to buy one more far below."""

    def on_quote(self, quote: QuoteTick) -> None:
        net = self.ctx.net_lots(OTHER)
        if not net:
            self.ctx.signal(Signal(OTHER, SignalKind.TARGET_QTY, Decimal(3)))
        elif net == 3000:
            order, limit = OrderType.LIMIT, Decimal(5)
            self.ctx.signal(
                Signal(OTHER, SignalKind.TARGET_QTY, Decimal(4), order_type=order, limit=limit)
            )


@pytest.mark.parametrize("keep", [True, False])
def test_what_a_strategy_holds_is_closed_unless_it_is_kept(*, keep: bool) -> None:
    played = SmallSession(small_plan(strategies=[(OTHER, BuyAndRest())]))
    played.begin()
    for second in (1, 2):
        played.quote(second, "9.99", "10.01", OTHER)
    assert played.container.portfolio.net_lots(OTHER) == 3000
    assert [one.request.lots for one in played.container.order_manager.open_orders()] == [1000]
    order_of_executor = played.create(trading_pair="BBB-USDT", side="SELL", amount="1")
    assert played.container.portfolio.net_lots(OTHER) == 2000
    played.stop(4, keep_positions=keep)
    assert played.snapshot(order_of_executor).is_done
    assert played.container.is_stopped
    # What is kept is kept as executors keep it: the short of the executor too.
    assert played.container.portfolio.net_lots(OTHER) == (2000 if keep else 0)
    assert played.container.order_manager.open_orders() == ()
