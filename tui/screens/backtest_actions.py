"""What can be done with backtests, on the list and in the viewer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual.screen import ModalScreen, Screen

from tui.screens.command_reporter import CommandReporter
from tui.state.console import ConsoleState
from tui.widgets.safe import safe

if TYPE_CHECKING:
    from engine.api.backtest_views import BacktestRow
    from engine.api.commands import BacktestCommand


class BacktestActions(Screen[None]):
    """Mixin for screens. Subclasses say which backtests are chosen and show what happened."""

    console: ConsoleState
    reporter: CommandReporter

    def chosen_backtests(self) -> Sequence[BacktestRow]:
        """Return the backtests that an action is for."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Answer the last key in one sentence."""
        raise NotImplementedError

    def after_command(self) -> None:
        """Show the backtests again; marks have served."""

    def why_not_backtest(self, action_id: str) -> str:
        """Return why an action on backtests is not possible now; empty if it is."""
        if action_id == "bt.actions":
            return ""
        if self.console.read_only and action_id not in ("bt.export", "bt.compare"):
            return "This console is read only."
        if action_id == "bt.new":
            return ""
        rows = self.chosen_backtests()
        if not rows:
            return "No backtest is selected; n runs one."
        open_ones = [row for row in rows if not row.status.is_final]
        match action_id:
            case "bt.cancel" if not open_ones:
                return f"{rows[0].name} has ended; D deletes it."
            case "bt.delete" if len(open_ones) == len(rows):
                return f"{rows[0].name} has not ended; x cancels it first."
            case "bt.duplicate" | "bt.export" if len(rows) > 1:
                return "One at a time: take the marks off with -."
            case "bt.export" if rows[0].final_equity is None:
                return f"{rows[0].name} has no result to export."
            case _:
                return ""

    def _rows(self, action_id: str) -> Sequence[BacktestRow]:
        reason = self.why_not_backtest(action_id)
        if reason:
            self.say(reason)
            return ()
        return self.chosen_backtests()

    @safe
    def action_bt_new(self) -> None:
        """Open the form that runs a sample or a file."""
        reason = self.why_not_backtest("bt.new")
        if reason:
            self.say(reason)
            return
        from tui.modals.run_backtest import RunBacktestModal

        self.ask(RunBacktestModal(self.console))

    @safe
    def action_bt_duplicate(self) -> None:
        """Open the form that runs the same with changes."""
        rows = self._rows("bt.duplicate")
        detail = self.console.engine.backtest(rows[0].id) if rows else None
        if detail is not None:
            from tui.modals.run_backtest import RunBacktestModal

            self.ask(RunBacktestModal(self.console, detail))

    @safe
    def action_bt_cancel(self) -> None:
        """Ask before cancelling the backtest, or the marked ones."""
        self._ask_to_end("bt.cancel")

    @safe
    def action_bt_delete(self) -> None:
        """Ask before deleting the backtest, or the marked ones."""
        self._ask_to_end("bt.delete")

    def _ask_to_end(self, action_id: str) -> None:
        rows = self._rows(action_id)
        if rows:
            from tui.modals.end_backtest import EndBacktestModal

            self.ask(EndBacktestModal(self.console, rows, delete=action_id == "bt.delete"))

    @safe
    def action_bt_export(self) -> None:
        """Ask for a folder and write the result there."""
        rows = self._rows("bt.export")
        if rows:
            from tui.modals.export_backtest import ExportBacktestModal

            def told(text: str | None) -> None:
                if text:
                    self.say(text)

            _ = self.app.push_screen(ExportBacktestModal(self.console, rows[0]), told)

    @safe
    def action_bt_actions(self) -> None:
        """List everything that can be done with the backtest, with its letter."""
        from tui.actions import Scope
        from tui.modals.action_menu import ActionMenu

        _ = self.app.push_screen(
            ActionMenu(self.console, self.why_not_action, Scope.BACKTESTS), self._picked
        )

    def why_not_action(self, action_id: str) -> str:
        """Return why an action of the menu is not possible now."""
        return self.why_not_backtest(action_id)

    def _picked(self, key: str | None) -> None:
        if key is not None:
            self.app.simulate_key(key)

    def submit(self, commands: Iterable[BacktestCommand]) -> None:
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
