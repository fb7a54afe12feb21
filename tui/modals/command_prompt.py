"""The command line over a screen that has none of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.screen import ModalScreen

from tui.actions import Scope
from tui.widgets.prompt_bar import PromptBar


class CommandPrompt(ModalScreen[str | None]):
    """The ``:`` line on the lowest row; ends with what was entered, or None."""

    scopes: ClassVar[tuple[Scope, ...]] = (Scope.PROMPT,)
    DEFAULT_CSS = """
    CommandPrompt { background: transparent; }
    CommandPrompt PromptBar { dock: bottom; }
    """

    def __init__(self, suggestions: Sequence[str], history: Sequence[str]) -> None:
        super().__init__()
        self._suggestions = tuple(suggestions)
        self._history = tuple(history)

    def compose(self) -> ComposeResult:
        """Put the prompt on the lowest row."""
        yield PromptBar(":", suggestions=self._suggestions, history=self._history)

    @on(PromptBar.Accepted)
    def _accepted(self, event: PromptBar.Accepted) -> None:
        event.stop()
        _ = self.dismiss(event.text)

    @on(PromptBar.Dismissed)
    def _dismissed(self, event: PromptBar.Dismissed) -> None:
        event.stop()
        _ = self.dismiss(None)
