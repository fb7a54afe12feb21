"""The controllers of a session: one letter for each, with what it does now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import ascii_letters
from typing import ClassVar, Final

from textual import events
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from tui.formatting import clean, fit
from tui.modals.overlay import Overlay
from tui.state.console import ConsoleState
from tui.state.text import Line
from tui.widgets.painted import Painted

_LETTERS: Final = ascii_letters.replace("q", "")  # q closes
_TALLEST: Final = 16
"""Lines that fit into the smallest terminal; more are scrolled."""
_SAYS: Final[Mapping[str, tuple[str, str, str]]] = {
    "running": ("● running", "ok", "stop it with its executors"),
    "stopped": ("· stopped", "dim", "let it go on"),
    "failed": ("✗ failed", "error", "too many failures: let it go on"),
}


class ControllerMenu(Overlay[str | None]):
    """Ends with the id of a controller, or None.

    Args:
        console: the shared view state.
        controllers: id -> running, stopped or failed.
    """

    heading: ClassVar[str] = "Controllers"
    hint: ClassVar[str] = "letter chooses · esc closes"
    DEFAULT_CSS = """
    ControllerMenu > .overlay-box { width: 78; height: auto; }
    ControllerMenu VerticalScroll { height: auto; scrollbar-size-vertical: 1;
        scrollbar-background: $surface; scrollbar-background-hover: $surface; }
    ControllerMenu Painted { height: auto; width: 100%; }
    """

    def __init__(self, console: ConsoleState, controllers: Mapping[str, str]) -> None:
        super().__init__(console)
        self._by_letter = dict(zip(_LETTERS, controllers.items(), strict=False))
        self._left_out = len(controllers) - len(self._by_letter)

    def body(self) -> Iterable[Widget]:
        """Return one line for each controller."""
        lines = [self._line(letter, *one) for letter, one in self._by_letter.items()]
        if self._left_out:
            text = f"     and {self._left_out:,} more, for which no letter is left"
            lines.append(((text, "warn"),))
        box = Painted(classes="controllers")
        box.styles.height = len(lines)
        box.show_lines(lines)
        scroll = VerticalScroll(box)
        scroll.styles.max_height = _TALLEST
        return (scroll,)

    def on_mount(self) -> None:
        """Say how lines are reached that do not fit."""
        if len(self._by_letter) > _TALLEST:
            frame = self.query_one(".overlay-box")
            frame.border_subtitle = Content(" letter chooses · ↑ ↓ scrolls · esc closes ")

    @staticmethod
    def _line(letter: str, controller_id: str, state: str) -> Line:
        word, role, what = _SAYS.get(state, (state, "", ""))
        return (
            (f"  {letter}  ", "key"),
            (f"{fit(clean(controller_id), 20)} ", "bold"),
            (f"{fit(word, 10)} ", role),
            (what, "dim"),
        )

    def on_key(self, event: events.Key) -> None:
        """Choose the controller of the letter."""
        chosen = self._by_letter.get(event.character or "")
        if chosen is not None:
            event.stop()
            _ = self.dismiss(chosen[0])

    def on_painted_clicked(self, event: Painted.Clicked) -> None:
        """Choose the line under the mouse."""
        chosen = list(self._by_letter.values())
        if event.line < len(chosen):
            _ = self.dismiss(chosen[event.line][0])
