"""The log as a table that follows its end."""

from __future__ import annotations

from typing import Any

from tui.state.console import ConsoleState
from tui.state.log_source import LEVELS, LogSource
from tui.widgets.live_table import LiveTable
from tui.widgets.safe import safe


class LogTable(LiveTable[Any]):
    """Log lines, newest at the end. ``LiveTable`` does the rest."""

    def __init__(
        self,
        source: LogSource,
        console: ConsoleState,
        *,
        show_header: bool = True,
        empty: str = "Nothing has been logged yet.",
    ) -> None:
        super().__init__(
            source,
            title="Log",
            clock=console.clock,
            empty=empty,
            show_header=show_header,
            id="log",
            classes="panel",
        )
        self._source = source

    @safe
    def pull(self) -> None:
        """Take new lines, then repaint."""
        self._source.pull()
        super().pull()

    def next_level(self) -> str:
        """Raise the lowest level shown, or go back to all; return its name."""
        level = (self._source.level + 1) % len(LEVELS)
        self._source.set_level(level)
        self.heading = "Log" if not level else f"Log ≥ {LEVELS[level]}"
        self.model.set_filter(self.model.query.filter_text)
        self.pull()
        return LEVELS[level]
