"""Actions from plain values: what a command, a journal entry or a controller's proposal says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from engine.executors.actions import (
    ActionCode,
    ActionResult,
    CreateExecutorAction,
    ExecutorAction,
    StopExecutorAction,
    StoreExecutorAction,
    UpdateExecutorAction,
)
from engine.executors.factory import ExecutorFactory
from engine.executors.validation import describe_errors

ConfigTypeOf = Callable[[str], type | None]
"""Returns the configuration class of an executor by its id; None if there is no such executor."""


class ActionRefusedError(Exception):
    """Values do not make an action; ``result`` says why."""

    def __init__(self, code: ActionCode, message: str, executor_id: str | None = None) -> None:
        super().__init__(message)
        self.result = ActionResult(ok=False, code=code, message=message, executor_id=executor_id)


def build_action(
    verb: str,
    arguments: Mapping[str, Any],
    config_type_of: ConfigTypeOf = ExecutorFactory.get_config_type_for_executor,
) -> ExecutorAction:
    """Return the action that *verb* and its *arguments* describe.

    create takes ``executor_type``, ``config``, ``controller_id``; stop takes ``executor_id`` and
    ``keep_position``; update takes ``executor_id`` and ``changes``; store takes ``executor_id``.

    ``config_type_of`` gives the configuration class of an executor by its id: a session's
    orchestrator knows its own ones.

    Raises:
        ActionRefusedError: the verb is unknown or the values do not fit.
    """
    executor_id = str(arguments.get("executor_id", ""))
    controller_id = arguments.get("controller_id", "main")
    if verb in ("stop", "store") and not executor_id:
        raise ActionRefusedError(ActionCode.NOT_FOUND, f"{verb}: executor_id is required")
    match verb:
        case "create":
            return _create(arguments, controller_id)
        case "stop":
            keep = arguments.get("keep_position")
            return StopExecutorAction(
                controller_id=controller_id, executor_id=executor_id, keep_position=keep
            )
        case "update":
            return _update(executor_id, arguments, controller_id, config_type_of(executor_id))
        case "store":
            return StoreExecutorAction(controller_id=controller_id, executor_id=executor_id)
        case _:
            raise ActionRefusedError(ActionCode.NOT_FOUND, f"there is no action {verb!r}")


def _create(arguments: Mapping[str, Any], controller_id: str) -> CreateExecutorAction:
    try:
        model = ExecutorFactory.get_config_type(str(arguments.get("executor_type", "")))
        config = _validated(model, "config", arguments)
        return CreateExecutorAction(controller_id=controller_id, executor_config=config)
    except ValueError as error:
        raise ActionRefusedError(ActionCode.CREATE_FAILED, _sentence(error)) from error


def _update(
    executor_id: str,
    arguments: Mapping[str, Any],
    controller_id: str,
    config_type: type | None,
) -> UpdateExecutorAction:
    if config_type is None:
        raise ActionRefusedError(
            ActionCode.NOT_FOUND, f"there is no executor {executor_id}", executor_id
        )
    update_type = ExecutorFactory.get_update_type(config_type)
    if update_type is None:
        text = f"{config_type.__name__} takes no updates"
        raise ActionRefusedError(ActionCode.UPDATE_UNSUPPORTED, text, executor_id)
    try:
        payload = _validated(update_type, "changes", arguments)
        return UpdateExecutorAction(
            controller_id=controller_id, executor_id=executor_id, update_data=payload
        )
    except ValueError as error:
        raise ActionRefusedError(
            ActionCode.UPDATE_REJECTED, _sentence(error), executor_id
        ) from error


def _validated(model: type, name: str, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 (a registered model)
    """Return the argument *name* as an instance of *model*.

    Raises:
        ValueError: it is no mapping, or it does not fit; pydantic's own error is one.
    """
    values = arguments.get(name, {})
    if not isinstance(values, Mapping):
        raise ValueError(f"{name} must be a mapping, got {values!r}")  # noqa: TRY004 (refused like every other value)
    return model.model_validate(dict(values))  # type: ignore[attr-defined]  # registered: a pydantic model


def _sentence(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(map(str, describe_errors(error)))
    return str(error)
