"""The second look at stops: armed, and not passed without closing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.executors.snapshot import ExecutorSnapshot
from engine.executors.status import RunnableStatus
from engine.executors.stop_check import StopProblem, protective_level, stop_fault
from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.executors.wake_index import WakeIndex
from engine.model.instruments import ConnectorPair
from engine.testing.small_session import MARKET, SmallSession, quote_at

FLAT: dict[str, Any] = {"open_order_type": "MARKET"}


def begin(side: str = "BUY", **barriers: object) -> tuple[SmallSession, str]:
    session = SmallSession()
    session.begin()
    session.quote(1, "10.00", "10.02")
    executor_id = session.create(side=side, triple_barrier_config={**FLAT, **barriers})
    session.quote(2, "10.00", "10.02")
    return session, executor_id


def fault_of(session: SmallSession, executor_id: str) -> object:
    executor = session.container.orchestrator.find(executor_id)
    assert executor is not None
    return session.container.orchestrator.stop_fault(executor)


def always(_: str, __: PriceTrigger) -> bool:
    return True


def never(_: str, __: PriceTrigger) -> bool:
    return False


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_a_healthy_stop_has_no_fault_until_it_has_closed(side: str) -> None:
    session, executor_id = begin(side, stop_loss="0.02")
    step = -0.05 if side == "BUY" else 0.05
    for number in range(12):
        bid = 10.0 + step * number
        session.quote(3 + number, f"{bid:.2f}", f"{bid + 0.02:.2f}")
        assert fault_of(session, executor_id) is None
    assert session.snapshot(executor_id).is_done


def test_an_executor_without_a_stop_is_not_looked_at() -> None:
    session, executor_id = begin(take_profit="0.02")
    snapshot = session.snapshot(executor_id)
    assert protective_level(snapshot) is None
    assert stop_fault(snapshot, None, never) is None


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_a_stop_that_is_not_armed_is_named(side: str) -> None:
    session, executor_id = begin(side, stop_loss="0.02")
    fault = stop_fault(session.snapshot(executor_id), None, never)
    assert fault is not None
    assert fault.problem is StopProblem.UNARMED
    assert f"the stop of executor {executor_id} at " in fault.text


@pytest.mark.parametrize(("side", "bid"), [("BUY", "9.00"), ("SELL", "11.00")])
def test_a_stop_that_was_passed_is_named(side: str, bid: str) -> None:
    session, executor_id = begin(side, stop_loss="0.02")
    quote = quote_at(3, bid, f"{float(bid) + 0.02:.2f}")
    fault = stop_fault(session.snapshot(executor_id), quote, always)
    assert fault is not None
    assert (fault.problem, fault.controller_id) == (StopProblem.PASSED, "main")
    assert "is past its stop" in fault.text


def test_a_trailing_stop_that_is_armed_counts() -> None:
    trailing = {"activation_price": "0.01", "trailing_delta": "0.005"}
    session, executor_id = begin(stop_loss="0.05", trailing_stop=trailing)
    before = protective_level(session.snapshot(executor_id))
    session.quote(3, "10.30", "10.32")
    after = protective_level(session.snapshot(executor_id))
    assert before is not None
    assert after is not None
    assert after > before
    assert fault_of(session, executor_id) is None


def test_one_that_closes_already_is_left_alone() -> None:
    session, executor_id = begin(stop_loss="0.02")
    snapshot: ExecutorSnapshot = replace(
        session.snapshot(executor_id), status=RunnableStatus.SHUTTING_DOWN
    )
    assert stop_fault(snapshot, quote_at(3, "1.00", "1.02"), never) is None


# --- the index -----------------------------------------------------------------------------------


def trigger(level: int, *, above: bool, market: ConnectorPair = MARKET) -> PriceTrigger:
    return PriceTrigger(market, PriceField.BID, is_above=above, level=level)


@pytest.mark.parametrize(
    ("waits", "asked", "watched"),
    [
        (trigger(100, above=False), trigger(100, above=False), True),
        (trigger(110, above=False), trigger(100, above=False), True),
        (trigger(90, above=False), trigger(100, above=False), False),
        (trigger(100, above=True), trigger(100, above=False), False),
        (trigger(100, above=True), trigger(110, above=True), True),
        (trigger(120, above=True), trigger(110, above=True), False),
    ],
)
def test_who_waits_nearer_is_woken_in_time(
    waits: PriceTrigger, asked: PriceTrigger, watched: bool
) -> None:
    index = WakeIndex()
    index.update("a", WakeConditions((waits,)))
    index.update("b", WakeConditions((waits,)))
    assert index.is_watched("a", asked) is watched
    assert not index.is_watched("c", asked)
    index.remove("a")
    assert not index.is_watched("a", asked)
    assert index.is_watched("b", asked) is watched


def test_what_has_fired_waits_no_more() -> None:
    index = WakeIndex()
    index.update("a", WakeConditions((trigger(1000, above=False),)))
    assert index.fire_quote(quote_at(1, "10.00", "10.02")) == ["a"]
    assert not index.is_watched("a", trigger(1000, above=False))
