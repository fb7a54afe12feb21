"""The panels of the studies: the one under the cursor, the head of one, the side of its map."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engine.api.optimization_views import TrialRow
from tui.state.console import ConsoleState
from tui.state.text import Line
from tui.widgets.live_table import LiveTable
from tui.widgets.panels import Panel

if TYPE_CHECKING:
    from engine.api.optimization_views import StudyDetail
    from tui.state.heat_map import HeatMap


class StudyPanel(Panel):
    """What a study varies, how it stands, how far its best can be believed."""

    every: ClassVar[int] = 2
    study_id: str | None = None

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return the study's figures."""
        detail = self.console.engine.optimization(self.study_id) if self.study_id else None
        if detail is None:
            return (((" No study is selected. n runs one.", "dim"),),)
        from tui.state.study_text import panel_lines

        return panel_lines(detail, width, height)


class StudyFacts(Panel, can_focus=False):
    """The head of one study: state, best, trials and deflated Sharpe, always in view."""

    detail: StudyDetail | None = None

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return the three lines."""
        if self.detail is None:
            return (((" This study is not there any more. esc goes back.", "warn"),),)
        from tui.state.study_text import fact_lines

        return tuple(fact_lines(self.detail, width)[:height])


class HeatSide(Panel, can_focus=False):
    """Beside the map: the trial under the cursor, and what each parameter matters."""

    def __init__(self, console: ConsoleState, heat: HeatMap, *, id: str) -> None:
        super().__init__(console, title="Cell", id=id)
        self._heat = heat

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return the trial's figures and the bars of the parameters."""
        from tui.state.heat_text import side_lines
        from tui.state.study_pages import importance_lines

        lines = side_lines(self._heat, self._heat.trial, width)
        lines += [(), ((" what matters", "head"),)]
        lines += importance_lines(self._heat.detail, width)
        return tuple(lines[:height])


class TrialTable(LiveTable[TrialRow]):
    """The trials; space pins a row to the top, whatever the filter and the order are."""

    def action_mark(self) -> None:
        """Pin the row, or let it go; the cursor goes on to the row that was below."""
        model = self.model
        if model.cursor_id is None or not model.rows:
            return
        here = model.cursor - model.top
        below = model.rows[here + 1 : here + 2]
        model.toggle_mark()
        if below:
            model.cursor_id = model.source.row_id(below[0])
        self._reorder()

    def action_mark_all(self) -> None:
        """Pin everything that the filter shows."""
        super().action_mark_all()
        self._reorder()

    def action_unmark(self) -> None:
        """Let all pinned rows go."""
        super().action_unmark()
        self._reorder()

    def _reorder(self) -> None:
        self.set_filter(self.model.query.filter_text)
        self.post_message(self.CursorMoved(self))
