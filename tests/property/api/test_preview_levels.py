"""The barrier prices of a preview are the ones that the executor then watches."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.api.preview import position_preview
from engine.executors.position_config import PositionExecutorConfig
from engine.testing.small_session import SmallSession

FRACTIONS = st.integers(1, 3000).map(lambda n: Decimal(n).scaleb(-4))


@settings(max_examples=60, deadline=None)
@given(
    bid=st.integers(1_000, 90_000),
    spread=st.integers(1, 9),
    side=st.sampled_from(["BUY", "SELL"]),
    stop_loss=FRACTIONS,
    take_profit=FRACTIONS,
    activation=FRACTIONS,
)
def test_a_preview_shows_the_levels_of_the_core(
    bid: int, spread: int, side: str, stop_loss: Decimal, take_profit: Decimal, activation: Decimal
) -> None:
    session = SmallSession()
    session.begin()
    session.quote(1, str(Decimal(bid).scaleb(-2)), str(Decimal(bid + spread).scaleb(-2)))
    values = {
        "side": side,
        "amount": "100",
        "triple_barrier_config": {
            "open_order_type": "MARKET",
            "stop_loss": stop_loss,
            "take_profit": take_profit,
            "trailing_stop": {"activation_price": activation, "trailing_delta": "0.0001"},
        },
    }
    config = PositionExecutorConfig.model_validate(
        {"connector_name": "sim", "trading_pair": "AAA-USDT", **values}
    )
    shown = dict(position_preview(session.published(), config))
    snapshot = session.snapshot(session.create(**values))
    if snapshot.is_done:
        return
    prices = {one.kind: one.price for one in snapshot.barriers(snapshot.mark_of(None))}
    assert Decimal(shown["stop loss"].split()[0]) == prices["stop_loss"]
    assert Decimal(shown["take profit"].split()[0]) == prices["take_profit"]
    if not snapshot.is_trailing:
        assert Decimal(shown["trailing from"]) == prices["trailing_stop"]
