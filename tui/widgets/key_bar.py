"""The key bar: the keys of the focus, made from the registry; entries can be clicked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tui.actions import Action, key_label, keys_of
from tui.state.key_line import KeyEntry, fitting_entries, key_line
from tui.state.text import line_width
from tui.widgets.painted import Painted

HINT_S = 4.0


def key_entries(
    actions: Iterable[Action], keymap: Mapping[str, str], why_not: Callable[[str], str]
) -> tuple[KeyEntry, ...]:
    """Return the bar's entries for *actions*, dim where *why_not* has a reason."""
    return tuple(
        KeyEntry(
            keys_of(action, keymap).split(",")[0],
            key_label(keys_of(action, keymap)),
            action.text,
            enabled=not why_not(action.id),
        )
        for action in actions
    )


class KeyBar(Painted):
    """One line of keys, or a sentence for a few seconds."""

    DEFAULT_CSS = """
    KeyBar { height: 1; width: 100%; }
    """

    def __init__(self) -> None:
        super().__init__(classes="key-bar")
        self._entries: tuple[KeyEntry, ...] = ()
        self._hint = ""
        self._hint_until = float("-inf")
        self._badge = ""

    def on_resize(self) -> None:
        """Fill the new width."""
        self._show()

    def update_keys(self, entries: tuple[KeyEntry, ...], *, badge: str, now: float) -> None:
        """Show *entries* and *badge*; drops a hint whose time is over."""
        self._entries, self._badge = entries, badge
        if now > self._hint_until:
            self._hint = ""
        self._show()

    def say(self, text: str, *, now: float) -> None:
        """Show one sentence in place of the keys for a few seconds."""
        self._hint, self._hint_until = text, now + HINT_S
        self._show()

    def _show(self) -> None:
        self.show_lines([key_line(self._entries, self._hint, self._badge, self.size.width)])

    def on_painted_clicked(self, message: Painted.Clicked) -> None:
        """Press the key of the entry under the mouse."""
        message.stop()
        if self._hint:
            self._hint = ""
            self._show()
            return
        x = 0
        room = self.size.width - (len(self._badge) + 2 if self._badge else 0)
        for entry, line in fitting_entries(self._entries, room):
            x += line_width(line)
            if message.column < x:
                self.app.simulate_key(entry.key)
                return
