"""The painted panels: session, markets, event flow. Each asks the engine when it is told to."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.content import Content

from tui.state.console import ConsoleState
from tui.state.flow_text import flow_lines, text_lines
from tui.state.session_text import market_lines, session_lines
from tui.state.text import Line
from tui.widgets.painted import Painted

if TYPE_CHECKING:
    from engine.api.views import EquityView


class Panel(Painted, can_focus=True):
    """A framed panel of lines. The screen's paint clock calls ``pull`` every ``every`` ticks."""

    every: ClassVar[int] = 3

    def __init__(self, console: ConsoleState, *, title: str, id: str) -> None:
        super().__init__(id=id, classes="panel")
        self.console = console
        self.border_title = Content(title)

    def pull(self) -> None:
        """Show what the engine says now."""
        if self.size.width and self.size.height:
            self.show_lines(self.make_lines(self.size.width, self.size.height))

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return the panel's lines."""
        raise NotImplementedError

    def show_problem(self, text: str) -> None:
        """Show that the panel's question failed."""
        self.show_lines([((" ⚠ ", "error"), (text, "error")), (("   r tries again", "dim"),)])

    def on_resize(self) -> None:
        """Fill the new size."""
        self.pull()

    def starting(self) -> tuple[Line, ...]:
        """Return what a panel says before there is a session."""
        return (((" " + starting_text(self.console), "dim"),),)


def starting_text(console: ConsoleState) -> str:
    """Return why there is nothing to show yet."""
    health = console.engine.health()
    if health.state.value == "starting":
        return f"Starting the engine… {health.message}".rstrip()
    return health.message or "No session runs in this engine."


class SessionPanel(Panel):
    """Mode, equity, profit and the equity curve, which is asked for once a second."""

    _equity: EquityView | None = None
    _equity_key: object = None

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return the session's header and curve."""
        session = self.console.session_row()
        if session is None:
            return self.starting()
        key = (session.id, width, int(self.console.clock()))
        if self._equity is None or key != self._equity_key:
            self._equity = self.console.engine.equity(session.id, points=max(2, 2 * width))
            self._equity_key = key
        return session_lines(session, self._equity, width, height)


class MarketsPanel(Panel):
    """The session's markets with their quotes."""

    every = 2

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return one line for each market."""
        session = self.console.session_row()
        if session is None:
            return self.starting()
        lines = market_lines(self.console.engine.markets(session.id), session.now_ns, width)
        return lines[:height] or (((" No market yet.", "dim"),),)


class FlowPanel(Panel):
    """The state panels of the event executors."""

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return the ``inspect_state()`` texts, or counts where there is no room."""
        flows = self.console.engine.flow_states()
        return flow_lines(flows, width, height) if flows else self.starting()


class FlowTextPanel(Panel):
    """The ``inspect_state()`` text of one event executor."""

    name_shown = ""

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return the text of the executor whose row is under the cursor."""
        for flow in self.console.engine.flow_states():
            if flow.name == self.name_shown:
                return text_lines(flow)[:height]
        return self.starting()
