"""What controllers and operators ask of the orchestrator, and its answer."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from enum import StrEnum, unique
from typing import Any, ClassVar, TypeVar

from engine.executors.config import ExecutorConfigBase
from engine.executors.factory import ExecutorFactory


@unique
class ExecutorActionType(StrEnum):
    """Kind of an action."""

    CREATE = "create"
    STOP = "stop"
    UPDATE = "update"
    STORE = "store"


@unique
class ActionCode(StrEnum):
    """Outcome of an action, for programs; the message is for people."""

    OK = "OK"
    NO_CONTROLLER = "NO_CONTROLLER"
    CREATE_FAILED = "CREATE_FAILED"
    DUPLICATE_ID = "DUPLICATE_ID"
    SESSION_STOPPING = "SESSION_STOPPING"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_STOPPING = "ALREADY_STOPPING"
    NOT_RUNNING = "NOT_RUNNING"
    UPDATE_UNSUPPORTED = "UPDATE_UNSUPPORTED"
    UPDATE_TYPE_MISMATCH = "UPDATE_TYPE_MISMATCH"
    UPDATE_REJECTED = "UPDATE_REJECTED"
    STILL_ACTIVE = "STILL_ACTIVE"
    STORE_FAILED = "STORE_FAILED"
    ALREADY_STORED = "ALREADY_STORED"


_T = TypeVar("_T")


def _sealed(action_class: type[_T]) -> type[_T]:
    """Let assigning anything to an action raise the same error, class attributes too.

    A frozen dataclass with slots says TypeError for what is no field: its own `__setattr__` still
    means the class that the one with slots has replaced.
    """

    def refuse(action: object, name: str, value: object) -> None:
        del action, value
        raise FrozenInstanceError(f"an action does not change: {name} cannot be assigned")

    setattr(action_class, "__setattr__", refuse)  # noqa: B010 (an assignment is no override for mypy)
    return action_class


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What became of an action."""

    ok: bool
    code: ActionCode
    message: str
    executor_id: str | None = None


@_sealed
@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorAction:
    """Base of all actions. ``action_type`` is fixed for each class.

    ``controller_id`` None is accepted here and refused by the orchestrator (NO_CONTROLLER).
    """

    action_type: ClassVar[ExecutorActionType]

    controller_id: str | None = "main"

    @staticmethod
    def create(
        executor_config: ExecutorConfigBase, controller_id: str = "main"
    ) -> CreateExecutorAction:
        """Return the action that creates and starts an executor."""
        return CreateExecutorAction(controller_id=controller_id, executor_config=executor_config)

    @staticmethod
    def stop(
        executor_id: str, controller_id: str = "main", *, keep_position: bool | None = None
    ) -> StopExecutorAction:
        """Return the action that stops an executor."""
        return StopExecutorAction(
            controller_id=controller_id, executor_id=executor_id, keep_position=keep_position
        )

    @staticmethod
    def update(
        executor_id: str, update_data: object, controller_id: str = "main"
    ) -> UpdateExecutorAction:
        """Return the action that changes a running executor."""
        return UpdateExecutorAction(
            controller_id=controller_id, executor_id=executor_id, update_data=update_data
        )

    @staticmethod
    def store(executor_id: str, controller_id: str = "main") -> StoreExecutorAction:
        """Return the action that archives a terminated executor."""
        return StoreExecutorAction(controller_id=controller_id, executor_id=executor_id)

    @staticmethod
    def of(action_type: str, **fields: Any) -> ExecutorAction:  # noqa: ANN401 (fields of the class)
        """Return the action that *action_type* names.

        Raises:
            ValueError: there is no such action, or its fields do not fit.
        """
        if action_type not in ACTION_CLASSES:
            raise ValueError(
                f"action_type must be one of {', '.join(ExecutorActionType)}, got {action_type!r}"
            )
        try:
            return ACTION_CLASSES[ExecutorActionType(action_type)](**fields)
        except TypeError as error:
            raise ValueError(f"{action_type} action: {error}") from error


@_sealed
@dataclass(frozen=True, slots=True, kw_only=True)
class CreateExecutorAction(ExecutorAction):
    """Create and start an executor from a configuration instance.

    Raises:
        ValueError: the configuration is no instance of a registered configuration class.
    """

    action_type = ExecutorActionType.CREATE

    executor_config: ExecutorConfigBase

    def __post_init__(self) -> None:
        kind = type(self.executor_config)
        if not ExecutorFactory.is_registered(kind):
            known = ", ".join(ExecutorFactory.registrations()) or "none"
            raise ValueError(
                f"executor_config must be a configuration of a registered executor ({known}), "
                f"got {kind.__name__}"
            )


@_sealed
@dataclass(frozen=True, slots=True, kw_only=True)
class StopExecutorAction(ExecutorAction):
    """Stop an executor; ``keep_position`` None leaves the choice to its configuration.

    Raises:
        ValueError: ``executor_id`` is empty.
    """

    action_type = ExecutorActionType.STOP

    executor_id: str = ""
    keep_position: bool | None = None

    def __post_init__(self) -> None:
        _require_id(self.executor_id, self.action_type)


@_sealed
@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateExecutorAction(ExecutorAction):
    """Change the configuration of a running executor.

    Raises:
        ValueError: no id, no data, an unknown executor, a type without updates, or data of
            another type; each says which.
    """

    action_type = ExecutorActionType.UPDATE

    executor_id: str = ""
    update_data: object = None

    def __post_init__(self) -> None:
        _require_id(self.executor_id, self.action_type)
        if self.update_data is None:
            raise ValueError("update action: update_data is required")
        config_types = ExecutorFactory.get_config_types_for_executor(self.executor_id)
        if not config_types:
            raise ValueError(f"update action: executor {self.executor_id} is not known")
        found = [ExecutorFactory.get_update_type(config_type) for config_type in config_types]
        update_types = [update_type for update_type in found if update_type is not None]
        if not update_types:
            raise ValueError(f"update action: {config_types[-1].__name__} takes no updates")
        if not isinstance(self.update_data, tuple(update_types)):  # the orchestrator knows whose
            raise ValueError(  # noqa: TRY004 (11.1: validation errors are ValueErrors)
                f"update action: update_data must be {update_types[-1].__name__}, "
                f"got {type(self.update_data).__name__}"
            )


@_sealed
@dataclass(frozen=True, slots=True, kw_only=True)
class StoreExecutorAction(ExecutorAction):
    """Move a terminated executor into the archive.

    Raises:
        ValueError: ``executor_id`` is empty.
    """

    action_type = ExecutorActionType.STORE

    executor_id: str = ""

    def __post_init__(self) -> None:
        _require_id(self.executor_id, self.action_type)


ACTION_CLASSES: dict[str, type[ExecutorAction]] = {
    ExecutorActionType.CREATE: CreateExecutorAction,
    ExecutorActionType.STOP: StopExecutorAction,
    ExecutorActionType.UPDATE: UpdateExecutorAction,
    ExecutorActionType.STORE: StoreExecutorAction,
}


def _require_id(executor_id: str, action_type: ExecutorActionType) -> None:
    if not executor_id:
        raise ValueError(f"{action_type} action: executor_id is required")
