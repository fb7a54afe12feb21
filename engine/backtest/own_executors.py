"""Executor types of a user's own in backtests, from the packages that may be imported."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Sequence

from engine.agents.loading import AgentLoadError, import_module_at
from engine.executors.factory import ExecutorFactory, load_builtin_executors
from engine.flow.errors import ConfigurationError


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
