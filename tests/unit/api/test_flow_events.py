"""Events of an executor, listed for the console: of one status or of all, newest first."""

from __future__ import annotations

import pytest

from engine import flow
from engine.api.agent_tasks import AgentTaskEvent
from engine.api.board import Board
from engine.api.command_event import CommandEvent
from engine.api.commands import StopExecutor
from engine.api.queries import ConsoleQueries
from engine.api.work import ActionEvent, CommandExecutor
from engine.executors.actions import ActionCode, ActionResult

pytestmark = pytest.mark.anyio


async def answer(command: object, request_id: str) -> str:
    del request_id
    if getattr(command, "executor_id", "") == "bad":
        raise flow.OperationError("there is no executor bad")
    return "executor good stops"


def stop(executor_id: str) -> CommandEvent:
    return CommandEvent(
        command=StopExecutor(session="main", executor_id=executor_id), perform=answer
    )


async def test_rows_say_what_an_event_does_and_how_it_went() -> None:
    executor = CommandExecutor(
        processor_config={"queue_capacity": 10, "capacity_refresh_time": 0.1}, name="commands"
    )
    board = Board()
    board.flow_executors = lambda: (executor,)
    queries = ConsoleQueries(board)
    good, bad, late = stop("good"), stop("bad"), stop("late")
    await executor.append(good, priority=1.0)
    await executor.append(bad, priority=2.0)
    assert [row.id for row in queries.flow_events("commands", "pending")] == [
        str(bad.id),
        str(good.id),
    ]
    executor.background = False  # type: ignore[misc]  # this executor only
    await executor.start()
    await executor.forward()
    await executor.append(late)
    (done,) = queries.flow_events("commands", "completed")
    assert (done.kind, done.subject, done.status) == ("Command", "StopExecutor good", "completed")
    assert done.outcome == "executor good stops"
    assert done.duration_ms is not None
    (failed,) = queries.flow_events("commands", "failed")
    assert failed.outcome == "OperationError: there is no executor bad"
    (waiting,) = queries.flow_events("commands", "pending")
    assert (waiting.outcome, waiting.duration_ms) == ("", None)
    every = queries.flow_events("commands")
    assert [row.id for row in every] == [str(late.id), str(bad.id), str(good.id)]
    assert len(queries.flow_events("commands", count=2)) == 2
    assert queries.flow_events("nobody") == ()
    with pytest.raises(KeyError):
        queries.flow_events("commands", "bogus")


@pytest.mark.parametrize(
    ("event", "subject"),
    [
        (AgentTaskEvent(agent_id="a", task_type="cycle", task_id="a:cycle:7"), "a:cycle:7"),
        (
            ActionEvent(
                controller_id="main",
                verb="stop",
                result=ActionResult(ok=True, code=ActionCode.OK, message="", executor_id="x-1"),
            ),
            "stop x-1",
        ),
        (flow.Event(), ""),
    ],
    ids=["agent task", "action", "plain"],
)
async def test_each_kind_of_event_has_a_name(event: flow.Event, subject: str) -> None:
    executor = flow.Executor(name="any")
    await executor.append(event)
    board = Board()
    board.flow_executors = lambda: (executor,)
    (row,) = ConsoleQueries(board).flow_events("any")
    assert row.subject == subject
