"""Mode 8: the optimisation studies, and the one under the cursor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget

from tui.actions import Scope, bindings_for
from tui.formatting import clean
from tui.screens.base import ConsoleScreen
from tui.screens.command_reporter import CommandReporter
from tui.screens.study_actions import StudyActions
from tui.state.console import ConsoleState
from tui.state.study_source import StudySource
from tui.widgets.live_table import LiveTable
from tui.widgets.study_panels import StudyPanel

if TYPE_CHECKING:
    from engine.api.optimization_views import StudyRow

_EMPTY = "No studies yet. n runs one: a sample or a file of yours."


class StudiesScreen(ConsoleScreen, StudyActions):
    """Table of studies over a panel; enter opens one."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.STUDIES)
    AUTO_FOCUS = "#studies"
    mode: ClassVar[str] = "optimization"
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.STUDIES, *ConsoleScreen.scopes)

    def __init__(self, console: ConsoleState) -> None:
        super().__init__(console)
        self.table: LiveTable[StudyRow] = LiveTable(
            StudySource(console),
            title="Studies",
            clock=console.clock,
            empty=_EMPTY,
            id="studies",
            classes="panel",
        )
        self._panel = StudyPanel(console, title="Study", id="study")
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
        self._show_study()

    @on(LiveTable.CursorMoved, "#studies")
    def _show_study(self) -> None:
        row = self.table.model.current
        self._panel.study_id = self.table.model.cursor_id
        self._panel.border_title = Content(f"Study ─ {clean(row.name)}" if row else "Study")
        self._panel.pull()
        self.update_keys()

    @on(LiveTable.RowOpened, "#studies")
    def _row_opened(self, event: LiveTable.RowOpened) -> None:
        event.stop()
        detail = self.console.engine.optimization(event.row_id)
        if detail is None:
            self.say("This study is not there any more.")
            return
        from tui.screens.study_detail import StudyDetailScreen

        _ = self.app.push_screen(StudyDetailScreen(self.console, detail))

    def chosen_studies(self) -> Sequence[StudyRow]:
        """Return the marked studies, or the one under the cursor."""
        return self.table.model.chosen()

    def after_command(self) -> None:
        """Take the marks off and look again."""
        self.table.model.unmark_all()
        self.table.pull()
        self._show_study()

    def why_not(self, action_id: str) -> str:
        """Return why an action is not possible now; empty if it is."""
        if action_id.startswith("opt."):
            return self.why_not_study(action_id)
        return super().why_not(action_id)
