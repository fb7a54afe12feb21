"""The live containers: what is in each, what it has done, what it needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.content import Content
from textual.widget import Widget

from tui.formatting import clean
from tui.screens.base import ConsoleScreen
from tui.state.console import ConsoleState
from tui.state.container_source import ContainerSource
from tui.state.text import Line
from tui.widgets.live_table import LiveTable
from tui.widgets.panels import Panel

if TYPE_CHECKING:
    from engine.api.backtest_views import ContainerRow

_EMPTY = "No container lives. A session has one, and each running backtest."


class ContainerPanel(Panel):
    """The container under the cursor."""

    row: ContainerRow | None = None

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return its components and figures."""
        from tui.state.container_source import container_lines

        if self.row is None:
            return (((" No container is selected. 7 goes back to the backtests.", "dim"),),)
        return container_lines(self.row, width)[:height]


class ContainersScreen(ConsoleScreen):
    """Table of containers over a panel; enter opens the backtest that owns one."""

    AUTO_FOCUS = "#containers"
    mode: ClassVar[str] = "backtests"

    def __init__(self, console: ConsoleState) -> None:
        super().__init__(console)
        self.table: LiveTable[ContainerRow] = LiveTable(
            ContainerSource(console),
            title="Containers",
            clock=console.clock,
            empty=_EMPTY,
            id="containers",
            classes="panel",
        )
        self._panel = ContainerPanel(console, title="Container", id="container")
        self.drive(self.table, 3)
        self.drive(self._panel, self._panel.every)

    def body(self) -> Iterable[Widget]:
        """Return table and panel."""
        return (self.table, self._panel)

    def pull_all(self) -> None:
        """Ask for everything; the panel belongs to the row under the cursor."""
        super().pull_all()
        self._show_container()

    def _breathe(self) -> None:
        super()._breathe()
        self._show_container()

    @on(LiveTable.CursorMoved, "#containers")
    def _show_container(self) -> None:
        row = self.table.model.current
        self._panel.row = row
        self._panel.border_title = Content(f"Container ─ {clean(row.id)}" if row else "Container")
        self._panel.pull()

    @on(LiveTable.RowOpened, "#containers")
    def _row_opened(self, event: LiveTable.RowOpened) -> None:
        event.stop()
        row = self.table.model.current
        if row is None:
            return
        if self.console.engine.backtest(row.owner) is None:
            self.say(f"{row.owner} is a session: 2 shows its executors.")
            return
        from tui.screens.backtest_detail import BacktestDetailScreen

        _ = self.app.push_screen(BacktestDetailScreen(self.console, row.owner))
