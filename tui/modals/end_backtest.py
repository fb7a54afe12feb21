"""The dialog that cancels running backtests or deletes ended ones: what is lost, no accidents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType

from tui.actions import Scope, bindings_for
from tui.formatting import fit, plural
from tui.modals.backtest_dialog import BacktestDialog
from tui.modals.facts import Facts
from tui.state.backtest_source import state_span
from tui.state.console import ConsoleState
from tui.state.text import Line

if TYPE_CHECKING:
    from engine.api.backtest_views import BacktestRow

_MOST: Final = 5
_MEANING: Final = {
    False: ("a running one ends within a bar; what was done stays, marked partial",
            "one in the queue never starts"),
    True: ("removes the result's files from the data folder", "cannot be undone"),
}  # fmt: skip


class EndBacktestModal(BacktestDialog):
    """Cancel or delete one or many backtests, each with a command of its own.

    Args:
        console: the shared view state.
        rows: the backtests; those that it does not apply to are left out and counted.
        delete: delete what has ended, instead of cancelling what has not.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.CONFIRM)
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.CONFIRM, Scope.DIALOG)
    AUTO_FOCUS = "#cancel"
    DEFAULT_CSS = """
    EndBacktestModal #to-end { margin-bottom: 1; }
    """

    def __init__(self, console: ConsoleState, rows: Sequence[BacktestRow], *, delete: bool) -> None:
        super().__init__(console, guarded=True)
        self._delete = delete
        self._rows = tuple(row for row in rows if row.status.is_final is delete)
        self._left_out = len(rows) - len(self._rows)
        self.command_ids: tuple[str, ...] = ()

    def title_text(self) -> str:
        """Return verb and count."""
        return f"{self._verb} {plural(len(self._rows), 'backtest')}"

    @property
    def _verb(self) -> str:
        return "Delete" if self._delete else "Cancel"

    def head_note(self) -> str:
        """Say what is left out."""
        if not self._left_out:
            return ""
        why = "not ended" if self._delete else "ended already"
        return f"{plural(self._left_out, 'backtest')} left out: {why}"

    def compose_body(self) -> ComposeResult:
        """Compose the backtests and what ending them means."""
        yield Facts(id="to-end")
        yield Facts(id="meaning")

    def compose_buttons(self) -> ComposeResult:
        """Compose Back and a button that repeats verb and count."""
        yield self.button("Keep" if self._delete else "Go on", "n", "cancel")
        yield self.button(self.title_text(), "y", "confirm", confirm=True)

    def on_mount(self) -> None:
        """Show what is ended."""
        super().on_mount()
        frame = self.query_one("#dialog")
        frame.border_subtitle = f"y {self._verb.lower()} · n esc back"
        lines: list[Line] = []
        for row in self._rows[:_MOST]:
            word, role = state_span(row)
            lines.append(((f"{fit(row.name, 28)} ", "bold"), (f"{fit(word, 20)} ", role),
                          (row.id, "dim")))  # fmt: skip
        if len(self._rows) > _MOST:
            lines.append(((f"… and {len(self._rows) - _MOST} more", "dim"),))
        self.query_one("#to-end", Facts).show_facts(lines)
        meaning: list[Line] = [((text, "dim"),) for text in _MEANING[self._delete]]
        self.query_one("#meaning", Facts).show_facts(meaning)

    def action_confirm(self) -> None:
        """Send one command for each backtest."""
        from engine.api.commands import CancelBacktest, DeleteBacktest

        kind = DeleteBacktest if self._delete else CancelBacktest
        self.command_ids = tuple(self.engine.submit(kind(backtest_id=row.id)) for row in self._rows)
        self.finish(self.command_ids[-1])
