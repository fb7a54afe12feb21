"""What around the agents is an alert: resting guards, health, limits, wrong tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.agents.context import AlertLevel
from engine.api.agent_alerts import AgentAlerts
from engine.scheduling.agent_registry import AgentRegistry
from engine.scheduling.alerts import Alert
from engine.scheduling.clock import Clock
from engine.scheduling.control_settings import ControlApiSettings, is_loopback
from engine.scheduling.health import HealthReport

FAILED_LOGIN_S: Final = 300.0
"""How long after the last wrong token the alert goes on."""


class AgentWatch:
    """Turns what happens into alerts. Belongs to the engine's loop.

    Args:
        alerts: where they go.
        registry: the agents.
        clock: measures how long an alert goes on.
        note: takes (level, text) for log and console.
    """

    def __init__(
        self,
        *,
        alerts: AgentAlerts,
        registry: AgentRegistry,
        clock: Clock,
        note: Callable[[str, str], None],
    ) -> None:
        self._alerts: Final = alerts
        self._registry: Final = registry
        self._clock: Final = clock
        self._note: Final = note
        self._failed_login_until = 0.0

    def look(self, *, is_stopping: bool) -> None:
        """Say so, where nobody can overlook it, while an agent that guards stops does not run."""
        for agent_id, agent in self._registry.agents.items():
            if not agent.is_protected:
                continue
            is_alive = agent.status.value in {"running", "starting", "stopping"}
            is_paused = not agent.config.get("repeat", True)
            if (is_alive and not is_paused) or is_stopping:
                self._alerts.clear_alert(f"guard:{agent_id}")
            else:
                state = "paused" if is_alive else agent.status.value
                text = f"{agent_id} is {state}: the stops have no second guard"
                self._alerts.raise_alert(f"guard:{agent_id}", text, "error", is_standing=True)
        if self._clock.monotonic() >= self._failed_login_until:
            self._alerts.clear_alert("failed-login")

    def api_opened(self, settings: ControlApiSettings, url: str) -> None:
        """The control API listens; beyond this machine that is warned of as long as it does."""
        if not is_loopback(settings.host):
            text = f"control API is open beyond this machine: {url} (allow_remote)"
            self._alerts.raise_alert("control-api", text, "warning", is_standing=True)

    def login_failed(self, client: str) -> None:
        """Somebody showed the control API a wrong token."""
        text = f"control API: wrong token from {client}"
        self._alerts.raise_alert("failed-login", text, "warning")
        self._failed_login_until = self._clock.monotonic() + FAILED_LOGIN_S

    def health_changed(self, report: HealthReport) -> None:
        """The verdict on agents and loop is another."""
        if report.status.value == "ok":
            self._alerts.clear_alert("health")
            return
        found = [*report.stuck, *report.starved, *report.overdue]
        text = f"agents are {report.status.value}: {', '.join(found) or 'the loop is late'}"
        level: AlertLevel = "error" if report.status.value == "critical" else "warning"
        self._alerts.raise_alert("health", text, level)

    def engine_alert(self, alert: Alert) -> None:
        """A limit of the execution engine was crossed, or is kept again."""
        if alert.cleared_ns is None and alert.kind != "engine_not_running":
            self._note("warning", alert.text)
