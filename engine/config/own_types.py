"""Executor types and controllers of a user's own, from the modules that a session file names."""

from __future__ import annotations

import pathlib

from engine.agents.loading import AgentLoadError, import_module_at
from engine.strategies.catalogue import ControllerType
from engine.strategies.own_controller import controller_type_of


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

    Raises:
        OwnTypeError: it cannot be found, or it is no such class.
    """
    module_name, _, class_name = kind.partition(":")
    try:
        found = getattr(import_module_at(module_name, base_dir), class_name, None)
    except AgentLoadError as error:
        raise OwnTypeError(error.message) from error
    if found is None:
        raise OwnTypeError(f"module {module_name} has no class {class_name!r}")
    try:
        return controller_type_of(found, kind)
    except ValueError as error:
        raise OwnTypeError(str(error)) from error
