"""The heat map as a panel with a cursor."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message

from tui.actions import Scope, bindings_for
from tui.state.console import ConsoleState
from tui.state.heat_map import HeatMap
from tui.state.heat_text import cell_line, heat_lines, plan_tiles
from tui.state.text import Line, plain
from tui.widgets.painted import Painted
from tui.widgets.panels import Panel


class HeatPanel(Panel):
    """Paints a ``HeatMap`` and moves its cursor."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.HEATMAP)

    class Moved(Message):
        """The cursor is on another cell."""

    class Opened(Message):
        """Enter or a double click on a cell."""

    class Copied(Message):
        """The cell is to go to the clipboard as *text*."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, console: ConsoleState, heat: HeatMap, *, id: str) -> None:
        super().__init__(console, title="Heat map", id=id)
        self.heat = heat
        self._plan = plan_tiles(heat, 80, 20)

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return the map in the room there is."""
        self._plan = plan_tiles(self.heat, width, height)
        return tuple(heat_lines(self.heat, self._plan, width, focused=self.has_focus))

    def on_focus(self) -> None:
        """Show the cursor as active."""
        self.pull()

    def on_blur(self) -> None:
        """Show the cursor as idle."""
        self.pull()

    def action_move(self, columns: int, rows: int) -> None:
        """Move the cursor by cells."""
        self.heat.move(columns, rows)
        self._moved()

    def action_best(self) -> None:
        """Go to the best cell."""
        self.heat.to_best()
        self._moved()

    def action_open(self) -> None:
        """Run the cell's best trial."""
        self.post_message(self.Opened())

    def action_copy(self) -> None:
        """Copy what is said of the cell."""
        self.post_message(self.Copied(plain(cell_line(self.heat)).strip()))

    def _moved(self) -> None:
        self.pull()
        self.post_message(self.Moved())

    def on_painted_clicked(self, event: Painted.Clicked) -> None:
        """Go to the cell under the mouse; once more opens it."""
        event.stop()
        place = self._plan.cell_at(event.line, event.column)
        if place is None:
            return
        if place == (self.heat.row, self.heat.column):
            self.action_open()
            return
        self.heat.put(*place)
        self._moved()
