"""Sort: one letter for each column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from textual import events
from textual.widget import Widget

from tui.modals.overlay import Overlay
from tui.state.columns import Column
from tui.state.console import ConsoleState
from tui.state.table import Query
from tui.state.text import Line
from tui.widgets.painted import Painted


class SortMenu(Overlay[str | None]):
    """Ends with the key of a column, or None."""

    heading: ClassVar[str] = "Sort by"
    hint: ClassVar[str] = "letter sorts, again reverses"
    DEFAULT_CSS = """
    SortMenu > .overlay-box { width: 38; height: auto; }
    SortMenu Painted { height: auto; }
    SortMenu .sort-list { width: 100%; }
    """

    def __init__(self, console: ConsoleState, columns: Sequence[Column[Any]], query: Query) -> None:
        super().__init__(console)
        self._columns = tuple(columns)
        self._query = query

    def body(self) -> Iterable[Widget]:
        """Return one line for each column."""
        box = Painted(classes="sort-list")
        box.styles.height = len(self._columns)
        box.show_lines([self._line(column) for column in self._columns])
        return (box,)

    def _line(self, column: Column[Any]) -> Line:
        arrow = ""
        if column.key == self._query.sort:
            arrow = "  ▼ now" if self._query.descending else "  ▲ now"
        return ((f"  {column.letter}  ", "key"), (column.title, ""), (arrow, "accent"))

    def on_key(self, event: events.Key) -> None:
        """Sort by the column of the letter."""
        for column in self._columns:
            if event.character == column.letter:
                event.stop()
                _ = self.dismiss(column.key)
                return

    def on_painted_clicked(self, event: Painted.Clicked) -> None:
        """Sort by the line under the mouse."""
        if event.line < len(self._columns):
            _ = self.dismiss(self._columns[event.line].key)
