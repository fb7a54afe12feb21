"""The top bar: one painted line on every screen and in every dialog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.state.console import pick_session
from tui.state.top_line import top_line, warning_lines
from tui.widgets.painted import Painted
from tui.widgets.safe import safe

if TYPE_CHECKING:
    from engine.api.console import ConsoleEngine

_INTERVAL_S = 0.25


class TopBar(Painted):
    """Mode, session, clock, feed, profit and alerts. It has its own slow clock.

    Below stands what the engine warns of, such as that trading is halted, as long as it does.
    """

    DEFAULT_CSS = """
    TopBar { height: 1; width: 100%; background: $panel; }
    """

    def __init__(self, engine: ConsoleEngine, session: str | None = None) -> None:
        super().__init__(classes="top-bar")
        self._engine = engine
        self._session = session or None

    def on_mount(self) -> None:
        """Start the clock."""
        self.set_interval(_INTERVAL_S, self.pull)

    def on_resize(self) -> None:
        """Fill the new width."""
        self.pull()

    @safe
    def pull(self) -> None:
        """Show the engine's state now."""
        session = pick_session(self._engine.sessions(), self._session)
        health, width = self._engine.health(), self.size.width
        state = getattr(self.app, "console_state", None)  # tests open dialogs in bare apps
        read_only = bool(getattr(state, "read_only", False))
        lines = [top_line(health, session, width, read_only=read_only)]
        if session is not None:
            lines += warning_lines(health, width)
        if self.styles.height is None or self.styles.height.value != len(lines):
            self.styles.height = len(lines)
        self.show_lines(lines)

    def show_problem(self, text: str) -> None:
        """Show that the engine does not answer."""
        self.show_lines([((f" ⚠ {text}", "alarm"),)])
