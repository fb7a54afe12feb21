"""Trials as backtests: run the one under the cursor, then open it in the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from tui.state.console import ConsoleState
from tui.state.study_source import parameters_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.app import App

    from engine.api.backtest_views import BacktestRow
    from engine.api.commands import Command
    from engine.api.optimization_views import StudyDetail, TrialRow

_WITHOUT_RESULT: Final = frozenset({"failed", "cancelled"})


class TrialScreen(Protocol):
    """The screen that trials are opened from."""

    console: ConsoleState
    detail: StudyDetail

    @property
    def app(self) -> App[object]:
        """The app."""
        ...

    @property
    def is_current(self) -> bool:
        """Whether the screen is the one on show."""
        ...

    def why_not(self, action_id: str) -> str:
        """Return why an action is not possible now."""
        ...

    def say(self, text: str) -> None:
        """Answer in the key bar."""
        ...

    def submit(self, commands: Iterable[Command]) -> None:
        """Send commands and report how they end."""
        ...

    def show_problem(self, text: str) -> None:
        """Say that something failed."""
        ...


class TrialRuns:
    """Runs a trial at most once: its backtest is found again by its name."""

    def __init__(self, screen: TrialScreen) -> None:
        self._screen = screen
        self._awaited = ""

    def open(self, trial: TrialRow | None) -> None:
        """Open the backtest of *trial*; run it first if there is none."""
        screen = self._screen
        if trial is None:
            screen.say("There is no trial under the cursor.")
            return
        name = self.name_of(trial)
        found = self._find(name)
        if found is not None:
            self._show(found)
            return
        reason = screen.why_not("list.open")
        if reason:
            screen.say(reason)
            return
        from engine.api.commands import RunBacktest
        from engine.api.engine_errors import EngineError
        from engine.api.paper_file import trial_config

        detail = screen.detail
        try:
            config = trial_config(detail, trial)
        except EngineError as error:
            screen.show_problem(str(error))
            return
        self._awaited = name
        screen.submit([RunBacktest(config=config, base_dir=detail.base_dir, name=name)])
        screen.say(f"{name} {parameters_text(trial.parameters)} runs as a backtest: mode 7.")
        self.look()

    def name_of(self, trial: TrialRow) -> str:
        """Return what the backtest of *trial* is called."""
        return f"{self._screen.detail.row.id} #{trial.index}"

    def look(self) -> None:
        """Open the backtest that was asked for as soon as it is there."""
        if not self._awaited or not self._screen.is_current:
            return
        found = self._find(self._awaited)
        if found is not None:
            self._show(found)

    def _find(self, name: str) -> BacktestRow | None:
        rows = self._screen.console.engine.backtests()
        return next(
            (row for row in rows if row.name == name and row.status.value not in _WITHOUT_RESULT),
            None,
        )

    def _show(self, row: BacktestRow) -> None:
        from tui.screens.backtest_detail import BacktestDetailScreen

        self._awaited = ""
        _ = self._screen.app.push_screen(BacktestDetailScreen(self._screen.console, row.id))
