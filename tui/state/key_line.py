"""The key bar's line: the keys that matter here, or one sentence that answers the last key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tui.formatting import format_duration
from tui.state.text import Line, Span, ends, line_width


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One entry: *key* as it is pressed, *label* as it is shown; dim if it cannot be used now."""

    key: str
    label: str
    text: str
    enabled: bool = True


def key_badge(paused_for: float | None, *, read_only: bool) -> str:
    """Return what stands at the right end of the bar: how long the display is paused, RO."""
    words = ["READ ONLY"] if read_only else []
    if paused_for is not None:
        words.append(f"PAUSED {format_duration(float(int(paused_for)))}")
    return " ".join(words)


def fitting_entries(entries: Sequence[KeyEntry], width: int) -> tuple[tuple[KeyEntry, Line], ...]:
    """Return the entries that fit into *width*, each with its line; the last two always stay."""
    parts = [(entry, _entry_line(entry)) for entry in entries]
    total = sum(line_width(line) for _, line in parts)
    keep = 2
    while total > width and len(parts) > keep:
        _, line = parts.pop(-1 - keep)
        total -= line_width(line)
    return tuple(parts)


def key_line(entries: Sequence[KeyEntry], hint: str, badge: str, width: int) -> Line:
    """Return the bar: a *hint* takes the place of the keys, a *badge* stands at the right."""
    right: Line = ((f" {badge} ", "chip"),) if badge else ()
    room = width - line_width(right)
    if hint:
        left: Line = ((f" {hint}", "accent"),)
    else:
        left = tuple(span for _, line in fitting_entries(entries, room) for span in line)
    return ends(left, right, width)


def _entry_line(entry: KeyEntry) -> Line:
    key: Span = (f" {entry.label} ", "key" if entry.enabled else "stale")
    return (key, (f"{entry.text} ", "dim" if entry.enabled else "stale"))
