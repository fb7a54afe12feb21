"""One executor: its state, what it waits for, and everything that happened to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Final

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.timer import Timer

from engine.api.console import ConsoleEngine
from engine.api.views import ExecutorDetail, SessionRow
from tui.actions import Scope, action_by_id, bindings_for
from tui.formatting import clean, mode_badge, mode_role, short_id
from tui.screens.command_reporter import CommandReporter
from tui.state.detail_text import TABS, header_lines, tab_line
from tui.state.key_line import key_badge
from tui.state.ladder_text import ladder_lines
from tui.state.prefill import config_prefill
from tui.widgets.key_bar import KeyBar, key_entries
from tui.widgets.ladder import Ladder
from tui.widgets.line_view import LineView
from tui.widgets.painted import Painted
from tui.widgets.safe import safe
from tui.widgets.top_bar import TopBar

FPS: Final = 5.0
BARRIERS: Final = "Barriers"
_IN_THE_LIST: Final = {
    "exec.controller": "Controllers are stopped in the list of executors; esc goes back.",
    "exec.export": "Rows are exported from the list of executors; Y copies the tab.",
}
_NARROW: Final = 100
_SHOWN: Final = (
    "exec.stop",
    "exec.edit",
    "exec.store",
    "exec.duplicate",
    "detail.copy_id",
    "detail.copy_tab",
    "detail.tab_next",
    "app.back",
    "app.help",
)


class ExecutorDetailScreen(Screen[None]):
    """Everything about one executor, live.

    Below 100 columns the ladder is a tab of its own; above it stands beside the tabs.

    Args:
        engine: the door.
        session: the session of the executor.
        executor_id: which one.
        fps: paints in a second; 0 paints only when told.
        read_only: whether changing anything is off.
        clock: seconds from any origin.
        drafts: see ``CreateExecutorModal``.
        paused_for: seconds since the display was paused, or None.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(
        Scope.DETAIL, Scope.SCREEN, Scope.EXECUTORS
    )
    scopes: ClassVar[tuple[Scope, ...]] = (
        Scope.DETAIL,
        Scope.TEXT,
        Scope.EXECUTORS,
        Scope.SCREEN,
        Scope.EVERYWHERE,
    )
    AUTO_FOCUS = "LineView"
    DEFAULT_CSS = """
    ExecutorDetailScreen { background: $background; color: $foreground; layout: vertical; }
    ExecutorDetailScreen #frame {
        height: 1fr; border: round $frame; border-title-color: $foreground;
        border-title-style: bold; padding: 0 1; background: $background;
    }
    ExecutorDetailScreen.-live #frame { border: double $mode-live; }
    ExecutorDetailScreen #facts { height: 4; }
    ExecutorDetailScreen #tabs { height: 1; margin-bottom: 1; }
    ExecutorDetailScreen #ladder-box {
        width: 56; height: 1fr; border-right: solid $panel; padding-right: 1; margin-right: 1;
    }
    ExecutorDetailScreen #ladder-title { height: 2; }
    ExecutorDetailScreen #pages { width: 1fr; height: 1fr; }
    ExecutorDetailScreen.-tabs-only #ladder-box { display: none; }
    """

    def __init__(
        self,
        engine: ConsoleEngine,
        session: str,
        executor_id: str,
        *,
        fps: float = FPS,
        read_only: bool = False,
        clock: Callable[[], float] = time.perf_counter,
        drafts: dict[str, dict[str, str]] | None = None,
        paused_for: Callable[[], float | None] = lambda: None,
    ) -> None:
        super().__init__()
        self._paused_for = paused_for
        self._drafts = {} if drafts is None else drafts
        self.engine = engine
        self.session = session
        self.executor_id = executor_id
        self._fps = fps
        self._read_only = read_only
        self._clock = clock
        self._timer: Timer | None = None
        self._detail: ExecutorDetail | None = None
        self._tab = TABS[0][0]
        self.reporter = CommandReporter(engine, self)

    # --- layout ------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Compose header, ladder and tabs between the bars."""
        yield TopBar(self.engine, self.session)
        with Vertical(id="frame"):
            yield Painted(id="facts")
            with Horizontal():
                with Vertical(id="ladder-box"):
                    yield Painted(id="ladder-title")
                    yield Ladder(id="ladder")
                with Vertical(id="pages"):
                    yield Painted(id="tabs")
                    yield LineView(id="page")
        yield KeyBar()

    def on_mount(self) -> None:
        """Start the paint clock."""
        self.query_one("#ladder-title", Painted).show_lines([((BARRIERS, "bold"),)])
        if self._fps:
            self._timer = self.set_interval(1 / self._fps, self._tick)
        self.call_after_refresh(self.pull)

    def on_screen_suspend(self) -> None:
        """Stop the clock: a hidden screen asks for nothing."""
        if self._timer is not None:
            self._timer.pause()

    def on_screen_resume(self) -> None:
        """Go on, fresh."""
        if self._timer is not None:
            self._timer.resume()
        self.call_after_refresh(self.pull)

    def on_resize(self, event: events.Resize) -> None:
        """Put the ladder beside the tabs where there is room."""
        narrow = event.size.width < _NARROW
        self.set_class(narrow, "-tabs-only")
        if narrow and self._detail is None:
            self._tab = BARRIERS
        elif not narrow and self._tab == BARRIERS:
            self._tab = TABS[0][0]
        self.call_after_refresh(self.pull)

    # --- painting ----------------------------------------------------------------------------

    def _tick(self) -> None:
        if self._paused_for() is None:
            self.pull()
        else:
            self.update_keys()

    def pull_all(self) -> None:
        """Ask the engine now, as on every other screen."""
        self.pull()

    def show_problem(self, text: str) -> None:
        """Say that the engine's answer was an exception; what is shown stays."""
        self.say(f"⚠ {text}  r tries again.")

    @safe
    def pull(self) -> None:
        """Ask the engine and repaint what changed."""
        detail = self.engine.executor(self.session, self.executor_id)
        session = self._session_row()
        self._title(detail or self._detail, session)
        self.reporter.report()
        if detail is None:
            gone: list[tuple[tuple[str, str], ...]] = [
                (("This executor is not in the session any more. esc goes back.", "warn"),)
            ]
            self.query_one("#facts", Painted).show_lines(gone)
            self._detail = None
        else:
            self._detail = detail
            now_ns = None if session is None else session.now_ns
            facts = self.query_one("#facts", Painted)
            lines = header_lines(detail, facts.size.width)
            facts.styles.height = len(lines) + 1
            facts.show_lines(lines)
            self.query_one(Ladder).show_detail(detail, now_ns)
            self._show_page(detail, now_ns)
        self.update_keys()

    def _session_row(self) -> SessionRow | None:
        rows = self.engine.sessions()
        return next((row for row in rows if self.session in {row.id, row.name}), None)

    def _title(self, detail: ExecutorDetail | None, session: SessionRow | None) -> None:
        mode = "no session" if session is None else session.mode
        what = "" if detail is None else f" {detail.row.type} · {detail.row.trading_pair}"
        name = self.session if session is None else session.name
        frame = self.query_one("#frame")
        frame.border_title = Content.assemble(
            ("Executors ▸ ", "not bold"),
            clean(f"{short_id(self.executor_id)}{what} · {name} "),
            (f" {mode_badge(mode)} ", f"bold $mode-text on ${mode_role(mode)}"),
        )
        self.set_class(mode == "live", "-live")

    def _show_page(self, detail: ExecutorDetail, now_ns: int | None) -> None:
        names: list[tuple[str, int | None]] = []
        if self.has_class("-tabs-only"):
            names.append((BARRIERS, None))
        tables = {name: make(detail) for name, make in TABS}
        names += [(name, table.count) for name, table in tables.items()]
        self.query_one("#tabs", Painted).show_lines([tab_line(names, self._tab)])
        page = self.query_one(LineView)
        width, height = page.size.width, page.size.height
        if self._tab == BARRIERS:
            lines = ladder_lines(
                detail.row, detail.barriers, now_ns, width=width, height=max(height - 1, 1)
            )
            page.show_lines((), lines)
        else:
            table = tables[self._tab]
            page.show_lines(table.header(width), table.lines(width))

    def update_keys(self) -> None:
        """Bring the key bar up to date."""
        keymap = self.app._keymap  # noqa: SLF001 (Textual has no public getter for the key map)
        entries = key_entries(map(action_by_id, _SHOWN), keymap, self.why_not)
        badge = key_badge(self._paused_for(), read_only=self._read_only)
        self.query_one(KeyBar).update_keys(entries, badge=badge, now=self._clock())

    def say(self, text: str) -> None:
        """Answer the last key in one sentence."""
        self.query_one(KeyBar).say(text, now=self._clock())

    def on_key(self, event: events.Key) -> None:
        """Say so when a key means nothing here."""
        if event.key not in self.active_bindings and event.is_printable:
            self.say(f"{event.character} has no meaning here. ? lists the keys.")

    # --- moving ------------------------------------------------------------------------------

    def action_tab(self, by: int) -> None:
        """Show the tab *by* places further, around the end."""
        names = [name for name, _ in TABS]
        if self.has_class("-tabs-only"):
            names.insert(0, BARRIERS)
        place = names.index(self._tab) if self._tab in names else 0
        self._open_tab(names[(place + by) % len(names)])

    def _open_tab(self, name: str) -> None:
        self._tab = name
        self.query_one(LineView).scroll_home(animate=False)
        self.pull()

    @on(Painted.Clicked, "#tabs")
    def _tab_clicked(self, event: Painted.Clicked) -> None:
        event.stop()
        end = 0
        for text, _ in event.widget.lines[0]:
            end += cell_len(text)
            if event.column < end:
                self._open_tab(text.strip("[] ").rstrip("0123456789 "))
                return

    def action_back(self) -> None:
        """Go back to the list."""
        _ = self.dismiss(None)

    def action_next_panel(self) -> None:
        """Focus the next panel."""
        self.focus_next()

    def action_previous_panel(self) -> None:
        """Focus the previous panel."""
        self.focus_previous()

    def action_zoom(self) -> None:
        """Say that there is nothing to maximise here."""
        self.say("One panel fills this screen already; [ and ] change the tab.")

    def action_refresh_now(self) -> None:
        """Ask the engine again now."""
        self.pull()
        self.say("Asked the engine again.")

    def action_copy_id(self) -> None:
        """Copy the whole id."""
        self.app.copy_to_clipboard(self.executor_id)
        self.say(f"Copied the id, {len(self.executor_id)} characters.")

    def action_copy_tab(self) -> None:
        """Copy the tab's table as tab separated text."""
        make = dict(TABS).get(self._tab)
        if self._detail is None or make is None:
            self.say("There is no table on this tab to copy.")
            return
        text = make(self._detail).plain()
        self.app.copy_to_clipboard(text)
        self.say(f"Copied {self._tab}, {len(text.encode())} bytes.")

    # --- acting ------------------------------------------------------------------------------

    def why_not(self, action_id: str) -> str:
        """Return why an action is not possible now; empty if it is."""
        if not action_id.startswith("exec.") or action_id == "exec.actions":
            return ""
        if action_id in _IN_THE_LIST:
            return _IN_THE_LIST[action_id]
        if self._read_only:
            return "This console is read only."
        if action_id == "exec.new":
            return ""
        if self._detail is None:
            return "This executor is not in the session any more."
        state = self._detail.row.lifecycle
        match action_id:
            case "exec.stop" if state not in {"created", "running"}:
                return f"Only an active executor can be stopped; this one is {state}."
            case "exec.edit" if state != "running":
                return f"Only a running executor can be changed; this one is {state}."
            case "exec.edit" if not self._detail.updatable:
                return f"Executors of type {self._detail.row.type} cannot be changed."
            case "exec.store" if state not in {"terminated", "failed"}:
                return f"Only an ended executor can be stored; this one is {state}."
            case _:
                return ""

    def _row_if_allowed(self, action_id: str) -> ExecutorDetail | None:
        reason = self.why_not(action_id)
        if reason:
            self.say(reason)
            return None
        return self._detail

    def action_export_rows(self) -> None:
        """Say where rows are exported."""
        _ = self._row_if_allowed("exec.export")

    def action_exec_stop(self) -> None:
        """Ask before stopping."""
        detail = self._row_if_allowed("exec.stop")
        if detail is not None:
            from tui.modals.stop_executor import StopExecutorModal

            self._open(StopExecutorModal(self.engine, self.session, [detail.row]))

    def action_exec_stop_options(self) -> None:
        """Ask before stopping; the dialog has the options."""
        self.action_exec_stop()

    def action_exec_edit(self) -> None:
        """Open the form for what can be changed."""
        if self._row_if_allowed("exec.edit") is not None:
            from tui.modals.update_executor import UpdateExecutorModal

            self._open(UpdateExecutorModal(self.engine, self.session, self.executor_id))

    def action_exec_store(self) -> None:
        """Ask before storing."""
        detail = self._row_if_allowed("exec.store")
        if detail is not None:
            from tui.modals.store_executor import StoreExecutorModal

            self._open(StoreExecutorModal(self.engine, self.session, [detail.row]))

    def action_exec_new(self) -> None:
        """Open the form for a new executor."""
        if self.why_not("exec.new"):
            self.say(self.why_not("exec.new"))
            return
        from tui.modals.create_executor import CreateExecutorModal

        self._open(CreateExecutorModal(self.engine, self.session, drafts=self._drafts))

    def action_exec_duplicate(self) -> None:
        """Open the form with the values of this executor."""
        detail = self._row_if_allowed("exec.duplicate")
        if detail is not None:
            from tui.modals.create_executor import CreateExecutorModal

            prefill = config_prefill(detail)
            self._open(
                CreateExecutorModal(self.engine, self.session, prefill=prefill, drafts=self._drafts)
            )

    def action_exec_controller(self) -> None:
        """Say where controllers are stopped."""
        self.say(self.why_not("exec.controller"))

    def action_exec_actions(self) -> None:
        """List everything that can be done with the executor, with its letter."""
        from tui.modals.action_menu import ActionMenu
        from tui.state.console import ConsoleState

        console = ConsoleState(
            self.engine, clock=self._clock, wanted=self.session, read_only=self._read_only
        )
        menu = ActionMenu(console, self.why_not, Scope.EXECUTORS)
        _ = self.app.push_screen(menu, self._action_picked)

    def _action_picked(self, key: str | None) -> None:
        if key is not None:
            self.app.simulate_key(key)

    def _open(self, modal: ModalScreen[str | None]) -> None:
        _ = self.app.push_screen(modal, partial(self._submitted, modal))

    def _submitted(self, modal: ModalScreen[str | None], command_id: str | None) -> None:
        if command_id is not None:
            self.reporter.sent(modal, command_id)
            self.pull()
