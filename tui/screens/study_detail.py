"""One study: its trials, the heat map, in-sample against out-of-sample, folds, what matters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from rich.cells import cell_len
from textual import on
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget

from tui.actions import Scope, bindings_for
from tui.formatting import clean
from tui.screens.base import ConsoleScreen
from tui.screens.command_reporter import CommandReporter
from tui.screens.study_actions import StudyActions
from tui.screens.trial_runs import TrialRuns
from tui.state.console import ConsoleState
from tui.state.detail_text import tab_line
from tui.state.fold_pages import (
    fold_title,
    fold_trials,
    folds_of,
    has_fold_trials,
    walk_forward_lines,
)
from tui.state.heat_map import HeatMap
from tui.state.study_pages import (
    correlation_line,
    importance_lines,
    out_of_sample_table,
    report_lines,
)
from tui.state.study_source import parameters_text
from tui.state.text import Line, plain
from tui.state.trial_source import TrialSource, trial_number
from tui.widgets.heat_panel import HeatPanel
from tui.widgets.line_view import LineView
from tui.widgets.live_table import LiveTable
from tui.widgets.painted import Painted
from tui.widgets.safe import safe
from tui.widgets.study_panels import HeatSide, StudyFacts, TrialTable

if TYPE_CHECKING:
    from engine.api.optimization_views import StudyDetail, StudyRow, TrialRow

TABS: Final = ("Trials", "Heat map", "In/out", "Folds", "Importance", "Report")
_PAPER_S: Final = 60.0
_EMPTY: Final = "No trial has ended yet."


class StudyDetailScreen(ConsoleScreen, StudyActions):
    """Everything about one study, live.

    Args:
        console: the shared view state.
        detail: the study as it is now.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.STUDY, Scope.STUDIES)
    AUTO_FOCUS = "#trials"
    mode: ClassVar[str] = "optimization"
    DEFAULT_CSS = """
    StudyDetailScreen #study-tabs { height: 1; padding: 0 1; }
    """

    def __init__(self, console: ConsoleState, detail: StudyDetail) -> None:
        super().__init__(console)
        self.detail = detail
        self.study_id = detail.row.id
        self._tab = TABS[0]
        self._fold: int | None = None
        self._shown = detail
        self.heat = HeatMap(detail)
        self._source = TrialSource(detail, self._pinned)
        self._facts = StudyFacts(console, title="", id="study-facts")
        self._tabs = Painted(id="study-tabs")
        self.table: TrialTable = TrialTable(
            self._source, title="Trials", clock=console.clock, empty=_EMPTY, id="trials",
            classes="panel",
        )  # fmt: skip
        self.table.model.mark_word = "pinned"
        self._map = HeatPanel(console, self.heat, id="heat")
        self._side = HeatSide(console, self.heat, id="heat-side")
        self._page = LineView(id="page")
        self._page.add_class("panel")
        self.reporter = CommandReporter(console.engine, self)
        self.runs = TrialRuns(self)
        self._papers: dict[str, TrialRow] = {}
        self.drive(self, 2)

    @property
    def scopes(self) -> tuple[Scope, ...]:  # type: ignore[override]  # it depends on the tab
        """The keys of the page on show."""
        page = {"Trials": Scope.LIST, "Heat map": Scope.HEATMAP}.get(self._tab, Scope.TEXT)
        return (Scope.STUDY, page, Scope.STUDIES, Scope.SCREEN, Scope.EVERYWHERE)

    def body(self) -> Iterable[Widget]:
        """Return head, tabs and the pages, one of which is on show."""
        return (self._facts, self._tabs, self.table, self._map, self._side, self._page)

    def on_mount(self) -> None:
        """Show the first page."""
        super().on_mount()
        self._open_tab(TABS[0])

    def _pinned(self) -> Sequence[str]:
        return tuple(self.table.model.marks)

    # --- the clock -------------------------------------------------------------------------------

    @safe
    def pull(self) -> None:
        """Ask the engine and repaint what changed."""
        fresh = self.console.engine.optimization(self.study_id)
        self._facts.detail = fresh
        if fresh is not None:
            self._take(fresh)
        name = clean(self.detail.row.name)
        self._facts.border_title = Content.assemble(("Studies ▸ ", "not bold"), name)
        self._facts.pull()
        self._show_page()
        self._tell_papers()

    def _take(self, detail: StudyDetail) -> None:
        """Show the table of *detail*, or the trials of the training that was chosen."""
        if self._fold is not None and not has_fold_trials(detail):
            self._fold = None  # it runs again
        if self._fold is None:
            self._shown = detail
        elif self._shown is self.detail or detail is not self.detail:
            self._shown = fold_trials(detail, self._fold)
        self.detail = detail
        self._source.take(self._shown)
        self.heat.take(self._shown)
        fold = "" if self._fold is None else f" · {fold_title(detail, self._fold)}"
        self.table.heading = f"Trials{fold}"
        self._map.border_title = Content(f"Heat map{fold}")

    def action_fold(self, by: int) -> None:
        """Show the trials of another training; behind the last comes the table again."""
        reason = self.why_not("study.fold_next")
        if reason:
            self.say(reason)
            return
        places: list[int | None] = [*range(len(folds_of(self.detail))), None]
        self._fold = places[(places.index(self._fold) + by) % len(places)]
        self._shown = self.detail
        self.pull()
        if self._fold is None:
            self.say("Trials of the study's table.")
        else:
            self.say(f"Trials of {fold_title(self.detail, self._fold)}.")

    def _breathe(self) -> None:
        super()._breathe()
        self.reporter.report()
        self.runs.look()

    def _show_page(self) -> None:
        judged, folds = out_of_sample_table(self.detail).count, len(folds_of(self.detail))
        counts = {"Trials": len(self._shown.trials), "In/out": judged, "Folds": folds}
        self._tabs.show_lines([tab_line([(name, counts.get(name)) for name in TABS], self._tab)])
        match self._tab:
            case "Trials":
                self.table.pull()
            case "Heat map":
                self._map.pull()
                self._side.pull()
            case _:
                width = max(20, self._page.size.width - 1)
                header, lines = self._text(width)
                self._page.show_lines(header, lines)

    def _text(self, width: int) -> tuple[Line, Sequence[Line]]:
        detail = self.detail
        match self._tab:
            case "In/out":
                table = out_of_sample_table(detail)
                return table.header(width), [*table.lines(width), (), correlation_line(detail)]
            case "Folds":
                return walk_forward_lines(detail, width, self._fold)
            case "Importance":
                metric = clean(detail.row.metric)
                title = f" how much of the spread of {metric} a parameter explains by itself"
                return ((title, "head"),), importance_lines(detail, width)
            case _:
                return (), report_lines(detail, width)

    def on_resize(self) -> None:
        """Fill the new size."""
        super().on_resize()
        self.call_after_refresh(self.pull)

    # --- pages -----------------------------------------------------------------------------------

    def action_tab(self, by: int) -> None:
        """Show the page *by* places further, around the end."""
        self._open_tab(TABS[(TABS.index(self._tab) + by) % len(TABS)])

    def _open_tab(self, name: str) -> None:
        self._tab = name
        is_map = name == "Heat map"
        shown: Widget = self.table if name == "Trials" else self._map if is_map else self._page
        for widget in (self.table, self._map, self._page):
            widget.display = widget is shown
        self._side.display = is_map and not self.has_class("-narrow")
        if shown is self._page:
            self._page.scroll_home(animate=False)
            self._page.border_title = Content(name)
        shown.focus()
        self.call_after_refresh(self.pull)
        self.call_after_refresh(self.update_keys)

    @on(Painted.Clicked, "#study-tabs")
    def _tab_clicked(self, event: Painted.Clicked) -> None:
        event.stop()
        end = 0
        for text, _ in event.widget.lines[0]:
            end += cell_len(text)
            if event.column < end:
                name = text.strip("[] ").rstrip("0123456789 ")
                if name in TABS:
                    self._open_tab(name)
                return

    @on(HeatPanel.Moved)
    def _cell_moved(self) -> None:
        self._side.pull()

    @on(HeatPanel.Copied)
    def _cell_copied(self, event: HeatPanel.Copied) -> None:
        self.app.copy_to_clipboard(event.text)
        self.say(f"Copied the cell, {len(event.text.encode())} bytes.")

    def action_axes(self) -> None:
        """Choose what the heat map shows, and go there."""
        if not self.detail.parameters:
            self.say("This study varies no parameter.")
            return
        from tui.modals.axes import AxesModal

        modal = AxesModal(self.console, self.detail, self.heat.axes)

        def chosen(done: str | None) -> None:
            if done is not None:
                self.heat.choose(modal.chosen)
            self._open_tab("Heat map")

        _ = self.app.push_screen(modal, chosen)

    def action_copy_tab(self) -> None:
        """Copy the page as text, tables with tabs."""
        match self._tab:
            case "Trials":
                columns = self._source.columns
                rows = self.table.model.source.window(self.table.model.query, 0, 1 << 30).rows
                lines = ["\t".join(column.title for column in columns)]
                lines += ["\t".join(one.copied(row).strip() for one in columns) for row in rows]
                text = "\n".join(lines)
            case "Heat map":
                text = "\n".join(plain(line).rstrip() for line in self._map.lines)
            case "In/out":
                text = out_of_sample_table(self.detail).plain()
            case _:
                header, body = self._text(200)
                text = "\n".join(plain(line).rstrip() for line in (header, *body))
        self.app.copy_to_clipboard(text)
        self.say(f"Copied {self._tab}, {len(text.encode())} bytes.")

    # --- trials ----------------------------------------------------------------------------------

    @property
    def trial(self) -> TrialRow | None:
        """The trial that keys are about: of the row or of the cell under the cursor."""
        if self._tab == "Heat map":
            return self.heat.trial
        if self._tab == "Trials":
            return self._source.find(self.table.model.cursor_id or "")
        return self.detail.row.best

    @on(LiveTable.RowOpened, "#trials")
    def _row_opened(self, event: LiveTable.RowOpened) -> None:
        event.stop()
        if trial_number(event.row_id) is not None:
            self.runs.open(self.trial)

    @on(HeatPanel.Opened)
    def _cell_opened(self) -> None:
        self.runs.open(self.trial)

    @safe
    def action_paper(self) -> None:
        """Write the trial as a session file, then offer to start it."""
        reason = self.why_not("study.paper")
        if reason:
            self.say(reason)
            return
        trial = self.trial
        if trial is not None:
            from engine.api.commands import WritePaperSession

            command = WritePaperSession(study_id=self.study_id, index=trial.index)
            self._papers[self.console.engine.submit(command)] = trial
            self.say(f"Writing trial {trial.index} as a paper session …")
            self._tell_papers()

    def _tell_papers(self) -> None:
        """Offer to start the session that was written; say why not if it was not."""
        for command_id, trial in tuple(self._papers.items()):
            row = self.console.engine.command(command_id)
            if row is None or row.status in ("pending", "processing"):
                continue
            del self._papers[command_id]
            text = row.reason or f"The paper session is {row.status}."
            self.say(text)
            if row.status == "completed":
                self._offer_session(text, trial)
            else:
                self.notify(
                    text, title="No paper session", severity="error", timeout=_PAPER_S,
                    markup=False,
                )  # fmt: skip

    def _offer_session(self, text: str, trial: TrialRow) -> None:
        from engine.api.paper_file import RUN_HINT
        from tui.modals.start_paper import SessionWanted

        path = text.partition(RUN_HINT)[2]
        if path and self.is_current:
            self.post_message(SessionWanted(Path(path), parameters_text(trial.parameters)))

    # --- actions ---------------------------------------------------------------------------------

    @property
    def menu_scopes(self) -> tuple[Scope, ...]:
        """The keys of the study on show."""
        return (Scope.STUDY,)

    def why_not_action(self, action_id: str) -> str:
        """Return why an action of the menu is not possible now; empty if it is."""
        return self.why_not(action_id)

    def chosen_studies(self) -> Sequence[StudyRow]:
        """Return the study, if it is still there."""
        detail = self.console.engine.optimization(self.study_id)
        return () if detail is None else (detail.row,)

    def after_command(self) -> None:
        """Look again."""
        self.pull()

    def why_not(self, action_id: str) -> str:
        """Return why an action is not possible now; empty if it is."""
        if action_id.startswith("opt."):
            return self.why_not_study(action_id)
        if action_id in ("study.fold_next", "study.fold_previous"):
            if not folds_of(self.detail):
                return "This study has no folds."
            if not has_fold_trials(self.detail):
                return "Too many trials to keep with the study; fold_trials.csv has them (--out)."
            return ""
        if action_id in ("list.open", "heat.open", "study.paper"):
            if self.console.read_only:
                return "This console is read only."
            if self.trial is None:
                return "There is no trial under the cursor."
        return super().why_not(action_id)

    def action_back(self) -> None:
        """Close prompt, maximised panel or filter; then go back to the list."""
        if self._prompt is None and not self.has_class("-zoomed"):
            if self._tab == "Trials" and self.table.model.query.filter_text:
                self.table.set_filter("")
                return
            _ = self.dismiss(None)
            return
        super().action_back()
