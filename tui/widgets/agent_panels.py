"""The panels of the agents screen, and the dashboard's line of health."""

from __future__ import annotations

from typing import ClassVar

from tui.state.console import ConsoleState
from tui.state.text import Line
from tui.widgets.panels import Panel


class AgentPanel(Panel):
    """The agent under the cursor."""

    every: ClassVar[int] = 2
    agent_id: str | None = None

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return why the agent runs when it does, and how it fares."""
        detail = self.console.engine.agent(self.agent_id) if self.agent_id else None
        if detail is None:
            return (((" No agent is selected.", "dim"),),)
        from tui.state.agent_text import agent_lines

        return agent_lines(detail, width, height)


class SchedulingPanel(Panel):
    """The execution engine: slots, queue, load, the pool and its rate windows, alerts."""

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return the engine's figures."""
        from tui.state.agent_text import scheduling_lines

        return scheduling_lines(self.console.engine.scheduling(), width, height)


class HealthPanel(Panel, can_focus=False):
    """One line without a frame: pace, queue, agents, store."""

    DEFAULT_CSS = """
    HealthPanel { height: 1; }
    """

    def __init__(self, console: ConsoleState) -> None:
        super().__init__(console, title="", id="health")
        self.remove_class("panel")

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return the line."""
        del height
        if self.console.session_row() is None:
            return ()
        from tui.state.agent_text import health_line

        engine = self.console.engine
        return (health_line(engine.health(), engine.scheduling(), width),)
