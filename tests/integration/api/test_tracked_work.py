"""Commands and controller actions as tracked events: order, outcome, audit, bounded memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import pytest

from engine import flow
from engine.api.board import Board
from engine.api.command_event import CommandEvent
from engine.api.commands import Command, CreateExecutor, StopExecutor, StopSession
from engine.api.views import CommandRow
from engine.api.work import EVENTS_KEPT, Work
from engine.executors.actions import ActionCode, ActionResult
from engine.store.records import AuditRecord
from engine.testing.manual_clock import ManualClock

pytestmark = pytest.mark.anyio

CREATE = CreateExecutor(session="main", executor_type="position_executor", config={}, actor="me")
STOP = StopExecutor(session="main", executor_id="x-1")
OK = ActionResult(ok=True, code=ActionCode.OK, message="done", executor_id="x-1")


async def settle(executor: flow.Executor) -> None:
    """Wait until everything that is in *executor* now has ended."""
    for event in (*executor.pending_events, *executor.processing_events):
        await executor.wait(event.id)


class Desk:
    """Carries out commands as the test says."""

    def __init__(self) -> None:
        self.done: list[Command] = []
        self.answer: Callable[[Command], Awaitable[str]] | None = None
        self.audit: list[AuditRecord] = []
        self.board = Board()
        self.clock = ManualClock(1_000)
        self.work = Work(
            board=self.board, clock=self.clock, perform=self.perform, audit=self.audit.append
        )

    async def perform(self, command: Command, request_id: str) -> str:
        assert self.board.commands[request_id].status == "processing"
        self.done.append(command)
        return "as asked" if self.answer is None else await self.answer(command)

    async def ask(self, command: Command, *, limit_s: float = 30.0) -> CommandRow:
        event = CommandEvent(command=command, timeout=limit_s)
        await self.work.take_command(event)
        await settle(self.work.commands)
        return self.board.commands[str(event.id)]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    await desk.work.start()
    yield desk
    await desk.work.shutdown()


async def test_a_command_ends_with_a_status_a_reason_and_an_audit_record(desk: Desk) -> None:
    row = await desk.ask(CREATE)
    assert (row.status, row.reason, row.kind, row.actor) == (
        "completed",
        "as asked",
        "CreateExecutor",
        "me",
    )
    assert row.duration_ms is not None
    (record,) = desk.audit
    assert (record.event_id, record.kind, record.actor, record.status, record.reason) == (
        row.id,
        "CreateExecutor",
        "me",
        "completed",
        "as asked",
    )
    assert record.target == "position_executor in main"
    assert record.requested_ns == row.ts_ns == 1_000
    (line,) = desk.board.log
    assert (line.level, line.source) == ("info", "me")
    assert line.text == "CreateExecutor position_executor in main: as asked"


async def test_a_command_that_is_refused_fails_with_the_reason(desk: Desk) -> None:
    async def refuse(command: Command) -> str:
        raise flow.OperationError("the executor is gone", details={"id": command.session})

    desk.answer = refuse
    row = await desk.ask(STOP)
    assert (row.status, row.reason) == ("failed", "the executor is gone")
    assert desk.board.log[-1].level == "error"
    assert desk.audit[-1].status == "failed"


async def test_a_broken_command_says_what_broke(desk: Desk) -> None:
    async def break_down(command: Command) -> str:
        raise KeyError(command.session)

    desk.answer = break_down
    row = await desk.ask(STOP)
    assert (row.status, row.reason) == ("failed", "KeyError: 'main'")


async def test_a_command_that_takes_too_long_is_cancelled(desk: Desk) -> None:
    async def hang(command: Command) -> str:
        await anyio.sleep_forever()
        return command.session

    desk.answer = hang
    row = await desk.ask(STOP, limit_s=0.001)
    assert row.status == "cancelled"
    assert row.reason.startswith("no answer within 0.001 s; it may still be carried out")
    assert desk.audit[-1].status == "cancelled"


async def test_what_reduces_risk_overtakes() -> None:
    desk = Desk()
    events = [
        CommandEvent(command=one) for one in (CREATE, CREATE, STOP, StopSession(session="main"))
    ]
    for event in events:
        await desk.work.take_command(event)
    assert {row.status for row in desk.board.commands.values()} == {"pending"}
    await desk.work.start()
    await settle(desk.work.commands)
    await desk.work.shutdown()
    assert [type(one).__name__ for one in desk.done] == [
        "StopExecutor",
        "StopSession",
        "CreateExecutor",
        "CreateExecutor",
    ]


async def test_a_full_queue_aborts_a_command_with_the_reason(desk: Desk) -> None:
    processor = desk.work.commands.processor
    assert processor is not None
    processor.max_queue_size = 0
    row = await desk.ask(STOP)
    assert row.status == "aborted"
    assert "exceeds max" in row.reason
    assert desk.audit[-1].status == "aborted"


async def test_actions_of_controllers_are_audited(desk: Desk) -> None:
    refused = ActionResult(ok=False, code=ActionCode.NOT_FOUND, message="there is no executor x-2")
    await desk.work.take_actions([("c-1", "create", OK), ("c-2", "stop", refused)])
    await settle(desk.work.actions)
    first, second = sorted(desk.audit, key=lambda record: record.actor)
    assert (first.kind, first.actor, first.target, first.status, first.reason) == (
        "action.create",
        "c-1",
        "x-1",
        "completed",
        "done",
    )
    assert (second.kind, second.target, second.status, second.reason) == (
        "action.stop",
        "",
        "failed",
        "there is no executor x-2",
    )


async def test_panels_show_each_executor_of_the_engine(desk: Desk) -> None:
    await desk.ask(STOP)
    panels = {panel.name: panel for panel in desk.board.flow_states}
    assert list(panels) == ["commands", "actions", "housekeeping"]
    assert panels["commands"].counts["completed"] == 1
    assert "completed" in panels["commands"].text


async def test_memory_stays_flat_over_thousands_of_actions(desk: Desk) -> None:
    for _ in range(50):
        await desk.work.take_actions([("c", "create", OK)] * 100)
        await settle(desk.work.actions)
        await settle(desk.work.housekeeping)
        kept = sum(desk.work.actions.status_counts().values())
        assert kept <= EVENTS_KEPT + 100
    assert len(desk.audit) == 5_000
    assert sum(desk.work.housekeeping.status_counts().values()) <= EVENTS_KEPT
    assert desk.work._requested_ns == {}


async def test_shutdown_cancels_what_hangs() -> None:
    desk = Desk()

    async def hang(command: Command) -> str:
        await anyio.sleep_forever()
        return command.session

    desk.answer = hang
    await desk.work.start()
    event = CommandEvent(command=STOP)
    await desk.work.take_command(event)
    await anyio.wait_all_tasks_blocked()
    await desk.work.commands.shutdown(0.001)
    await desk.work.shutdown()
    assert desk.board.commands[str(event.id)].status == "cancelled"
    assert desk.audit[-1].status == "cancelled"
