"""The dialog that writes a result to a folder; the writing is done in a thread."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.widgets import Button

from engine.api.views import FormCheck, FormField
from tui.actions import Scope
from tui.formatting import clean, plural
from tui.modals.backtest_dialog import BacktestDialog
from tui.modals.facts import Facts
from tui.state.console import ConsoleState
from tui.state.text import Line
from tui.widgets.form import CHECK_DELAY_S, Form, FormHelp

if TYPE_CHECKING:
    from engine.api.backtest_views import BacktestRow
    from engine.api.optimization_views import StudyRow

_KEYS: Final = "⏎ check, ⏎ again writes · esc cancel"
_WHAT: Final = "tables (Parquet, CSV), metrics, configuration, HTML report"


class ExportBacktestModal(BacktestDialog):
    """Name a folder; ends with a sentence for the operator, or None."""

    scopes: ClassVar[tuple[Scope, ...]] = (Scope.FORM, Scope.DIALOG)
    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    ExportBacktestModal #export-form { height: auto; max-height: 5; }
    ExportBacktestModal #export-form Form { height: auto; max-height: 5; }
    ExportBacktestModal FormRow > Input { width: 1fr; }
    ExportBacktestModal #outcome { margin-top: 1; }
    """

    class Written(Message):
        """The files are written, or *problem* says why not."""

        def __init__(self, files: tuple[str, ...], problem: str) -> None:
            super().__init__()
            self.files = files
            self.problem = problem

    def __init__(
        self,
        console: ConsoleState,
        row: BacktestRow | StudyRow,
        *,
        check_delay: float = CHECK_DELAY_S,
    ) -> None:
        super().__init__(console)
        self._row = row
        self._is_writing = False
        folder = re.sub(r"[^\w.-]+", "-", row.name).strip("-.") or "backtest"
        field = FormField(
            "folder", "Folder", "text", required=True, default=f"exports/{folder}",
            help="made if it is not there; files of the same names are replaced",
        )  # fmt: skip
        self._form = Form((field,), _check_folder, check_delay=check_delay)

    def title_text(self) -> str:
        """Return verb and object."""
        return f"Export {self._row.name}"

    def head_note(self) -> str:
        """Say what is written."""
        return _WHAT

    def compose_body(self) -> ComposeResult:
        """Compose the field and the outcome."""
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

    def on_descendant_focus(self) -> None:
        """Show the help of the field as soon as it has the focus."""
        if self._form.is_mounted:
            self.query_one(FormHelp).show_form(self._form)

    @on(Form.Completed)
    def _offer_export(self) -> None:
        self.query_one("#export", Button).focus()

    def action_export(self) -> None:
        """Write the files, in a thread."""
        if self._is_writing or not self._form.complete():
            return
        self._is_writing = True
        self._tell("writing …", "accent")
        folder = self._form.values["folder"].strip()
        self.run_worker(partial(self._write, folder), thread=True, exit_on_error=False)

    def _write(self, folder: str) -> None:
        try:
            files = self.export_to(folder)
        except Exception as error:  # noqa: BLE001 (boundary: the engine's answer was an exception)
            self.post_message(self.Written((), str(getattr(error, "message", error))))
        else:
            self.post_message(self.Written(files, ""))

    def export_to(self, folder: str) -> tuple[str, ...]:
        """Write the files and return them; in a thread."""
        return self.engine.export_backtest(self._row.id, folder)

    def on_export_backtest_modal_written(self, event: Written) -> None:
        """Close with what was written, or stay with what went wrong."""
        event.stop()
        self._is_writing = False
        if event.problem:
            self._tell(f"✗ {clean(event.problem)}", "error")
            return
        folder = Path(event.files[0]).parent if event.files else ""
        self.finish(f"Wrote {plural(len(event.files), 'file')} to {folder}.")

    def _tell(self, text: str, role: str) -> None:
        line: Line = ((text, role),)
        self.query_one("#outcome", Facts).show_facts([line])


def _check_folder(typed: Mapping[str, str]) -> FormCheck:
    text = typed.get("folder", "").strip()
    if not text:
        return FormCheck(errors={"folder": "Name the folder to write to."})
    return FormCheck(understood={"folder": str(Path(text).expanduser().absolute())})
