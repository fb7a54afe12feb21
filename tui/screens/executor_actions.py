"""What can be done with executors, on every screen that lists them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import BindingType
from textual.screen import ModalScreen

from tui.actions import Scope, bindings_for
from tui.formatting import short_id
from tui.screens.base import ConsoleScreen
from tui.screens.command_reporter import CommandReporter
from tui.state.console import ConsoleState
from tui.state.executor_source import ExecutorSource
from tui.state.prefill import config_prefill
from tui.widgets.live_table import LiveTable
from tui.widgets.safe import safe

if TYPE_CHECKING:
    from engine.api.views import ExecutorRow

_FOR_ENDED = frozenset({"exec.store", "exec.duplicate"})
_EMPTY = "No executors yet. n creates one."
_WAITING = "Executors appear as soon as the engine is up."


class ExecutorScreen(ConsoleScreen):
    """A screen with the executor table; the dialogs load when they are first used."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.EXECUTORS)
    AUTO_FOCUS = "#executors"
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.EXECUTORS, *ConsoleScreen.scopes)

    def __init__(self, console: ConsoleState) -> None:
        super().__init__(console)
        self.table: LiveTable[ExecutorRow] = LiveTable(
            ExecutorSource(console),
            title="Executors",
            clock=console.clock,
            empty=_WAITING,
            id="executors",
            classes="panel",
        )
        self.reporter = CommandReporter(console.engine, self)
        self.drive(self.table)

    def _breathe(self) -> None:
        super()._breathe()
        self.table.empty = _EMPTY if self.console.session else _WAITING
        self.reporter.report()

    # --- what is possible ------------------------------------------------------------------------

    def why_not(self, action_id: str) -> str:
        """Return why an action on executors is not possible now; empty if it is."""
        if not action_id.startswith("exec."):
            return super().why_not(action_id)
        if action_id in {"exec.actions", "exec.export"}:
            return ""
        if self.console.read_only:
            return "This console is read only."
        if not self.console.session:
            return "There is no session yet; the engine is starting."
        if action_id == "exec.new":
            return ""
        if action_id == "exec.controller":
            return "" if self._controllers() else "This session has no controllers."
        row = self.table.model.current
        if row is None and not self.table.model.marks:
            return f"No executor is selected. {_EMPTY}"
        over = row is not None and row.lifecycle in {"terminated", "failed"}
        if over and action_id not in _FOR_ENDED and not self.table.model.marks:
            return f"{short_id(row.id) if row else ''} has ended; S stores it."
        return ""

    def _allowed(self, action_id: str) -> bool:
        reason = self.why_not(action_id)
        if reason:
            self.say(reason)
        return not reason

    # --- actions ---------------------------------------------------------------------------------

    @safe
    def action_exec_new(self) -> None:
        """Open the form for a new executor."""
        if self._allowed("exec.new"):
            from tui.modals.create_executor import CreateExecutorModal

            console = self.console
            self._open(CreateExecutorModal(console.engine, console.session, drafts=console.drafts))

    @safe
    def action_exec_duplicate(self) -> None:
        """Open the form with the values of the executor under the cursor."""
        if not self._allowed("exec.duplicate"):
            return
        console, row_id = self.console, self.table.model.cursor_id
        detail = console.engine.executor(console.session, row_id) if row_id else None
        if detail is not None:
            from tui.modals.create_executor import CreateExecutorModal

            self._open(
                CreateExecutorModal(
                    console.engine,
                    console.session,
                    prefill=config_prefill(detail),
                    drafts=console.drafts,
                )
            )

    @safe
    def action_exec_stop(self) -> None:
        """Ask before stopping the executor, or the marked ones."""
        if not self._allowed("exec.stop"):
            return
        rows = tuple(r for r in self.table.model.chosen() if r.lifecycle != "terminated")
        if not rows:
            self.say("The marked executors have all ended; - takes the marks off.")
            return
        from tui.modals.stop_executor import StopExecutorModal

        self._open(
            StopExecutorModal(
                self.console.engine, self.console.session, rows, clock=self.console.clock
            )
        )

    @safe
    def action_exec_stop_options(self) -> None:
        """Ask before stopping, with the choice of what happens to the position."""
        self.action_exec_stop()

    @safe
    def action_exec_edit(self) -> None:
        """Open the form for what can be changed."""
        row = self.table.model.current
        if self._allowed("exec.edit") and row is not None:
            from tui.modals.update_executor import UpdateExecutorModal

            self._open(UpdateExecutorModal(self.console.engine, self.console.session, row.id))

    @safe
    def action_exec_store(self) -> None:
        """Ask before moving ended executors into the archive."""
        if not self._allowed("exec.store"):
            return
        rows = tuple(r for r in self.table.model.chosen() if r.lifecycle == "terminated")
        if not rows:
            self.say("Only a terminated executor can be stored; x stops a running one.")
            return
        from tui.modals.store_executor import StoreExecutorModal

        self._open(
            StoreExecutorModal(
                self.console.engine, self.console.session, rows, clock=self.console.clock
            )
        )

    @safe
    def action_exec_actions(self) -> None:
        """List everything that can be done with the executor, with its letter."""
        from tui.modals.action_menu import ActionMenu

        menu = ActionMenu(self.console, self.why_not, Scope.EXECUTORS)
        _ = self.app.push_screen(menu, self._action_picked)

    def _action_picked(self, key: str | None) -> None:
        if key is not None:
            self.app.simulate_key(key)

    def _controllers(self) -> dict[str, str]:
        """Return id -> state of the session's controllers."""
        row = self.console.session_row()
        return {} if row is None else row.controllers

    @safe
    def action_exec_controller(self) -> None:
        """Choose a controller; one that runs is asked about and stopped, another goes on."""
        if self._allowed("exec.controller"):
            from tui.modals.controller_menu import ControllerMenu

            menu = ControllerMenu(self.console, self._controllers())
            _ = self.app.push_screen(menu, self._controller_chosen)

    @safe
    def _controller_chosen(self, controller_id: str | None) -> None:
        if controller_id is None:
            return
        console = self.console
        if self._controllers().get(controller_id) == "running":
            from tui.modals.stop_controller import StopControllerModal

            self._open(
                StopControllerModal(
                    console.engine, console.session, controller_id, clock=console.clock
                )
            )
            return
        from engine.api.commands import StartController

        command = StartController(session=console.session, controller_id=controller_id)
        self.reporter.watch([console.engine.submit(command)])
        self.reporter.report()

    @on(LiveTable.RowOpened, "#executors")
    def _row_opened(self, event: LiveTable.RowOpened) -> None:
        event.stop()
        self.open_executor(event.row_id)

    @on(LiveTable.CursorMoved, "#executors")
    def _cursor_moved(self) -> None:
        self.update_keys()

    # --- outcomes --------------------------------------------------------------------------------

    def _open(self, modal: ModalScreen[str | None]) -> None:
        _ = self.app.push_screen(modal, partial(self._submitted, modal))

    def _submitted(self, modal: ModalScreen[str | None], command_id: str | None) -> None:
        if command_id:
            self.reporter.sent(modal, command_id)
            self.table.model.unmark_all()
            self.table.pull()
            self.reporter.report()
