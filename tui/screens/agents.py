"""Mode 5: the agents, the one under the cursor, and the engine that runs them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget

from tui.actions import Scope, bindings_for
from tui.screens.agent_actions import AgentActions
from tui.screens.base import ConsoleScreen
from tui.screens.command_reporter import CommandReporter
from tui.state.agent_source import AgentSource
from tui.state.console import ConsoleState
from tui.widgets.agent_panels import AgentPanel, SchedulingPanel
from tui.widgets.live_table import LiveTable

if TYPE_CHECKING:
    from engine.api.views import AgentRow

_EMPTY = "No agents run. An agents: section in the session file brings some."
_WAITING = "Agents appear as soon as the engine is up."


class AgentsScreen(ConsoleScreen, AgentActions):
    """Table of agents over two panels; enter opens the runs of one."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.AGENTS)
    AUTO_FOCUS = "#agents"
    mode: ClassVar[str] = "agents"
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.AGENTS, *ConsoleScreen.scopes)

    def __init__(self, console: ConsoleState) -> None:
        super().__init__(console)
        self.table: LiveTable[AgentRow] = LiveTable(
            AgentSource(console),
            title="Agents",
            clock=console.clock,
            empty=_WAITING,
            id="agents",
            classes="panel",
        )
        self._agent = AgentPanel(console, title="Agent", id="agent")
        self._scheduling = SchedulingPanel(console, title="Scheduler and pool", id="scheduling")
        self.reporter = CommandReporter(console.engine, self)
        self.drive(self.table, 2)
        self.drive(self._agent, self._agent.every)
        self.drive(self._scheduling, self._scheduling.every)

    def body(self) -> Iterable[Widget]:
        """Return table and panels."""
        return (self.table, self._agent, self._scheduling)

    def _breathe(self) -> None:
        super()._breathe()
        self.table.empty = _EMPTY if self.console.session else _WAITING
        self.reporter.report()

    def pull_all(self) -> None:
        """Ask for everything; the panel belongs to the row under the cursor."""
        super().pull_all()
        self._show_agent()

    @on(LiveTable.CursorMoved, "#agents")
    def _show_agent(self) -> None:
        agent_id = self.table.model.cursor_id
        self._agent.agent_id = agent_id
        self._agent.border_title = Content(f"Agent ─ {agent_id}" if agent_id else "Agent")
        self._agent.pull()
        self.update_keys()

    @on(LiveTable.RowOpened, "#agents")
    def _row_opened(self, event: LiveTable.RowOpened) -> None:
        event.stop()
        from tui.screens.agent_detail import AgentDetailScreen

        _ = self.app.push_screen(AgentDetailScreen(self.console, event.row_id))

    # --- actions ---------------------------------------------------------------------------------

    def chosen_agents(self) -> Sequence[AgentRow]:
        """Return the marked agents, or the one under the cursor."""
        return self.table.model.chosen()

    def after_command(self) -> None:
        """Take the marks off and look again."""
        self.table.model.unmark_all()
        self.table.pull()

    def why_not(self, action_id: str) -> str:
        """Return why an action is not possible now; empty if it is."""
        if action_id.startswith("agent."):
            return self.why_not_agent(action_id)
        return super().why_not(action_id)
