"""The dialog that moves ended executors into the archive."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType

from engine.api.console import ConsoleEngine
from engine.api.views import ExecutorRow
from tui.actions import Scope, bindings_for
from tui.formatting import plural
from tui.modals.dialog import Clock, Dialog
from tui.modals.facts import Facts
from tui.state.stop_text import executor_lines
from tui.state.text import Line

_ENDED: Final = frozenset({"terminated", "failed"})


class StoreExecutorModal(Dialog):
    """Archive one or many ended executors, each with a command of its own.

    The result is the id of the last command; ``command_ids`` holds all of them.

    Args:
        engine: the door.
        session: the session of the executors.
        rows: the executors; those that have not ended are left out and counted.
        clock: see ``Dialog``.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.CONFIRM)
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.CONFIRM, Scope.DIALOG)
    AUTO_FOCUS = "#cancel"
    DEFAULT_CSS = """
    StoreExecutorModal #executors { margin-bottom: 1; }
    """

    def __init__(
        self,
        engine: ConsoleEngine,
        session: str,
        rows: Sequence[ExecutorRow],
        *,
        clock: Clock = time.perf_counter,
    ) -> None:
        super().__init__(engine, session, clock=clock, guarded=True)
        self._rows = tuple(row for row in rows if row.lifecycle in _ENDED)
        self._left_out = len(rows) - len(self._rows)
        self.command_ids: tuple[str, ...] = ()

    def title_text(self) -> str:
        """Return verb and count."""
        return f"Store {plural(len(self._rows), 'executor')}"

    def head_note(self) -> str:
        """Say what is left out."""
        if not self._left_out:
            return ""
        return f"{plural(self._left_out, 'executor')} still active: left out"

    def compose_body(self) -> ComposeResult:
        """Compose the executors and what storing means."""
        yield Facts(id="executors")
        yield Facts(id="meaning")

    def compose_buttons(self) -> ComposeResult:
        """Compose Cancel and a button that repeats verb and count."""
        yield self.button("Cancel", "n", "cancel")
        if self._rows:
            yield self.button(self.title_text(), "y", "confirm", confirm=True)

    def on_mount(self) -> None:
        """Show what is stored."""
        super().on_mount()
        frame = self.query_one("#dialog")
        frame.border_subtitle = "y store · n esc cancel" if self._rows else "esc close"
        nothing: Line = (("Nothing to store: none of these executors has ended. ", "dim"),)
        self.query_one("#executors", Facts).show_facts(executor_lines(self._rows) or [nothing])
        meaning: list[Line] = [
            (("They leave the table and stay in the store with their orders and fills.", "dim"),),
            (("cannot be undone", "warn"), (" from here", "dim")),
        ]
        self.query_one("#meaning", Facts).show_facts(meaning if self._rows else [])

    def action_confirm(self) -> None:
        """Send one command for each executor."""
        if not self._rows:
            return
        from engine.api.commands import StoreExecutor

        self.command_ids = tuple(
            self.engine.submit(StoreExecutor(session=self.session, executor_id=row.id))
            for row in self._rows
        )
        self.finish(self.command_ids[-1])
