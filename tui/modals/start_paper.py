"""The dialog that leaves the session of this console for one with a trial's parameters."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.message import Message

from engine.api.console import ConsoleEngine
from tui.formatting import clean
from tui.modals.dialog import Clock
from tui.modals.facts import Facts
from tui.modals.quit import QuitDialog


class SessionWanted(Message):
    """The operator wants this console to run the session in the file *path*."""

    bubble = True

    def __init__(self, path: Path, parameters: str) -> None:
        super().__init__()
        self.path = path
        self.parameters = parameters


class StartPaperDialog(QuitDialog):
    """Ends with ``keep``, ``flatten`` or None: how the session of this console is to end.

    Args:
        engine: the door.
        session: the session that would end.
        path: the file of the session that would begin.
        parameters: what the trial found, as text.
        clock: see ``Dialog``.
    """

    heading: ClassVar[str] = "Start a paper session"

    def __init__(
        self,
        engine: ConsoleEngine,
        session: str,
        *,
        path: Path,
        parameters: str,
        clock: Clock = time.perf_counter,
    ) -> None:
        super().__init__(engine, session, clock=clock)
        self._path = path
        self._parameters = parameters

    def compose_body(self) -> ComposeResult:
        """Compose what begins over what ends."""
        yield Facts(id="begins")
        yield from super().compose_body()

    def compose_buttons(self) -> ComposeResult:
        """Offer to stay, to keep, to flatten; staying has the focus."""
        yield self.button("Stay", "n", "cancel")
        yield self.button("Keep and start", "k", "confirm", confirm=True)
        yield self.button("Flatten and start", "f", "flatten")

    def on_mount(self) -> None:
        """Say what begins."""
        super().on_mount()
        row = self.session_row
        self.query_one("#begins", Facts).show_facts(
            [
                (("begins  ", "dim"), (clean(self._path.name), "bold"), ("  ◌ PAPER", "accent")),
                (("        ", ""), (clean(self._parameters), "accent")),
                (("        ", ""), ("synthetic market, paper money; this console shows it", "dim")),
                (),
                (("ends    ", "dim"), (clean(row.name if row else self.session), "bold")),
            ]
        )
