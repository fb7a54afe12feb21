"""Mode 6: the event executors, ``inspect_state()`` of one, and the operator's commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.content import Content
from textual.widget import Widget

from tui.screens.base import ConsoleScreen
from tui.state.console import ConsoleState
from tui.widgets.command_table import CommandTable
from tui.widgets.flow_table import FlowTable
from tui.widgets.live_table import LiveTable
from tui.widgets.panels import FlowTextPanel


class FlowScreen(ConsoleScreen):
    """Counts by status, the text of the executor under the cursor, commands; enter lists events."""

    AUTO_FOCUS = "#flows"
    mode: ClassVar[str] = "flow"

    def __init__(self, console: ConsoleState) -> None:
        super().__init__(console)
        self._flows = FlowTable(console)
        self._text = FlowTextPanel(console, title="inspect_state()", id="flow-text")
        self._commands = CommandTable(console)
        self.drive(self._flows, 2)
        self.drive(self._text, self._text.every)
        self.drive(self._commands, 3)

    def body(self) -> Iterable[Widget]:
        """Return counts, text and commands."""
        return (self._flows, self._text, self._commands)

    def pull_all(self) -> None:
        """Ask for everything; the text belongs to the row under the cursor."""
        super().pull_all()
        self._show_text()

    @on(LiveTable.CursorMoved, "#flows")
    def _show_text(self) -> None:
        name = self._flows.model.cursor_id or ""
        self._text.name_shown = name
        self._text.border_title = Content(
            f"inspect_state() ─ {name}" if name else "inspect_state()"
        )
        self._text.pull()

    @on(LiveTable.RowOpened, "#flows")
    def _row_opened(self, event: LiveTable.RowOpened) -> None:
        event.stop()
        from tui.modals.flow_events import FlowEventsScreen

        _ = self.app.push_screen(FlowEventsScreen(self.console, event.row_id))
