"""Settings: a theme with live preview, and how times are shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget

from tui.actions import Scope, bindings_for
from tui.modals.overlay import Overlay
from tui.state.columns import Column
from tui.state.console import ConsoleState
from tui.state.list_source import ListSource
from tui.widgets.live_table import LiveTable


class ThemeWanted(Message):
    """The theme *name* is to be shown."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


@dataclass(frozen=True, slots=True)
class _ThemeRow:
    name: str
    ours: bool
    before: bool


class SettingsScreen(Overlay[str | None]):
    """Ends with the name of the theme that was chosen, or None after putting the old one back."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.SETTINGS)
    DEFAULT_CSS = """
    SettingsScreen > .overlay-box { width: 52; height: 70%; }
    """
    heading: ClassVar[str] = "Settings ─ theme"
    hint: ClassVar[str] = "enter takes it · T times · P PnL · esc back"

    def __init__(self, console: ConsoleState, themes: tuple[str, ...], present: str) -> None:
        super().__init__(console)
        self._before = present
        source: ListSource[_ThemeRow] = ListSource(
            noun="themes",
            columns=(
                Column(
                    "name", "Theme", 26, lambda r: (r.name, "bold" if r.ours else ""), flexible=True
                ),
                Column("note", "", 12, lambda r: ("in use" if r.before else "", "dim")),
            ),
            row_id=lambda row: row.name,
            text=lambda row: row.name,
        )
        source.replace(
            tuple(
                _ThemeRow(name, name.startswith("quarterdeck-"), name == present) for name in themes
            )
        )
        self._table: LiveTable[_ThemeRow] = LiveTable(
            source, title="", clock=console.clock, show_header=False
        )
        self._table.model.cursor_id = present

    def body(self) -> Iterable[Widget]:
        """Return the list of themes."""
        return (self._table,)

    @on(LiveTable.CursorMoved)
    def _preview(self, event: LiveTable.CursorMoved) -> None:
        event.stop()
        if self._table.model.cursor_id:
            self.post_message(ThemeWanted(self._table.model.cursor_id))

    @on(LiveTable.RowOpened)
    def _take(self, event: LiveTable.RowOpened) -> None:
        event.stop()
        _ = self.dismiss(event.row_id)

    def action_close(self) -> None:
        """Put the old theme back and close."""
        self.post_message(ThemeWanted(self._before))
        _ = self.dismiss(None)

    async def action_pnl_colors(self) -> None:
        """Show profit and loss in the next pair of colours."""
        await self.app.run_action("app.pnl_colors")

    async def action_time_format(self) -> None:
        """Show times in the next format."""
        await self.app.run_action("app.time_format")
