"""A backtest that runs somewhere else: how far it is, how to stop it, what came out (COORD)."""

from __future__ import annotations

from concurrent.futures import Future

from engine.backtest.control import Progress, RunControl
from engine.backtest.results import BacktestResult


class BacktestHandle:
    """Handle of a submitted backtest; every method may be called from any thread."""

    def __init__(self, handle_id: str, control: RunControl, future: Future[BacktestResult]) -> None:
        self.id = handle_id
        self._control = control
        self._future = future

    @property
    def is_done(self) -> bool:
        """Whether the result, or the error, is there."""
        return self._future.done()

    def progress(self) -> Progress:
        """Return how far it is; never goes back."""
        return self._control.progress

    def cancel(self) -> None:
        """Ask it to end within one bar or 100 ms; its result is partial (COORD-3)."""
        self._control.cancel()

    def result(self, timeout: float | None = None) -> BacktestResult:
        """Wait for the result.

        Raises:
            EngineError: the run failed.
            TimeoutError: it is not there within *timeout* seconds.
        """
        return self._future.result(timeout)
