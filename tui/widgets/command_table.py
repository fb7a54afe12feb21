"""The operator's commands with their outcomes."""

from __future__ import annotations

from typing import Any

from tui.state.console import ConsoleState
from tui.state.log_source import CommandSource
from tui.widgets.live_table import LiveTable
from tui.widgets.safe import safe


class CommandTable(LiveTable[Any]):
    """Commands, newest first."""

    def __init__(self, console: ConsoleState) -> None:
        self._source = CommandSource(console)
        super().__init__(
            self._source,
            title="Commands",
            clock=console.clock,
            empty="No command was given yet.",
            id="commands",
            classes="panel",
        )

    @safe
    def pull(self) -> None:
        """Take the newest commands, then repaint."""
        self._source.pull()
        super().pull()
