"""Where an agent stands."""

from __future__ import annotations

from enum import StrEnum, unique


@unique
class AgentStatus(StrEnum):
    """State of an agent; `AgentStatus("RUNNING")` is found whatever the case."""

    INITIALIZED = "initialized"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ERROR = "error"

    @classmethod
    def _missing_(cls, value: object) -> AgentStatus | None:
        name = value.upper() if isinstance(value, str) else ""
        return cls.__members__.get(name)
