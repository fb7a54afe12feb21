"""One line to choose one of a few words: all of them if they fit, else one at a time."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tui.actions import Scope, bindings_for
from tui.formatting import clean
from tui.state.text import Line, line_width
from tui.widgets.painted import PaintSource


class Choice(PaintSource, Widget, can_focus=True):
    """A radio button in one line.

    Args:
        options: the words; the first is chosen unless *value* is another of them.
        value: the chosen word.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.CHOICE)
    DEFAULT_CSS = """
    Choice { height: 1; }
    """

    value: reactive[str] = reactive("")

    class Changed(Message):
        """Another word was chosen."""

        def __init__(self, choice: Choice, value: str) -> None:
            super().__init__()
            self.choice = choice
            self.value = value

        @property
        def control(self) -> Choice:
            """The widget in which it was chosen."""
            return self.choice

    def __init__(
        self,
        options: tuple[str, ...],
        value: str = "",
        *,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._options = options
        initial = value if value in options or not options else options[0]
        self.set_reactive(Choice.value, initial)

    @property
    def options(self) -> tuple[str, ...]:
        """The words to choose from."""
        return self._options

    def watch_value(self, value: str) -> None:
        """Tell the owner."""
        self.post_message(self.Changed(self, value))

    def action_step(self, by: int) -> None:
        """Choose the word *by* places further, around the end."""
        if self._options:
            place = self._options.index(self.value) if self.value in self._options else 0
            self.value = self._options[(place + by) % len(self._options)]

    def key_first_letter(self, letter: str) -> bool:
        """Choose the next word that begins with *letter*; return whether there is one."""
        place = self._options.index(self.value) if self.value in self._options else -1
        turned = self._options[place + 1 :] + self._options[: place + 1]
        for option in turned:
            if option.lower().startswith(letter.lower()):
                self.value = option
                return True
        return False

    def on_key(self, event: events.Key) -> None:
        """Take letters as the beginning of a word."""
        if event.character and event.character.isalnum() and self.key_first_letter(event.character):
            event.stop()

    def on_click(self, event: events.Click) -> None:
        """Choose the word under the mouse; at ``◂`` and ``▸`` the one before and after."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if not self._all_fit():
            self.action_step(-1 if offset.x == 0 else 1)
            return
        start = 0
        for option in self._options:
            end = start + line_width(((f"{clean(option)}", ""),)) + 4
            if start <= offset.x < end:
                self.value = option
                return
            start = end

    def render_line(self, y: int) -> Strip:
        """Paint the words."""
        return self.paint.strip(self._line() if y == 0 else (), self.size.width, self.ground)

    def _all_fit(self) -> bool:
        return line_width(self._spread()) - 2 <= self.size.width

    def _line(self) -> Line:
        if self._all_fit():
            return self._spread()
        place = self._options.index(self.value) + 1 if self.value in self._options else 0
        room = self.size.width - cell_len(clean(self.value)) - 4
        text = f"  {place}/{len(self._options)}"
        count = (text if len(text) <= room else "", "dim")
        return (("◂ ", "key"), (self.value, self._chosen()), (" ▸", "key"), count)

    def _spread(self) -> Line:
        spans: list[tuple[str, str]] = []
        for option in self._options:
            chosen = option == self.value
            spans.append(("● " if chosen else "○ ", "key" if chosen else "dim"))
            spans.append((clean(option), self._chosen() if chosen else "dim"))
            spans.append(("  ", ""))
        return tuple(spans)

    def _chosen(self) -> str:
        return "bold underline" if self.has_focus else "bold"
