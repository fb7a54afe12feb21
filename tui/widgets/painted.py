"""A widget that paints lines itself, and repaints only those that changed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.state.text import Line
from tui.widgets.paint import Paint


class PaintSource:
    """Mixin for widgets: the ``Paint`` of the app's present theme."""

    _paint: Paint | None = None
    _paint_variables: object = None

    @property
    def paint(self) -> Paint:
        """The styles of the present theme, made once for each theme."""
        variables = self.app.theme_variables  # type: ignore[attr-defined]  # a Widget's property
        if self._paint is None or self._paint_variables is not variables:
            self._paint, self._paint_variables = Paint(variables), variables
        return self._paint

    @property
    def ground(self) -> Style:
        """The background that the widget stands on."""
        _, background = self.background_colors  # type: ignore[attr-defined]  # a Widget's property
        return Style(bgcolor=background.rich_color)


class Painted(PaintSource, Widget):
    """A box of lines. ``show_lines`` takes the new ones; unchanged lines cost nothing."""

    DEFAULT_CSS = """
    Painted { height: 1fr; }
    """

    class Clicked(Message):
        """A line was clicked: *line* and *column* inside the box."""

        def __init__(self, widget: Painted, line: int, column: int) -> None:
            super().__init__()
            self.widget = widget
            self.line = line
            self.column = column

        @property
        def control(self) -> Painted:
            """The widget that was clicked."""
            return self.widget

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: tuple[Line, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines on show."""
        return self._lines

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Show *lines*, repainting those that differ."""
        new, old = tuple(lines), self._lines
        if new == old:
            return
        self._lines = new
        width = self.size.width
        changed = [
            Region(0, y, width, 1)
            for y in range(max(len(new), len(old)))
            if (new[y] if y < len(new) else None) != (old[y] if y < len(old) else None)
        ]
        self.refresh(*changed)

    def render_line(self, y: int) -> Strip:
        """Paint line *y*."""
        line = self._lines[y] if y < len(self._lines) else ()
        return self.paint.strip(line, self.size.width, self.ground)

    def on_click(self, event: events.Click) -> None:
        """Report the line under the mouse."""
        offset = event.get_content_offset(self)
        if offset is not None:
            self.post_message(self.Clicked(self, offset.y, offset.x))
