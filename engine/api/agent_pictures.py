"""What of agents and their engine is published for other threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.agents.builtin.performance import PerformanceSamples
from engine.api.agent_alerts import AgentAlerts
from engine.api.agent_rows import AgentRows, scheduling_view
from engine.api.agent_views import AgentDetail, AgentOrigin, AlertRow
from engine.api.board import Board
from engine.scheduling.agent_registry import AgentRegistry
from engine.scheduling.base_agent import BaseAgent
from engine.scheduling.clock import Clock


class AgentPictures:
    """Puts immutable views of the agents on the board. Belongs to the engine's loop.

    Args:
        registry: the agents, and the engine that runs them.
        board: where the views are published.
        alerts: the alerts of agents.
        clock: tells how old the market figures are.
        origins: who has made each agent; what is not in it an operator has.
    """

    def __init__(
        self,
        *,
        registry: AgentRegistry,
        board: Board,
        alerts: AgentAlerts,
        clock: Clock,
        origins: Mapping[str, AgentOrigin],
    ) -> None:
        self._registry: Final = registry
        self._board: Final = board
        self._alerts: Final = alerts
        self._clock: Final = clock
        self._origins: Final = origins
        self._rows: Final = AgentRows(registry.engine)
        self._market_at: float | None = None
        self.control_api = ""
        """Where the control API listens, or why it does not."""

    def market_seen(self) -> None:
        """Note that the market figures are of now."""
        self._market_at = self._clock.monotonic()

    def publish(self) -> None:
        """Publish the agents and the engine's figures."""
        registry = self._registry
        for gone in self._board.agents.keys() - registry.agents.keys():
            self._rows.forget(gone)
        details: dict[str, AgentDetail] = {}
        for agent_id, agent in registry.agents.items():
            detail = self._detail_of(agent)
            if detail is not None:
                details[agent_id] = detail
        self._board.agents = details
        self._board.scheduling = scheduling_view(
            registry.engine,
            tuple(detail.row for detail in details.values()),
            alerts=self._alert_rows(),
            control_api=self.control_api,
            market_age_s=self._market_age(),
            ticks=self._ticks(),
        )

    def _detail_of(self, agent: BaseAgent) -> AgentDetail | None:
        """Return the view of *agent*; one that cannot be shown keeps its last and is told once."""
        agent_id = agent.agent_id
        try:
            detail = self._rows.detail(
                agent,
                agent_type=self._registry.agent_type(agent_id),
                origin=self._origins.get(agent_id, "operator"),
            )
        except Exception as error:  # noqa: BLE001 (boundary: an agent's own values are read)
            text = f"agent {agent_id} cannot be shown: {type(error).__name__}: {error}"
            self._alerts.raise_alert(f"shown:{agent_id}", text, "warning")
            return self._board.agents.get(agent_id)
        self._alerts.clear_alert(f"shown:{agent_id}")
        return detail

    def _alert_rows(self) -> tuple[AlertRow, ...]:
        own = self._alerts.rows()
        of_engine = tuple(
            AlertRow(alert.raised_ns, alert.level, alert.text, alert.cleared_ns is None)
            for alert in self._registry.engine.alerts.recent(limit=20)
        )
        rows = sorted((*own, *of_engine), key=lambda row: row.raised_ns, reverse=True)
        return tuple(rows[:50])

    def _ticks(self) -> tuple[float | None, float | None, tuple[float, ...]]:
        for agent in self._registry.agents.values():
            if isinstance(agent, PerformanceSamples):
                return agent.tick_p50_ms, agent.tick_p95_ms, tuple(agent.trend)
        return None, None, ()

    def _market_age(self) -> float | None:
        return None if self._market_at is None else self._clock.monotonic() - self._market_at
