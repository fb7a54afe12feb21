"""What a command does, in the words of who asked for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Words(NamedTuple):
    """A verb, its past form, and the noun of what it is done to (empty: the target says it)."""

    verb: str
    past: str
    noun: str


_WORDS: Mapping[str, Words] = {
    "CreateExecutor": Words("create", "created", ""),
    "StopExecutor": Words("stop", "stopped", "executor"),
    "UpdateExecutor": Words("change", "changed", "executor"),
    "StoreExecutor": Words("store", "stored", "executor"),
    "StopSession": Words("stop", "asked to stop", "session"),
    "StopController": Words("stop", "stopped", "controller"),
    "StartController": Words("start", "started", "controller"),
    "StartAgent": Words("start", "started", "agent"),
    "StopAgent": Words("stop", "stopped", "agent"),
    "PauseAgent": Words("pause", "paused", "agent"),
    "ResumeAgent": Words("resume", "resumed", "agent"),
    "RunAgentNow": Words("run", "ran", "agent"),
    "SetAgentPriority": Words("change the priority of", "changed the priority of", "agent"),
    "SetAgentInterval": Words("change the interval of", "changed the interval of", "agent"),
    "RunBacktest": Words("queue", "queued", "backtest"),
    "CancelBacktest": Words("cancel", "cancelled", "backtest"),
    "DeleteBacktest": Words("delete", "deleted", "backtest"),
    "RunOptimization": Words("queue", "queued", "study"),
    "CancelOptimization": Words("cancel", "cancelled", "study"),
    "HoldOptimization": Words("hold or let go on", "held or let go on", "study"),
    "WritePaperSession": Words("write a paper session from", "wrote a paper session from", "study"),
}


def words_of(kind: str) -> Words:
    """Return the words of the command class *kind*; those of an unknown one are its name's."""
    known = _WORDS.get(kind)
    if known is not None:
        return known
    verb = _HUMP.sub(" ", kind).lower()
    return Words(verb, f"did {verb}", "")
