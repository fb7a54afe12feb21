"""The frame of the dialogs that write something to disk; the writing is done in a thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.widgets import Button

from tui.actions import Scope
from tui.formatting import clean
from tui.modals.dialog import Dialog
from tui.modals.facts import Facts
from tui.widgets.form import Form, FormHelp

_KEYS: Final = "⏎ check, ⏎ again writes · esc cancel"


class ExportDialog(Dialog):
    """Name a place; ends with a sentence for the operator, or None. Subclasses make the form."""

    scopes: ClassVar[tuple[Scope, ...]] = (Scope.FORM, Scope.DIALOG)
    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    ExportDialog #export-form { height: auto; max-height: 5; }
    ExportDialog #export-form Form { height: auto; max-height: 5; }
    ExportDialog FormRow > Input { width: 1fr; }
    ExportDialog #outcome { margin-top: 1; }
    """

    _form: Form
    _is_writing = False

    class Written(Message):
        """It is written, which *text* says, or *problem* says why not."""

        def __init__(self, text: str, problem: str) -> None:
            super().__init__()
            self.text = text
            self.problem = problem

    def writer(self) -> Callable[[], str]:
        """Return what writes in a thread and says what it wrote; called on the console's loop."""
        raise NotImplementedError

    def compose_body(self) -> ComposeResult:
        """Compose the fields and the outcome."""
        with Container(id="export-form"):
            yield self._form
        yield FormHelp(id="help")
        yield Facts(id="outcome")

    def compose_buttons(self) -> ComposeResult:
        """Compose Cancel and Export."""
        yield self.button("Cancel", "esc", "cancel")
        yield self.button("Export", "⏎", "export", confirm=True)

    def on_mount(self) -> None:
        """Go to the field."""
        super().on_mount()
        self.query_one("#dialog").border_subtitle = _KEYS
        self.call_after_refresh(self._form.focus_first)

    @on(Form.Checked)
    def _show_help(self, event: Form.Checked) -> None:
        self.query_one(FormHelp).show_form(event.form)

    def on_descendant_focus(self) -> None:
        """Show the help of the field as soon as it has the focus."""
        if self._form.is_mounted:
            self.query_one(FormHelp).show_form(self._form)

    @on(Form.Completed)
    def _offer_export(self) -> None:
        self.query_one("#export", Button).focus()

    def action_export(self) -> None:
        """Write, in a thread."""
        if self._is_writing or not self._form.complete():
            return
        self._is_writing = True
        self._tell("writing …", "accent")
        write = partial(self._write, self.writer())
        self.run_worker(write, thread=True, exit_on_error=False)

    def _write(self, write: Callable[[], str]) -> None:
        try:
            text = write()
        except Exception as error:  # noqa: BLE001 (boundary: engine, disk or library)
            self.post_message(self.Written("", str(getattr(error, "message", error))))
        else:
            self.post_message(self.Written(text, ""))

    def on_export_dialog_written(self, event: Written) -> None:
        """Close with what was written, or stay with what went wrong."""
        event.stop()
        self._is_writing = False
        if event.problem:
            self._tell(f"✗ {clean(event.problem)}", "error")
        else:
            self.finish(event.text)

    def _tell(self, text: str, role: str) -> None:
        self.query_one("#outcome", Facts).show_facts([((text, role),)])
