"""Carries out actions on the roster of executors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
from engine.executors.archive import Archive
from engine.executors.base import ExecutorBase, UpdateRejectedError
from engine.executors.config import ExecutorConfigBase
from engine.executors.factory import ExecutorFactory
from engine.executors.plain import JsonValue
from engine.executors.roster import Member, Roster
from engine.executors.settings import ExecutorSettings
from engine.executors.status import RunnableStatus
from engine.executors.strategy import ExecutorStrategy
from engine.model.orders import Fill, Order

RestartPolicy = Literal["resume", "flatten", "hold", "ignore"]
"""What becomes of an executor that was active when its session ended (14.3)."""


class ActionDesk:
    """Creates, stops, updates and stores executors; every failure is a result."""

    def __init__(
        self,
        *,
        strategy: ExecutorStrategy,
        roster: Roster,
        archive: Archive,
        settings: ExecutorSettings,
        update_interval: float,
        max_retries: int | None,
    ) -> None:
        self._strategy = strategy
        self._roster = roster
        self._archive = archive
        self._settings = settings
        self._update_interval = update_interval
        self._max_retries = max_retries

    def execute(self, action: ExecutorAction, *, is_stopping: bool) -> ActionResult:
        """Execute one action; a failure is a result, never an exception."""
        controller_id = action.controller_id
        if controller_id is None:
            return self._refused(
                ActionCode.NO_CONTROLLER, f"{action.action_type} action without controller ignored"
            )
        match action:
            case CreateExecutorAction():
                return self._create(action, controller_id, is_stopping=is_stopping)
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
        policy: RestartPolicy,
    ) -> None:
        """Take up a stored executor after a restart (14.3).

        Raises:
            ValueError: the configuration or the stored state does not fit.
        """
        executor = self._make(config)
        executor.restore(state, orders, fills)
        member = self._roster.join(executor)
        match policy:
            case "resume":
                self._roster.dispatch(member, executor.on_time, self._strategy.now_ns())
            case "flatten":
                self._roster.dispatch(member, executor.early_stop, keep_position=False)
            case "hold":
                self._roster.dispatch(member, executor.early_stop, keep_position=True)
            case "ignore":
                self._roster.dispatch(member, executor.fail, "ignored at the restart")

    def give_up(self, executor_id: str, reason: str) -> ActionResult:
        """End an executor as FAILED; what it holds goes to the position store (14.3, ignore)."""
        member = self._roster.find(executor_id)
        if member is None:
            return self._refused(
                ActionCode.NOT_FOUND, f"there is no executor {executor_id}", executor_id
            )
        self._roster.dispatch(member, member.executor.fail, reason)
        return self._done_ok(executor_id, "is given up")

    def _create(
        self, action: CreateExecutorAction, controller_id: str, *, is_stopping: bool
    ) -> ActionResult:
        if is_stopping:
            return self._refused(
                ActionCode.SESSION_STOPPING, "the session is stopping; no new executors"
            )
        draft = action.executor_config
        bits = 0 if draft.id else self._strategy.random_bits()
        config = draft.with_identity(
            now_ns=self._strategy.now_ns(), random_bits=bits, controller_id=controller_id
        )
        if self._roster.find(config.id) or self._archive.find(config.id):
            return self._refused(
                ActionCode.DUPLICATE_ID, f"executor {config.id} exists already", config.id
            )
        try:
            executor = self._make(config)
        except ValueError as error:
            return self._refused(ActionCode.CREATE_FAILED, str(error), config.id)
        member = self._roster.join(executor)
        now_ns = self._strategy.now_ns()
        self._roster.dispatch(member, executor.start, now_ns)
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
            ExecutorFactory.forget_executor(config.id, self._strategy)
            raise ValueError(f"{type(executor).__name__} must derive from ExecutorBase")  # noqa: TRY004 (10.2 asks for ValueError)
        return executor

    def _stop_one(self, action: StopExecutorAction, controller_id: str) -> ActionResult:
        member = self._roster.of_controller(controller_id, action.executor_id)
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
        self._roster.dispatch(member, member.executor.early_stop, keep_position=keep)
        return self._done_ok(action.executor_id, "stops")

    def _update(self, action: UpdateExecutorAction, controller_id: str) -> ActionResult:
        executor_id = action.executor_id
        member = self._roster.of_controller(controller_id, executor_id)
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

    def _update_live(self, member: Member, payload: object) -> ActionResult:
        executor_id = member.executor.executor_id
        try:
            step = member.executor.update_live(payload)
        except UpdateRejectedError as error:
            return self._refused(ActionCode.UPDATE_REJECTED, f"update failed: {error}", executor_id)
        self._roster.dispatch(member, lambda: step)
        return self._done_ok(executor_id, "updated")

    def _store(self, action: StoreExecutorAction, controller_id: str) -> ActionResult:
        executor_id = action.executor_id
        member = self._roster.of_controller(controller_id, executor_id)
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
        problem = self._roster.archive_one(member)
        if problem:
            return self._refused(ActionCode.STORE_FAILED, problem, executor_id)
        return self._done_ok(executor_id, "stored")

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
        self._roster.tell("error", message, executor_id or "")
        return ActionResult(ok=False, code=code, message=message, executor_id=executor_id)
