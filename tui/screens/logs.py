"""Mode 0: the log, and every operator command with its outcome."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.widget import Widget

from tui.actions import Scope, bindings_for
from tui.screens.base import ConsoleScreen
from tui.state.console import ConsoleState
from tui.state.log_source import LogSource
from tui.widgets.command_table import CommandTable
from tui.widgets.live_table import LiveTable
from tui.widgets.log_table import LogTable


class LogsScreen(ConsoleScreen):
    """Log above, commands below."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.LOGS)
    AUTO_FOCUS = "#log"
    mode: ClassVar[str] = "logs"
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.LOGS, *ConsoleScreen.scopes)

    def __init__(self, console: ConsoleState) -> None:
        super().__init__(console)
        self._source = LogSource(console)
        self._log = LogTable(self._source, console)
        self._commands = CommandTable(console)
        self.drive(self._log, 2)
        self.drive(self._commands, 3)

    def body(self) -> Iterable[Widget]:
        """Return the two lists."""
        return (self._log, self._commands)

    def action_log_level(self) -> None:
        """Show only from the next higher level on."""
        level = self._log.next_level()
        self.say(f"Shows {level} and above." if level != "debug" else "Shows all levels.")

    @on(LiveTable.RowOpened, "#log")
    def _line_opened(self, event: LiveTable.RowOpened) -> None:
        event.stop()
        row = self._source.find(event.row_id)
        if row is None or row.executor_id is None:
            self.say("This line is not about an executor.")
        else:
            self.open_executor(row.executor_id)
