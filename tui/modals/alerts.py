"""Alerts: the warnings and errors of the log, the newest last, over whatever is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.widget import Widget

from tui.modals.overlay import Overlay
from tui.state.console import ConsoleState
from tui.state.log_source import LEVELS, LogSource
from tui.widgets.live_table import LiveTable
from tui.widgets.log_table import LogTable

_EVERY_S = 1.0


class AlertsScreen(Overlay[str | None]):
    """Ends with the id of the executor to open, or None."""

    heading: ClassVar[str] = "Alerts"
    hint: ClassVar[str] = "enter opens the executor · esc closes"
    DEFAULT_CSS = """
    AlertsScreen > .overlay-box { width: 90%; min-width: 80; }
    """

    def __init__(self, console: ConsoleState) -> None:
        super().__init__(console)
        self._source = LogSource(console)
        self._source.level = LEVELS.index("warning")
        self._table = LogTable(self._source, console, empty="No warnings and no errors so far.")
        self._table.remove_class("panel")  # the box has the frame

    def body(self) -> Iterable[Widget]:
        """Return the list."""
        return (self._table,)

    def on_mount(self) -> None:
        """Look for new lines while it is open."""
        self._table.pull()
        if self.console.fps:
            self.set_interval(_EVERY_S, self._table.pull)

    @on(LiveTable.RowOpened)
    def _line_opened(self, event: LiveTable.RowOpened) -> None:
        event.stop()
        row = self._source.find(event.row_id)
        if row is not None and row.executor_id is not None:
            _ = self.dismiss(row.executor_id)
