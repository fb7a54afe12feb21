"""The dialog that writes a study to a folder."""

from __future__ import annotations

from typing import Final

from tui.modals.export_backtest import ExportBacktestModal

_WHAT: Final = "trials (CSV, Parquet), study.json; report.html once it has ended"


class ExportStudyModal(ExportBacktestModal):
    """Name a folder; ends with a sentence for the operator, or None."""

    def head_note(self) -> str:
        """Say what is written."""
        return _WHAT

    def export_to(self, folder: str) -> tuple[str, ...]:
        """Write the files and return them; in a thread."""
        return self.engine.export_optimization(self._row.id, folder)
