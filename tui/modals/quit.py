"""Quit: what runs, and what is to become of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.formatting import direction, fit, format_decimal, format_signed_money, short_id
from tui.modals.dialog import Dialog
from tui.state.text import Line
from tui.widgets.painted import Painted

if TYPE_CHECKING:
    from engine.api.views import ExecutorRow

_LISTED = 8
_ACTIVE = frozenset({"created", "running", "shutting_down"})


def quit_lines(rows: Iterable[ExecutorRow], active: int) -> tuple[Line, ...]:
    """Return the executors that run, the first of them in a line each."""
    if not active:
        return ((("No executor is running.", ""),),)
    noun = "executor is" if active == 1 else "executors are"
    lines: list[Line] = [((f"{active:,} {noun} running:", "bold"),)]
    shown = [row for row in rows if row.lifecycle in _ACTIVE][:_LISTED]
    for row in shown:
        lines.append(
            (
                (f"  {short_id(row.id)}  {fit(row.type, 9)}{fit(row.trading_pair, 10)}", ""),
                (f"{fit(row.side, 5)}{fit(format_decimal(row.filled_amount), 12, right=True)}  ",
                 ""),
                (format_signed_money(row.net_pnl_quote), direction(row.net_pnl_quote)),
            )
        )  # fmt: skip
    if active > len(shown):
        lines.append(((f"  … and {active - len(shown):,} more", "dim"),))
    lines += [
        (),
        (("Keep ", "bold"), ("ends the session and leaves positions as they are.", "dim")),
        (("Flatten ", "bold"), ("stops every executor and closes its position first.", "dim")),
    ]
    return tuple(lines)


class QuitDialog(Dialog):
    """Ends with ``keep``, ``flatten`` or None; the app does what was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "cancel", "Stay", id="quit.cancel"),
        Binding("y,k", "keep", "Quit and keep positions", id="quit.keep"),
        Binding("f", "flatten", "Quit and flatten", id="quit.flatten"),
    ]
    DEFAULT_CSS = """
    QuitDialog #running { height: auto; }
    """
    heading: ClassVar[str] = "Quit quarterdeck"

    def compose_body(self) -> ComposeResult:
        """Show what runs."""
        row = self.session_row
        active = sum(row.executors.get(word, 0) for word in _ACTIVE) if row is not None else 0
        page = self.engine.executors(self.session, sort="state", descending=False, count=200)
        lines = quit_lines(page.rows, active)
        box = Painted(id="running")
        box.styles.height = len(lines)
        box.show_lines(lines)
        yield box

    def compose_buttons(self) -> ComposeResult:
        """Offer to stay, to keep, to flatten; staying has the focus."""
        yield from super().compose_buttons()
        yield self.button("Keep and quit", "y", "keep", confirm=True)
        yield self.button("Flatten and quit", "f", "flatten")

    def action_keep(self) -> None:
        """Quit; the engine ends the session and keeps positions."""
        self.finish("keep")

    def action_flatten(self) -> None:
        """Quit after flattening."""
        self.finish("flatten")
