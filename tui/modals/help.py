"""Help: every key of the focus, of the screen, and everywhere, from the registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.widget import Widget

from tui.actions import ACTIONS, Scope, all_key_labels
from tui.modals.overlay import Overlay
from tui.state.columns import Column
from tui.state.console import ConsoleState
from tui.state.list_source import ListSource
from tui.widgets.live_table import LiveTable


@dataclass(frozen=True, slots=True)
class HelpRow:
    """One line of help; a heading has no key."""

    id: str
    keys: str
    text: str
    danger: int = 0


_DANGERS = {0: "", 1: "at once", 2: "asks first", 3: "armed only", 4: "typed word"}


def help_rows(scopes: Iterable[Scope], keymap: Mapping[str, str]) -> tuple[HelpRow, ...]:
    """Return the help of *scopes* with the operator's own keys, a heading over each part."""
    rows: list[HelpRow] = []
    for scope in scopes:
        rows.append(HelpRow(scope.value, "", scope.value.capitalize()))
        rows.extend(
            HelpRow(
                action.id,
                all_key_labels(keymap.get(action.id, action.keys)),
                action.description,
                action.danger,
            )
            for action in ACTIONS
            if action.scope is scope
        )
    return tuple(rows)


class HelpScreen(Overlay[None]):
    """The list of keys; ``/`` searches it."""

    heading: ClassVar[str] = "Keys"
    hint: ClassVar[str] = "/ searches · j k scroll · shift+drag selects text · esc closes"

    def __init__(
        self, console: ConsoleState, scopes: tuple[Scope, ...], keymap: Mapping[str, str]
    ) -> None:
        super().__init__(console)
        source: ListSource[HelpRow] = ListSource(
            noun="keys",
            columns=(
                Column("keys", "Key", 14, lambda row: (row.keys, "key"), "right"),
                Column("text", "What it does", 30, _text, flexible=True),
                Column("danger", "", 10, lambda row: (_DANGERS[row.danger], "dim"), rank=1),
            ),
            row_id=lambda row: row.id,
            text=lambda row: f"{row.keys} {row.text}",
        )
        source.replace(help_rows(scopes, keymap))
        self._table: LiveTable[HelpRow] = LiveTable(
            source, title="", clock=console.clock, empty="No key does that.", show_header=False
        )

    def body(self) -> Iterable[Widget]:
        """Return the list."""
        return (self._table,)

    @on(LiveTable.FilterWanted)
    def _search(self, event: LiveTable.FilterWanted) -> None:
        from tui.widgets.prompt_bar import PromptBar

        event.stop()
        if not self.query(PromptBar):
            _ = self.mount(PromptBar("/", text=self._table.model.query.filter_text))

    def on_prompt_bar_changed(self, event: object) -> None:
        """Search while typing."""
        self._table.set_filter(getattr(event, "text", ""))

    def on_prompt_bar_accepted(self) -> None:
        """Keep what was found."""
        self._leave_prompt()

    def on_prompt_bar_dismissed(self) -> None:
        """Show all keys again."""
        self._table.set_filter("")
        self._leave_prompt()

    def _leave_prompt(self) -> None:
        from tui.widgets.prompt_bar import PromptBar

        _ = self.query(PromptBar).remove()
        self._table.focus()


def _text(row: HelpRow) -> tuple[str, str]:
    return (row.text, "" if row.keys else "title underline")
