"""The engine's tracked work: every command and executor action is an event in an executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final

from engine import flow
from engine.api.board import Board
from engine.api.command_event import (
    PRIORITY_HOUSEKEEPING,
    PRIORITY_ORDER,
    CommandEvent,
    Perform,
    target_of,
)
from engine.api.views import CommandRow, FlowStateView
from engine.executors.actions import ActionResult
from engine.live.clock import SystemClock
from engine.live.session_runner import ControllerAction
from engine.store.records import AuditRecord

QUEUE_CAPACITY: Final = 1000
REFRESH_TIME_S: Final = 0.1
COMMANDS_AT_ONCE: Final = 32
MAX_QUEUE_SIZE: Final = 100_000
EVENTS_KEPT: Final = 1000
"""Ended events that stay listed; older ones are in the audit trail of the store."""
SHUTDOWN_TIMEOUT_S: Final = 2.0


class CommandProcessor(flow.Processor):
    """Runs operator commands."""

    event_type: ClassVar[type[flow.Event]] = CommandEvent


class CommandExecutor(flow.Executor):
    """Tracks operator commands."""

    processor_type: ClassVar[type[flow.Processor]] = CommandProcessor


class ActionEvent(flow.Event):
    """An executor action that a controller took inside the session.

    The core decides and acts in one step, so that a replay gives the same; the event gives what
    was done a tracked status like everything else, and an entry in the audit trail.
    """

    controller_id: str = ""
    verb: str = ""
    result: Any = None  # Any: flow.Event declares its fields by annotation

    async def _invoke(self) -> str:
        result: ActionResult = self.result
        if not result.ok:
            raise flow.OperationError(result.message, details={"code": result.code.value})
        return result.message


class ActionProcessor(flow.Processor):
    """Settles the actions of controllers."""

    event_type: ClassVar[type[flow.Event]] = ActionEvent


class ActionExecutor(flow.Executor):
    """Tracks the actions of controllers."""

    processor_type: ClassVar[type[flow.Processor]] = ActionProcessor


class HousekeepingEvent(flow.Event):
    """Forgets ended events of one executor; the audit trail in the store keeps them."""

    executor: Any = None  # Any: flow.Event declares its fields by annotation

    async def _invoke(self) -> int:
        ended = [status for status in flow.EventStatus if status.is_terminal]
        removed: int = await self.executor.cleanup_events(ended)
        return removed


class HousekeepingProcessor(flow.Processor):
    """Runs housekeeping."""

    event_type: ClassVar[type[flow.Event]] = HousekeepingEvent


class HousekeepingExecutor(flow.Executor):
    """Tracks housekeeping."""

    processor_type: ClassVar[type[flow.Processor]] = HousekeepingProcessor


class Work:
    """Owns the named ``flow.Executor`` objects, publishes their state, audits their events."""

    def __init__(
        self,
        *,
        board: Board,
        clock: SystemClock,
        perform: Perform,
        audit: Callable[[AuditRecord], None],
    ) -> None:
        self._board = board
        self._clock = clock
        self._perform = perform
        self._audit = audit
        self._requested_ns: dict[str, int] = {}
        limits = {
            "queue_capacity": QUEUE_CAPACITY,
            "capacity_refresh_time": REFRESH_TIME_S,
            "concurrency_limit": COMMANDS_AT_ONCE,
            "max_queue_size": MAX_QUEUE_SIZE,
        }
        self.commands = CommandExecutor(processor_config=limits, name="commands")
        self.actions = ActionExecutor(processor_config=limits, name="actions")
        self.housekeeping = HousekeepingExecutor(processor_config=limits, name="housekeeping")
        self.backtests: flow.Executor | None = None
        """Runs backtests; started and stopped by its desk."""
        self.studies: tuple[flow.Executor, ...] = ()
        """Run studies and count their trials; started and stopped by their desk."""
        self.agents: flow.Executor | None = None
        """Follows the tasks of agents, which the execution engine runs; never started here."""
        board.flow_executors = lambda: self.executors
        self.commands.subscribe(self._on_command)
        self.actions.subscribe(self._on_action)

    @property
    def executors(self) -> tuple[flow.Executor, ...]:
        """Return the executors in the order in which the console shows them."""
        of_agents = () if self.agents is None else (self.agents,)
        of_backtests = () if self.backtests is None else (self.backtests,)
        return (
            self.commands,
            self.actions,
            *of_agents,
            *of_backtests,
            *self.studies,
            self.housekeeping,
        )

    async def start(self) -> None:
        """Begin to process."""
        for executor in (self.commands, self.actions, self.housekeeping):
            await executor.start()
        self.refresh_panels()

    async def shutdown(self) -> None:
        """Stop, giving running events a moment; the rest is cancelled."""
        for executor in self.executors:
            await executor.shutdown(SHUTDOWN_TIMEOUT_S)
        self.refresh_panels()

    async def take_actions(self, actions: Iterable[ControllerAction]) -> None:
        """Track what controllers did."""
        for controller_id, verb, result in actions:
            event = ActionEvent(controller_id=controller_id, verb=verb, result=result)
            self._requested_ns[str(event.id)] = self._clock.now_ns()
            try:
                await self.actions.append(event, priority=PRIORITY_ORDER)
            except flow.QueueFullError as error:
                # What was done is done and recorded; only its tracking is lost, and that is told.
                self._requested_ns.pop(str(event.id), None)
                self._board.add_log(
                    ts_ns=self._clock.now_ns(),
                    level="error",
                    source="engine",
                    text=f"an action of {controller_id} is not tracked: {error.message}",
                )
        await self.forget_old()

    async def take_command(self, event: CommandEvent) -> None:
        """Queue a command; what reduces risk goes first."""
        event.perform = self._perform
        command_id = str(event.id)
        self._requested_ns[command_id] = self._clock.now_ns()
        self._board.publish_command(self._row(event, "pending", ""))
        try:
            await self.commands.append(event, priority=event.priority)
        except flow.EngineError as error:
            self._finish(event, "aborted", error.message)
        await self.forget_old()

    def refresh_panels(self) -> None:
        """Publish the state of each executor."""
        self._board.flow_states = tuple(
            FlowStateView(
                name=str(executor.states.name),
                counts=executor.status_counts(),
                text=executor.inspect_state(),
            )
            for executor in self.executors
        )

    def _on_command(self, event: flow.Event, old: object, new: flow.EventStatus) -> None:
        del old
        if not isinstance(event, CommandEvent):
            return
        if new.is_terminal:
            self._finish(event, new.value, _reason(event))
        else:
            self._board.publish_command(self._row(event, new.value, ""))
        self.refresh_panels()

    def _finish(self, event: CommandEvent, status: str, reason: str) -> None:
        row = self._row(event, status, reason)
        self._board.publish_command(row)
        command = event.command
        level = "info" if status == flow.EventStatus.COMPLETED.value else "error"
        self._board.add_log(
            ts_ns=self._clock.now_ns(),
            level=level,
            source=command.actor,
            text=f"{row.kind} {row.target}: {reason or status}",
        )
        self._audit(
            AuditRecord(
                event_id=row.id,
                kind=row.kind,
                actor=row.actor,
                target=row.target,
                session_id=None,
                requested_ns=self._requested_ns.pop(row.id, row.ts_ns),
                finished_ns=self._clock.now_ns(),
                status=status,
                reason=reason,
            )
        )

    def _row(self, event: CommandEvent, status: str, reason: str) -> CommandRow:
        command = event.command
        duration = event.execution.duration
        command_id = str(event.id)
        return CommandRow(
            id=command_id,
            ts_ns=self._requested_ns.get(command_id, self._clock.now_ns()),
            actor=command.actor,
            kind=type(command).__name__,
            target=target_of(command),
            status=status,
            reason=reason,
            duration_ms=duration * 1000 if isinstance(duration, float) else None,
        )

    def _on_action(self, event: flow.Event, old: object, new: flow.EventStatus) -> None:
        del old
        if not isinstance(event, ActionEvent) or not new.is_terminal:
            return
        event_id = str(event.id)
        now_ns = self._clock.now_ns()
        self._audit(
            AuditRecord(
                event_id=event_id,
                kind=f"action.{event.verb}",
                actor=event.controller_id,
                target=event.result.executor_id or "",
                session_id=None,
                requested_ns=self._requested_ns.pop(event_id, now_ns),
                finished_ns=now_ns,
                status=new.value,
                reason=_reason(event),
            )
        )

    async def forget_old(self) -> None:
        """Let housekeeping forget ended events where there are many."""
        for executor in self.executors:
            counts = executor.status_counts()
            ended = sum(counts[status.value] for status in flow.EventStatus if status.is_terminal)
            if ended > EVENTS_KEPT and executor not in self._being_cleaned():
                await self.housekeeping.append(
                    HousekeepingEvent(executor=executor), priority=PRIORITY_HOUSEKEEPING
                )

    def _being_cleaned(self) -> list[flow.Executor]:
        working = (*self.housekeeping.pending_events, *self.housekeeping.processing_events)
        return [event.executor for event in working if isinstance(event, HousekeepingEvent)]


def _reason(event: flow.Event) -> str:
    error = event.execution.error
    if isinstance(error, flow.EngineTimeoutError):
        waited = f"no answer within {event.timeout:g} s"
        return f"{waited}; it may still be carried out, the log will say so"
    if isinstance(error, flow.EngineError):
        return error.message
    if isinstance(error, BaseException):
        return f"{type(error).__name__}: {error}"
    return str(event.response or "")
