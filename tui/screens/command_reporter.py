"""Tells the operator how the commands sent from a screen ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Protocol

from textual.notifications import SeverityLevel

from tui.state.command_watch import CommandWatch
from tui.widgets.safe import safe

if TYPE_CHECKING:
    from engine.api.console import ConsoleEngine

_UNTIL_DISMISSED_S: Final = 3_600.0


class Speaker(Protocol):
    """The screen that speaks."""

    def say(self, text: str) -> None:
        """Answer in the key bar."""
        ...

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show a toast."""
        ...


class CommandReporter:
    """Watches commands for one screen. A failure is a toast that stays until it is dismissed."""

    def __init__(self, engine: ConsoleEngine, screen: Speaker) -> None:
        self._watch = CommandWatch(engine)
        self._screen = screen

    def watch(self, command_ids: Iterable[str]) -> None:
        """Report the outcomes of *command_ids*."""
        self._watch.add(command_ids)

    def sent(self, dialog: object, command_id: str) -> None:
        """Report what *dialog* sent: all of its commands, or the one that it returned."""
        self.watch(getattr(dialog, "command_ids", ()) or (command_id,))

    @safe
    def report(self) -> None:
        """Tell what has ended."""
        for outcome in self._watch.outcomes():
            self._screen.say(outcome.text)
            if not outcome.ok:
                self._screen.notify(
                    outcome.text, severity="error", timeout=_UNTIL_DISMISSED_S, markup=False
                )

    def show_problem(self, text: str) -> None:
        """Say that the engine could not be asked."""
        self._screen.say(f"⚠ {text}")
