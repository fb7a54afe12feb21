"""What the dialogs that stop executors share: facts, flatten or keep, a word in a live session."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Input

from engine.api.console import ConsoleEngine
from engine.api.views import ExecutorRow, OrderRow
from tui.actions import Scope, bindings_for
from tui.modals.dialog import Clock, Dialog
from tui.modals.facts import Facts
from tui.state.stop_text import consequence_lines, executor_lines, gather_facts, stoppable
from tui.state.text import Line
from tui.widgets.choice import Choice

FLATTEN: Final = "flatten"
KEEP: Final = "keep the position"
_MAX_DETAILS: Final = 50
"""Executors whose orders are counted; more would cost a frame."""


class StopDialog(Dialog):
    """Stop executors and say what becomes of their positions.

    Subclasses say ``word``, ``verb``, ``nothing_text`` and ``title_text``, and send in ``send``.

    Args:
        engine: the door.
        session: the session of the executors.
        rows: the executors; those that have ended or are closing are left out.
        clock: see ``Dialog``.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.CONFIRM, Scope.STOP)
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.STOP, Scope.CONFIRM, Scope.DIALOG)
    AUTO_FOCUS = "#cancel"
    DEFAULT_CSS = """
    StopDialog #executors { margin-bottom: 1; }
    StopDialog #after { height: 1; margin-top: 1; }
    StopDialog #after Facts { width: 20; }
    StopDialog #after Choice { width: 1fr; }
    StopDialog #word {
        height: 1; border: none; padding: 0; margin-top: 1; background: $panel;
    }
    StopDialog #word:focus { background: $cursor; border: none; }
    """

    nothing_text: ClassVar[str] = ""
    """Stands in place of the executors if there are none."""

    def __init__(
        self,
        engine: ConsoleEngine,
        session: str,
        rows: Iterable[ExecutorRow],
        *,
        clock: Clock = time.perf_counter,
    ) -> None:
        super().__init__(engine, session, clock=clock, guarded=True)
        self._rows: tuple[ExecutorRow, ...] = stoppable(rows)
        self._keep = False

    @property
    def can_stop(self) -> bool:
        """Whether there is something to stop."""
        return True

    @property
    def word(self) -> str:
        """What must be typed to confirm; empty if a key is enough."""
        return ""

    @property
    def verb(self) -> str:
        """What the button says."""
        return ""

    def send(self) -> str:
        """Submit the commands and return the id of the last."""
        raise NotImplementedError

    def compose_body(self) -> ComposeResult:
        """Compose the executors, what stopping does, and the choice."""
        yield Facts(id="executors")
        yield Facts(id="consequences")
        if self.can_stop:
            with Horizontal(id="after"):
                yield Facts(id="after-label")
                yield Choice((FLATTEN, KEEP), id="policy")
            yield Input(id="word", compact=True)

    def compose_buttons(self) -> ComposeResult:
        """Compose Cancel and a button that repeats the verb."""
        yield self.button("Cancel", "n", "cancel")
        if self.can_stop:
            yield self.button(self.verb, "y", "confirm", confirm=True)

    def on_mount(self) -> None:
        """Show the facts."""
        super().on_mount()
        if self.can_stop:
            label: Line = (("After stopping:", "dim"),)
            self.query_one("#after-label", Facts).show_facts([label])
        else:
            self.query_one("#dialog").border_subtitle = "esc"
        self.show_facts()

    def show_facts(self) -> None:
        """Show the executors, what stopping does, and what confirms it."""
        nothing: Line = ((self.nothing_text, "dim"),)
        self.query_one("#executors", Facts).show_facts(executor_lines(self._rows) or [nothing])
        self.query_one("#consequences", Facts).show_facts(self.consequences())
        if not self.can_stop:
            return
        word, field = self.word, self.query_one("#word", Input)
        field.display = bool(word)
        field.placeholder = f"type  {word}  to confirm"
        confirm = self.query_one("#confirm", Button)
        confirm.disabled = bool(word) and field.value != word
        self.relabel(confirm, self.verb, "" if word else "y")
        named = "words" if " " in word else "word"
        how = f"tab to the field, type the {named}" if word else "y stop"
        frame = self.query_one("#dialog")
        frame.border_subtitle = f"{how} · n esc cancel · f flatten · k keep"

    def consequences(self) -> Sequence[Line]:
        """Return what stopping does, line by line."""
        if not self._rows:
            return []
        return consequence_lines(gather_facts(self._rows, self._orders()), keep=self._keep)

    def action_choose(self, keep: bool) -> None:  # noqa: FBT001 (an action's argument)
        """Choose what happens to the positions."""
        if self.can_stop:
            self.query_one("#policy", Choice).value = KEEP if keep else FLATTEN

    def action_confirm(self) -> None:
        """Send the commands, unless the word is missing."""
        if not self.can_stop:
            return
        if self.word and self.query_one("#word", Input).value != self.word:
            return
        self.finish(self.send())

    @on(Choice.Changed, "#policy")
    def _policy_changed(self, event: Choice.Changed) -> None:
        self._keep = event.value == KEEP
        self.show_facts()

    @on(Input.Changed, "#word")
    def _word_typed(self, event: Input.Changed) -> None:
        self.query_one("#confirm", Button).disabled = event.value != self.word

    @on(Input.Submitted, "#word")
    def _word_entered(self) -> None:
        self.action_confirm()

    def _orders(self) -> list[OrderRow]:
        details = (self.engine.executor(self.session, row.id) for row in self._rows[:_MAX_DETAILS])
        return [order for detail in details if detail is not None for order in detail.orders]
