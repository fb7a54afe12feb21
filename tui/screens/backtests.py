"""Mode 7: the backtests, and the one under the cursor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget

from tui.actions import Scope, bindings_for
from tui.formatting import clean
from tui.screens.backtest_actions import BacktestActions
from tui.screens.base import ConsoleScreen
from tui.screens.command_reporter import CommandReporter
from tui.state.backtest_source import BacktestSource
from tui.state.console import ConsoleState
from tui.widgets.backtest_panels import BacktestPanel
from tui.widgets.live_table import LiveTable

if TYPE_CHECKING:
    from engine.api.backtest_views import BacktestRow

_EMPTY = "No backtests yet. n runs one: a sample or a file of yours."
_MOST, _LEAST = 4, 2


class BacktestsScreen(ConsoleScreen, BacktestActions):
    """Table of backtests over a panel; enter opens the viewer."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.BACKTESTS)
    AUTO_FOCUS = "#backtests"
    mode: ClassVar[str] = "backtests"
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.BACKTESTS, *ConsoleScreen.scopes)

    def __init__(self, console: ConsoleState) -> None:
        super().__init__(console)
        self.table: LiveTable[BacktestRow] = LiveTable(
            BacktestSource(console),
            title="Backtests",
            clock=console.clock,
            empty=_EMPTY,
            id="backtests",
            classes="panel",
        )
        self._panel = BacktestPanel(console, title="Backtest", id="backtest")
        self.reporter = CommandReporter(console.engine, self)
        self.drive(self.table, 2)
        self.drive(self._panel, self._panel.every)

    def body(self) -> Iterable[Widget]:
        """Return table and panel."""
        return (self.table, self._panel)

    def _breathe(self) -> None:
        super()._breathe()
        self.reporter.report()

    def pull_all(self) -> None:
        """Ask for everything; the panel belongs to the row under the cursor."""
        super().pull_all()
        self._show_backtest()

    @on(LiveTable.CursorMoved, "#backtests")
    def _show_backtest(self) -> None:
        row = self.table.model.current
        self._panel.backtest_id = self.table.model.cursor_id
        self._panel.border_title = Content(f"Backtest ─ {clean(row.name)}" if row else "Backtest")
        self._panel.pull()
        self.update_keys()

    @on(LiveTable.RowOpened, "#backtests")
    def _row_opened(self, event: LiveTable.RowOpened) -> None:
        event.stop()
        from tui.screens.backtest_detail import BacktestDetailScreen

        _ = self.app.push_screen(BacktestDetailScreen(self.console, event.row_id))

    # --- actions ---------------------------------------------------------------------------------

    def chosen_backtests(self) -> Sequence[BacktestRow]:
        """Return the marked backtests, or the one under the cursor."""
        return self.table.model.chosen()

    def action_bt_compare(self) -> None:
        """Show the marked backtests side by side."""
        reason = self.why_not("bt.compare")
        if reason:
            self.say(reason)
            return
        from tui.screens.backtest_compare import BacktestCompareScreen

        ids = tuple(row.id for row in self.chosen_backtests())
        _ = self.app.push_screen(BacktestCompareScreen(self.console, ids))

    def after_command(self) -> None:
        """Take the marks off and look again."""
        self.table.model.unmark_all()
        self.table.pull()
        self._show_backtest()

    def why_not(self, action_id: str) -> str:
        """Return why an action is not possible now; empty if it is."""
        if action_id == "bt.compare":
            return self._why_not_compare()
        if action_id.startswith("bt."):
            return self.why_not_backtest(action_id)
        return super().why_not(action_id)

    def _why_not_compare(self) -> str:
        marked = len(self.table.model.marks)
        if not _LEAST <= marked <= _MOST:
            return f"Mark two to four backtests with space, then compare; marked now: {marked}."
        without = [row.name for row in self.chosen_backtests() if row.final_equity is None]
        return f"{without[0]} has no result to compare." if without else ""
