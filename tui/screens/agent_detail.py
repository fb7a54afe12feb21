"""One agent: why it runs when it does, its last runs, its log, its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer

from tui.actions import Scope, action_by_id, bindings_for
from tui.formatting import clean
from tui.screens.agent_actions import AgentActions
from tui.screens.command_reporter import CommandReporter
from tui.state.agent_tabs import AGENT_TABS
from tui.state.agent_text import agent_lines
from tui.state.console import ConsoleState
from tui.state.detail_text import tab_line
from tui.state.key_line import key_badge
from tui.widgets.key_bar import KeyBar, key_entries
from tui.widgets.line_view import LineView
from tui.widgets.painted import Painted
from tui.widgets.safe import safe
from tui.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from engine.api.views import AgentDetail, AgentRow

_FPS: Final = 5.0
_FACTS: Final = 7
_SHOWN: Final = (
    "agent.run",
    "agent.stop",
    "agent.start",
    "agent.edit",
    "agent.actions",
    "detail.tab_next",
    "detail.copy_tab",
    "app.back",
    "app.help",
)


class AgentDetailScreen(AgentActions):
    """Everything about one agent, live.

    Args:
        console: the shared view state.
        agent_id: which one.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.DETAIL, Scope.SCREEN, Scope.AGENTS)
    scopes: ClassVar[tuple[Scope, ...]] = (
        Scope.DETAIL,
        Scope.TEXT,
        Scope.AGENTS,
        Scope.SCREEN,
        Scope.EVERYWHERE,
    )
    AUTO_FOCUS = "LineView"
    DEFAULT_CSS = """
    AgentDetailScreen { background: $background; color: $foreground; layout: vertical; }
    AgentDetailScreen #frame {
        height: 1fr; border: round $frame; border-title-color: $foreground;
        border-title-style: bold; padding: 0 1; background: $background;
    }
    AgentDetailScreen #facts { height: 8; }
    AgentDetailScreen #tabs { height: 1; margin-bottom: 1; }
    """

    def __init__(self, console: ConsoleState, agent_id: str) -> None:
        super().__init__()
        self.console = console
        self.agent_id = agent_id
        self._timer: Timer | None = None
        self._detail: AgentDetail | None = None
        self._tab = AGENT_TABS[0][0]
        self.reporter = CommandReporter(console.engine, self)

    def compose(self) -> ComposeResult:
        """Compose facts and tabs between the bars."""
        yield TopBar(self.console.engine, self.console.session or None)
        with Vertical(id="frame"):
            yield Painted(id="facts")
            yield Painted(id="tabs")
            yield LineView(id="page")
        yield KeyBar()

    def on_mount(self) -> None:
        """Start the paint clock."""
        self.query_one("#frame").border_title = Content.assemble(
            ("Agents ▸ ", "not bold"), clean(self.agent_id)
        )
        if self.console.fps:
            self._timer = self.set_interval(1 / min(_FPS, self.console.fps), self.pull)
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

    def on_resize(self) -> None:
        """Fill the new size."""
        self.call_after_refresh(self.pull)

    @safe
    def pull(self) -> None:
        """Ask the engine and repaint what changed."""
        if self.console.paused_at is None or self._detail is None:
            self._detail = self.console.engine.agent(self.agent_id)
        facts = self.query_one("#facts", Painted)
        if self._detail is None:
            facts.show_lines([(("This agent is not there any more. esc goes back.", "warn"),)])
        else:
            facts.show_lines(agent_lines(self._detail, facts.size.width, _FACTS))
            self._show_page(self._detail)
        self.reporter.report()
        self.update_keys()

    def pull_all(self) -> None:
        """Ask the engine now, even while the display is paused."""
        self._detail = None
        self.pull()

    def _show_page(self, detail: AgentDetail) -> None:
        tables = {name: make(detail) for name, make in AGENT_TABS}
        names = [(name, table.count) for name, table in tables.items()]
        self.query_one("#tabs", Painted).show_lines([tab_line(names, self._tab)])
        page = self.query_one(LineView)
        width = page.size.width
        table = tables[self._tab]
        page.show_lines(table.header(width), table.lines(width))

    def update_keys(self) -> None:
        """Bring the key bar up to date."""
        keymap = self.app._keymap  # noqa: SLF001 (Textual has no public getter for the key map)
        entries = key_entries(map(action_by_id, _SHOWN), keymap, self.why_not)
        badge = key_badge(self.console.paused_for, read_only=self.console.read_only)
        self.query_one(KeyBar).update_keys(entries, badge=badge, now=self.console.clock())

    def say(self, text: str) -> None:
        """Answer the last key in one sentence."""
        self.query_one(KeyBar).say(text, now=self.console.clock())

    def on_key(self, event: events.Key) -> None:
        """Say so when a key means nothing here."""
        if event.key not in self.active_bindings and event.is_printable:
            self.say(f"{event.character} has no meaning here. ? lists the keys.")

    def why_not(self, action_id: str) -> str:
        """Return why an action is not possible now; empty if it is."""
        return self.why_not_agent(action_id) if action_id.startswith("agent.") else ""

    def chosen_agents(self) -> Sequence[AgentRow]:
        """Return the agent, if it is still there."""
        detail = self.console.engine.agent(self.agent_id)
        return () if detail is None else (detail.row,)

    def after_command(self) -> None:
        """Look again."""
        self.pull()

    # --- moving ----------------------------------------------------------------------------------

    def action_tab(self, by: int) -> None:
        """Show the tab *by* places further, around the end."""
        names = [name for name, _ in AGENT_TABS]
        self._open_tab(names[(names.index(self._tab) + by) % len(names)])

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
        self.pull_all()
        self.say("Asked the engine again.")

    def action_export_rows(self) -> None:
        """Say where rows are exported."""
        self.say("Rows are exported from the list of agents; Y copies the tab.")

    def action_copy_id(self) -> None:
        """Copy the agent's id."""
        self.app.copy_to_clipboard(self.agent_id)
        self.say(f"Copied the id, {len(self.agent_id)} characters.")

    def action_copy_tab(self) -> None:
        """Copy the tab's table as tab separated text."""
        if self._detail is None:
            self.say("There is no table to copy.")
            return
        text = dict(AGENT_TABS)[self._tab](self._detail).plain()
        self.app.copy_to_clipboard(text)
        self.say(f"Copied {self._tab}, {len(text.encode())} bytes.")
