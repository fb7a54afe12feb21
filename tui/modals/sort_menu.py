"""Sort: one letter for each column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

from textual import events
from textual.widget import Widget

from tui.modals.overlay import Overlay
from tui.state.columns import Column
from tui.state.console import ConsoleState
from tui.state.table import Query
from tui.state.text import Line, pad_line
from tui.widgets.painted import Painted

_TALLEST: Final = 16
"""More columns than these stand in three."""
_CELL: Final = 26


class SortMenu(Overlay[str | None]):
    """Ends with the key of a column, or None."""

    heading: ClassVar[str] = "Sort by"
    hint: ClassVar[str] = "letter sorts, again reverses"
    DEFAULT_CSS = """
    SortMenu > .overlay-box { width: 38; height: auto; }
    SortMenu.-many > .overlay-box { width: 80; }
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
        box.styles.height = self._height
        self.set_class(self._abreast > 1, "-many")
        lines = [self._line(column) for column in self._columns]
        if self._abreast > 1:
            cells = [pad_line(line, _CELL) for line in lines]
            starts = range(0, len(lines), self._height)
            lines = [
                tuple(
                    span
                    for start in starts
                    for span in (cells[start + y : start + y + 1] or [()])[0]
                )
                for y in range(self._height)
            ]
        box.show_lines(lines)
        return (box,)

    @property
    def _abreast(self) -> int:
        """How many columns of the table stand side by side."""
        return 1 if len(self._columns) <= _TALLEST else 3

    @property
    def _height(self) -> int:
        return -(-len(self._columns) // self._abreast)

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
        place = event.line + (event.column // _CELL * self._height if self._abreast > 1 else 0)
        if place < len(self._columns):
            _ = self.dismiss(self._columns[place].key)
