"""The one table of the console: any length, live rows, cost of the visible lines only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Generic

from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.actions import Scope, bindings_for
from tui.formatting import clean
from tui.state.columns import RowT, Slot, lay_out
from tui.state.table import TableModel, TableSource
from tui.state.table_text import empty_lines, header_line, row_line, table_title
from tui.state.text import Line
from tui.widgets.paint import Paint
from tui.widgets.painted import PaintSource
from tui.widgets.safe import safe


class LiveTable(PaintSource, ScrollView, Generic[RowT], can_focus=True):
    """A table over a ``TableSource``. The screen's paint clock calls ``pull``."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.LIST)
    DEFAULT_CSS = """
    LiveTable {
        height: 1fr;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        scrollbar-color: $frame;
        scrollbar-color-hover: $primary;
        scrollbar-color-active: $primary;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
    }
    """

    class RowOpened(Message):
        """Enter or a double click on a row."""

        def __init__(self, table: LiveTable[Any], row_id: str) -> None:
            super().__init__()
            self.table = table
            self.row_id = row_id

        @property
        def control(self) -> LiveTable[Any]:
            """The table."""
            return self.table

    class CursorMoved(Message):
        """The cursor is on another row."""

        def __init__(self, table: LiveTable[Any]) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> LiveTable[Any]:
            """The table."""
            return self.table

    class FilterWanted(Message):
        """The operator wants to filter this table."""

        def __init__(self, table: LiveTable[Any]) -> None:
            super().__init__()
            self.table = table

    class SortWanted(Message):
        """The operator wants to choose a column to sort by."""

        def __init__(self, table: LiveTable[Any]) -> None:
            super().__init__()
            self.table = table

    class Copied(Message):
        """A row is to go to the clipboard as *text*."""

        def __init__(self, table: LiveTable[Any], text: str) -> None:
            super().__init__()
            self.table = table
            self.text = text

    def __init__(
        self,
        source: TableSource[RowT],
        *,
        title: str,
        clock: Callable[[], float],
        empty: str = "",
        show_header: bool = True,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.model: TableModel[RowT] = TableModel(source)
        self.heading = title
        self.empty = empty
        self.problem = ""
        self._clock = clock
        self._answered_at: float | None = None
        self._header_rows = 1 if show_header else 0
        self._offset = 0
        self.wide = False
        self._slots: tuple[Slot[RowT], ...] = ()
        self._look: object = None
        self._ground: tuple[Paint, Style] | None = None
        self._keys: list[object] = []
        self._messages: tuple[Line, ...] = ()
        self._strips: dict[str, tuple[object, Strip]] = {}
        self._title = ""

    # --- the clock -------------------------------------------------------------------------------

    @safe
    def pull(self) -> None:
        """Ask the source and repaint the lines that changed."""
        height = self.size.height - self._header_rows
        if height < 1:
            return
        before = self.model.cursor_id
        self.model.refresh(now=self._clock(), height=height)
        self.problem = ""
        self._answered_at = self._clock()
        self._settle()
        if self.model.cursor_id != before:
            self.post_message(self.CursorMoved(self))

    def repaint_all(self) -> None:
        """Paint every line anew: the rows are the same, the way of showing them is not."""
        self._look = None
        self._repaint()

    def show_problem(self, text: str) -> None:
        """Show that the source failed; rows come back when it answers again."""
        self.problem = text
        self._settle()

    def _settle(self) -> None:
        """Bring scroll bar, title and lines in step with the model."""
        model = self.model
        lines = model.window.matching + self._header_rows
        if self.virtual_size.height != lines:
            self.virtual_size = Size(self.scrollable_content_region.width, lines)
            self.call_after_refresh(self._place_scroll_bar)
        self._place_scroll_bar()
        title = table_title(self.heading, model)
        if title != self._title:
            self._title = title
            self.border_title = Content(title)
        self._repaint()

    def watch_show_vertical_scrollbar(self, show: bool) -> None:  # noqa: FBT001 (Textual's)
        """Put a scroll bar that has just appeared at the right place."""
        if show:
            self.call_after_refresh(self._place_scroll_bar)

    def _place_scroll_bar(self) -> None:
        top = self.model.top
        if round(self.scroll_y) != top:
            self.scroll_to(y=top, animate=False, force=True, immediate=True)
        if self.show_vertical_scrollbar and self.vertical_scrollbar.position != top:
            self.vertical_scrollbar.position = top

    def _repaint(self) -> None:
        width = self.scrollable_content_region.width
        paint, ground = self.paint, self.ground
        self._ground = (paint, ground)
        look = (width, self.wide, self._offset, paint, ground)
        if look != self._look:
            self._look = look
            columns = self.model.source.columns
            self._slots = lay_out(columns, width, wide=self.wide, offset=self._offset)
            self._strips.clear()
            self._keys = self._line_keys()
            self.refresh()
            return
        old, new = self._keys, self._line_keys()
        self._keys = new
        longest = max(len(old), len(new))
        changed = [
            Region(0, y, width, 1)
            for y in range(longest)
            if y >= len(old) or y >= len(new) or old[y] != new[y]
        ]
        if changed:
            self.refresh(*changed)

    def _line_keys(self) -> list[object]:
        """Return for each line a value that differs when the line does."""
        model = self.model
        keys: list[object] = [("head", model.query, self._slots)] * self._header_rows
        self._messages = ()
        if self.problem or not model.rows:
            age_s = None if self._answered_at is None else self._clock() - self._answered_at
            self._messages = empty_lines(model, self.empty, self.problem, age_s)
            return [*keys, *self._messages]
        focus, cursor_id, marks = self.has_focus, model.cursor_id, model.marks
        for row in model.rows:
            row_id = model.source.row_id(row)
            here = row_id == cursor_id
            keys.append((row, here, here and focus, row_id in marks))
        return keys

    def render_line(self, y: int) -> Strip:
        """Paint line *y* of the widget: the header, a row, or a message."""
        width = self.scrollable_content_region.width
        if y < self._header_rows:
            header = header_line(self._slots, self.model.query)
            return self.paint.strip(header, width, self._line_ground())
        index = y - self._header_rows
        if self._messages:
            line = self._messages[index] if index < len(self._messages) else ()
            return self.paint.strip(line, width, self._line_ground())
        rows = self.model.rows
        if index >= len(rows) or y >= len(self._keys):
            return self.paint.strip((), width, self._line_ground())
        return self._row_strip(rows[index], self._keys[y], width)

    def _line_ground(self) -> Style:
        """Return the background as it was at the last look; forty lines need not look again."""
        known = self._ground
        return known[1] if known is not None and known[0] is self.paint else self.ground

    def _row_strip(self, row: RowT, key: object, width: int) -> Strip:
        model = self.model
        row_id = model.source.row_id(row)
        cached = self._strips.get(row_id)
        if cached is not None and cached[0] == key:
            return cached[1]
        here = row_id == model.cursor_id
        under = "" if not here else "cursor" if self.has_focus else "cursor-idle"
        line = row_line(self._slots, row, here=here, marked=row_id in model.marks)
        strip = self.paint.strip(line, width, self._line_ground(), under=under)
        if len(self._strips) > 4 * model.height:
            self._strips.clear()
        self._strips[row_id] = (key, strip)
        return strip

    # --- events ----------------------------------------------------------------------------------

    @safe
    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow the wheel and the scroll bar."""
        super().watch_scroll_y(old_value, new_value)
        resized = self.size.height - self._header_rows != self.model.height
        if round(new_value) != self.model.top and not resized:
            self.model.scroll_to(round(new_value))
            self._settle()

    def on_resize(self) -> None:
        """Fill the new size at once."""
        self.pull()

    def on_focus(self) -> None:
        """Show the cursor as active."""
        self._repaint()

    def on_blur(self) -> None:
        """Show the cursor as idle."""
        self._repaint()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll the columns where shift is held; without it the rows, as everywhere."""
        if event.shift:
            _ = event.prevent_default()
            event.stop()
            self.action_columns(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll the columns back where shift is held."""
        if event.shift:
            _ = event.prevent_default()
            event.stop()
            self.action_columns(-1)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on a row, open it on a double click, or sort by a header."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y < self._header_rows:
            self._header_clicked(offset.x)
            return
        index = self.model.top + offset.y - self._header_rows
        if index < self.model.window.matching:
            self._moved(self.model.move_to, index)
            if event.chain == 2:
                self.action_open()

    def _header_clicked(self, x: int) -> None:
        for slot in self._slots:
            if slot.x <= x < slot.x + slot.width and slot.column.letter:
                self.sort_by(slot.column.key)

    # --- actions ---------------------------------------------------------------------------------

    @safe
    def _moved(self, move: Callable[[int], None], amount: int) -> None:
        before = self.model.cursor_id
        move(amount)
        self._settle()
        if self.model.cursor_id != before:
            self.post_message(self.CursorMoved(self))

    @safe
    def go_to(self, index: int) -> None:
        """Put the cursor on row *index* for another panel: no message is sent."""
        self.model.move_to(index)
        self._settle()

    def action_cursor(self, delta: int) -> None:
        """Move the cursor by rows."""
        self._moved(self.model.move, delta)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self._moved(self.model.move, pages * max(1, self.model.height - 1))

    def action_top(self) -> None:
        """Move the cursor to the first row."""
        self._moved(self.model.move_to, 0)

    def action_bottom(self) -> None:
        """Move the cursor to the last row."""
        self._moved(self.model.move_to, self.model.window.matching - 1)

    def action_columns(self, delta: int) -> None:
        """Scroll the columns that are not frozen; shows all columns first."""
        loose = sum(not column.frozen for column in self.model.source.columns)
        self.wide = True
        self._offset = max(0, min(self._offset + delta, loose - 1))
        self._repaint()

    def action_wide(self) -> None:
        """Show all columns, or those that fit."""
        self.wide = not self.wide
        self._offset = 0
        self._repaint()

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if self.model.cursor_id is not None and self.model.rows:
            self.post_message(self.RowOpened(self, self.model.cursor_id))

    @safe
    def action_mark(self) -> None:
        """Mark the row and step down."""
        self.model.toggle_mark()
        self._moved(self.model.move, 1)

    @safe
    def action_mark_all(self) -> None:
        """Mark everything that the filter shows."""
        self.model.mark_all()
        self._settle()

    @safe
    def action_mark_range(self) -> None:
        """Mark every row from the one that was marked last to the cursor's."""
        self.model.mark_range()
        self._settle()

    def action_unmark(self) -> None:
        """Take all marks off."""
        self.model.unmark_all()
        self._settle()

    def action_follow(self) -> None:
        """Follow the newest row, or the row under the cursor, or stop following."""
        self.model.follow = not self.model.follow
        self.pull()

    def action_filter(self) -> None:
        """Ask for a filter."""
        self.post_message(self.FilterWanted(self))

    def action_sort(self) -> None:
        """Ask for a column to sort by."""
        self.post_message(self.SortWanted(self))

    @safe
    def action_sort_off(self) -> None:
        """Back to the usual order."""
        self.model.sort_off()
        self._settle()

    @safe
    def action_copy(self) -> None:
        """Copy the row, its cells separated by tabs."""
        row = self.model.current
        if row is not None:
            cells = [column.copied(row) for column in self.model.source.columns]
            self.post_message(self.Copied(self, "\t".join(clean(cell).strip() for cell in cells)))

    @safe
    def sort_by(self, key: str) -> None:
        """Sort by the column *key*, or reverse it."""
        self.model.sort_by(key)
        self._settle()

    @safe
    def set_filter(self, text: str) -> None:
        """Show only the rows that pass *text*."""
        self.model.set_filter(text)
        self._settle()
