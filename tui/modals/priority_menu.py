"""Priority: one letter for each level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events
from textual.widget import Widget

from tui.modals.overlay import Overlay
from tui.state.console import ConsoleState
from tui.state.text import Line
from tui.widgets.painted import Painted

if TYPE_CHECKING:
    from engine.api.views import AgentRow

_LEVELS: Final = (
    ("c", "critical", "must not wait"),
    ("h", "high", "soon"),
    ("n", "normal", "ordinary work"),
    ("l", "low", "in the background"),
    ("i", "idle", "when nothing else runs"),
)


class PriorityMenu(Overlay[str | None]):
    """Ends with the word of a priority, or None."""

    heading: ClassVar[str] = "Priority"
    hint: ClassVar[str] = "letter chooses · esc closes"
    DEFAULT_CSS = """
    PriorityMenu > .overlay-box { width: 46; height: auto; }
    PriorityMenu Painted { height: 5; width: 100%; }
    """

    def __init__(self, console: ConsoleState, rows: Sequence[AgentRow]) -> None:
        super().__init__(console)
        self._now = {row.priority for row in rows}

    def body(self) -> Iterable[Widget]:
        """Return one line for each level."""
        box = Painted(classes="priorities")
        box.show_lines([self._line(*level) for level in _LEVELS])
        return (box,)

    def _line(self, letter: str, word: str, use: str) -> Line:
        now = "  in use" if word in self._now else ""
        return ((f"  {letter}  ", "key"), (f"{word:<10}", ""), (use, "dim"), (now, "accent"))

    def on_key(self, event: events.Key) -> None:
        """Choose the level of the letter."""
        for letter, word, _ in _LEVELS:
            if event.character == letter:
                event.stop()
                _ = self.dismiss(word)
                return

    def on_painted_clicked(self, event: Painted.Clicked) -> None:
        """Choose the line under the mouse."""
        if event.line < len(_LEVELS):
            _ = self.dismiss(_LEVELS[event.line][1])
