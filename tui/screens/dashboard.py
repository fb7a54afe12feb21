"""Mode 1: am I live, am I making money, is anything broken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.widget import Widget

from tui.screens.executor_actions import ExecutorScreen
from tui.state.console import ConsoleState
from tui.state.log_source import LogSource
from tui.widgets.agent_panels import HealthPanel
from tui.widgets.log_table import LogTable
from tui.widgets.panels import FlowPanel, MarketsPanel, SessionPanel


class DashboardScreen(ExecutorScreen):
    """Session, markets, executors, event flow and log at a glance."""

    mode: ClassVar[str] = "dashboard"

    def __init__(self, console: ConsoleState) -> None:
        super().__init__(console)
        self._session_panel = SessionPanel(console, title="Session", id="session")
        self._markets = MarketsPanel(console, title="Markets", id="markets")
        self._flow = FlowPanel(console, title="Event flow", id="flow")
        self._log = LogTable(LogSource(console, compact=True), console, show_header=False)
        self._health = HealthPanel(console)
        for panel in (self._session_panel, self._markets, self._flow, self._health):
            self.drive(panel, panel.every)
        self.drive(self._log, 3)

    def body(self) -> Iterable[Widget]:
        """Return the five panels and the line of health."""
        return (
            self._session_panel,
            self._markets,
            self.table,
            self._flow,
            self._log,
            self._health,
        )
