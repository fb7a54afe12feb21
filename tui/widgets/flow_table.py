"""The event executors and how many events each has in which status."""

from __future__ import annotations

from typing import Any

from tui.state.console import ConsoleState
from tui.state.flow_source import FlowSource
from tui.widgets.live_table import LiveTable
from tui.widgets.safe import safe


class FlowTable(LiveTable[Any]):
    """One row for each event executor."""

    def __init__(self, console: ConsoleState) -> None:
        self._source = FlowSource(console)
        super().__init__(
            self._source,
            title="Event executors",
            clock=console.clock,
            empty="No event executor runs yet.",
            id="flows",
            classes="panel",
        )

    @safe
    def pull(self) -> None:
        """Take the counts, then repaint."""
        self._source.pull()
        super().pull()
