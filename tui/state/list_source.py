"""A table source over rows that are already in the console: log lines, commands, counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic

from tui.state.columns import Column, RowT
from tui.state.table import Query, Window

_NO_ORDER = Query()


def has_words(text: str, words: Sequence[str]) -> bool:
    """Whether every one of *words* is in *text*; ``!word`` must not be. Case does not matter."""
    text = text.casefold()
    return all(
        (word[1:] not in text) if word.startswith("!") and len(word) > 1 else word in text
        for word in words
    )


class ListSource(Generic[RowT]):
    """Rows in memory, in the order given. Filtering is kept until rows or filter change."""

    def __init__(
        self,
        *,
        noun: str,
        columns: tuple[Column[RowT], ...],
        row_id: Callable[[RowT], str],
        text: Callable[[RowT], str],
        tail: bool = False,
    ) -> None:
        self.noun = noun
        self.columns = columns
        self.home = _NO_ORDER
        self.tail = tail
        self._row_id = row_id
        self._text = text
        self._rows: tuple[RowT, ...] = ()
        self._shown: tuple[RowT, ...] = ()
        self._filter = ""

    def replace(self, rows: tuple[RowT, ...]) -> None:
        """Take *rows* in place of the old ones."""
        if rows != self._rows:
            self._rows = rows
            self._select()

    def append(self, rows: tuple[RowT, ...], *, keep: int) -> None:
        """Add *rows* at the end; of all, the last *keep* stay."""
        words = self._filter.split()
        self._rows = (*self._rows, *rows)[-keep:]
        if len(self._rows) == keep:
            self._select()
        else:
            self._shown = (*self._shown, *(r for r in rows if has_words(self._text(r), words)))

    def window(self, query: Query, start: int, count: int) -> Window[RowT]:
        """Return rows ``start`` to ``start + count`` of those that pass the filter."""
        if query.filter_text.casefold() != self._filter:
            self._filter = query.filter_text.casefold()
            self._select()
        shown = self._shown
        return Window(shown[start : start + count], start, len(shown), len(self._rows))

    def index_of(self, query: Query, row_id: str) -> int | None:
        """Return where the row is among those that pass the filter, or None. Linear."""
        self.window(query, 0, 0)
        for index, row in enumerate(self._shown):
            if self._row_id(row) == row_id:
                return index
        return None

    def row_id(self, row: RowT) -> str:
        """Return the id of *row*."""
        return self._row_id(row)

    def find(self, row_id: str) -> RowT | None:
        """Return the row with *row_id*, or None. Linear."""
        return next((row for row in self._rows if self._row_id(row) == row_id), None)

    def _select(self) -> None:
        words = self._filter.split()
        self._shown = (
            tuple(row for row in self._rows if has_words(self._text(row), words))
            if words
            else self._rows
        )
