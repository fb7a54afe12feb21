"""Controllers in a session: facts in, proposals out, failures contained."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from engine.executors.actions import ActionCode, ExecutorAction
from engine.executors.factory import ExecutorFactory
from engine.executors.position_config import PositionExecutorConfig, PositionExecutorUpdate
from engine.executors.status import RunnableStatus
from engine.model.orders import TradeType
from engine.strategies.controller import (
    Controller,
    ControllerContext,
    ControllerProposal,
    CreateProposal,
    StopProposal,
    StoreProposal,
    UpdateProposal,
)
from engine.testing.small_session import MARKET, SmallSession, small_plan

CONFIG: dict[str, object] = {
    "connector_name": "sim",
    "trading_pair": "AAA-USDT",
    "side": "BUY",
    "amount": "2",
    "triple_barrier_config": {"open_order_type": "MARKET"},
}


class Scripted:
    """Asks the given function what to propose."""

    def __init__(
        self, propose: Callable[[ControllerContext], Any], controller_id: str = "one"
    ) -> None:
        self._propose = propose
        self.controller_id = controller_id
        self.contexts: list[ControllerContext] = []

    def on_tick(self, context: ControllerContext) -> list[ControllerProposal]:
        self.contexts.append(context)
        proposals: list[ControllerProposal] = self._propose(context)
        return proposals


def session_with(*controllers: Controller) -> SmallSession:
    session = SmallSession(small_plan(controllers=controllers))
    session.begin()
    session.quote(0.5, "9.99", "10.01")
    return session


def create_once(context: ControllerContext) -> list[ControllerProposal]:
    return [] if context.executors else [CreateProposal("position_executor", CONFIG)]


def test_a_proposal_is_carried_out_and_reported() -> None:
    session = session_with(Scripted(create_once))
    effects = session.timer(1)
    ((controller_id, verb, result),) = effects.actions
    assert (controller_id, verb, result.ok) == ("one", "create", True)
    assert session.container.executor_count == 1
    assert result.executor_id is not None
    assert session.snapshot(result.executor_id).controller_id == "one"
    assert not session.timer(2).actions


def test_a_controller_sees_its_own_executors_only_with_their_money() -> None:
    mine, other = Scripted(create_once), Scripted(lambda _: [], "other")
    session = session_with(mine, other)
    session.timer(1)
    session.quote(1.5, "10.51", "10.53")
    session.timer(2)
    (facts,) = mine.contexts[-1].executors
    assert (facts.connector_name, facts.trading_pair) == ("sim", "AAA-USDT")
    assert (facts.type, facts.side, facts.is_active) == ("position_executor", TradeType.BUY, True)
    assert facts.net_pnl_quote == Decimal("1.00") - Decimal("0.01001")
    assert other.contexts[-1].executors == ()
    assert mine.contexts[-1].draws != other.contexts[-1].draws
    assert mine.contexts[-1].markets.quote(MARKET) is not None


def test_stop_and_update_proposals_reach_the_executor() -> None:
    script: list[Callable[[str], ControllerProposal]] = [
        lambda one: UpdateProposal(one, {"stop_loss": "0.5"}),
        lambda one: StopProposal(one, keep_position=True),
    ]

    def propose(context: ControllerContext) -> list[ControllerProposal]:
        if not context.executors:
            return create_once(context)
        return [script.pop(0)(context.executors[0].id)] if script else []

    session = session_with(Scripted(propose))
    done = [action for second in (1, 2, 3) for action in session.timer(second).actions]
    assert [(verb, result.code) for _, verb, result in done] == [
        ("create", ActionCode.OK),
        ("update", ActionCode.OK),
        ("stop", ActionCode.OK),
    ]
    snapshot = session.snapshot(str(done[0][2].executor_id))
    assert snapshot.close_type is not None
    assert snapshot.close_type.name == "POSITION_HOLD"


@pytest.mark.parametrize(
    ("proposal", "said"),
    [
        (CreateProposal("nothing", CONFIG), "no executor type 'nothing'"),
        (CreateProposal("position_executor", {**CONFIG, "amount": "-1"}), "greater than 0"),
        (CreateProposal("position_executor", {"side": "BUY"}), "amount: is required"),
        (StopProposal("nobody"), "nobody"),
        (UpdateProposal("nobody", {}), "there is no executor nobody"),
    ],
)
def test_a_refused_proposal_is_a_warning(proposal: ControllerProposal, said: str) -> None:
    session = session_with(Scripted(lambda _: [proposal]))
    effects = session.timer(1)
    assert not effects.actions[0][2].ok
    notice = effects.notices[0]
    assert notice.level == "warning"
    assert notice.text.startswith("one: ")
    assert said in notice.text
    assert session.container.executor_count == 0


def fail(_: ControllerContext) -> list[ControllerProposal]:
    raise ZeroDivisionError("nothing to divide")


@pytest.mark.parametrize(
    ("propose", "said"),
    [(fail, "ZeroDivisionError: nothing to divide"), (lambda _: None, "TypeError")],
    ids=["raises", "returns no list"],
)
def test_a_failing_controller_is_paused_and_the_others_go_on(
    propose: Callable[[ControllerContext], Any], said: str
) -> None:
    failing, working = Scripted(propose, "bad"), Scripted(lambda _: [], "good")
    session = session_with(failing, working)
    notices = [notice for second in range(1, 6) for notice in session.timer(second).notices]
    assert [notice.level for notice in notices] == ["error"] * 3
    assert all("controller bad failed" in notice.text and said in notice.text for notice in notices)
    assert "paused after 3 failures in a row" in notices[-1].text
    assert len(failing.contexts) == 3
    assert len(working.contexts) == 5


def test_a_success_between_failures_keeps_a_controller_going() -> None:
    answers = iter([True, True, False, True, True, False])

    def propose(context: ControllerContext) -> list[ControllerProposal]:
        return fail(context) if next(answers) else []

    controller = Scripted(propose)
    session = session_with(controller)
    for second in range(1, 7):
        session.timer(second)
    assert len(controller.contexts) == 6


def test_controllers_are_not_asked_while_the_session_stops() -> None:
    controller = Scripted(lambda _: [])
    session = session_with(controller)
    session.stop(1)
    session.timer(2)
    assert controller.contexts == []


def test_the_next_controller_sees_what_the_one_before_it_did() -> None:
    first, second = Scripted(create_once, "same"), Scripted(create_once, "same")
    session = session_with(first, second)
    assert len(session.timer(1).actions) == 1
    assert len(second.contexts[-1].executors) == 1


def test_actions_are_proposals_too_and_belong_to_who_proposes_them() -> None:
    config = PositionExecutorConfig.model_validate(CONFIG)

    def propose(context: ControllerContext) -> list[ControllerProposal]:
        if not context.executors_info:
            return [ExecutorAction.create(config, controller_id="somebody else")]
        (info,) = context.executors_info
        if info.status is RunnableStatus.RUNNING:
            return [ExecutorAction.stop(info.id, keep_position=True)]
        (held,) = context.positions_held
        seen.append((info.controller_id, info.lifecycle, held.amount))
        return [StoreProposal(info.id)]

    seen: list[object] = []
    controller = Scripted(propose)
    session = session_with(controller)
    results = [result for at in (1, 2, 3) for _, _, result in session.timer(at).actions]
    assert [result.code for result in results] == [ActionCode.OK] * 3
    assert seen == [("one", "terminated", Decimal(2))]
    context = controller.contexts[2]
    assert context.performance_report is context.performance
    assert session.container.orchestrator.executors("one") == ()


def test_an_action_about_an_executor_that_is_gone_is_refused() -> None:
    def propose(context: ControllerContext) -> list[ControllerProposal]:
        (info,) = context.executors_info
        update = PositionExecutorUpdate(take_profit=Decimal("0.1"))
        action = ExecutorAction.update(info.id, update)
        ExecutorFactory.forget_executor(info.id)
        return [action, ExecutorAction()]

    session = session_with(Scripted(propose))
    session.act("create", executor_type="position_executor", config=CONFIG, controller_id="one")
    codes = [result.code for _, _, result in session.timer(1).actions]
    assert codes == [ActionCode.NOT_FOUND, ActionCode.NOT_FOUND]
