"""The panel beside the executor list, on wide terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.state.console import ConsoleState
from tui.state.preview_text import preview_lines
from tui.state.table import TableModel
from tui.state.text import Line
from tui.widgets.panels import Panel

if TYPE_CHECKING:
    from engine.api.views import ExecutorRow


class ExecutorPreview(Panel, can_focus=False):
    """What is worth knowing about the executor under the cursor."""

    def __init__(self, console: ConsoleState, model: TableModel[ExecutorRow]) -> None:
        super().__init__(console, title="Under the cursor", id="preview")
        self._model = model

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return the executor's short look."""
        del width
        session, executor_id = self.console.session, self._model.cursor_id
        detail = (
            self.console.engine.executor(session, executor_id) if session and executor_id else None
        )
        if detail is None:
            return (((" No executor is selected.", "dim"),),)
        return preview_lines(detail, height)
