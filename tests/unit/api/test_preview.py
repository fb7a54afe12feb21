"""What a position would mean in prices and money, against numbers worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.api.preview import position_preview
from engine.executors.order_config import OrderExecutorConfig
from engine.executors.position_config import PositionExecutorConfig
from engine.executors.progressive_config import ProgressiveExecutorConfig
from engine.testing.small_session import MARKET, SPOT, SmallSession, small_plan

BARRIERS: dict[str, object] = {"open_order_type": "MARKET"}


@pytest.fixture
def session() -> SmallSession:
    session = SmallSession(small_plan(markets=(MARKET, SPOT)))
    session.begin()
    session.quote(1, "99.90", "100.00")
    session.quote(1, "9.99", "10.00", SPOT)
    return session


def config(barriers: dict[str, object] | None = None, **changes: Any) -> PositionExecutorConfig:
    values = {
        "connector_name": "sim",
        "trading_pair": "AAA-USDT",
        "side": "BUY",
        "amount": "10",
        "triple_barrier_config": BARRIERS | (barriers or {}),
        **changes,
    }
    return PositionExecutorConfig.model_validate(values)


def preview(session: SmallSession, subject: Any, **known: Decimal) -> dict[str, str]:
    return dict(position_preview(session.published(), subject, **known))


def test_a_market_buy_by_hand(session: SmallSession) -> None:
    barriers = {
        "stop_loss": "0.02",
        "take_profit": "0.03",
        "time_limit": 300,
        "trailing_stop": {"activation_price": "0.01", "trailing_delta": "0.005"},
    }
    # Bought at the ask for 1,000; the entry fee of 0.05 % moves every level by 0.05.
    assert preview(session, config(barriers)) == {
        "order": "BUY 10 AAA ≈ 1,000.00 USDT",
        "entry": "100.00 MARKET",
        "needs": "1,000.50 of 100,000.00 USDT free",
        "fees": "≈ 1.00 in and out",
        "stop loss": "98.05  -20.00 USDT",
        "take profit": "103.05  +30.00 USDT",
        "trailing from": "101.06",
        "time limit": "300 s",
    }


def test_a_limit_sell_by_hand(session: SmallSession) -> None:
    barriers: dict[str, object] = {
        "open_order_type": "LIMIT",
        "stop_loss": "0.02",
        "take_profit": "0.03",
    }
    # Rests at the ask as maker (0.02 %); the budget check reckons with the taker fee.
    assert preview(session, config(barriers, side="SELL", leverage=5)) == {
        "order": "SELL 10 AAA ≈ 1,000.00 USDT",
        "entry": "100.00 LIMIT",
        "needs": "200.50 of 100,000.00 USDT free",
        "fees": "≈ 0.70 in and out",
        "stop loss": "101.98  -20.00 USDT",
        "take profit": "96.98  +30.00 USDT",
    }


@pytest.mark.parametrize(
    ("open_order_type", "asked", "shown"),
    [
        ("LIMIT", None, "99.90 LIMIT"),
        ("LIMIT", "95.5", "95.5 LIMIT"),
        ("LIMIT_MAKER", "95.5", "95.5 LIMIT_MAKER"),
        ("MARKET", "95.5", "100.00 MARKET"),
    ],
)
def test_where_the_entry_is_expected(
    session: SmallSession, open_order_type: str, asked: str | None, shown: str
) -> None:
    subject = config({"open_order_type": open_order_type}, entry_price=asked)
    assert preview(session, subject)["entry"] == shown


def test_a_known_entry_is_the_basis(session: SmallSession) -> None:
    shown = preview(session, config({"stop_loss": "0.1"}), entry=Decimal(50))
    assert shown["entry"] == "50 MARKET"
    large = preview(session, config({}), entry=Decimal("64480.40"))
    assert large["entry"] == "64,480.40 MARKET"
    assert shown["stop loss"].startswith("45.02 ")


def test_a_balance_that_is_too_small_is_said(session: SmallSession) -> None:
    shown = preview(session, config(amount="2000"))
    assert shown["needs"] == "200,100.00 of 100,000.00 USDT free"
    assert shown["⚠ balance"] == "100,100.00 USDT short: it would end at once"
    assert "⚠ balance" not in preview(session, config(amount="2000", leverage=10))


def test_what_open_orders_lock_is_not_free(session: SmallSession) -> None:
    session.create(
        amount="100", entry_price="90", triple_barrier_config={"open_order_type": "LIMIT"}
    )
    # 9,000 and a taker fee of 4.50 are locked.
    assert preview(session, config())["needs"] == "1,000.50 of 90,995.50 USDT free"


def spot(**changes: Any) -> PositionExecutorConfig:
    return config(connector_name="shop", trading_pair="CCC-USDT", **changes)


def test_a_spot_sell_needs_the_base(session: SmallSession) -> None:
    shown = preview(session, spot(side="SELL"))
    assert shown["needs"] == "10 of 0 CCC free"
    assert shown["⚠ balance"] == "10 CCC short: it would end at once"


def test_a_spot_buy_has_no_leverage(session: SmallSession) -> None:
    shown = preview(session, spot(leverage=10))
    assert shown["needs"] == "100.05 of 100,000.00 USDT free"


def test_before_the_first_quote_there_is_nothing_to_say() -> None:
    assert preview(SmallSession(), config()) == {"market": "no quote yet"}


def test_a_market_that_is_not_there_has_no_quote(session: SmallSession) -> None:
    assert preview(session, config(trading_pair="ZZZ-USDT")) == {"market": "no quote yet"}


def test_a_ladder_arms_like_a_trailing_stop(session: SmallSession) -> None:
    values = config().model_dump(exclude={"type"}) | {
        "triple_barrier_config": {
            "open_order_type": "MARKET",
            "trailing_stop": {"activation_pnl_pct": "0.01", "trailing_pct": "0.005"},
        }
    }
    subject = ProgressiveExecutorConfig.model_validate(values)
    assert preview(session, subject)["trailing from"] == "101.06"


def test_other_configurations_have_no_position_to_preview(session: SmallSession) -> None:
    subject = OrderExecutorConfig.model_validate(
        {
            "connector_name": "sim",
            "trading_pair": "AAA-USDT",
            "side": "BUY",
            "amount": "1",
            "execution_strategy": "MARKET",
        }
    )
    assert preview(session, subject) == {}
