"""Whatever happens in a session: its books agree, every stop is armed and none is passed."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.testing.small_session import MARKET, SmallSession

PERCENT = st.sampled_from(["0.001", "0.004", "0.01", "0.03"])
BARRIERS = st.fixed_dictionaries(
    {"open_order_type": st.just("MARKET")},
    optional={
        "stop_loss": PERCENT,
        "take_profit": PERCENT,
        "time_limit": st.integers(1, 20),
        "trailing_stop": st.fixed_dictionaries(
            {"activation_price": PERCENT, "trailing_delta": st.sampled_from(["0.0005", "0.002"])}
        ),
    },
)
EXECUTOR = st.fixed_dictionaries(
    {
        "side": st.sampled_from(["BUY", "SELL"]),
        "amount": st.sampled_from(["0.01", "1", "3.7"]),
        "triple_barrier_config": BARRIERS,
    },
    optional={"entry_price": st.sampled_from(["9.97", "10.00", "10.05"])},
)
STEP = st.one_of(
    st.tuples(st.just("quote"), st.integers(-12, 12)),
    st.tuples(st.just("quote"), st.integers(-300, 300)),
    st.tuples(st.just("create"), EXECUTOR),
    st.tuples(st.just("stop"), st.integers(0, 20), st.booleans()),
    st.tuples(st.just("timer")),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, min_size=5, max_size=60))
def test_books_agree_and_stops_hold_after_every_input(steps: list[tuple[Any, ...]]) -> None:
    session = SmallSession()
    session.begin()
    bid, second = 1000, 1
    session.quote(second, "10.00", "10.02")
    for step in steps:
        match step:
            case ("quote", change):
                bid = max(100, bid + change)
                second += 1
                session.quote(second, f"{bid / 100:.2f}", f"{(bid + 2) / 100:.2f}")
            case ("create", config):
                limited = "entry_price" in config
                barriers = dict(config["triple_barrier_config"])
                if limited:
                    barriers["open_order_type"] = "LIMIT"
                session.act(
                    "create",
                    executor_type="position_executor",
                    config={
                        "connector_name": MARKET.connector_name,
                        "trading_pair": MARKET.trading_pair,
                        **config,
                        "triple_barrier_config": barriers,
                    },
                )
            case ("stop", place, keep):
                executors = session.container.orchestrator.executors()
                if executors:
                    chosen = executors[place % len(executors)].executor_id
                    session.act("stop", executor_id=chosen, keep_position=keep)
            case _:
                second += 1
                session.timer(second)
        orchestrator = session.container.orchestrator
        assert session.container.differences() == ()
        assert [one for one in map(orchestrator.stop_fault, orchestrator.executors()) if one] == []
