"""The table's view model: window, cursor, marks and order, all by row id. No widget in sight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, Protocol

from tui.state.columns import Column, RowT

HOLD_S = 1.0
"""Rows sorted by a live value are put in order again at most this often."""
_FINDS_PER_REFRESH = 3


@dataclass(frozen=True, slots=True)
class Query:
    """Order and filter of a list."""

    sort: str = ""
    descending: bool = False
    filter_text: str = ""


@dataclass(frozen=True, slots=True)
class Window(Generic[RowT]):
    """Rows ``start`` and following, of ``matching`` rows that pass the filter, of ``total``."""

    rows: tuple[RowT, ...] = ()
    start: int = 0
    matching: int = 0
    total: int = 0
    error: str = ""


class TableSource(Protocol[RowT]):
    """Where a table gets its rows. Every call returns at once."""

    noun: str
    """What the rows are, in the plural."""
    columns: tuple[Column[RowT], ...]
    home: Query
    """The usual order."""
    tail: bool
    """Whether new rows come last and the table shows the newest."""

    def window(self, query: Query, start: int, count: int) -> Window[RowT]:
        """Return the rows ``start`` to ``start + count``."""
        ...

    def index_of(self, query: Query, row_id: str) -> int | None:
        """Return where the row is under *query*, or None."""
        ...

    def row_id(self, row: RowT) -> str:
        """Return the id of *row*."""
        ...

    def find(self, row_id: str) -> RowT | None:
        """Return the row as it is now, or None."""
        ...


class TableModel(Generic[RowT]):
    """What a table shows. ``refresh`` asks the source; the other methods are the operator's.

    Cost is that of the rows on show, whatever the length of the list.
    """

    def __init__(self, source: TableSource[RowT]) -> None:
        self.source = source
        self.query = source.home
        self.window: Window[RowT] = Window()
        self.top = 0
        self.height = 1
        self.cursor = 0
        self.cursor_id: str | None = None
        self.follow = True
        self.marks: dict[str, None] = {}
        self.mark_word = "marked"
        self._now = 0.0
        self._moved_at = self._sorted_at = float("-inf")
        self._held: tuple[int, int, Query] | None = None
        self._hidden: tuple[object, float, int] | None = None
        self._live = frozenset(column.key for column in source.columns if column.live)

    # --- reading -------------------------------------------------------------------------------

    @property
    def rows(self) -> tuple[RowT, ...]:
        """The rows on show, from the top."""
        return self.window.rows

    @property
    def current(self) -> RowT | None:
        """The row under the cursor: as shown, or asked for if it is scrolled away."""
        for row in self.rows:
            if self.source.row_id(row) == self.cursor_id:
                return row
        return self.source.find(self.cursor_id) if self.cursor_id is not None else None

    @property
    def cursor_in_view(self) -> bool:
        """Whether the cursor's row is among those on show."""
        return self.top <= self.cursor < self.top + self.height

    def chosen(self) -> tuple[RowT, ...]:
        """Return the marked rows, or else the one under the cursor; forgets marks of lost rows."""
        if not self.marks:
            row = None if self.cursor_id is None else self.source.find(self.cursor_id)
            return () if row is None else (row,)
        found = {row_id: self.source.find(row_id) for row_id in self.marks}
        self.marks = {row_id: None for row_id, row in found.items() if row is not None}
        return tuple(row for row in found.values() if row is not None)

    # --- the engine's side -----------------------------------------------------------------------

    def refresh(self, *, now: float, height: int | None = None) -> None:
        """Ask the source again. *now* is monotonic, in seconds; *height* the rows that fit."""
        self._now = now
        if height is not None:
            self.height = max(1, height)
        if not (self._holds_order() and self._refresh_held()):
            self._refresh_sorted()

    def _holds_order(self) -> bool:
        if self.query.sort not in self._live or self._held != self._view():
            return False
        recent = max(self._moved_at, self._sorted_at)
        return bool(self.marks) or self._now - recent < HOLD_S

    def _view(self) -> tuple[int, int, Query]:
        return (self.top, self.height, self.query)

    def _refresh_held(self) -> bool:
        """Renew the shown rows in their present order; False if one of them is gone."""
        start = max(0, self.top - self.height)
        wide = self.source.window(self.query, start, 3 * self.height)
        fresh = {self.source.row_id(row): row for row in wide.rows}
        finds = _FINDS_PER_REFRESH
        rows: list[RowT] = []
        for row in self.rows:
            row_id = self.source.row_id(row)
            newer = fresh.get(row_id)
            if newer is None and finds:
                finds -= 1
                newer = self.source.find(row_id)
                if newer is None:
                    return False
            rows.append(row if newer is None else newer)
        if len(rows) < min(self.height, wide.matching - self.top):
            return False
        self.window = replace(wide, rows=tuple(rows), start=self.top)
        return True

    def _refresh_sorted(self) -> None:
        in_view = self.cursor_in_view
        self._fetch()
        self._sorted_at = self._now
        matching = self.window.matching
        if not matching:
            self.cursor = 0
            return
        if self.source.tail and self.follow:
            self._put_cursor(matching - 1)
            return
        if self.cursor_id is not None and not in_view:
            self.cursor = min(self.cursor, matching - 1)
            return
        index = self._locate()
        if index is None:
            self._put_cursor(min(self.cursor, matching - 1))
        elif self.follow:
            self._put_cursor(index)
        else:
            self.cursor = index

    def _fetch(self) -> None:
        window = self.source.window(self.query, self.top, self.height)
        last_top = max(0, window.matching - self.height)
        if self.top > last_top:
            self.top = last_top
            window = self.source.window(self.query, self.top, self.height)
        self.window = window
        self.cursor = max(0, min(self.cursor, window.matching - 1))
        self._held = self._view()

    def _locate(self) -> int | None:
        for offset, row in enumerate(self.rows):
            if self.source.row_id(row) == self.cursor_id:
                return self.top + offset
        if self.cursor_id is None:
            return None
        return self.source.index_of(self.query, self.cursor_id)

    # --- the operator's side ---------------------------------------------------------------------

    def move(self, delta: int) -> None:
        """Move the cursor by *delta* rows."""
        if not self.cursor_in_view:
            index = self._locate()
            self.cursor = self.cursor if index is None else index
        self.move_to(self.cursor + delta)

    def move_to(self, index: int) -> None:
        """Move the cursor to row *index* of the list, or to the nearest there is."""
        self._moved_at = self._now
        last = self.window.matching - 1
        if last < 0:
            return
        index = max(0, min(index, last))
        if self.source.tail:
            self.follow = index == last
        self._put_cursor(index)

    def scroll_to(self, top: int) -> None:
        """Show the rows from *top* on, and leave the cursor with its row."""
        self._moved_at = self._now
        top = max(0, min(top, self.window.matching - self.height))
        if top == self.top:
            return
        self.top = top
        if self.source.tail:
            self.follow = top + self.height >= self.window.matching
        self._fetch()

    def sort_by(self, key: str) -> None:
        """Sort by *key*; by the same key again: the other way round."""
        if self.query.sort == key:
            self.query = replace(self.query, descending=not self.query.descending)
        else:
            self.query = replace(self.query, sort=key, descending=key in self._live)
        self._reorder()

    def sort_off(self) -> None:
        """Go back to the usual order; the filter stays."""
        self.query = replace(self.source.home, filter_text=self.query.filter_text)
        self._reorder()

    def set_filter(self, text: str) -> None:
        """Show only rows that pass the filter *text*. Marks survive."""
        self.query = replace(self.query, filter_text=text)
        self._reorder()

    def _reorder(self) -> None:
        self._held = None
        self._fetch()
        index = self._locate()
        if self.window.matching:
            self._put_cursor(0 if index is None else index)

    def toggle_mark(self) -> None:
        """Mark the row under the cursor, or take its mark off."""
        if self.cursor_id is None or not self.window.matching:
            return
        if self.cursor_id in self.marks:
            del self.marks[self.cursor_id]
        else:
            self.marks[self.cursor_id] = None

    def mark_all(self) -> None:
        """Mark every row that passes the filter."""
        everything = self.source.window(self.query, 0, self.window.matching)
        self.marks |= dict.fromkeys(self.source.row_id(row) for row in everything.rows)

    def mark_range(self) -> None:
        """Mark from the row that was marked last to the cursor's; that one only if none was."""
        if self.cursor_id is None or not self.window.matching:
            return
        last = next(reversed(self.marks), None)
        start = None if last is None else self.source.index_of(self.query, last)
        here = self._locate()
        if start is None or here is None:
            self.marks[self.cursor_id] = None
            return
        first, count = min(start, here), abs(start - here) + 1
        between = [self.source.row_id(r) for r in self.source.window(self.query, first, count).rows]
        for row_id in between if start <= here else reversed(between):
            _ = self.marks.pop(row_id, None)  # so that the cursor's row is the last one marked
            self.marks[row_id] = None

    def hidden_marks(self) -> int:
        """Return how many marked rows the filter hides; counted at most once a second."""
        if not self.marks or not self.query.filter_text:
            return 0
        about = (self.query.filter_text, len(self.marks), next(reversed(self.marks)))
        known = self._hidden
        if known is None or known[0] != about or self._now - known[1] >= HOLD_S:
            shown = self.source.window(self.query, 0, self.window.matching).rows
            ids = {self.source.row_id(row) for row in shown}
            known = (about, self._now, sum(one not in ids for one in self.marks))
            self._hidden = known
        return known[2]

    def unmark_all(self) -> None:
        """Take all marks off."""
        self.marks.clear()

    def _put_cursor(self, index: int) -> None:
        """Put the cursor on row *index*, which exists, and bring it into view."""
        self.cursor = index
        top = min(max(self.top, index - self.height + 1), index)
        if top != self.top:
            self.top = top
            self._fetch()
        offset = self.cursor - self.top
        if 0 <= offset < len(self.rows):
            self.cursor_id = self.source.row_id(self.rows[offset])
