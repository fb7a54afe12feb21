"""What can be done with studies, on the list and on the screen of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual.screen import ModalScreen, Screen

from tui.screens.command_reporter import CommandReporter
from tui.state.console import ConsoleState
from tui.widgets.safe import safe

if TYPE_CHECKING:
    from engine.api.commands import Command
    from engine.api.optimization_views import StudyRow
    from tui.actions import Scope

_RESUMABLE = frozenset({"interrupted", "cancelled", "failed"})
_HOLDABLE = frozenset({"running", "held"})


class StudyActions(Screen[None]):
    """Mixin for screens. Subclasses say which studies are chosen and show what happened."""

    console: ConsoleState
    reporter: CommandReporter

    def chosen_studies(self) -> Sequence[StudyRow]:
        """Return the studies that an action is for."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Answer the last key in one sentence."""
        raise NotImplementedError

    @property
    def menu_scopes(self) -> tuple[Scope, ...]:
        """What the menu of actions lists behind those on studies."""
        return ()

    def why_not_action(self, action_id: str) -> str:
        """Return why an action of the menu is not possible now; empty if it is."""
        return self.why_not_study(action_id)

    def after_command(self) -> None:
        """Show the studies again; marks have served."""

    def why_not_study(self, action_id: str) -> str:
        """Return why an action on studies is not possible now; empty if it is."""
        if action_id == "opt.actions":
            return ""
        if self.console.read_only and action_id != "opt.export":
            return "This console is read only."
        if action_id == "opt.new":
            return ""
        rows = self.chosen_studies()
        if not rows:
            return "No study is selected; n runs one."
        match action_id:
            case "opt.cancel" if all(row.status.is_final for row in rows):
                return f"{rows[0].name} has ended already."
            case "opt.hold" if all(row.status.value not in _HOLDABLE for row in rows):
                return f"{rows[0].name} is {rows[0].status.value}: only what runs can be held."
            case "opt.export" if len(rows) > 1:
                return f"{len(rows)} studies are marked; one at a time."
            case "opt.export" if not rows[0].done:
                return f"{rows[0].name} has no trial to export yet."
            case "opt.resume" if not any(row.status.value in _RESUMABLE for row in rows):
                row = rows[0]
                return f"{row.name} is {row.status.value}: nothing to go on with."
            case _:
                return ""

    def _rows(self, action_id: str) -> Sequence[StudyRow]:
        reason = self.why_not_study(action_id)
        if reason:
            self.say(reason)
            return ()
        return self.chosen_studies()

    @safe
    def action_opt_new(self) -> None:
        """Open the form that runs a sample or a file."""
        reason = self.why_not_study("opt.new")
        if reason:
            self.say(reason)
            return
        from tui.modals.run_study import RunStudyModal

        self.ask(RunStudyModal(self.console))

    @safe
    def action_opt_cancel(self) -> None:
        """Ask before cancelling the study, or the marked ones."""
        rows = self._rows("opt.cancel")
        if rows:
            from tui.modals.cancel_study import CancelStudyModal

            self.ask(CancelStudyModal(self.console, rows))

    @safe
    def action_opt_resume(self) -> None:
        """Go on with the study, or the marked ones."""
        from engine.api.commands import RunOptimization

        able = [row for row in self._rows("opt.resume") if row.status.value in _RESUMABLE]
        self.submit(RunOptimization(resume=row.id, name=row.name) for row in able)

    @safe
    def action_opt_hold(self) -> None:
        """Hold the study, or the marked ones; let go on what is held."""
        from engine.api.commands import HoldOptimization

        rows = [row for row in self._rows("opt.hold") if row.status.value in _HOLDABLE]
        self.submit(
            HoldOptimization(study_id=row.id, held=row.status.value == "running") for row in rows
        )

    @safe
    def action_opt_export(self) -> None:
        """Ask for a folder and write the study there."""
        rows = self._rows("opt.export")
        if rows:
            from tui.modals.export_study import ExportStudyModal

            _ = self.app.push_screen(ExportStudyModal(self.console, rows[0]), self._exported)

    def _exported(self, told: str | None) -> None:
        if told:
            self.say(told)

    @safe
    def action_opt_actions(self) -> None:
        """List everything that can be done with the study, with its letter."""
        from tui.actions import Scope
        from tui.modals.action_menu import ActionMenu

        menu = ActionMenu(self.console, self.why_not_action, Scope.STUDIES, more=self.menu_scopes)
        _ = self.app.push_screen(menu, self._picked)

    def _picked(self, key: str | None) -> None:
        if key is not None:
            self.app.simulate_key(key)

    def submit(self, commands: Iterable[Command]) -> None:
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
