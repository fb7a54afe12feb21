"""The chart of the viewer: a cursor that walks along one time axis under all curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.message import Message

from tui.actions import Scope, bindings_for
from tui.state.text import Line
from tui.widgets.painted import Painted

if TYPE_CHECKING:
    from tui.state.chart_text import Picture
    from tui.state.result_reader import ChartData


class ResultChart(Painted, can_focus=True):
    """Curves of one window. The screen loads the data and decides what the window is."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.CHART)

    class Moved(Message):
        """The cursor stands at another instant."""

    class PanWanted(Message):
        """The cursor wants to leave the window by *cells*."""

        def __init__(self, cells: int) -> None:
            super().__init__()
            self.cells = cells

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.data: ChartData | None = None
        self.kind = "all"
        self.cursor_ns = 0
        self._picture: Picture | None = None
        self._drawn: object = None

    @property
    def cells(self) -> int:
        """Cells of the time axis."""
        from tui.state.chart_text import GUTTER

        return max(1, self.size.width - GUTTER)

    @property
    def column_ns(self) -> tuple[int, int]:
        """The instants between which the cursor's column lies."""
        if self._picture is None:
            return (self.cursor_ns, self.cursor_ns)
        window = self._picture.window
        half = (window.to_ns - window.from_ns) // max(1, 2 * (window.cells - 1))
        return (self.cursor_ns - half, self.cursor_ns + half)

    def show(self, data: ChartData) -> None:
        """Show *data*; the cursor is kept inside."""
        self.data = data
        self.cursor_ns = min(max(self.cursor_ns, data.from_ns), data.to_ns)
        self.repaint()

    def put_cursor(self, at_ns: int) -> None:
        """Move the cursor to an instant, without telling."""
        self.cursor_ns = at_ns
        self.repaint()

    def repaint(self) -> None:
        """Draw anew if the window, the size or the kind changed; then the cursor."""
        data = self.data
        if data is None or self.size.width < 20 or self.size.height < 2:
            return
        key = (id(data), self.size, self.kind)
        if key != self._drawn or self._picture is None:
            from tui.state.chart_text import draw

            self._picture = draw(data, self.size.width, self.size.height, self.kind)
            self._drawn = key
        self.show_lines(self._picture.lines(self.cursor_ns))

    def show_text(self, lines: tuple[Line, ...]) -> None:
        """Show *lines* in place of curves."""
        self.data = None
        self._picture = None
        self.show_lines(lines)

    def on_resize(self) -> None:
        """Fill the new size."""
        self.repaint()

    def action_cursor(self, by: int) -> None:
        """Move the cursor by columns; at the edge the window moves."""
        if self._picture is None:
            return
        window = self._picture.window
        cell = window.cell_of(self.cursor_ns) + by
        if not 0 <= cell < window.cells:
            self.post_message(self.PanWanted(by))
            cell = min(max(cell, 0), window.cells - 1)
        self._put(cell)

    def action_edge(self, way: int) -> None:
        """Move the cursor to the first or the last column."""
        if self._picture is not None:
            self._put(self._picture.window.cells - 1 if way > 0 else 0)

    def on_painted_clicked(self, event: Painted.Clicked) -> None:
        """Put the cursor under the mouse."""
        from tui.state.chart_text import GUTTER

        event.stop()
        if self._picture is not None and event.column >= GUTTER:
            self._put(event.column - GUTTER)

    def _put(self, cell: int) -> None:
        if self._picture is not None:
            self.cursor_ns = self._picture.window.time_of(cell)
            self.repaint()
            self.post_message(self.Moved())
