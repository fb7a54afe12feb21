"""The orchestrator: owns a session's executors and feeds them (executors.md 11)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from engine.executors.actions import (
    ActionCode,
    ActionResult,
    CreateExecutorAction,
    ExecutorAction,
    StopExecutorAction,
    StoreExecutorAction,
    UpdateExecutorAction,
)
from engine.executors.archive import Archive, ArchivedExecutor, Archiver
from engine.executors.base import ExecutorBase, UpdateRejectedError
from engine.executors.config import ExecutorConfigBase
from engine.executors.factory import ExecutorFactory
from engine.executors.info import ExecutorInfo
from engine.executors.performance import PerformanceReport, performance_report, summed
from engine.executors.plain import JsonValue
from engine.executors.position_hold import PositionState, PositionSummary
from engine.executors.position_store import InitialPosition, PositionStore
from engine.executors.settings import ExecutorSettings
from engine.executors.snapshot import ExecutorSnapshot
from engine.executors.status import RunnableStatus
from engine.executors.step import EMPTY_STEP, Intent, Level, Notice, Step
from engine.executors.stop_watch import StopWatch
from engine.executors.strategy import ExecutorStrategy
from engine.executors.wake_conditions import WakeConditions
from engine.executors.wake_index import WakeIndex
from engine.model.clock import SECOND_NS
from engine.model.orders import Fill, Order
from engine.model.quotes import QuoteTick

RestartPolicy = Literal["resume", "flatten", "hold", "ignore"]
"""What becomes of an executor that was active when its session ended (14.3)."""


@dataclass(slots=True, eq=False)
class _Member:
    """An executor with what the orchestrator knows about it."""

    executor: ExecutorBase
    sequence: int
    seen_version: int = -1
    errors: int = 0
    is_booked: bool = False
    final_info: ExecutorInfo | None = None
    is_reported: bool = False


@dataclass(frozen=True, slots=True)
class ControllerReport:
    """What a controller gets to see: its executors, positions and performance."""

    executors: tuple[ExecutorInfo, ...]
    positions: tuple[PositionSummary, ...]
    performance: PerformanceReport


class ExecutorOrchestrator:
    """Owns executors through their actions, feeds them, collects their intents.

    All methods belong to the engine's thread. The quote that ``on_quote`` gets must already be the
    strategy's newest. Effects are drained: ``take_intents``, ``take_changed``,
    ``take_changed_positions``, ``take_archived``, ``take_notices``.

    Args:
        strategy: the container's side of the executors.
        executors_update_interval: seconds between two attempts of the same thing.
        executors_max_retries: overrides the types' own defaults if given (DEV-21).
        settings: waiting times and position mode.
        initial_positions_by_controller: positions that exist before the session (12.5).
        capital_by_controller: quote amount of each controller, for the return on capital.
        keep_positions: default of ``begin_stop``.
        archive_limit: archived executors of each controller that stay in memory.
        archiver: refuses what cannot be stored (STORE_FAILED); None accepts everything.
    """

    def __init__(
        self,
        *,
        strategy: ExecutorStrategy,
        executors_update_interval: float = 1.0,
        executors_max_retries: int | None = None,
        settings: ExecutorSettings | None = None,
        initial_positions_by_controller: Mapping[str, Iterable[InitialPosition]] | None = None,
        capital_by_controller: Mapping[str, Decimal] | None = None,
        keep_positions: bool | None = None,
        archive_limit: int = 100,
        archiver: Archiver | None = None,
    ) -> None:
        self._strategy = strategy
        self._update_interval = executors_update_interval
        self._update_interval_ns = int(executors_update_interval * SECOND_NS)
        self._max_retries = executors_max_retries
        self._settings = settings or ExecutorSettings()
        self._capital = dict(capital_by_controller or {})
        self._keep_positions = keep_positions
        self._archiver = archiver
        self._members: dict[str, _Member] = {}
        self._by_controller: dict[str, dict[str, _Member]] = {}
        self._done: dict[str, _Member] = {}
        self._sequence = 0
        self._wakes = WakeIndex()
        self._positions = PositionStore(strategy, self._settings.position_mode)
        self._archive = Archive(archive_limit)
        self._intents: list[Intent] = []
        self._notices: list[Notice] = []
        self._changed: dict[str, None] = {}
        self._stop: StopWatch | None = None
        self._archive_due_ns: int | None = None
        for controller_id, initial in (initial_positions_by_controller or {}).items():
            for position in initial:
                self._positions.expect(controller_id, position)

    @property
    def is_stopping(self) -> bool:
        """Whether ``begin_stop`` was called."""
        return self._stop is not None

    @property
    def is_stopped(self) -> bool:
        """Whether a stop has been asked for and nothing is active any more."""
        return self._stop is not None and len(self._members) == len(self._done)

    def execute_actions(self, actions: Iterable[ExecutorAction]) -> list[ActionResult]:
        """Execute *actions* in order; one failure does not stop the rest."""
        return [self.execute_action(action) for action in actions]

    def execute_action(self, action: ExecutorAction) -> ActionResult:
        """Execute one action; a failure is a result, never an exception."""
        controller_id = action.controller_id
        if controller_id is None:
            return self._refused(
                ActionCode.NO_CONTROLLER, f"{action.action_type} action without controller ignored"
            )
        match action:
            case CreateExecutorAction():
                return self._create(action, controller_id)
            case StopExecutorAction():
                return self._stop_one(action, controller_id)
            case UpdateExecutorAction():
                return self._update(action, controller_id)
            case StoreExecutorAction():
                return self._store(action, controller_id)
            case _:
                raise TypeError(f"no such action: {type(action).__name__}")

    def resume(
        self,
        config: ExecutorConfigBase,
        state: Mapping[str, JsonValue],
        orders: Iterable[Order],
        fills: Iterable[Fill],
        policy: RestartPolicy = "resume",
    ) -> None:
        """Take up a stored executor after a restart (14.3).

        Raises:
            ValueError: the configuration or the stored state does not fit.
        """
        executor = self._make(config)
        executor.restore(state, orders, fills)
        member = self._join(executor)
        match policy:
            case "resume":
                self._dispatch(member, lambda: executor.on_time(self._strategy.now_ns()))
            case "flatten":
                self._dispatch(member, lambda: executor.early_stop(keep_position=False))
            case "hold":
                self._dispatch(member, lambda: executor.early_stop(keep_position=True))
            case "ignore":
                self._dispatch(member, lambda: executor.fail("ignored at the restart"))

    def restore_positions(self, states: Iterable[PositionState]) -> None:
        """Take up stored position holds."""
        self._positions.restore(states)

    def restore_performance(self, controller_id: str, report: PerformanceReport) -> None:
        """Begin with the performance of work that was archived in earlier sessions."""
        self._archive.set_performance(controller_id, report)

    def on_quote(self, quote: QuoteTick) -> None:
        """Wake the executors whose price condition *quote* meets."""
        owners = self._wakes.fire_quote(quote)
        for member in self._in_order(owners):
            self._dispatch(member, lambda member=member: member.executor.on_quote(quote))  # type: ignore[misc]  # mypy infers no type for a defaulted lambda
        if self._positions.has_pending:
            self._positions.open_pending()

    def on_time(self, now_ns: int) -> None:
        """Wake the executors whose instant has come; archive; watch over a stop."""
        for member in self._in_order(self._wakes.fire_time(now_ns)):
            self._dispatch(member, lambda member=member: member.executor.on_time(now_ns))  # type: ignore[misc]  # mypy infers no type for a defaulted lambda
        self._archive_reported()
        self._poll_stop(now_ns)

    def on_order_update(self, order: Order) -> None:
        """Give an order's new state to its executor; orders of others are ignored."""
        executor_id = order.request.owner_id
        member = self._members.get(executor_id)
        if member is not None:
            self._dispatch(member, lambda: member.executor.on_order_update(order))

    def on_fill(self, fill: Fill) -> None:
        """Give a fill to its executor; a late one goes to the position store (6.4)."""
        member = self._members.get(fill.owner_id)
        if member is not None:
            self._dispatch(member, lambda: member.executor.on_fill(fill))
            return
        archived = self._archive.find(fill.owner_id)
        if archived is None:
            self._tell("error", f"fill {fill.fill_id} of unknown executor {fill.owner_id} ignored")
            return
        archived.executor.on_fill(fill)
        self._collect(archived.executor)

    def next_wake_ns(self) -> int | None:
        """Return when ``on_time`` must be called next; None if nothing waits for the time."""
        times = [self._wakes.next_time_ns(), self._archive_due_ns]
        if self._stop is not None and self._members:
            times.append(self._stop.next_poll_ns)
        return min((time for time in times if time is not None), default=None)

    def take_intents(self) -> tuple[Intent, ...]:
        """Drain the orders and cancels to carry out, in order."""
        intents = tuple(self._intents)
        self._intents.clear()
        return intents

    def take_changed(self) -> tuple[str, ...]:
        """Drain the ids of executors whose persisted state changed."""
        changed = tuple(self._changed)
        self._changed.clear()
        return changed

    def take_changed_positions(self) -> tuple[PositionState, ...]:
        """Drain the position holds that changed."""
        return self._positions.take_changed()

    def take_archived(self) -> tuple[ArchivedExecutor, ...]:
        """Drain the executors that were archived."""
        return self._archive.take_fresh()

    def take_notices(self) -> tuple[Notice, ...]:
        """Drain log lines and alerts."""
        notices = tuple(self._notices)
        self._notices.clear()
        return notices

    def begin_stop(
        self,
        keep_positions: bool | None = None,  # noqa: FBT001 (11.5 names it)
        *,
        max_close_attempts: int = 3,
    ) -> None:
        """Stop every executor; ``on_time`` goes on until ``is_stopped`` (11.5)."""
        if self._stop is not None:
            return
        self._stop = StopWatch(self._strategy.now_ns(), max_close_attempts)
        keep = self._keep_positions if keep_positions is None else keep_positions
        for member in tuple(self._members.values()):
            if member.executor.status in {RunnableStatus.NOT_STARTED, RunnableStatus.RUNNING}:
                self._dispatch(
                    member,
                    lambda member=member: member.executor.early_stop(keep_position=keep),  # type: ignore[misc]  # mypy infers no type for a defaulted lambda
                )
        self._poll_stop(self._strategy.now_ns())

    def force_stop(self) -> None:
        """End every executor at once (9.5): what is filled goes to the position store."""
        if self._stop is None:
            self._stop = StopWatch(self._strategy.now_ns(), 0)
        for member in tuple(self._members.values()):
            if member.executor.is_active:
                self._dispatch(member, member.executor.stop)
        self._archive_all()

    def find(self, executor_id: str) -> ExecutorBase | None:
        """Return an executor that is in memory, archived ones included."""
        member = self._members.get(executor_id)
        if member is not None:
            return member.executor
        archived = self._archive.find(executor_id)
        return None if archived is None else archived.executor

    def executors(self, controller_id: str | None = None) -> tuple[ExecutorBase, ...]:
        """Return the executors that are not archived, oldest first."""
        if controller_id is None:
            return tuple(member.executor for member in self._members.values())
        bucket = self._by_controller.get(controller_id, {})
        return tuple(member.executor for member in bucket.values())

    def snapshots(self, *, include_archived: bool = False) -> tuple[ExecutorSnapshot, ...]:
        """Return the immutable state of all executors, archived ones (newest 100) first."""
        archived = self._archive.executors() if include_archived else ()
        return tuple(executor.snapshot() for executor in (*archived, *self.executors()))

    def archived_infos(self, controller_id: str) -> tuple[ExecutorInfo, ...]:
        """Return the newest archived reports of a controller, oldest first."""
        return self._archive.infos(controller_id)

    def get_executors_report(self) -> dict[str, tuple[ExecutorInfo, ...]]:
        """Return the reports of all executors that are not archived, by controller."""
        return {
            controller_id: tuple(self._report(member) for member in members.values())
            for controller_id, members in self._by_controller.items()
        }

    def get_positions_report(self) -> dict[str, tuple[PositionSummary, ...]]:
        """Return the position holds at the newest mids, by controller."""
        return {
            controller_id: self._positions.summaries(controller_id)
            for controller_id in self._positions.controllers
        }

    def archived_performance(self) -> PerformanceReport:
        """Return the performance of all archived work, summed over the controllers."""
        return summed(self._archive.performance(name) for name in self._archive.controllers)

    def get_performance_report(self, controller_id: str) -> PerformanceReport:
        """Return the performance of one controller (13.2)."""
        members = self._by_controller.get(controller_id, {})
        return self._performance(
            controller_id,
            tuple(self._report(member) for member in members.values()),
            self._positions.summaries(controller_id),
        )

    def get_all_reports(self) -> dict[str, ControllerReport]:
        """Return executors, positions and performance of every known controller."""
        executors, positions = self.get_executors_report(), self.get_positions_report()
        names = dict.fromkeys((*executors, *positions, *self._archive.controllers))
        return {
            name: ControllerReport(
                executors.get(name, ()),
                positions.get(name, ()),
                self._performance(name, executors.get(name, ()), positions.get(name, ())),
            )
            for name in names
        }

    def _performance(
        self,
        controller_id: str,
        infos: tuple[ExecutorInfo, ...],
        positions: tuple[PositionSummary, ...],
    ) -> PerformanceReport:
        return performance_report(
            self._archive.performance(controller_id),
            infos,
            positions,
            total_amount_quote=self._capital.get(controller_id),
        )

    def _report(self, member: _Member) -> ExecutorInfo:
        if member.final_info is not None:
            self._note_reported(member)
            return member.final_info
        info = member.executor.executor_info
        if info.is_done:
            member.final_info = info
            self._note_reported(member)
        self._notices += member.executor.take_notices()
        return info

    def _note_reported(self, member: _Member) -> None:
        if not member.is_reported:
            member.is_reported = True
            self._archive_due_ns = self._strategy.now_ns() + self._update_interval_ns

    def _create(self, action: CreateExecutorAction, controller_id: str) -> ActionResult:
        if self._stop is not None:
            return self._refused(
                ActionCode.SESSION_STOPPING, "the session is stopping; no new executors"
            )
        draft = action.executor_config
        bits = 0 if draft.id else self._strategy.random_bits()
        config = draft.with_identity(
            now_ns=self._strategy.now_ns(), random_bits=bits, controller_id=controller_id
        )
        if self.find(config.id) is not None:
            return self._refused(
                ActionCode.DUPLICATE_ID, f"executor {config.id} exists already", config.id
            )
        try:
            executor = self._make(config)
        except ValueError as error:
            return self._refused(ActionCode.CREATE_FAILED, str(error), config.id)
        member = self._join(executor)
        now_ns = self._strategy.now_ns()
        self._dispatch(member, lambda: executor.start(now_ns))
        message = f"executor {config.id} started"
        if executor.is_done and executor.close_type is not None:
            reason = executor.snapshot().last_error or "nothing to do"
            message = f"executor {config.id} ended at once: {executor.close_type.name}: {reason}"
        return ActionResult(ok=True, code=ActionCode.OK, message=message, executor_id=config.id)

    def _make(self, config: ExecutorConfigBase) -> ExecutorBase:
        executor = ExecutorFactory.create_executor(
            self._strategy, config, self._update_interval, self._max_retries, self._settings
        )
        if not isinstance(executor, ExecutorBase):
            ExecutorFactory.forget_executor(config.id)
            raise ValueError(f"{type(executor).__name__} must derive from ExecutorBase")  # noqa: TRY004 (10.2 asks for ValueError)
        return executor

    def _join(self, executor: ExecutorBase) -> _Member:
        self._sequence += 1
        member = _Member(executor, self._sequence)
        self._members[executor.executor_id] = member
        bucket = self._by_controller.setdefault(executor.controller_id, {})
        bucket[executor.executor_id] = member
        return member

    def _stop_one(self, action: StopExecutorAction, controller_id: str) -> ActionResult:
        member = self._of_controller(controller_id, action.executor_id)
        if member is None:
            return self._not_found(controller_id, action.executor_id)
        status = member.executor.status
        if status in {RunnableStatus.SHUTTING_DOWN, RunnableStatus.TERMINATED}:
            return ActionResult(
                ok=True,
                code=ActionCode.ALREADY_STOPPING,
                message=f"executor {action.executor_id} is {status.name} already",
                executor_id=action.executor_id,
            )
        keep = action.keep_position
        self._dispatch(member, lambda: member.executor.early_stop(keep_position=keep))
        return self._done_ok(action.executor_id, "stops")

    def _update(self, action: UpdateExecutorAction, controller_id: str) -> ActionResult:
        executor_id = action.executor_id
        member = self._of_controller(controller_id, executor_id)
        if member is None:
            return self._not_found(controller_id, executor_id)
        executor = member.executor
        if executor.status is not RunnableStatus.RUNNING:
            return self._refused(
                ActionCode.NOT_RUNNING,
                f"executor {executor_id} is {executor.status.name}; only RUNNING ones change",
                executor_id,
            )
        update_type = ExecutorFactory.get_update_type(type(executor.config))
        if update_type is None:
            return self._refused(
                ActionCode.UPDATE_UNSUPPORTED,
                f"{executor.config.type} {executor_id} takes no updates",
                executor_id,
            )
        if not isinstance(action.update_data, update_type):
            return self._refused(
                ActionCode.UPDATE_TYPE_MISMATCH,
                f"executor {executor_id} takes {update_type.__name__}, "
                f"got {type(action.update_data).__name__}",
                executor_id,
            )
        return self._update_live(member, action.update_data)

    def _update_live(self, member: _Member, payload: object) -> ActionResult:
        executor_id = member.executor.executor_id
        try:
            step = member.executor.update_live(payload)
        except UpdateRejectedError as error:
            return self._refused(ActionCode.UPDATE_REJECTED, f"update failed: {error}", executor_id)
        self._dispatch(member, lambda: step)
        return self._done_ok(executor_id, "updated")

    def _store(self, action: StoreExecutorAction, controller_id: str) -> ActionResult:
        executor_id = action.executor_id
        member = self._of_controller(controller_id, executor_id)
        if member is None:
            archived = self._archive.find(executor_id)
            if archived is not None and archived.info.controller_id == controller_id:
                return ActionResult(
                    ok=True,
                    code=ActionCode.ALREADY_STORED,
                    message=f"executor {executor_id} is stored already",
                    executor_id=executor_id,
                )
            return self._not_found(controller_id, executor_id)
        if member.executor.is_active:
            return self._refused(
                ActionCode.STILL_ACTIVE,
                f"executor {executor_id} is {member.executor.status.name}; stop it first",
                executor_id,
            )
        problem = self._archive_one(member)
        if problem:
            return self._refused(ActionCode.STORE_FAILED, problem, executor_id)
        return self._done_ok(executor_id, "stored")

    def _of_controller(self, controller_id: str, executor_id: str) -> _Member | None:
        return self._by_controller.get(controller_id, {}).get(executor_id)

    def _not_found(self, controller_id: str, executor_id: str) -> ActionResult:
        return self._refused(
            ActionCode.NOT_FOUND,
            f"controller {controller_id} has no executor {executor_id}",
            executor_id,
        )

    def _done_ok(self, executor_id: str, what: str) -> ActionResult:
        return ActionResult(
            ok=True,
            code=ActionCode.OK,
            message=f"executor {executor_id} {what}",
            executor_id=executor_id,
        )

    def _refused(
        self, code: ActionCode, message: str, executor_id: str | None = None
    ) -> ActionResult:
        self._tell("error", message, executor_id or "")
        return ActionResult(ok=False, code=code, message=message, executor_id=executor_id)

    def _in_order(self, owners: list[str]) -> list[_Member]:
        members = [self._members[owner] for owner in owners if owner in self._members]
        if len(members) > 1:
            members.sort(key=lambda member: member.sequence)
        return members

    def _dispatch(self, member: _Member, event: Callable[[], Step]) -> None:
        """Let *event* happen to an executor and take over all of its effects."""
        try:
            step = event()
        except Exception as error:  # noqa: BLE001 (boundary: one executor must not harm the others)
            step = self._contain(member, error)
        else:
            member.errors = 0
        self._intents += step.intents
        self._settle(member)

    def _contain(self, member: _Member, error: Exception) -> Step:
        executor = member.executor
        kept = executor.take_step()
        member.errors += 1
        executor.note_error(f"error in {executor.config.type}: {error!r}")
        if member.errors <= executor.max_retries or executor.is_done:
            return kept
        try:
            last = executor.fail(f"{member.errors} errors in a row, the last: {error!r}")
        except Exception as second:  # noqa: BLE001 (boundary: one executor must not harm the others)
            self._tell("error", f"cannot end: {second!r}", executor.executor_id)
            last = EMPTY_STEP
        return Step(kept.intents + last.intents)

    def _settle(self, member: _Member) -> None:
        executor = member.executor
        self._collect(executor)
        if executor.version != member.seen_version:
            member.seen_version = executor.version
            member.final_info = None
            self._changed[executor.executor_id] = None
        if executor.is_active:
            self._wakes.update(executor.executor_id, self._conditions(member))
            return
        self._done[executor.executor_id] = member
        self._wakes.remove(executor.executor_id)
        if not member.is_booked:
            member.is_booked = True
            held = executor.held_position_orders
            self._positions.add(executor, executor.controller_id, held)

    def _conditions(self, member: _Member) -> WakeConditions:
        """Return what to wait for; after an error the executor gets another chance soon."""
        wakes = member.executor.wakes
        if not member.errors:
            return wakes
        again_ns = self._strategy.now_ns() + self._update_interval_ns
        at_ns = again_ns if wakes.at_ns is None else min(again_ns, wakes.at_ns)
        return WakeConditions(wakes.prices, at_ns)

    def _collect(self, executor: ExecutorBase) -> None:
        self._notices += executor.take_notices()
        late = executor.take_late_fills()
        if late:
            self._positions.add(executor, executor.controller_id, late)

    def _archive_reported(self) -> None:
        self._archive_due_ns = None
        for member in [member for member in self._done.values() if member.is_reported]:
            problem = self._archive_one(member)
            if problem:
                self._tell("error", problem, member.executor.executor_id)
                self._archive_due_ns = self._strategy.now_ns() + self._update_interval_ns

    def _archive_one(self, member: _Member) -> str:
        """Archive a terminated executor; return why it could not be stored, or nothing."""
        executor = member.executor
        info = self._report(member)
        if self._archiver is not None:
            try:
                self._archiver.archive(info)
            except Exception as error:  # noqa: BLE001 (boundary: the store's failure is a result here)
                return f"executor {executor.executor_id} could not be stored: {error}"
        executor_id = executor.executor_id
        del self._members[executor_id]
        del self._by_controller[executor.controller_id][executor_id]
        self._done.pop(executor_id, None)
        self._archive.add(info, executor)
        ExecutorFactory.forget_executor(executor_id)
        return ""

    def _archive_all(self) -> None:
        for member in tuple(self._done.values()):
            problem = self._archive_one(member)
            if problem:
                self._tell("error", problem, member.executor.executor_id)

    def _poll_stop(self, now_ns: int) -> None:
        if self._stop is None or not self._members:
            return
        active = [m.executor for m in self._members.values() if m.executor.is_active]
        if not active:
            self._archive_all()
            return
        if now_ns < self._stop.next_poll_ns:
            return
        progress = tuple((executor.executor_id, executor.version) for executor in active)
        if self._stop.poll(now_ns, progress):
            self._tell("warning", f"{len(active)} executors did not end in time; stopping them now")
            self.force_stop()

    def _tell(self, level: Level, text: str, executor_id: str = "") -> None:
        self._notices.append(Notice(self._strategy.now_ns(), level, executor_id, text))
