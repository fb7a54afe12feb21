"""What can be done with the selection: one letter for each action of its scope."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from textual import events
from textual.widget import Widget

from tui.actions import Action, Scope, in_scope, key_label, keys_of
from tui.modals.overlay import Overlay
from tui.state.console import ConsoleState
from tui.state.text import Line
from tui.widgets.painted import Painted

_SELF = ".actions"


class ActionMenu(Overlay[str | None]):
    """Ends with the key to press, or None. What is not possible is dimmed and says why.

    Args:
        console: the shared view state.
        why_not: why an action is not possible now; empty if it is.
        scope: the actions to list.
        more: further scopes, listed behind it.
    """

    heading: ClassVar[str] = "Actions"
    hint: ClassVar[str] = "letter acts · esc closes"
    DEFAULT_CSS = """
    ActionMenu > .overlay-box { width: 74; height: auto; }
    ActionMenu Painted { height: auto; width: 100%; }
    """

    def __init__(
        self,
        console: ConsoleState,
        why_not: Callable[[str], str],
        scope: Scope = Scope.AGENTS,
        *,
        more: tuple[Scope, ...] = (),
    ) -> None:
        super().__init__(console)
        self._why_not = why_not
        self._actions = tuple(
            action
            for one in (scope, *more)
            for action in in_scope(one)
            if not action.id.endswith(_SELF)
        )

    def body(self) -> Iterable[Widget]:
        """Return one line for each action."""
        box = Painted(classes="actions")
        box.styles.height = len(self._actions)
        keymap = self.app._keymap  # noqa: SLF001 (Textual has no public getter for the key map)
        box.show_lines([self._line(action, keys_of(action, keymap)) for action in self._actions])
        return (box,)

    def _line(self, action: Action, keys: str) -> Line:
        reason = self._why_not(action.id)
        return (
            (f"  {key_label(keys)}  ", "stale" if reason else "key"),
            (reason or action.description, "stale" if reason else ""),
        )

    def on_key(self, event: events.Key) -> None:
        """Do what the letter stands for."""
        keymap = self.app._keymap  # noqa: SLF001 (Textual has no public getter for the key map)
        for action in self._actions:
            if event.key in keys_of(action, keymap).split(","):
                event.stop()
                _ = self.dismiss(event.key)
                return

    def on_painted_clicked(self, event: Painted.Clicked) -> None:
        """Do what the line under the mouse says."""
        keymap = self.app._keymap  # noqa: SLF001 (Textual has no public getter for the key map)
        if event.line < len(self._actions):
            _ = self.dismiss(keys_of(self._actions[event.line], keymap).split(",")[0])
