"""A controller that raises, floods or names what is not its own harms nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import pytest

from engine.containers.controller_host import ACTIONS_ALLOWED
from engine.executors.actions import ActionCode
from engine.strategies.controller import (
    ControllerContext,
    ControllerProposal,
    CreateProposal,
    StopProposal,
    UpdateProposal,
)
from engine.testing.small_session import SmallSession, small_plan

CONFIG: dict[str, object] = {
    "connector_name": "sim",
    "trading_pair": "AAA-USDT",
    "side": "BUY",
    "amount": "1",
    "triple_barrier_config": {"open_order_type": "MARKET", "stop_loss": "0.3"},
}


class Foreign:
    """A controller that returns whatever the given function does."""

    def __init__(self, answer: Callable[[ControllerContext], Any]) -> None:
        self.controller_id = "bad"
        self._answer = answer

    def on_tick(self, context: ControllerContext) -> list[ControllerProposal]:
        answer: list[ControllerProposal] = self._answer(context)
        return answer


class Decent:
    """Keeps one executor."""

    controller_id = "good"

    def __init__(self) -> None:
        self.seen: list[tuple[str, ...]] = []

    def on_tick(self, context: ControllerContext) -> list[ControllerProposal]:
        self.seen.append(tuple(facts.id for facts in context.executors))
        return [] if context.executors else [CreateProposal("position_executor", CONFIG)]


def begin(bad: Foreign, good: Decent) -> SmallSession:
    """Start a session in which the decent controller is asked first."""
    session = SmallSession(small_plan(controllers=[good, bad]))
    session.begin()
    session.quote(0.5, "9.99", "10.01")
    return session


def raising(_: ControllerContext) -> Any:
    raise RuntimeError("no")


def raising_midway(_: ControllerContext) -> Iterator[ControllerProposal]:
    yield CreateProposal("position_executor", CONFIG)
    raise RuntimeError("no")


@pytest.mark.parametrize("answer", [raising, raising_midway])
def test_one_that_raises_does_nothing_and_is_told(answer: Callable[..., Any]) -> None:
    good = Decent()
    session = begin(Foreign(answer), good)
    told = [notice.text for second in range(1, 8) for notice in session.timer(second).notices]
    assert sum("controller bad failed: RuntimeError: no" in text for text in told) == 3
    assert session.container.executor_count == 1
    assert len(good.seen) == 7


def test_a_flood_is_bounded_and_told_once_until_it_ends() -> None:
    waves = iter([True, True, False, True])
    good = Decent()

    def answer(_: ControllerContext) -> Any:
        return repeat(StopProposal("nobody")) if next(waves) else []

    session = begin(Foreign(answer), good)
    ticks = [session.timer(second) for second in range(1, 5)]
    bad = [[action for action in tick.actions if action[0] == "bad"] for tick in ticks]
    assert list(map(len, bad)) == [ACTIONS_ALLOWED, ACTIONS_ALLOWED, 0, ACTIONS_ALLOWED]
    told = [[text for text in texts(tick) if "more than 100 actions" in text] for tick in ticks]
    assert list(map(len, told)) == [1, 0, 0, 1]
    assert "the rest is ignored" in told[0][0]
    assert len(good.seen) == 4


def texts(effects: Any) -> list[str]:
    return [notice.text for notice in effects.notices]


def stop(executor_id: str) -> ControllerProposal:
    return StopProposal(executor_id)


def update(executor_id: str) -> ControllerProposal:
    return UpdateProposal(executor_id, {"stop_loss": "0.001"})


@pytest.mark.parametrize("proposal", [stop, update])
def test_a_foreign_executor_cannot_be_touched(
    proposal: Callable[[str], ControllerProposal],
) -> None:
    good = Decent()
    session = begin(Foreign(lambda _: [proposal(good.seen[-1][0])] if good.seen[-1] else []), good)
    session.timer(1)
    before = session.snapshot(session.container.orchestrator.executors()[0].executor_id)
    effects = session.timer(2)
    ((controller_id, _, result),) = effects.actions
    assert (controller_id, result.ok, result.code) == ("bad", False, ActionCode.NOT_FOUND)
    assert any("controller bad has no executor" in text for text in texts(effects))
    assert session.snapshot(before.id) == before


@pytest.mark.parametrize("thing", ["stop everything", None, {"stop": 1}])
def test_what_is_no_proposal_is_refused(thing: object) -> None:
    session = begin(Foreign(lambda _: [thing]), Decent())
    effects = session.timer(1)
    ((_, _, result),) = [action for action in effects.actions if action[0] == "bad"]
    assert not result.ok
    assert "must be a create, stop, update or store" in result.message
    assert session.container.executor_count == 1
