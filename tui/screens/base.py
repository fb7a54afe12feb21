"""What every mode's screen has: bars, one paint clock, panels that cannot end the app."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from tui.actions import Action, Scope, bindings_for, in_scope
from tui.state.console import ConsoleState
from tui.state.key_line import KeyEntry, key_badge
from tui.widgets.key_bar import KeyBar, key_entries
from tui.widgets.live_table import LiveTable
from tui.widgets.mode_bar import ModeBar
from tui.widgets.notices import MIN_HEIGHT, MIN_WIDTH, FaultBar, TooSmall
from tui.widgets.safe import Pulling, safe
from tui.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from tui.widgets.prompt_bar import PromptBar

_BREATH = 10
"""Ticks between two looks at what changes slowly: faults, key bar."""

_WITHOUT_LAYOUT = frozenset({"app.help", "app.quit"})
"""What the key bar offers where the terminal is too small for tables."""

_NEED_LAYOUT = ("exec_", "agent_", "bt_", "opt_", "study_")
"""Beginnings of actions on rows: nobody acts on a row that is not on the screen."""


class CommandEntered(Message):
    """A line was entered at the ``:`` prompt."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class ConsoleScreen(Screen[None]):
    """A mode's screen. Subclasses give ``mode``, ``scopes`` and ``body``."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.SCREEN)
    AUTO_FOCUS = "LiveTable"

    mode: ClassVar[str] = ""
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.LIST, Scope.SCREEN, Scope.EVERYWHERE)

    def __init__(self, console: ConsoleState) -> None:
        super().__init__()
        self.console = console
        self._ticks = 0
        self._was_pulled = False
        self._clock_timer: Timer | None = None
        self._panels: list[tuple[Pulling, int]] = []
        self._fault_bar = FaultBar(console)
        self._key_bar = KeyBar()
        self._top_bar = TopBar(console.engine, None)
        self._prompt: Widget | None = None
        self._last_focus: Widget | None = None
        self._prompt_table: LiveTable[Any] | None = None

    # --- layout ----------------------------------------------------------------------------------

    def body(self) -> Iterable[Widget]:
        """Return the panels of the screen, in the order of the tab key."""
        return ()

    def compose(self) -> ComposeResult:
        """Put bars around the body, in the layout for the present size."""
        for points, size in (
            (self.app.HORIZONTAL_BREAKPOINTS, self.app.size.width),
            (self.app.VERTICAL_BREAKPOINTS, self.app.size.height),
        ):
            fitting = [name for least, name in points or () if size >= least]
            if fitting:
                self.add_class(fitting[-1], update=False)
        yield self._top_bar
        yield ModeBar(self.mode)
        yield self._fault_bar
        with Container(id="body"):
            yield from self.body()
        yield TooSmall()
        yield self._key_bar

    def drive(self, panel: Pulling, every: int = 1) -> None:
        """Let the paint clock pull *panel* every *every* ticks."""
        self._panels.append((panel, every))

    # --- the clock -------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Start the paint clock."""
        if self.console.fps:
            self._clock_timer = self.set_interval(1 / self.console.fps, self._tick)

    def on_screen_suspend(self) -> None:
        """Stop the clock: a hidden screen asks for nothing."""
        if self._clock_timer is not None:
            self._clock_timer.pause()

    def on_screen_resume(self) -> None:
        """Go on, with fresh rows at once; a paused display stands still behind dialogs too."""
        if self._clock_timer is not None:
            self._clock_timer.resume()
        if self.console.paused_at is None or not self._was_pulled:
            self.call_after_refresh(self.pull_all)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Remember what has the focus: it is lost while the terminal is too small for panels."""
        self._last_focus = event.widget

    def _focus_again(self) -> None:
        """Give the focus back when there is room again; a small start has given it to nothing."""
        if self.focused is not None or not self.query_one("#body").display:
            return
        wanted = self._last_focus or next(iter(self.query(self.AUTO_FOCUS or "*")), None)
        if wanted is not None and wanted.is_mounted and wanted.focusable:
            wanted.focus(scroll_visible=False)

    def pull_all(self) -> None:
        """Ask for everything now."""
        self._was_pulled = True
        for panel, _ in self._panels:
            panel.pull()
        self._breathe()

    def _tick(self) -> None:
        self._ticks += 1
        if self.console.paused_at is None:
            for panel, every in self._panels:
                if self._ticks % every == 0:
                    panel.pull()
        if self._ticks % _BREATH == 0:
            self._breathe()

    def show_problem(self, text: str) -> None:
        """Say that something failed; the screen goes on."""
        self.say(f"⚠ {text}")

    @safe
    def _breathe(self) -> None:
        session = self.console.session_row()
        self.set_class(session is not None and session.mode == "live", "-live")
        self._fault_bar.pull()
        self.update_keys()
        if self.console.time_format == "relative" and self.console.paused_at is None:
            self.repaint_tables()  # ages grow though the rows stay

    # --- key bar ---------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Answer the last key in one sentence, in the key bar."""
        self._key_bar.say(text, now=self.console.clock())

    def update_keys(self) -> None:
        """Bring the key bar up to date."""
        badge = key_badge(self.console.paused_for, read_only=self.console.read_only)
        self._key_bar.update_keys(self._entries(), badge=badge, now=self.console.clock())

    def _entries(self) -> tuple[KeyEntry, ...]:
        shown = sorted(
            (action for action in in_scope(*self.scopes) if self._is_offered(action)),
            key=lambda action: action.bar,
        )
        keymap = self.app._keymap  # noqa: SLF001 (Textual has no public getter for the key map)
        return key_entries(shown, keymap, self.why_not)

    def _is_offered(self, action: Action) -> bool:
        if self._is_too_small():
            return action.id in _WITHOUT_LAYOUT
        return bool(action.bar)

    def _is_too_small(self) -> bool:
        return self.app.size.width < MIN_WIDTH or self.app.size.height < MIN_HEIGHT

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Refuse what acts on rows while the terminal is too small to show them."""
        if action.startswith(_NEED_LAYOUT) and self._is_too_small():
            return False
        return super().check_action(action, parameters)

    def on_resize(self) -> None:
        """Offer the keys that make sense in the new size."""
        self.update_keys()
        self.call_after_refresh(self._focus_again)

    def why_not(self, action_id: str) -> str:
        """Return why an action is not possible now; empty if it is."""
        del action_id
        return ""

    def on_key(self, event: events.Key) -> None:
        """Say so when a key means nothing here."""
        if event.key not in self.active_bindings and event.is_printable:
            if self._is_too_small():
                self.say(f"{event.character} needs {MIN_WIDTH}x{MIN_HEIGHT}. q quits.")
                return
            self.say(f"{event.character} has no meaning here. ? lists the keys.")

    # --- panels ----------------------------------------------------------------------------------

    def action_next_panel(self) -> None:
        """Focus the next panel."""
        self.focus_next()

    def action_previous_panel(self) -> None:
        """Focus the previous panel."""
        self.focus_previous()

    def action_zoom(self) -> None:
        """Maximise the focused panel, or restore the layout."""
        zoomed = not self.has_class("-zoomed")
        panel = self.focused
        if zoomed and (panel is None or panel.parent is not self.query_one("#body")):
            return
        for child in self.query("#body > *"):
            child.set_class(zoomed and child is panel, "-zoomed")
        self.set_class(zoomed, "-zoomed")

    def action_refresh_now(self) -> None:
        """Ask the engine again now."""
        self.pull_all()
        self.say("Asked the engine again.")

    def repaint_tables(self) -> None:
        """Paint all rows anew, after the way of showing them changed."""
        for table in self.query(LiveTable):
            table.repaint_all()

    def action_back(self) -> None:
        """Close the topmost thing: prompt, maximised panel, filter, marks, toasts. Never quits."""
        if self._prompt is not None:
            self._close_prompt()
        elif self.has_class("-zoomed"):
            self.action_zoom()
        else:
            table = self.focused
            if not isinstance(table, LiveTable):
                table = next(iter(self.query(LiveTable)), None)
            if table is not None and table.model.query.filter_text:
                table.set_filter("")
            elif table is not None and table.model.marks:
                table.action_unmark()
            else:
                self.app.clear_notifications()

    def open_executor(self, executor_id: str) -> None:
        """Open everything about one executor."""
        from tui.screens.executor_detail import ExecutorDetailScreen

        console = self.console
        if console.session:
            detail = ExecutorDetailScreen(
                console.engine,
                console.session,
                executor_id,
                fps=console.fps,
                read_only=console.read_only,
                clock=console.clock,
                drafts=console.drafts,
                paused_for=lambda: console.paused_for,
            )
            _ = self.app.push_screen(detail)

    # --- filter and command line -----------------------------------------------------------------

    @on(LiveTable.FilterWanted)
    def _filter_wanted(self, event: LiveTable.FilterWanted) -> None:
        event.stop()
        self._prompt_table = event.table
        self.open_prompt("/", text=event.table.model.query.filter_text)

    def open_prompt(
        self,
        prefix: str,
        *,
        text: str = "",
        suggestions: tuple[str, ...] = (),
        history: tuple[str, ...] = (),
    ) -> None:
        """Open a prompt at the bottom; it takes the focus."""
        from tui.widgets.prompt_bar import PromptBar

        if self._prompt is None:
            self._prompt = PromptBar(prefix, text=text, suggestions=suggestions, history=history)
            _ = self.mount(self._prompt, before=self._key_bar)

    def _close_prompt(self) -> None:
        prompt, self._prompt = self._prompt, None
        if prompt is not None:
            _ = prompt.remove()
        target = self._prompt_table or next(iter(self.query(LiveTable)), None)
        self._prompt_table = None
        if target is not None:
            target.focus()

    def on_prompt_bar_changed(self, event: PromptBar.Changed) -> None:
        """Filter while typing."""
        if self._prompt_table is not None:
            self._prompt_table.set_filter(event.text)
            window = self._prompt_table.model.window
            event.bar.set_note(window.error or f"{window.matching:,} of {window.total:,}")

    def on_prompt_bar_accepted(self, event: PromptBar.Accepted) -> None:
        """Keep the filter, or run the command."""
        filtering = self._prompt_table is not None
        self._close_prompt()
        if not filtering:
            self.post_message(CommandEntered(event.text))

    def on_prompt_bar_dismissed(self, event: PromptBar.Dismissed) -> None:
        """Take the filter back."""
        event.stop()
        if self._prompt_table is not None:
            self._prompt_table.set_filter("")
        self._close_prompt()

    # --- tables ----------------------------------------------------------------------------------

    @on(LiveTable.SortWanted)
    def _sort_wanted(self, event: LiveTable.SortWanted) -> None:
        from tui.modals.sort_menu import SortMenu

        event.stop()
        columns = [c for c in event.table.model.source.columns if c.letter]
        if not columns:
            self.say("This list has its own order.")
            return

        def sort(key: str | None) -> None:
            if key:
                event.table.sort_by(key)

        _ = self.app.push_screen(SortMenu(self.console, columns, event.table.model.query), sort)

    def action_export_rows(self) -> None:
        """Ask for a file and write the rows of the focused list there."""
        table = self.focused
        if not isinstance(table, LiveTable):
            table = next(iter(self.query(LiveTable)), None)
        if table is None or not table.model.window.matching:
            self.say("There are no rows here to export.")
            return
        from tui.modals.export_rows import ExportRowsModal
        from tui.state.row_export import shown_columns

        def told(text: str | None) -> None:
            if text:
                self.say(text)

        shown = shown_columns(table.model, table.size.width, wide=table.wide)
        noun = table.model.source.noun
        _ = self.app.push_screen(ExportRowsModal(self.console, table.model, shown, name=noun), told)

    @on(LiveTable.Copied)
    def _copied(self, event: LiveTable.Copied) -> None:
        event.stop()
        self.app.copy_to_clipboard(event.text)
        self.say(f"Copied one row, {len(event.text.encode())} bytes.")
