"""Mode 2: all executors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.widget import Widget

from tui.screens.executor_actions import ExecutorScreen
from tui.state.console import ConsoleState
from tui.widgets.preview import ExecutorPreview


class ExecutorsScreen(ExecutorScreen):
    """The full list; on wide terminals with a preview of the row under the cursor."""

    mode: ClassVar[str] = "executors"

    def __init__(self, console: ConsoleState) -> None:
        super().__init__(console)
        self._preview = ExecutorPreview(console, self.table.model)
        self.drive(self._preview, self._preview.every)

    def body(self) -> Iterable[Widget]:
        """Return list and preview."""
        return (self.table, self._preview)

    def _cursor_moved(self) -> None:
        super()._cursor_moved()
        self._preview.pull()
