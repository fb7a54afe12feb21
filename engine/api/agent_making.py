"""What the agents of a session are made with: their context, options, the log's target."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from engine.agents.config import AgentSection
from engine.agents.context import AgentContext
from engine.agents.ports import EngineAgent, SessionPorts
from engine.agents.session_agent import SessionAgent
from engine.scheduling.agent_factory import AgentFactory
from engine.scheduling.agent_log import is_told
from engine.scheduling.base_agent import BaseAgent
from engine.scheduling.settings import FULL_PROFILE, SchedulingSettings


class SessionAgentFactory(AgentFactory):
    """Gives every agent its session, however it came to be made."""

    def __init__(
        self, context_of: Callable[[str], AgentContext], ports: SessionPorts | None
    ) -> None:
        super().__init__()
        self._context_of = context_of
        self._ports = ports

    def create_agent(
        self, agent_type: str, agent_id: str, config: Mapping[str, Any] | None = None
    ) -> BaseAgent:
        """Return a new agent with its context."""
        agent = super().create_agent(agent_type, agent_id, config)
        if isinstance(agent, SessionAgent):
            agent.attach(self._context_of(agent_id))
        if isinstance(agent, EngineAgent) and self._ports is not None:
            agent.attach_ports(self._ports)
        return agent


class LogForwarder(logging.Handler):
    """Sends the lines of engine and agents to the log file, never to the terminal."""

    def __init__(self, log: Any) -> None:  # noqa: ANN401 (structlog's bound logger)
        super().__init__(logging.INFO)
        self._target = log

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on one line, unless an alert tells it already."""
        if is_told(record):
            return
        level = record.levelname.lower()
        write = getattr(self._target, level, self._target.info)
        write(record.getMessage(), logger=record.name, exc_info=record.exc_info or None)


def type_name(section: AgentSection) -> str:
    """Return the name under which a planned agent's type is registered."""
    return section.type or str(section.class_path)


def engine_config(settings: SchedulingSettings) -> dict[str, Any]:
    """Return the options of the execution engine: the full profile, and what the file says."""
    config: dict[str, Any] = {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in FULL_PROFILE.items()
    }
    given = settings.to_config()
    for name, value in given.items():
        known = config.get(name)
        if isinstance(known, dict) and isinstance(value, Mapping):
            config[name] = {**known, **value}
        else:
            config[name] = value
    if "critical_reserve" not in given:
        # The profile's reserve is for its own slots: fewer slots cannot spare as many.
        slots = int(config["max_concurrent_tasks"])
        config["critical_reserve"] = min(config["critical_reserve"], slots - 1)
    return config
