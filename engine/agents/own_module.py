"""Modules that lie beside a session file, loaded under names that hide no others."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Final

_PREFIX: Final = "session_agents_"


def own_name(name: str) -> str:
    """Return the name under which the module *name* beside a session file is loaded."""
    return f"{_PREFIX}{name.replace('.', '_')}"


def is_own(module_name: str) -> bool:
    """Return whether a module was loaded from beside a session file."""
    return module_name.startswith(_PREFIX)


def load_file(module_name: str, path: str) -> ModuleType:
    """Import the file *path* as *module_name*, once in each process.

    Raises:
        ImportError: it cannot be read as a module.
        Exception: what the module raised.
    """
    known = sys.modules.get(module_name)
    if known is not None and getattr(known, "__file__", None) == path:
        return known
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be read as a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module
