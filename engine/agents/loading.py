"""From a name in a session file to the class of an agent."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from engine.agents.catalogue import sample_types
from engine.agents.config import AgentSection
from engine.agents.own_module import load_file, own_name
from engine.agents.session_agent import SessionAgent
from engine.flow.errors import ConfigurationError


class AgentLoadError(ConfigurationError):
    """A class cannot be had. ``field`` is the key of the section that is to blame."""

    def __init__(self, field: str, text: str, *, cause: BaseException | None = None) -> None:
        super().__init__(text, cause=cause)
        self.field = field


def load_agent_class(section: AgentSection, *, base_dir: Path) -> type[SessionAgent]:
    """Return the class that *section* names; its module runs for the first time here.

    Args:
        section: the agent.
        base_dir: folder of the session file, where own modules are looked for first.

    Raises:
        AgentLoadError: it is unknown, cannot be imported, or is no ``SessionAgent``.
    """
    if section.class_path is None:
        known = sample_types()
        found = known.get(str(section.type))
        if found is None:
            allowed = ", ".join(sorted(known))
            text = f"agent type {section.type!r} is not known, allowed: {allowed}"
            raise AgentLoadError("type", text)
        return found
    module_name, _, class_name = section.class_path.partition(":")
    module = import_module_at(module_name, base_dir)
    found_class = getattr(module, class_name, None)
    if found_class is None:
        raise AgentLoadError("class", f"module {module_name} has no {class_name}")
    if not (isinstance(found_class, type) and issubclass(found_class, SessionAgent)):
        base = f"{SessionAgent.__module__}.{SessionAgent.__name__}"
        raise AgentLoadError("class", f"{section.class_path} is no subclass of {base}")
    return found_class


def import_module_at(name: str, base_dir: Path) -> ModuleType:
    """Return the module *name*: the file in *base_dir*, or what Python finds.

    It runs once: a second session that names the same file gets the same module.

    Raises:
        AgentLoadError: it is nowhere, or it raises.
    """
    beside = base_dir.joinpath(*name.split(".")).with_suffix(".py")
    try:
        if beside.is_file():
            return load_file(own_name(name), str(beside))
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        where = f"neither at {beside} nor where Python finds modules"
        text = f"module {name} was not found: {where} ({error})"
        raise AgentLoadError("class", text, cause=error) from error
    except Exception as error:
        text = f"module {name} cannot be imported: {type(error).__name__}: {error}"
        raise AgentLoadError("class", text, cause=error) from error
