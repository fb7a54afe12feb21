"""The dialog that changes a running executor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Horizontal
from textual.events import DescendantFocus
from textual.widgets import Button

from engine.api.console import ConsoleEngine
from engine.api.views import ExecutorRow, FormCheck
from tui.actions import Scope
from tui.formatting import clean, format_signed_money, plural, short_id
from tui.modals.dialog import Dialog
from tui.modals.facts import Facts
from tui.widgets.form import CHECK_DELAY_S, Form, FormHelp, FormPreview

_KEYS: Final = "⏎ check, ⏎ again changes · tab ↑ ↓ field · esc cancel"
_LAST_STEP: Final = "✓ the preview is what will be changed · ⏎ changes it · esc cancel"


class UpdateExecutorModal(Dialog):
    """Change what the engine reports as changeable; everything else says why it is not.

    Args:
        engine: the door.
        session: the session of the executor.
        executor_id: which one.
        check_delay: see ``Form``.
    """

    scopes: ClassVar[tuple[Scope, ...]] = (Scope.FORM, Scope.CHOICE, Scope.DIALOG)
    AUTO_FOCUS = "Button"
    DEFAULT_CSS = """
    UpdateExecutorModal #dialog { width: 100; }
    UpdateExecutorModal #work { height: 14; }
    UpdateExecutorModal #form-box { width: 1fr; height: 1fr; }
    UpdateExecutorModal.-narrow FormPreview { width: 31; }
    UpdateExecutorModal FormHelp { margin-top: 1; }
    """

    def __init__(
        self,
        engine: ConsoleEngine,
        session: str,
        executor_id: str,
        *,
        check_delay: float = CHECK_DELAY_S,
    ) -> None:
        super().__init__(engine, session)
        self._executor_id = executor_id
        self._delay = check_delay
        row = self.row
        running = row is not None and row.lifecycle == "running"
        self._fields = engine.update_fields(session, executor_id) if running else ()
        self._form: Form | None = None

    @property
    def row(self) -> ExecutorRow | None:
        """The executor as it is now."""
        detail = self.engine.executor(self.session, self._executor_id)
        return None if detail is None else detail.row

    def title_text(self) -> str:
        """Return verb and object."""
        return f"Change executor {short_id(self._executor_id)}"

    def head_note(self) -> str:
        """Return what is being changed."""
        row = self.row
        if row is None:
            return "is not there any more"
        pnl = format_signed_money(row.net_pnl_quote)
        return f"{row.type} {clean(row.trading_pair)} {row.side} {row.lifecycle}  {pnl}"

    def compose_body(self) -> ComposeResult:
        """Compose the form and its preview, or why there is none."""
        if not self._fields:
            yield Facts(id="why")
            return

        def check(typed: Mapping[str, str]) -> FormCheck:
            return self.engine.check_update(self.session, self._executor_id, typed)

        self._form = Form(self._fields, check, check_delay=self._delay, show_changes=True)
        with Horizontal(id="work"):
            with Container(id="form-box"):
                yield self._form
            yield FormPreview(id="preview")
        yield FormHelp(id="help")

    def compose_buttons(self) -> ComposeResult:
        """Compose Cancel and Change."""
        yield self.button("Cancel", "esc", "cancel")
        if self._form is not None:
            yield self.button("Change nothing", "⏎", "update", confirm=True)

    def on_mount(self) -> None:
        """Go to the first field."""
        super().on_mount()
        frame = self.query_one("#dialog")
        if self._form is None:
            frame.border_subtitle = "esc close"
            self.query_one("#why", Facts).show_facts([((self._why_not(), "warn"),)])
        else:
            frame.border_subtitle = _KEYS
            self.call_after_refresh(self._form.focus_first)

    def action_update(self) -> None:
        """Send the command, if something changed and the engine has no objection."""
        form = self._form
        if form is None or not form.changes or not form.complete():
            return
        from engine.api.commands import UpdateExecutor

        command = UpdateExecutor(
            session=self.session, executor_id=self._executor_id, changes=form.check.values
        )
        self.finish(self.engine.submit(command))

    @on(Form.Checked)
    def _show_check(self, event: Form.Checked) -> None:
        self.query_one(FormPreview).show_form(event.form)
        self.query_one(FormHelp).show_form(event.form)
        update = self.query_one("#update", Button)
        count = len(event.form.changes)
        update.disabled = not count
        self.relabel(update, f"Change {plural(count, 'field')}" if count else "Change nothing", "⏎")

    @on(Form.Completed)
    def _offer_update(self) -> None:
        update = self.query_one("#update", Button)
        if not update.disabled:
            update.focus()
            self.query_one("#dialog").border_subtitle = _LAST_STEP

    def on_descendant_focus(self, _event: DescendantFocus) -> None:
        """Show the help of the field, and what enter does now."""
        if self._form is not None:
            self.query_one(FormHelp).show_form(self._form)
            if not isinstance(self.focused, Button):
                self.query_one("#dialog").border_subtitle = _KEYS

    def _why_not(self) -> str:
        row = self.row
        if row is None:
            return f"There is no executor {short_id(self._executor_id)} in this session any more."
        if row.lifecycle != "running":
            return f"Only a running executor can be changed; this one is {row.lifecycle}."
        return f"Executors of type {row.type} cannot be changed while they run."
