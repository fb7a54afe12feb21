"""Actions from plain values, and what is said when the values do not fit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.containers.action_builder import ActionRefusedError, build_action
from engine.executors.actions import (
    ActionCode,
    CreateExecutorAction,
    StopExecutorAction,
    StoreExecutorAction,
    UpdateExecutorAction,
)
from engine.executors.factory import load_builtin_executors
from engine.executors.position_config import PositionExecutorConfig, PositionExecutorUpdate
from engine.testing.small_session import SmallSession

CONFIG = {"connector_name": "sim", "trading_pair": "AAA-USDT", "side": "BUY", "amount": "2"}


@pytest.fixture
def executor_id() -> str:
    session = SmallSession()
    session.begin()
    session.quote(1, "9.99", "10.01")
    return session.create()


def refusal(verb: str, **arguments: Any) -> tuple[ActionCode, str]:
    load_builtin_executors()
    with pytest.raises(ActionRefusedError) as caught:
        build_action(verb, arguments)
    assert not caught.value.result.ok
    return caught.value.result.code, caught.value.result.message


def test_create_validates_the_configuration_of_the_type() -> None:
    load_builtin_executors()
    action = build_action("create", {"executor_type": "position_executor", "config": CONFIG})
    assert isinstance(action, CreateExecutorAction)
    assert isinstance(action.executor_config, PositionExecutorConfig)
    assert action.executor_config.amount == Decimal(2)
    assert action.controller_id == "main"


def test_stop_and_store_name_an_executor() -> None:
    stop = build_action("stop", {"executor_id": "x", "keep_position": True, "controller_id": "c"})
    assert stop == StopExecutorAction(controller_id="c", executor_id="x", keep_position=True)
    assert build_action("store", {"executor_id": "x"}) == StoreExecutorAction(executor_id="x")


def test_update_uses_the_update_type_of_the_executor(executor_id: str) -> None:
    action = build_action("update", {"executor_id": executor_id, "changes": {"stop_loss": "0.1"}})
    assert isinstance(action, UpdateExecutorAction)
    assert action.update_data == PositionExecutorUpdate(stop_loss=Decimal("0.1"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"executor_type": "nothing"}, "no executor type 'nothing'; known: position_executor"),
        ({}, "no executor type ''"),
        ({"executor_type": "position_executor"}, "connector_name: is required; trading_pair: "),
        (
            {"executor_type": "position_executor", "config": {**CONFIG, "amount": "x"}},
            "amount: must be a number, got 'x'",
        ),
        (
            {"executor_type": "position_executor", "config": {**CONFIG, "colour": 1}},
            "colour: is not a known field",
        ),
        ({"executor_type": "position_executor", "config": 5}, "config must be a mapping, got 5"),
    ],
)
def test_a_create_that_does_not_fit(arguments: dict[str, Any], said: str) -> None:
    code, message = refusal("create", **arguments)
    assert code is ActionCode.CREATE_FAILED
    assert said in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stop_loss": "-1"}, "stop_loss: must be greater than 0, got -1"),
        ({"nonsense": 1}, "nonsense: is not a known field"),
        ("all", "changes must be a mapping, got 'all'"),
    ],
)
def test_an_update_that_does_not_fit(executor_id: str, changes: object, said: str) -> None:
    code, message = refusal("update", executor_id=executor_id, changes=changes)
    assert code is ActionCode.UPDATE_REJECTED
    assert said in message


def test_an_update_of_nobody() -> None:
    assert refusal("update", executor_id="nobody") == (
        ActionCode.NOT_FOUND,
        "there is no executor nobody",
    )


@pytest.mark.parametrize("verb", ["stop", "store"])
def test_an_action_without_an_executor(verb: str) -> None:
    code, message = refusal(verb)
    assert code is ActionCode.NOT_FOUND
    assert "executor_id is required" in message


def test_an_unknown_verb() -> None:
    assert refusal("sell") == (ActionCode.NOT_FOUND, "there is no action 'sell'")
