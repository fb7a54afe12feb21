"""What can be done with agents, on the screen that lists them and on the one that shows one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual.screen import ModalScreen, Screen

from tui.formatting import plural
from tui.screens.command_reporter import CommandReporter
from tui.state.console import ConsoleState
from tui.widgets.safe import safe

if TYPE_CHECKING:
    from engine.api.commands import AgentCommand
    from engine.api.views import AgentRow

_ALIVE = frozenset({"running", "starting"})


class AgentActions(Screen[None]):
    """Mixin for screens. Subclasses say which agents are chosen and show what happened."""

    console: ConsoleState
    reporter: CommandReporter

    def chosen_agents(self) -> Sequence[AgentRow]:
        """Return the agents that an action is for."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Answer the last key in one sentence."""
        raise NotImplementedError

    def after_command(self) -> None:
        """Show the agents again; marks have served."""

    def why_not_agent(self, action_id: str) -> str:
        """Return why an action on agents is not possible now; empty if it is."""
        if action_id in {"agent.actions", "agent.export"}:
            return ""
        if self.console.read_only:
            return "This console is read only."
        if not self.console.session:
            return "There is no session yet; the engine is starting."
        rows = self.chosen_agents()
        if not rows:
            return "No agent is selected."
        return "" if len(rows) > 1 else _why_not(action_id, rows[0])

    def _rows(self, action_id: str) -> Sequence[AgentRow]:
        reason = self.why_not_agent(action_id)
        if reason:
            self.say(reason)
            return ()
        return self.chosen_agents()

    @safe
    def action_agent_start(self) -> None:
        """Start the agent, or the marked ones."""
        from engine.api.commands import StartAgent

        rows = self._rows("agent.start")
        self._send(
            rows, [row for row in rows if row.status not in _ALIVE], StartAgent, "runs already"
        )

    @safe
    def action_agent_run(self) -> None:
        """Run one cycle of the agent, or of the marked ones, now."""
        from engine.api.commands import RunAgentNow

        rows = self._rows("agent.run")
        able = [row for row in rows if row.status == "running"]
        self._send(rows, able, RunAgentNow, "does not run")

    @safe
    def action_agent_pause(self) -> None:
        """Let the agent, or the marked ones, rest."""
        from engine.api.commands import PauseAgent

        rows = self._rows("agent.pause")
        able = [row for row in rows if row.status == "running" and row.repeats]
        self._send(rows, able, PauseAgent, "is paused already or does not run")

    @safe
    def action_agent_resume(self) -> None:
        """Let the agent, or the marked ones, go on."""
        from engine.api.commands import ResumeAgent

        rows = self._rows("agent.resume")
        able = [row for row in rows if row.status == "running" and not row.repeats]
        self._send(rows, able, ResumeAgent, "is not paused or does not run")

    @safe
    def action_agent_stop(self) -> None:
        """Ask before stopping the agent, or the marked ones."""
        rows = self._rows("agent.stop")
        if rows:
            from tui.modals.stop_agent import StopAgentModal

            console = self.console
            self.ask(StopAgentModal(console.engine, console.session, rows, clock=console.clock))

    @safe
    def action_agent_edit(self) -> None:
        """Open the dialog with priority and interval."""
        rows = self._rows("agent.edit")
        if rows:
            from tui.modals.edit_agent import EditAgentModal

            console = self.console
            self.ask(EditAgentModal(console.engine, console.session, rows))

    @safe
    def action_agent_priority(self) -> None:
        """Choose another priority by its letter."""
        rows = self._rows("agent.priority")
        if not rows:
            return
        from tui.modals.priority_menu import PriorityMenu

        def chosen(priority: str | None) -> None:
            if priority is not None:
                self.set_priority(rows, priority)

        _ = self.app.push_screen(PriorityMenu(self.console, rows), chosen)

    @safe
    def set_priority(self, rows: Sequence[AgentRow], priority: str) -> None:
        """Give *rows* the priority *priority*."""
        from engine.api.commands import SetAgentPriority

        session = self.console.session
        self.submit(
            SetAgentPriority.model_validate(
                {"session": session, "agent_id": row.id, "priority": priority}
            )
            for row in rows
        )

    @safe
    def action_agent_actions(self) -> None:
        """List everything that can be done with the agent, with its letter."""
        from tui.modals.action_menu import ActionMenu

        _ = self.app.push_screen(ActionMenu(self.console, self.why_not_agent), self._picked)

    def _picked(self, key: str | None) -> None:
        if key is not None:
            self.app.simulate_key(key)

    def _send(
        self,
        rows: Sequence[AgentRow],
        able: Sequence[AgentRow],
        kind: type[AgentCommand],
        otherwise: str,
    ) -> None:
        if rows and not able:
            self.say(f"None of the {plural(len(rows), 'marked agent')}: each {otherwise}.")
            return
        session = self.console.session
        self.submit(kind(session=session, agent_id=row.id) for row in able)

    def submit(self, commands: Iterable[AgentCommand]) -> None:
        """Send *commands* and report how they end."""
        ids = [self.console.engine.submit(command) for command in commands]
        if ids:
            self.reporter.watch(ids)
            self.after_command()
            self.reporter.report()

    def ask(self, modal: ModalScreen[str | None]) -> None:
        """Open *modal*; report what it sends."""
        _ = self.app.push_screen(modal, partial(self._submitted, modal))

    def _submitted(self, modal: ModalScreen[str | None], command_id: str | None) -> None:
        if command_id:
            self.reporter.sent(modal, command_id)
            self.after_command()
            self.reporter.report()

    def show_problem(self, text: str) -> None:
        """Say that something failed; the screen goes on."""
        self.say(f"⚠ {text}")


def _why_not(action_id: str, row: AgentRow) -> str:
    """Return why *action_id* is not possible for *row*; empty if it is."""
    match action_id:
        case "agent.start" if row.status in _ALIVE:
            return f"{row.id} runs already; R runs a cycle now."
        case "agent.stop" if row.status not in _ALIVE:
            return f"{row.id} does not run; s starts it."
        case "agent.run" | "agent.pause" | "agent.resume" if row.status != "running":
            return f"{row.id} does not run; s starts it."
        case "agent.pause" if not row.repeats:
            return f"{row.id} is paused; u lets it go on."
        case "agent.resume" if row.repeats:
            return f"{row.id} is not paused; H pauses it."
        case _:
            return ""
