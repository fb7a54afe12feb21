"""The dialog that stops a controller: what ends with it, flatten or keep, and no accidents."""

from __future__ import annotations

import time
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Input

from engine.api.console import ConsoleEngine
from engine.api.views import ExecutorRow
from tui.actions import Scope, bindings_for
from tui.formatting import clean, plural
from tui.modals.dialog import Clock, Dialog
from tui.modals.facts import Facts
from tui.modals.stop_executor import FLATTEN, KEEP
from tui.state.stop_text import consequence_lines, executor_lines, gather_facts, stoppable
from tui.state.text import Line
from tui.widgets.choice import Choice

_MOST: Final = 1_000
"""Executors that are looked at for the figures."""


class StopControllerModal(Dialog):
    """Stop one controller and its executors by one command.

    In a live session flattening needs a typed word, everywhere else ``y`` confirms.

    Args:
        engine: the door.
        session: the session of the controller.
        controller_id: the controller.
        clock: see ``Dialog``.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.CONFIRM, Scope.STOP)
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.STOP, Scope.CONFIRM, Scope.DIALOG)
    AUTO_FOCUS = "#cancel"
    DEFAULT_CSS = """
    StopControllerModal #executors { margin-bottom: 1; }
    StopControllerModal #after { height: 1; margin-top: 1; }
    StopControllerModal #after Facts { width: 20; }
    StopControllerModal #after Choice { width: 1fr; }
    StopControllerModal #word {
        height: 1; border: none; padding: 0; margin-top: 1; background: $panel;
    }
    StopControllerModal #word:focus { background: $cursor; border: none; }
    """

    def __init__(
        self,
        engine: ConsoleEngine,
        session: str,
        controller_id: str,
        *,
        clock: Clock = time.perf_counter,
    ) -> None:
        super().__init__(engine, session, clock=clock, guarded=True)
        self._controller_id = controller_id
        self._keep = False
        page = engine.executors(session, filter_text=f"controller:{controller_id}", count=_MOST)
        mine = (row for row in page.rows if row.controller_id == controller_id)
        self._rows: tuple[ExecutorRow, ...] = stoppable(mine)

    @property
    def word(self) -> str:
        """What must be typed to confirm; empty if a key is enough."""
        return FLATTEN if self.mode == "live" and not self._keep else ""

    def title_text(self) -> str:
        """Return verb and object."""
        return f"Stop controller {clean(self._controller_id)}"

    def head_note(self) -> str:
        """Say what goes with it."""
        return f"and its {plural(len(self._rows), 'executor')}" if self._rows else ""

    def compose_body(self) -> ComposeResult:
        """Compose the executors, what stopping does, and the choice."""
        yield Facts(id="executors")
        yield Facts(id="consequences")
        with Horizontal(id="after"):
            yield Facts(id="after-label")
            yield Choice((FLATTEN, KEEP), id="policy")
        yield Input(id="word", compact=True)

    def compose_buttons(self) -> ComposeResult:
        """Compose Cancel and a button that repeats the verb."""
        yield self.button("Cancel", "n", "cancel")
        yield self.button(self._verb(), "y", "confirm", confirm=True)

    def on_mount(self) -> None:
        """Show the facts."""
        super().on_mount()
        label: Line = (("After stopping:", "dim"),)
        self.query_one("#after-label", Facts).show_facts([label])
        self._show()

    def action_choose(self, keep: bool) -> None:  # noqa: FBT001 (an action's argument)
        """Choose what happens to the positions."""
        self.query_one("#policy", Choice).value = KEEP if keep else FLATTEN

    def action_confirm(self) -> None:
        """Send the command, unless the word is missing."""
        if self.word and self.query_one("#word", Input).value != self.word:
            return
        from engine.api.commands import StopController

        command = StopController(
            session=self.session, controller_id=self._controller_id, keep_position=self._keep
        )
        self.finish(self.engine.submit(command))

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
        return f"Stop controller, {'keep' if self._keep else FLATTEN}"

    def _show(self) -> None:
        nothing: Line = (("It has no executors now; it proposes nothing any more.", "dim"),)
        self.query_one("#executors", Facts).show_facts(executor_lines(self._rows) or [nothing])
        details = (self.engine.executor(self.session, row.id) for row in self._rows[:50])
        orders = [order for one in details if one is not None for order in one.orders]
        lines = consequence_lines(gather_facts(self._rows, orders), keep=self._keep)
        again: Line = (("K lets it go on again; its ended executors stay ended", "dim"),)
        self.query_one("#consequences", Facts).show_facts([*(lines if self._rows else []), again])
        word, field = self.word, self.query_one("#word", Input)
        field.display = bool(word)
        field.placeholder = f"type  {word}  to confirm"
        confirm = self.query_one("#confirm", Button)
        confirm.disabled = bool(word) and field.value != word
        self.relabel(confirm, self._verb(), "" if word else "y")
        how = "tab to the field, type the word" if word else "y stop"
        frame = self.query_one("#dialog")
        frame.border_subtitle = f"{how} · n esc cancel · f flatten · k keep"
