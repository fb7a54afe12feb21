"""What the engine's own agents work on: more of the session than other agents get to see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.agents.session_agent import SessionAgent
from engine.containers.session_container import SessionContainer
from engine.live.recorder import Recorder
from engine.live.session_runner import SessionRunner
from engine.live.state_taker import StateTaker
from engine.store.store import Store


@dataclass(frozen=True, slots=True)
class SessionPorts:
    """The parts of one session. All belong to the engine's loop.

    The container is only read, between two inputs; what is to be changed goes through the
    session's input queue.
    """

    container: SessionContainer
    runner: SessionRunner
    recorder: Recorder
    store: Store
    data_dir: Path
    states: StateTaker | None = None
    """Takes snapshots of the state; None where no resume would read them."""


class EngineAgent(SessionAgent):
    """An agent of the engine's own."""

    def __init__(self, agent_id: str, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(agent_id, config)
        self._ports: SessionPorts | None = None

    @property
    def ports(self) -> SessionPorts:
        """The parts of the session.

        Raises:
            RuntimeError: the agent was made outside of a session.
        """
        if self._ports is None:
            raise RuntimeError(f"agent {self.agent_id} has no session: the engine attaches one")
        return self._ports

    def attach_ports(self, ports: SessionPorts) -> None:
        """Give the agent the parts of its session."""
        self._ports = ports
