"""The dialog that stops executors: what it costs, flatten or keep, and no accidents."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Input

from engine.api.console import ConsoleEngine
from engine.api.views import ExecutorRow, OrderRow
from tui.actions import Scope, bindings_for
from tui.formatting import plural
from tui.modals.dialog import Clock, Dialog
from tui.modals.facts import Facts
from tui.state.stop_text import (
    consequence_lines,
    executor_lines,
    gather_facts,
    stoppable,
)
from tui.state.text import Line
from tui.widgets.choice import Choice

FLATTEN: Final = "flatten"
KEEP: Final = "keep the position"
REFRESH_S: Final = 1.0
_MAX_DETAILS: Final = 50
"""Executors whose orders are counted; more would cost a frame."""


class StopExecutorModal(Dialog):
    """Stop one or many executors, each with a command of its own.

    The result is the id of the last command; ``command_ids`` holds all of them. In a live session
    flattening needs a typed word, everywhere else ``y`` confirms; enter presses what has the focus,
    which is Cancel.

    Args:
        engine: the door.
        session: the session of the executors.
        rows: the executors; those that have ended or are closing are left out and counted.
        clock: see ``Dialog``.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.CONFIRM, Scope.STOP)
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.STOP, Scope.CONFIRM, Scope.DIALOG)
    AUTO_FOCUS = "#cancel"
    DEFAULT_CSS = """
    StopExecutorModal #executors { margin-bottom: 1; }
    StopExecutorModal #after { height: 1; margin-top: 1; }
    StopExecutorModal #after Facts { width: 20; }
    StopExecutorModal #after Choice { width: 1fr; }
    StopExecutorModal #word {
        height: 1; border: none; padding: 0; margin-top: 1; background: $panel;
    }
    StopExecutorModal #word:focus { background: $cursor; border: none; }
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
        self._rows = stoppable(rows)
        self._left_out = len(rows) - len(self._rows)
        self._keep = False
        self.command_ids: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """What must be typed to confirm; empty if a key is enough."""
        live = self.mode == "live" and not self._keep
        return f"{FLATTEN} {len(self._rows)}" if live else ""

    def title_text(self) -> str:
        """Return verb and count."""
        return f"Stop {plural(len(self._rows), 'executor')}"

    def head_note(self) -> str:
        """Say what is left out."""
        if not self._left_out:
            return ""
        return f"{plural(self._left_out, 'executor')} already ended or closing: left out"

    def compose_body(self) -> ComposeResult:
        """Compose the executors, what stopping does, and the choice."""
        yield Facts(id="executors")
        yield Facts(id="consequences")
        if self._rows:
            with Horizontal(id="after"):
                yield Facts(id="after-label")
                yield Choice((FLATTEN, KEEP), id="policy")
            yield Input(id="word", compact=True)

    def compose_buttons(self) -> ComposeResult:
        """Compose Cancel and a button that repeats verb and count."""
        yield self.button("Cancel", "n", "cancel")
        if self._rows:
            yield self.button(self._verb(), "y", "confirm", confirm=True)

    def on_mount(self) -> None:
        """Show the facts and keep them fresh."""
        super().on_mount()
        frame = self.query_one("#dialog")
        frame.border_subtitle = (
            "y stop · n esc cancel · f flatten · k keep" if self._rows else "esc"
        )
        if self._rows:
            label: Line = (("After stopping:", "dim"),)
            self.query_one("#after-label", Facts).show_facts([label])
        self._show()
        self.set_interval(REFRESH_S, self._refresh_rows)

    def action_choose(self, keep: bool) -> None:  # noqa: FBT001 (an action's argument)
        """Choose what happens to the position."""
        if self._rows:
            self.query_one("#policy", Choice).value = KEEP if keep else FLATTEN

    def action_confirm(self) -> None:
        """Send one command for each executor, unless the word is missing."""
        if not self._rows or (self.word and self.query_one("#word", Input).value != self.word):
            return
        from engine.api.commands import StopExecutor

        self.command_ids = tuple(
            self.engine.submit(
                StopExecutor(session=self.session, executor_id=row.id, keep_position=self._keep)
            )
            for row in self._rows
        )
        self.finish(self.command_ids[-1])

    @on(Choice.Changed, "#policy")
    def _policy_changed(self, event: Choice.Changed) -> None:
        self._keep = event.value == KEEP
        self._show()

    @on(Input.Changed, "#word")
    def _word_typed(self, event: Input.Changed) -> None:
        self.query_one("#confirm", Button).disabled = event.value != self.word

    @on(Input.Submitted, "#word")
    def _word_entered(self) -> None:
        self.action_confirm()

    def _verb(self) -> str:
        after = "keep" if self._keep else FLATTEN
        return f"Stop {plural(len(self._rows), 'executor')}, {after}"

    def _refresh_rows(self) -> None:
        """Take fresh figures; an executor that has ended meanwhile keeps its last ones."""
        details = {row.id: self.engine.executor(self.session, row.id) for row in self._rows}
        found = {name: detail.row for name, detail in details.items() if detail is not None}
        self._rows = tuple(found.get(row.id, row) for row in self._rows)
        self._show()

    def _show(self) -> None:
        self.query_one("#executors", Facts).show_facts(
            executor_lines(self._rows)
            or [(("Nothing to stop: these executors have ended or are closing.", "dim"),)]
        )
        facts = gather_facts(self._rows, self._orders())
        consequences = consequence_lines(facts, keep=self._keep) if self._rows else []
        self.query_one("#consequences", Facts).show_facts(consequences)
        if not self._rows:
            return
        word, field = self.word, self.query_one("#word", Input)
        field.display = bool(word)
        field.placeholder = f"type  {word}  to confirm"
        confirm = self.query_one("#confirm", Button)
        confirm.disabled = bool(word) and field.value != word
        self.relabel(confirm, self._verb(), "" if word else "y")
        how = "tab to the field, type the words" if word else "y stop"
        frame = self.query_one("#dialog")
        frame.border_subtitle = f"{how} · n esc cancel · f flatten · k keep"

    def _orders(self) -> list[OrderRow]:
        details = (self.engine.executor(self.session, row.id) for row in self._rows[:_MAX_DETAILS])
        return [order for detail in details if detail is not None for order in detail.orders]
