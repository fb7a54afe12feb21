"""The dialog that writes the rows of a list to a file; the writing is done in a thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.widgets import Button

from engine.api.views import FormCheck, FormField
from tui.actions import Scope
from tui.formatting import clean, plural
from tui.modals.dialog import Dialog
from tui.modals.facts import Facts
from tui.state.columns import Column
from tui.state.console import ConsoleState
from tui.state.row_export import KINDS, path_problem, table_rows, write_rows
from tui.state.table import TableModel
from tui.widgets.form import CHECK_DELAY_S, Form, FormHelp

_KEYS: Final = "⏎ check, ⏎ again writes · esc cancel"
_SHOWN, _ALL = "shown", "all"


class ExportRowsModal(Dialog):
    """Name a file; ends with a sentence for the operator, or None.

    Args:
        console: the shared view state.
        model: the table: its filter and its order hold for the file too.
        shown: the columns on the screen.
        name: what the list is called.
        check_delay: see ``Form``.
    """

    scopes: ClassVar[tuple[Scope, ...]] = (Scope.FORM, Scope.DIALOG)
    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    ExportRowsModal #export-form { height: auto; max-height: 5; }
    ExportRowsModal #export-form Form { height: auto; max-height: 5; }
    ExportRowsModal FormRow > Input { width: 1fr; }
    ExportRowsModal #outcome { margin-top: 1; }
    """

    class Written(Message):
        """The file is written, or *problem* says why not."""

        def __init__(self, text: str, problem: str) -> None:
            super().__init__()
            self.text = text
            self.problem = problem

    def __init__(
        self,
        console: ConsoleState,
        model: TableModel[Any],
        shown: tuple[Column[Any], ...],
        *,
        name: str,
        check_delay: float = CHECK_DELAY_S,
    ) -> None:
        super().__init__(console.engine, console.session, clock=console.clock)
        self._model = model
        self._shown = shown
        self._name = name
        self._count = model.window.matching
        self._is_writing = False
        file = FormField(
            "file", "File", "text", required=True, default=f"exports/{name.replace(' ', '-')}.csv",
            help=f"its ending says how: {', '.join(KINDS)}; folders are made",
        )  # fmt: skip
        columns = FormField(
            "columns", "Columns", "choice", required=True, choices=(_SHOWN, _ALL), default=_SHOWN,
            help="those on the screen, or all that the list has",
        )  # fmt: skip
        self._form = Form((file, columns), _check, check_delay=check_delay)

    def title_text(self) -> str:
        """Return verb, count and object."""
        return f"Export {plural(self._count, 'row')} of {self._name}"

    def head_note(self) -> str:
        """Say what is written."""
        filter_text = self._model.query.filter_text
        return f"that pass {filter_text}" if filter_text else "in the order of the list"

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
    def _show_check(self, event: Form.Checked) -> None:
        self.query_one(FormHelp).show_form(event.form)
        verb = "Replace the file" if _target(event.form.values).is_file() else "Export"
        self.relabel(self.query_one("#export", Button), verb, "⏎")

    def on_descendant_focus(self) -> None:
        """Show the help of the field as soon as it has the focus."""
        if self._form.is_mounted:
            self.query_one(FormHelp).show_form(self._form)

    @on(Form.Completed)
    def _offer_export(self) -> None:
        self.query_one("#export", Button).focus()

    def action_export(self) -> None:
        """Take the rows now, and write them in a thread."""
        if self._is_writing or not self._form.complete():
            return
        values = self._form.values
        columns = self._shown if values["columns"] == _SHOWN else self._model.source.columns
        names, rows = table_rows(self._model, columns)
        self._is_writing = True
        self._tell("writing …", "accent")
        write = partial(write_rows, _target(values), names, rows)
        self.run_worker(
            partial(self._write, _target(values), len(rows), write),
            thread=True,
            exit_on_error=False,
        )

    def _write(self, path: Path, count: int, write: Callable[[], int]) -> None:
        try:
            size = write()
        except Exception as error:  # noqa: BLE001 (boundary: whatever a disk or a library says)
            self.post_message(self.Written("", str(error)))
        else:
            text = f"Wrote {plural(count, 'row')}, {size:,} bytes, to {path}."
            self.post_message(self.Written(text, ""))

    def on_export_rows_modal_written(self, event: Written) -> None:
        """Close with what was written, or stay with what went wrong."""
        event.stop()
        self._is_writing = False
        if event.problem:
            self._tell(f"✗ {clean(event.problem)}", "error")
        else:
            self.finish(event.text)

    def _tell(self, text: str, role: str) -> None:
        self.query_one("#outcome", Facts).show_facts([((text, role),)])


def _target(typed: Mapping[str, str]) -> Path:
    return Path(typed.get("file", "").strip() or ".").expanduser().absolute()


def _check(typed: Mapping[str, str]) -> FormCheck:
    problem = path_problem(typed.get("file", ""))
    if problem:
        return FormCheck(errors={"file": problem})
    path = _target(typed)
    note = "replaces " if path.is_file() else ""
    return FormCheck(understood={"file": f"{note}{path}"})
