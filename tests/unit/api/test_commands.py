"""Commands, what they are about, and the JSON that reaches the journal."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from engine.api import commands
from engine.api.command_event import CommandEvent, target_of
from engine.api.commands import (
    AgentCommand,
    BacktestCommand,
    CancelBacktest,
    CancelOptimization,
    Command,
    ControllerCommand,
    CreateExecutor,
    DeleteBacktest,
    HoldOptimization,
    OptimizationCommand,
    PauseAgent,
    ResumeAgent,
    RunAgentNow,
    RunBacktest,
    RunOptimization,
    SetAgentInterval,
    SetAgentPriority,
    StartAgent,
    StartController,
    StopAgent,
    StopController,
    StopExecutor,
    StopSession,
    StoreExecutor,
    UpdateExecutor,
    WritePaperSession,
)
from engine.api.engine import _as_action
from engine.containers.inputs import ActionInput, decode, encode
from engine.flow.errors import OperationError

CREATE = CreateExecutor(session="main", executor_type="position_executor", config={})
STOP = StopExecutor(session="main", executor_id="x-1", keep_position=True)
UPDATE = UpdateExecutor(session="main", executor_id="x-1", changes={"stop_loss": None})
STORE = StoreExecutor(session="main", executor_id="x-1")
END = StopSession(session="main", policy="flatten")
OF_BACKTESTS: tuple[BacktestCommand, ...] = (
    RunBacktest(path="bt.yaml"),
    CancelBacktest(backtest_id="bt-1"),
    DeleteBacktest(backtest_id="bt-1"),
)
OF_STUDIES: tuple[OptimizationCommand, ...] = (
    RunOptimization(path="study.yaml"),
    CancelOptimization(study_id="opt-1"),
    HoldOptimization(study_id="opt-1"),
    WritePaperSession(study_id="opt-1", index=3),
)
OF_AGENTS: tuple[AgentCommand, ...] = (
    StartAgent(session="main", agent_id="a-1"),
    StopAgent(session="main", agent_id="a-1"),
    RunAgentNow(session="main", agent_id="a-1"),
    SetAgentPriority(session="main", agent_id="a-1", priority="high"),
    SetAgentInterval(session="main", agent_id="a-1", interval=2.5),
    PauseAgent(session="main", agent_id="a-1"),
    ResumeAgent(session="main", agent_id="a-1"),
)
HALT = StopController(session="main", controller_id="c-1", keep_position=True)
GO_ON = StartController(session="main", controller_id="c-1")


@pytest.mark.parametrize(
    ("command", "target"),
    [
        (CREATE, "position_executor in main"),
        (STOP, "x-1"),
        (UPDATE, "x-1"),
        (STORE, "x-1"),
        (END, "main"),
        (HALT, "c-1"),
        (GO_ON, "c-1"),
        *((command, "a-1") for command in OF_AGENTS),
    ],
)
def test_a_command_is_about_something(command: Command, target: str) -> None:
    assert target_of(command) == target


@pytest.mark.parametrize(
    ("command", "priority"),
    [
        *((one, 0.0) for one in (STOP, HALT, END)),
        *((one, 10.0) for one in (CREATE, UPDATE, GO_ON)),
        *((one, 20.0) for one in (STORE, *OF_AGENTS, *OF_BACKTESTS, *OF_STUDIES)),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Command) else None,
)
def test_what_reduces_risk_goes_first_then_orders(command: Command, priority: float) -> None:
    assert CommandEvent(command=command).priority == priority


def test_every_command_gives_up_after_a_while() -> None:
    assert CommandEvent(command=STOP).timeout == 30.0


@pytest.mark.parametrize("interval", [0, -1, float("inf"), float("nan"), 86_401, "soon"])
def test_an_interval_is_a_number_of_seconds(interval: object) -> None:
    with pytest.raises(ValidationError):
        SetAgentInterval.model_validate({"session": "m", "agent_id": "a", "interval": interval})


def test_a_priority_is_one_of_five_words() -> None:
    with pytest.raises(ValidationError):
        SetAgentPriority.model_validate({"session": "m", "agent_id": "a", "priority": "urgent"})


@pytest.mark.parametrize(
    "values",
    [{"session": ""}, {"session": "main", "policy": "sell"}, {"session": "main", "extra": 1}],
)
def test_a_command_is_validated(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StopSession.model_validate(values)


def test_a_command_is_frozen() -> None:
    with pytest.raises(ValidationError):
        STOP.executor_id = "other"  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    ("command", "verb", "arguments"),
    [
        (STOP, "stop", {"executor_id": "x-1", "keep_position": True}),
        (UPDATE, "update", {"executor_id": "x-1", "changes": {"stop_loss": None}}),
        (STORE, "store", {"executor_id": "x-1"}),
        (HALT, "stop_controller", {"controller_id": "c-1", "keep_position": True}),
        (GO_ON, "start_controller", {"controller_id": "c-1"}),
    ],
)
def test_commands_as_actions(command: Command, verb: str, arguments: dict[str, Any]) -> None:
    assert _as_action(command) == (verb, arguments)


def test_a_session_command_is_no_action() -> None:
    with pytest.raises(OperationError, match="there is no command StopSession"):
        _as_action(END)


def test_the_journal_keeps_every_digit_of_a_decimal() -> None:
    exact = Decimal("0.12345678901234567890123456789")
    command = CreateExecutor(
        session="main",
        executor_type="position_executor",
        config={
            "amount": exact,
            "nested": {"levels": [Decimal("1.10"), exact], "pair": (1, Decimal("1E+3"))},
            "label": "text",
            "count": 3,
            "is_on": True,
            "nothing": None,
            "ratio": 0.1,
        },
    )
    verb, arguments = _as_action(command)
    item = ActionInput(1, "r", "operator", verb, arguments)
    ts_ns, kind, payload = encode(item)
    assert decode(ts_ns, kind, payload) == item
    config = json.loads(payload)["arguments"]["config"]
    assert Decimal(config["amount"]) == exact
    assert config == {
        "amount": "0.12345678901234567890123456789",
        "nested": {"levels": ["1.10", "0.12345678901234567890123456789"], "pair": [1, "1E+3"]},
        "label": "text",
        "count": 3,
        "is_on": True,
        "nothing": None,
        "ratio": "0.1",
    }


def test_every_command_of_the_module_can_be_told_apart() -> None:
    kinds = [
        one for one in vars(commands).values() if isinstance(one, type) and issubclass(one, Command)
    ]
    known = {
        type(one)
        for one in (
            *(CREATE, STOP, UPDATE, STORE, END, HALT, GO_ON),
            *(*OF_AGENTS, *OF_BACKTESTS, *OF_STUDIES),
        )
    }
    bases = {Command, AgentCommand, BacktestCommand, ControllerCommand, OptimizationCommand}
    assert known | bases == set(kinds)


@pytest.mark.parametrize(
    ("command", "target"),
    [
        (OF_BACKTESTS[0], "bt.yaml"),
        (OF_BACKTESTS[1], "bt-1"),
        (OF_BACKTESTS[2], "bt-1"),
        (OF_STUDIES[0], "study.yaml"),
        (RunOptimization(resume="opt-1"), "opt-1"),
        (OF_STUDIES[1], "opt-1"),
    ],
)
def test_commands_without_a_session_say_what_they_are_about(command: Command, target: str) -> None:
    assert target_of(command) == target
