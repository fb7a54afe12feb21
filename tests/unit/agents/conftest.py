"""A session that is fed by hand, and agents that work on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from engine.agents.context import AgentContext
from engine.agents.ports import EngineAgent, SessionPorts
from engine.agents.session_agent import SessionAgent
from engine.executors.actions import ActionResult
from engine.testing.small_session import SmallSession, small_plan


@dataclass
class Desk:
    """Attaches agents to a small session and keeps what they asked for."""

    session: SmallSession
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    raised: dict[str, tuple[str, str]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    market: dict[str, float] = field(default_factory=dict)
    refusal: ActionResult | None = None

    def raise_alert(self, key: str, text: str, level: str) -> None:
        if key not in self.raised:
            self.told.append(text)
        self.raised[key] = (text, level)

    def clear_alert(self, key: str) -> None:
        self.raised.pop(key, None)

    async def act(self, actor: str, verb: str, arguments: Mapping[str, Any]) -> ActionResult:
        self.asked.append((actor, verb, dict(arguments)))
        return self.refusal or self.session.act(verb, **arguments)

    def set_market(self, **figures: float) -> None:
        self.market = figures

    def attach(self, agent: SessionAgent, *, ports: SessionPorts | None = None) -> None:
        agent.attach(
            AgentContext(
                agent_id=agent.agent_id,
                published=self.session.published,
                act=self.act,
                alerts=self,
                market_condition=self.set_market,
            )
        )
        if isinstance(agent, EngineAgent) and ports is not None:
            agent.attach_ports(ports)


@pytest.fixture
def make_desk() -> Callable[..., Desk]:
    """Return a function that begins a session; its arguments are those of ``small_plan``."""

    def made(**plan: Any) -> Desk:
        session = SmallSession(small_plan(**plan))
        session.begin()
        session.quote(1, "9.99", "10.01")
        return Desk(session)

    return made


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """Return a session with one quote of one market."""
    return make_desk()
