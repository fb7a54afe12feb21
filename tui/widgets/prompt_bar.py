"""A one-line prompt at the bottom: ``/`` filters while typing, ``:`` takes a command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from tui.actions import Scope, bindings_for


class PromptInput(Input):
    """The text field; it gives escape and the history keys to its bar."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.PROMPT)

    class Left(Message):
        """Escape was pressed."""

    class Recalled(Message):
        """An older (-1) or newer (+1) line is wanted."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def action_leave(self) -> None:
        """Close the prompt."""
        self.post_message(self.Left())

    def action_older(self) -> None:
        """Show the line before."""
        self.post_message(self.Recalled(-1))

    def action_newer(self) -> None:
        """Show the line after."""
        self.post_message(self.Recalled(1))


class PromptBar(Horizontal):
    """Prefix, text field and a note at the right."""

    DEFAULT_CSS = """
    PromptBar {
        height: 1; width: 100%; background: $panel;
        .prompt-prefix { width: 3; color: $primary; text-style: bold; background: $panel; }
        .prompt-note { width: auto; color: $muted; background: $panel; padding: 0 1; }
        PromptInput {
            width: 1fr; height: 1; border: none; padding: 0; background: $panel;
        }
        PromptInput:focus { border: none; background: $panel; }
    }
    """

    class Changed(Message):
        """The text is another one."""

        def __init__(self, bar: PromptBar, text: str) -> None:
            super().__init__()
            self.bar = bar
            self.text = text

    class Accepted(Message):
        """Enter was pressed."""

        def __init__(self, bar: PromptBar, text: str) -> None:
            super().__init__()
            self.bar = bar
            self.text = text

    class Dismissed(Message):
        """Escape was pressed."""

        def __init__(self, bar: PromptBar) -> None:
            super().__init__()
            self.bar = bar

    def __init__(
        self,
        prefix: str,
        *,
        text: str = "",
        suggestions: Sequence[str] = (),
        history: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.prefix = prefix
        self._history = list(history)
        self._place = len(self._history)
        suggester = SuggestFromList(suggestions, case_sensitive=False) if suggestions else None
        self._field = PromptInput(text, suggester=suggester, select_on_focus=False)
        self._note = Static(Content(""), classes="prompt-note")

    def compose(self) -> ComposeResult:
        """Put prefix, field and note in a row."""
        yield Static(Content(f" {self.prefix}"), classes="prompt-prefix")
        yield self._field
        yield self._note

    def on_mount(self) -> None:
        """Start typing at once: the focus is here before the next key is let through."""
        self.screen.set_focus(self._field)
        self.add_class("-ready")

    def set_note(self, text: str) -> None:
        """Show *text* at the right end."""
        self._note.update(Content(text))

    @on(Input.Changed)
    def _text_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(self, event.value))

    @on(Input.Submitted)
    def _text_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Accepted(self, event.value))

    @on(PromptInput.Left)
    def _left(self, event: PromptInput.Left) -> None:
        event.stop()
        self.post_message(self.Dismissed(self))

    @on(PromptInput.Recalled)
    def _recalled(self, event: PromptInput.Recalled) -> None:
        event.stop()
        if not self._history:
            return
        self._place = max(0, min(self._place + event.step, len(self._history)))
        line = self._history[self._place] if self._place < len(self._history) else ""
        field = self._field
        field.value = line
        field.cursor_position = len(line)
