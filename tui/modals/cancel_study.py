"""The dialog that cancels studies: what stays, what can be done later, no accidents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType

from tui.actions import Scope, bindings_for
from tui.formatting import fit
from tui.modals.backtest_dialog import BacktestDialog
from tui.modals.facts import Facts
from tui.state.console import ConsoleState
from tui.state.study_source import study_state
from tui.state.text import Line

if TYPE_CHECKING:
    from engine.api.optimization_views import StudyRow

_MOST: Final = 5
_MEANING: Final = (
    "ends within seconds; finished trials stay in the table",
    "R goes on later: no finished trial runs again",
)


class CancelStudyModal(BacktestDialog):
    """Cancel one or many studies, each with a command of its own.

    Args:
        console: the shared view state.
        rows: the studies; those that have ended are left out and counted.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.CONFIRM)
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.CONFIRM, Scope.DIALOG)
    AUTO_FOCUS = "#cancel"
    DEFAULT_CSS = """
    CancelStudyModal #to-cancel { margin-bottom: 1; }
    """

    def __init__(self, console: ConsoleState, rows: Sequence[StudyRow]) -> None:
        super().__init__(console, guarded=True)
        self._rows = tuple(row for row in rows if not row.status.is_final)
        self._left_out = len(rows) - len(self._rows)
        self.command_ids: tuple[str, ...] = ()

    def title_text(self) -> str:
        """Return verb and count."""
        count = len(self._rows)
        return f"Cancel {count:,} {'study' if count == 1 else 'studies'}"

    def head_note(self) -> str:
        """Say what is left out."""
        return f"{self._left_out:,} left out: ended already" if self._left_out else ""

    def compose_body(self) -> ComposeResult:
        """Compose the studies and what cancelling means."""
        yield Facts(id="to-cancel")
        yield Facts(id="meaning")

    def compose_buttons(self) -> ComposeResult:
        """Compose a way back and a button that repeats verb and count."""
        yield self.button("Let it run", "n", "cancel")
        yield self.button(self.title_text(), "y", "confirm", confirm=True)

    def on_mount(self) -> None:
        """Show what is cancelled."""
        super().on_mount()
        self.query_one("#dialog").border_subtitle = "y cancel · n esc back"
        lines: list[Line] = []
        for row in self._rows[:_MOST]:
            word, role = study_state(row)
            lines.append(
                ((f"{fit(row.name, 24)} ", "bold"), (f"{fit(word, 18)} ", role),
                 (f"{row.done:,} of {row.total:,} trials  ", ""), (row.id, "dim"))
            )  # fmt: skip
        if len(self._rows) > _MOST:
            lines.append(((f"… and {len(self._rows) - _MOST} more", "dim"),))
        self.query_one("#to-cancel", Facts).show_facts(lines)
        meaning: list[Line] = [((text, "dim"),) for text in _MEANING]
        self.query_one("#meaning", Facts).show_facts(meaning)

    def action_confirm(self) -> None:
        """Send one command for each study."""
        from engine.api.commands import CancelOptimization

        self.command_ids = tuple(
            self.engine.submit(CancelOptimization(study_id=row.id)) for row in self._rows
        )
        self.finish(self.command_ids[-1] if self.command_ids else None)
