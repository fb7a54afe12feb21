"""The mode bar: which screens there are, by digit; a click goes there too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tui.state.text import Line, Span, line_width
from tui.widgets.painted import Painted


@dataclass(frozen=True, slots=True)
class ModeEntry:
    """One mode: its name in the app, its digit, its word and a short word."""

    name: str
    key: str
    word: str
    short: str


MODE_ENTRIES: Final[tuple[ModeEntry, ...]] = (
    ModeEntry("dashboard", "1", "Dashboard", "Dash"),
    ModeEntry("executors", "2", "Executors", "Exec"),
    ModeEntry("agents", "5", "Agents", "Agents"),
    ModeEntry("flow", "6", "Flow", "Flow"),
    ModeEntry("backtests", "7", "Backtests", "Tests"),
    ModeEntry("optimization", "8", "Optimise", "Optim"),
    ModeEntry("logs", "0", "Logs", "Logs"),
)
_SHORT_BELOW: Final = 100


def mode_spans(current: str, width: int) -> list[tuple[ModeEntry, Line]]:
    """Return each mode with the line that shows it; the current one stands out."""
    parts: list[tuple[ModeEntry, Line]] = []
    for entry in MODE_ENTRIES:
        word = entry.short if width < _SHORT_BELOW else entry.word
        here = entry.name == current
        key: Span = (f" {entry.key} ", "chip" if here else "key")
        name: Span = (f" {word} ", "title underline" if here else "dim")
        parts.append((entry, (key, name, (" ", ""))))
    return parts


class ModeBar(Painted):
    """One line with the modes."""

    DEFAULT_CSS = """
    ModeBar { height: 1; width: 100%; }
    """

    def __init__(self, current: str) -> None:
        super().__init__(classes="mode-bar")
        self._current = current

    def on_resize(self) -> None:
        """Fill the new width."""
        parts = mode_spans(self._current, self.size.width)
        self.show_lines([tuple(span for _, line in parts for span in line)])

    def on_painted_clicked(self, message: Painted.Clicked) -> None:
        """Go to the mode under the mouse."""
        message.stop()
        x = 0
        for entry, line in mode_spans(self._current, self.size.width):
            x += line_width(line)
            if message.column < x:
                self.app.simulate_key(entry.key)
                return
