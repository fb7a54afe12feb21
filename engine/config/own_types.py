"""Executor types and controllers of a user's own, from the modules that a session file names."""

from __future__ import annotations

import inspect
import pathlib
from collections.abc import Mapping

from pydantic import BaseModel

from engine.agents.loading import AgentLoadError, import_module_at
from engine.strategies.catalogue import ControllerType


class OwnTypeError(ValueError):
    """A module or a class of the user's cannot be used."""


def load_executor_module(name: str, base_dir: pathlib.Path) -> None:
    """Import the module *name*, which registers its executor types.

    Raises:
        OwnTypeError: it cannot be found, it raises, or a registration is refused.
    """
    try:
        import_module_at(name, base_dir)
    except AgentLoadError as error:
        raise OwnTypeError(error.message) from error


def own_controller_type(kind: str, base_dir: pathlib.Path) -> ControllerType:
    """Return the controller that *kind* names as ``module:Class``.

    The class has ``params_model``, a pydantic model, and is made with the keyword arguments
    ``controller_id`` and ``params``.

    Raises:
        OwnTypeError: it cannot be found, or it is no such class.
    """
    module_name, _, class_name = kind.partition(":")
    try:
        found = getattr(import_module_at(module_name, base_dir), class_name, None)
    except AgentLoadError as error:
        raise OwnTypeError(error.message) from error
    if not isinstance(found, type):
        raise OwnTypeError(f"module {module_name} has no class {class_name!r}")
    model = getattr(found, "params_model", None)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise OwnTypeError(f"{kind} needs params_model, a pydantic model of its parameters")
    if not callable(getattr(found, "on_tick", None)):
        raise OwnTypeError(f"{kind} needs on_tick(context), which returns proposals")
    try:
        inspect.signature(found).bind(controller_id="", params=None)
    except TypeError as error:
        raise OwnTypeError(f"{kind} must take controller_id and params: {error}") from error

    def build(controller_id: str, params: Mapping[str, object]) -> object:
        return found(controller_id=controller_id, params=model.model_validate(dict(params)))

    return ControllerType(class_name, inspect.getdoc(found) or "", model, build)  # type: ignore[arg-type]  # the user's class: its methods are checked above
