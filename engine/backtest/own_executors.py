"""Executors and controllers of a user's own in backtests, from what may be imported."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Sequence

from engine.agents.loading import AgentLoadError, import_module_at
from engine.executors.factory import ExecutorFactory, load_builtin_executors
from engine.flow.errors import ConfigurationError
from engine.strategies.catalogue import ControllerType, controller_types
from engine.strategies.own_controller import controller_type_of


def load_executor_types(
    names: Iterable[str], *, base_dir: pathlib.Path, allow_imports: Sequence[str]
) -> None:
    """Import what registers the executor types *names*; afterwards the factory knows them.

    The modules of *allow_imports* are imported, one after the other, only while one of *names* is
    unknown. A name that none of them registers stays unknown.

    Args:
        names: type strings of configurations.
        base_dir: folder of the configuration; modules in it come first.
        allow_imports: modules that may be imported.

    Raises:
        ConfigurationError: a module cannot be imported, or a registration is refused.
    """
    load_builtin_executors()
    wanted = set(names)
    for module in allow_imports:
        if wanted <= ExecutorFactory.registrations().keys():
            return
        try:
            import_module_at(module, base_dir)
        except AgentLoadError as error:
            raise ConfigurationError(error.message, cause=error) from error


def find_controller_type(
    kind: str, *, base_dir: pathlib.Path, allow_imports: Sequence[str]
) -> ControllerType:
    """Return the controller *kind*: one that ships, or ``module:Class`` of *allow_imports*.

    Raises:
        ConfigurationError: it is not known, may not be imported, or is no controller.
    """
    known = controller_types()
    if kind in known:
        return known[kind]
    module, _, name = kind.partition(":")
    if not name:
        allowed = ", ".join(sorted(known))
        raise ConfigurationError(
            f"controller {kind!r} is not known, allowed: {allowed}, or module:Class with its "
            "module in allow_imports"
        )
    if module not in allow_imports:
        allowed = ", ".join(allow_imports) or "none"
        raise ConfigurationError(
            f"controller {kind!r}: {module} may not be imported, allow_imports has: {allowed}"
        )
    try:
        return controller_type_of(getattr(import_module_at(module, base_dir), name, None), kind)
    except AgentLoadError as error:
        raise ConfigurationError(error.message, cause=error) from error
    except ValueError as error:
        raise ConfigurationError(str(error), cause=error) from error
