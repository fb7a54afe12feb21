"""The dialog that writes the rows of a list to a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from textual import on
from textual.widgets import Button

from engine.api.views import FormCheck, FormField
from tui.formatting import plural
from tui.modals.export_dialog import ExportDialog
from tui.state.columns import Column
from tui.state.console import ConsoleState
from tui.state.row_export import KINDS, path_problem, table_rows, write_rows
from tui.state.table import TableModel
from tui.widgets.form import CHECK_DELAY_S, Form

_SHOWN, _ALL = "shown", "all"


class ExportRowsModal(ExportDialog):
    """Name a file; ends with a sentence for the operator, or None.

    Args:
        console: the shared view state.
        model: the table: its filter and its order hold for the file too.
        shown: the columns on the screen.
        name: what the list is called.
        check_delay: see ``Form``.
    """

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

    @on(Form.Checked)
    def _name_export(self, event: Form.Checked) -> None:
        verb = "Replace the file" if _target(event.form.values).is_file() else "Export"
        self.relabel(self.query_one("#export", Button), verb, "⏎")

    def writer(self) -> Callable[[], str]:
        """Take the rows as they are now."""
        values = self._form.values
        columns = self._shown if values["columns"] == _SHOWN else self._model.source.columns
        names, rows = table_rows(self._model, columns)
        path = _target(values)

        def write() -> str:
            size = write_rows(path, names, rows)
            return f"Wrote {plural(len(rows), 'row')}, {size:,} bytes, to {path}."

        return write


def _target(typed: Mapping[str, str]) -> Path:
    return Path(typed.get("file", "").strip() or ".").expanduser().absolute()


def _check(typed: Mapping[str, str]) -> FormCheck:
    problem = path_problem(typed.get("file", ""))
    if problem:
        return FormCheck(errors={"file": problem})
    path = _target(typed)
    note = "replaces " if path.is_file() else ""
    return FormCheck(understood={"file": f"{note}{path}"})
