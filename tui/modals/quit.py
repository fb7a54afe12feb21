"""Quit: what runs, what is exposed, and what is to become of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType

from engine.api.console import ConsoleEngine
from engine.api.views import ExecutorRow, PositionRow
from tui.actions import Scope, bindings_for
from tui.formatting import (
    direction,
    fit,
    format_decimal,
    format_money,
    format_signed_money,
    plural,
)
from tui.modals.dialog import Clock, Dialog
from tui.modals.facts import Facts
from tui.state.stop_text import MAX_LISTED, executor_lines
from tui.state.text import Line

REFRESH_S: Final = 1.0
_ACTIVE: Final = ("created", "running", "shutting_down")
_FILTER: Final = "!state:terminated !state:failed"


def quit_lines(
    rows: Sequence[ExecutorRow], active: int, positions: Sequence[PositionRow]
) -> list[Line]:
    """Return what runs and what is exposed; *rows* are the first of the *active* executors."""
    lines: list[Line] = []
    if active:
        lines.append(((f"{plural(active, 'executor')} running", "bold"),))
        lines += executor_lines(rows[:MAX_LISTED])
        if active > min(len(rows), MAX_LISTED):
            lines.append(((f"… and {active - min(len(rows), MAX_LISTED):,} more", "dim"),))
    else:
        lines.append((("No executor is running.", ""),))
    exposed = [row for row in positions if row.amount]
    if exposed:
        lines += [(), (("Exposure", "bold"),), *(_position_line(row) for row in exposed)]
    lines += [
        (),
        (("keep     ", "bold"), ("the session ends, positions stay as they are", "dim")),
        (("flatten  ", "bold"), ("all stops, and whatever is held is closed first", "dim")),
    ]
    return lines


def _position_line(row: PositionRow) -> Line:
    base, _, quote = row.trading_pair.partition("-")
    value = row.amount * (row.mark_price or row.entry_price or Decimal(0))
    sign = "+" if row.amount > 0 else ""
    return (
        (fit(base, 6), ""),
        (fit(f"{sign}{format_decimal(row.amount)}", 14, right=True), "bold"),
        (f"  ≈ {fit(format_money(abs(value)), 14, right=True)} {fit(quote, 6)}", "dim"),
        (format_signed_money(row.unrealized_pnl), direction(row.unrealized_pnl)),
    )


class QuitDialog(Dialog):
    """Ends with ``keep``, ``flatten`` or None; the app does what was chosen.

    Args:
        engine: the door.
        session: the session that would end.
        clock: see ``Dialog``.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.CONFIRM, Scope.QUIT)
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.QUIT, Scope.CONFIRM, Scope.DIALOG)
    AUTO_FOCUS = "#cancel"
    heading: ClassVar[str] = "Quit quarterdeck"

    def __init__(
        self, engine: ConsoleEngine, session: str, *, clock: Clock = time.perf_counter
    ) -> None:
        super().__init__(engine, session, clock=clock, guarded=True)

    def compose_body(self) -> ComposeResult:
        """Compose what runs."""
        yield Facts(id="running")

    def compose_buttons(self) -> ComposeResult:
        """Offer to stay, to keep, to flatten; staying has the focus."""
        yield self.button("Stay", "n", "cancel")
        yield self.button("Keep and quit", "k", "confirm", confirm=True)
        yield self.button("Flatten and quit", "f", "flatten")

    def on_mount(self) -> None:
        """Show what runs and keep it fresh."""
        super().on_mount()
        self.query_one("#dialog").border_subtitle = "k y keep · f flatten · n esc stay"
        self._show()
        self.set_interval(REFRESH_S, self._show)

    def action_confirm(self) -> None:
        """Quit; the engine ends the session and keeps positions."""
        self.finish("keep")

    def action_flatten(self) -> None:
        """Quit after flattening."""
        self.finish("flatten")

    def _show(self) -> None:
        session = self.session_row
        active = sum(session.executors.get(word, 0) for word in _ACTIVE) if session else 0
        page = self.engine.executors(
            self.session, sort="state", descending=False, filter_text=_FILTER, count=MAX_LISTED
        )
        positions = self.engine.positions(self.session)
        self.query_one("#running", Facts).show_facts(quit_lines(page.rows, active, positions))
