"""The painted panels: session, markets, event flow. Each asks the engine when it is told to.

Their texts load with the first session, so that the first frame does not wait for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.content import Content

from tui.state.console import ConsoleState
from tui.state.text import Line
from tui.widgets.painted import Painted
from tui.widgets.safe import safe

if TYPE_CHECKING:
    from engine.api.views import EquityView


class Panel(Painted, can_focus=True):
    """A framed panel of lines. The screen's paint clock calls ``pull`` every ``every`` ticks."""

    every: ClassVar[int] = 3

    def __init__(self, console: ConsoleState, *, title: str, id: str) -> None:
        super().__init__(id=id, classes="panel")
        self.console = console
        self.border_title = Content(title)

    @safe
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
        return (((" Waiting for the engine.", "dim"),),)


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
    _curve: tuple[Line, ...] = ()

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return the session's header and curve."""
        session = self.console.session_row()
        if session is None:
            return (((f" {starting_text(self.console)}", "dim"),),)
        from tui.state.session_text import curve_height, curve_lines, session_lines

        key = (session.id, width, height, int(self.console.clock()))
        if self._equity is None or key != self._equity_key:
            self._equity = self.console.engine.equity(session.id, points=max(2, 2 * width))
            self._equity_key = key
            self._curve = curve_lines(self._equity, width, curve_height(height))
        return session_lines(session, self._equity, self._curve, width, height)


class MarketsPanel(Panel):
    """The session's markets with their quotes."""

    every = 2

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return one line for each market."""
        session = self.console.session_row()
        if session is None:
            return self.starting()
        from tui.state.session_text import market_lines, position_lines

        engine = self.console.engine
        lines = market_lines(engine.markets(session.id), session.now_ns, width)
        if not lines:
            return (((" No market yet.", "dim"),),)
        if height > len(lines) + 2:
            lines = (*lines, (), *position_lines(engine.positions(session.id), width))
        return lines[:height]


class FlowPanel(Panel):
    """The state panels of the event executors."""

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return the ``inspect_state()`` texts, or counts where there is no room."""
        flows = self.console.engine.flow_states()
        if not flows:
            return self.starting()
        from tui.state.flow_text import flow_lines

        return flow_lines(flows, width, height)


class FlowTextPanel(Panel):
    """The ``inspect_state()`` text of one event executor."""

    name_shown = ""

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return the text of the executor whose row is under the cursor."""
        del width
        for flow in self.console.engine.flow_states():
            if flow.name == self.name_shown:
                from tui.state.flow_text import text_lines

                return text_lines(flow)[:height]
        return self.starting()
