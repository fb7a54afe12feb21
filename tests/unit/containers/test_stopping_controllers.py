"""Somebody outside stops a controller, and lets it go on."""

from __future__ import annotations

import pytest

from engine.containers.inputs import ActionInput, decode, encode
from engine.executors.actions import ActionCode
from engine.strategies.controller import ControllerContext, ControllerProposal, CreateProposal
from engine.testing.small_session import START_NS, SmallSession, small_plan

CONFIG: dict[str, object] = {
    "connector_name": "sim",
    "trading_pair": "AAA-USDT",
    "side": "BUY",
    "amount": "1",
    "triple_barrier_config": {"open_order_type": "MARKET", "stop_loss": "0.3"},
}


class Keeper:
    """Keeps one executor alive."""

    def __init__(self, name: str) -> None:
        self.controller_id = name
        self.asked = 0

    def on_tick(self, context: ControllerContext) -> list[ControllerProposal]:
        self.asked += 1
        active = any(facts.is_active for facts in context.executors)
        return [] if active else [CreateProposal("position_executor", CONFIG)]


def begin(*keepers: Keeper) -> SmallSession:
    session = SmallSession(small_plan(controllers=keepers))
    session.begin()
    session.quote(0.5, "9.99", "10.01")
    session.timer(1)
    session.quote(1.5, "9.99", "10.01")
    return session


def active(session: SmallSession, controller_id: str) -> int:
    executors = session.container.orchestrator.executors(controller_id)
    return sum(executor.is_active for executor in executors)


def test_a_stopped_controller_proposes_nothing_and_its_executors_stop() -> None:
    one, other = Keeper("one"), Keeper("other")
    session = begin(one, other)
    assert active(session, "one") == active(session, "other") == 1
    assert session.container.controller_states() == {"one": "running", "other": "running"}
    result = session.act("stop_controller", controller_id="one")
    assert result.ok
    assert "1 of its executors" in result.message
    assert session.container.controller_states() == {"one": "stopped", "other": "running"}
    asked = one.asked
    for second in range(2, 6):
        session.quote(second, "9.99", "10.01")
        session.timer(second)
    assert one.asked == asked
    assert other.asked > asked
    assert (active(session, "one"), active(session, "other")) == (0, 1)
    assert session.published().account.positions[0].net_lots == 1000


def test_a_stop_may_keep_the_positions() -> None:
    session = begin(Keeper("one"))
    session.act("stop_controller", controller_id="one", keep_position=True)
    session.quote(2, "9.99", "10.01")
    assert active(session, "one") == 0
    assert session.published().account.positions[0].net_lots == 1000


def test_a_stopped_controller_can_go_on() -> None:
    one = Keeper("one")
    session = begin(one)
    session.act("stop_controller", controller_id="one")
    session.quote(2, "9.99", "10.01")
    session.timer(2)
    assert session.act("start_controller", controller_id="one").ok
    session.timer(3)
    session.quote(3.5, "9.99", "10.01")
    assert active(session, "one") == 1


@pytest.mark.parametrize("verb", ["stop_controller", "start_controller"])
def test_an_unknown_controller_is_refused_and_named(verb: str) -> None:
    session = begin(Keeper("one"))
    result = session.act(verb, controller_id="two")
    assert not result.ok
    assert result.code is ActionCode.NO_CONTROLLER
    assert result.message == "there is no controller 'two', there are: one"
    assert session.act(verb).message.startswith("there is no controller ''")


def test_the_wish_can_be_read_back_from_the_journal() -> None:
    item = ActionInput(START_NS, "r", "guard", "stop_controller", {"controller_id": "one"})
    assert decode(*encode(item)) == item
