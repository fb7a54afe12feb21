"""The door: the console and the command line import the engine through this package only.

Names load on first use, so that ``import engine.api`` costs nothing before something is needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from engine.api.commands import (
        CancelBacktest,
        Command,
        CreateExecutor,
        DeleteBacktest,
        PauseAgent,
        ResumeAgent,
        RunAgentNow,
        RunBacktest,
        SetAgentInterval,
        SetAgentPriority,
        StartAgent,
        StartController,
        StopAgent,
        StopController,
        StopExecutor,
        StopSession,
        StoreExecutor,
        UpdateExecutor,
    )
    from engine.api.engine import Engine
    from engine.api.engine_errors import EngineError, EngineStartError
    from engine.api.files import check_session_file, list_sessions, simulate_file
    from engine.api.thread import EngineThread

_HOMES: Final = {
    "CancelBacktest": "commands",
    "Command": "commands",
    "DeleteBacktest": "commands",
    "RunBacktest": "commands",
    "CreateExecutor": "commands",
    "PauseAgent": "commands",
    "ResumeAgent": "commands",
    "RunAgentNow": "commands",
    "SetAgentInterval": "commands",
    "SetAgentPriority": "commands",
    "StartAgent": "commands",
    "StartController": "commands",
    "StopAgent": "commands",
    "StopController": "commands",
    "StopExecutor": "commands",
    "StopSession": "commands",
    "StoreExecutor": "commands",
    "UpdateExecutor": "commands",
    "Engine": "engine",
    "EngineStartError": "engine_errors",
    "EngineThread": "thread",
    "check_session_file": "files",
    "EngineError": "engine_errors",
    "list_sessions": "files",
    "simulate_file": "files",
}

__all__ = [
    "CancelBacktest",
    "Command",
    "CreateExecutor",
    "DeleteBacktest",
    "Engine",
    "EngineError",
    "EngineStartError",
    "EngineThread",
    "PauseAgent",
    "ResumeAgent",
    "RunAgentNow",
    "RunBacktest",
    "SetAgentInterval",
    "SetAgentPriority",
    "StartAgent",
    "StartController",
    "StopAgent",
    "StopController",
    "StopExecutor",
    "StopSession",
    "StoreExecutor",
    "UpdateExecutor",
    "check_session_file",
    "list_sessions",
    "simulate_file",
]


def __getattr__(name: str) -> object:
    """Import the module that owns *name* when the name is first used."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
