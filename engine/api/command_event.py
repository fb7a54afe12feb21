"""A command as a tracked unit of work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import PurePath
from typing import Any, Final

from engine import flow
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
    RunBacktest,
    RunOptimization,
    StopController,
    StopExecutor,
    StopSession,
    StoreExecutor,
    UpdateExecutor,
    WritePaperSession,
)

COMMAND_TIMEOUT_S: Final = 30.0

# Lower numbers go first: what reduces risk, orders, questions, agents, backtests, tidying.
PRIORITY_STOP: Final = 0.0
PRIORITY_ORDER: Final = 10.0
PRIORITY_REQUEST: Final = 20.0
PRIORITY_AGENT: Final = 50.0
PRIORITY_BACKTEST: Final = 100.0
PRIORITY_HOUSEKEEPING: Final = 1000.0

Perform = Callable[[Command, str], Awaitable[str]]
"""Carries out a command under a request id and returns what a person should know."""


class CommandEvent(flow.Event):
    """Runs one command; the response is the reason that the operator reads."""

    command: Any = None  # Any: flow.Event declares its fields by annotation, without pydantic
    perform: Any = None
    timeout: float | None = COMMAND_TIMEOUT_S

    @property
    def priority(self) -> float:
        """Return the queue priority: what reduces risk goes first."""
        match self.command:
            case StopExecutor() | StopController() | StopSession():
                return PRIORITY_STOP
            case AgentCommand() | BacktestCommand() | OptimizationCommand() | StoreExecutor():
                return PRIORITY_REQUEST
            case _:
                return PRIORITY_ORDER

    async def _invoke(self) -> str:
        perform: Perform = self.perform
        return await perform(self.command, str(self.id))


def target_of(command: Command) -> str:
    """Return what *command* is about, for the audit trail."""
    match command:
        case CreateExecutor():
            return f"{command.executor_type} in {command.session}"
        case StopExecutor() | UpdateExecutor() | StoreExecutor():
            return command.executor_id
        case ControllerCommand():
            return command.controller_id
        case RunBacktest():
            return command.path or command.name
        case CancelBacktest() | DeleteBacktest():
            return command.backtest_id
        case RunOptimization():
            return command.resume or PurePath(command.path).name or command.name
        case CancelOptimization() | HoldOptimization() | WritePaperSession():
            return command.study_id
        case AgentCommand():
            return command.agent_id
        case _:
            return command.session
