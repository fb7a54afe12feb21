"""The dialog that stops agents: what ends, what nobody watches any more, and no accidents."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType

from engine.api.console import ConsoleEngine
from tui.actions import Scope, bindings_for
from tui.formatting import clean, fit, format_run_time, plural
from tui.modals.dialog import Clock, Dialog
from tui.modals.facts import Facts
from tui.state.agent_source import state_span
from tui.state.text import Line

if TYPE_CHECKING:
    from engine.api.views import AgentRow

_ALIVE: Final = frozenset({"running", "starting"})
_MOST: Final = 5


class StopAgentModal(Dialog):
    """Stop one or many agents, each with a command of its own.

    The result is the id of the last command; ``command_ids`` holds all of them.

    Args:
        engine: the door.
        session: the session in view.
        rows: the agents; those that do not run are left out and counted.
        clock: see ``Dialog``.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.CONFIRM)
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.CONFIRM, Scope.DIALOG)
    AUTO_FOCUS = "#cancel"
    DEFAULT_CSS = """
    StopAgentModal #agents-to-stop { margin-bottom: 1; }
    """

    def __init__(
        self,
        engine: ConsoleEngine,
        session: str,
        rows: Sequence[AgentRow],
        *,
        clock: Clock = time.perf_counter,
    ) -> None:
        super().__init__(engine, session, clock=clock, guarded=True)
        self._rows = tuple(row for row in rows if row.status in _ALIVE)
        self._left_out = len(rows) - len(self._rows)
        self.command_ids: tuple[str, ...] = ()

    def title_text(self) -> str:
        """Return verb and count."""
        return f"Stop {plural(len(self._rows), 'agent')}"

    def head_note(self) -> str:
        """Say what is left out."""
        if not self._left_out:
            return ""
        verb = "does" if self._left_out == 1 else "do"
        return f"{plural(self._left_out, 'agent')} {verb} not run: left out"

    def compose_body(self) -> ComposeResult:
        """Compose the agents and what stopping means."""
        yield Facts(id="agents-to-stop")
        yield Facts(id="meaning")

    def compose_buttons(self) -> ComposeResult:
        """Compose Cancel and a button that repeats verb and count."""
        yield self.button("Cancel", "n", "cancel")
        if self._rows:
            yield self.button(self.title_text(), "y", "confirm", confirm=True)

    def on_mount(self) -> None:
        """Show what is stopped."""
        super().on_mount()
        frame = self.query_one("#dialog")
        frame.border_subtitle = "y stop · n esc cancel" if self._rows else "esc close"
        nothing: Line = (("Nothing to stop: none of these agents runs.", "dim"),)
        self.query_one("#agents-to-stop", Facts).show_facts(self._agent_lines() or [nothing])
        self.query_one("#meaning", Facts).show_facts(self._meaning() if self._rows else [])

    def action_confirm(self) -> None:
        """Send one command for each agent."""
        if not self._rows:
            return
        from engine.api.commands import StopAgent

        self.command_ids = tuple(
            self.engine.submit(StopAgent(session=self.session, agent_id=row.id))
            for row in self._rows
        )
        self.finish(self.command_ids[-1])

    def _agent_lines(self) -> list[Line]:
        lines: list[Line] = []
        for row in self._rows[:_MOST]:
            every = "--" if row.interval is None else format_run_time(row.interval.seconds)
            word, role = state_span(row)
            lines.append(
                ((f"{fit(row.id, 20)} ", "bold"), (f"{fit(word, 13)} ", role),
                 (f"{fit(row.priority, 9)}", ""), (f"every {every}  ", "dim"),
                 (clean(row.note), "dim"))
            )  # fmt: skip
        if len(self._rows) > _MOST:
            lines.append(((f"… and {len(self._rows) - _MOST} more", "dim"),))
        return lines

    def _meaning(self) -> list[Line]:
        lines: list[Line] = [
            (("drops the queued cycle; a running one may end within the grace", "dim"),)
        ]
        guards = [row.id for row in self._rows if row.priority == "critical"]
        if guards:
            text = f"⚠ {clean(', '.join(guards))}: what it watches is not watched any more"
            lines.append(((text, "warn"),))
        lines.append((("s starts it again", "dim"),))
        return lines
