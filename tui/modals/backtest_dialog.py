"""The frame of the dialogs about backtests: they belong to no session, nothing live is touched."""

from __future__ import annotations

from tui.formatting import clean, mode_badge, mode_role
from tui.modals.dialog import Clock, Dialog, DialogHead
from tui.state.console import ConsoleState
from tui.state.text import Line


class BacktestDialog(Dialog):
    """A dialog with the badge of a test.

    Args:
        console: the shared view state.
        guarded: see ``Dialog``.
        clock: see ``Dialog``; the console's by default.
    """

    def __init__(
        self, console: ConsoleState, *, guarded: bool = False, clock: Clock | None = None
    ) -> None:
        super().__init__(
            console.engine, console.session, clock=clock or console.clock, guarded=guarded
        )
        self.console = console

    @property
    def mode(self) -> str:
        """A test, whatever the session in view is."""
        return "backtest"

    def show_head(self) -> None:
        """Paint the first line anew."""
        line: Line = (
            (f" {mode_badge(self.mode)} ", mode_role(self.mode)),
            (f"  {clean(self.head_note())}", "dim"),
        )
        self.query_one("#head", DialogHead).show_lines([line])
