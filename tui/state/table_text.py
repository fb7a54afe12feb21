"""What a table says: its title, header, rows and empty states, as styled lines."""

from __future__ import annotations

from collections.abc import Sequence

from tui.formatting import fit, format_duration
from tui.state.columns import RowT, Slot
from tui.state.table import Query, TableModel
from tui.state.text import Line, Span

DOWN, UP = "▼", "▲"
CURSOR = "\u203a"


def table_title(heading: str, model: TableModel[RowT]) -> str:
    """Return the border title: name, order, marks, counts."""
    parts = [heading]
    query, home = model.query, model.source.home
    if (query.sort, query.descending) != (home.sort, home.descending):
        title = next((c.title for c in model.source.columns if c.key == query.sort), query.sort)
        parts.append(f"sort {title} {DOWN if query.descending else UP}")
    if query.filter_text:
        parts.append(f"filter {query.filter_text}")
    if model.marks:
        hidden = model.hidden_marks()
        note = f", {hidden:,} not shown" if hidden else ""
        parts.append(f"{len(model.marks):,} {model.mark_word}{note}")
    if model.source.tail and not model.follow:
        below = model.window.matching - model.top - len(model.rows)
        parts.append(f"↓ {below:,} below" if below > 0 else "not following")
    window = model.window
    if window.matching != window.total:
        parts.append(f"{window.matching:,} of {window.total:,}")
    elif window.total:
        parts.append(f"{window.total:,}")
    return " ─ ".join(parts)


def header_line(slots: Sequence[Slot[RowT]], query: Query) -> Line:
    """Return the column titles; the sorted one has an arrow."""
    spans: list[Span] = []
    x = 0
    for slot in slots:
        column, title, role = slot.column, slot.column.title, "head"
        if column.key == query.sort:
            arrow = DOWN if query.descending else UP
            title, role = f"{title}{arrow}", "head bold"
        spans.append((" " * (slot.x - x), ""))
        spans.append((fit(title, slot.width, right=column.align == "right"), role))
        x = slot.x + slot.width
    return tuple(spans)


def row_line(slots: Sequence[Slot[RowT]], row: RowT, *, here: bool, marked: bool) -> Line:
    """Return one row; the mark and the cursor have shapes, not only colours."""
    spans: list[Span] = [("●" if marked else " ", "marked"), (CURSOR if here else " ", "key")]
    x = 2
    for slot in slots:
        text, roles = slot.column.cell(row)
        spans.append((" " * (slot.x - x), ""))
        spans.append((fit(text, slot.width, right=slot.column.align == "right"), roles))
        x = slot.x + slot.width
    return tuple(spans)


def empty_lines(
    model: TableModel[RowT], empty: str, problem: str, age_s: float | None = None
) -> tuple[Line, ...]:
    """Return what a table without rows says, and the key that changes it.

    *age_s* is how long ago the source answered last; None if it never did.
    """
    if problem:
        last = "" if age_s is None else f"last answer {format_duration(float(int(age_s)))} ago · "
        return ((("  ⚠ ", "error"), (problem, "error")), ((f"    {last}r tries again", "dim"),))
    if model.window.error:
        text = f"  ✗ {model.query.filter_text}: {model.window.error}"
        return (((text, "error"),), (("    esc clears the filter", "dim"),))
    if model.query.filter_text and model.window.total:
        text = f"  Nothing matches {model.query.filter_text}. esc clears the filter."
        return (((text, "dim"),),)
    return ((("  " + (empty or f"No {model.source.noun}."), "dim"),),)
