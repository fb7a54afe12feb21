"""The dialog that writes a result to a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.api.views import FormCheck, FormField
from tui.formatting import plural
from tui.modals.backtest_dialog import BacktestDialog
from tui.modals.export_dialog import ExportDialog
from tui.state.console import ConsoleState
from tui.widgets.form import CHECK_DELAY_S, Form

if TYPE_CHECKING:
    from engine.api.backtest_views import BacktestRow
    from engine.api.optimization_views import StudyRow

_WHAT: Final = "tables (Parquet, CSV), metrics, configuration, HTML report"


class ExportBacktestModal(ExportDialog, BacktestDialog):
    """Name a folder; ends with a sentence for the operator, or None."""

    def __init__(
        self,
        console: ConsoleState,
        row: BacktestRow | StudyRow,
        *,
        check_delay: float = CHECK_DELAY_S,
    ) -> None:
        BacktestDialog.__init__(self, console)
        self._row = row
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

    def writer(self) -> Callable[[], str]:
        """Write the files to the folder that is named."""
        return partial(self._write_files, self._form.values["folder"].strip())

    def export_to(self, folder: str) -> tuple[str, ...]:
        """Write the files and return them; in a thread."""
        return self.engine.export_backtest(self._row.id, folder)

    def _write_files(self, folder: str) -> str:
        files = self.export_to(folder)
        place = Path(files[0]).parent if files else ""
        return f"Wrote {plural(len(files), 'file')} to {place}."


def _check_folder(typed: Mapping[str, str]) -> FormCheck:
    text = typed.get("folder", "").strip()
    if not text:
        return FormCheck(errors={"folder": "Name the folder to write to."})
    return FormCheck(understood={"folder": str(Path(text).expanduser().absolute())})
