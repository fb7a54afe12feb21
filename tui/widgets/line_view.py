"""A scrolling box of painted lines under a header that stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.actions import Scope, bindings_for
from tui.state.text import Line
from tui.widgets.painted import PaintSource


class LineView(PaintSource, ScrollView, can_focus=True):
    """Lines that scroll by keyboard and wheel; repainted only when they differ."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.TEXT)
    DEFAULT_CSS = """
    LineView {
        height: 1fr; scrollbar-size-vertical: 1; scrollbar-color: $frame;
        scrollbar-background: $background; scrollbar-color-hover: $primary;
        scrollbar-background-hover: $background; scrollbar-color-active: $primary;
        scrollbar-background-active: $background;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._header: Line = ()
        self._lines: tuple[Line, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines on show, the header first."""
        return (self._header, *self._lines)

    def show_lines(self, header: Line, lines: Sequence[Line]) -> None:
        """Show *lines* below *header*."""
        fresh = tuple(lines)
        if header == self._header and fresh == self._lines:
            return
        self._header, self._lines = header, fresh
        self.virtual_size = Size(0, len(fresh) + 1)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Paint the header at the top and the lines below, as they are scrolled."""
        place = y - 1 + self.scroll_offset.y
        line: Line = self._header
        if y > 0:
            line = self._lines[place] if place < len(self._lines) else ()
        return self.paint.strip(line, self.size.width, self.ground)
