"""How a run is watched and stopped: cancellation within one bar, progress at most 10/s."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from engine.live.clock import SystemClock
from engine.model.clock import SECOND_NS

PROGRESS_INTERVAL_NS: Final = SECOND_NS // 10
COMPILING: Final = "compiling"
"""Status while kernels are compiled, before the first bar."""
COLLECTING: Final = "collecting"
"""Status when the bars are over and the result is being made."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is (COORD-4); ``now_ns`` is simulated time."""

    bars_done: int = 0
    bars_total: int = 0
    now_ns: int = 0
    equity_atoms: int = 0
    fills: int = 0
    elapsed_s: float = 0.0
    status: str = "running"
    events: int = 0
    errors: int = 0

    @property
    def bars_per_second(self) -> float | None:
        """Return the speed so far, None at the start."""
        return self.bars_done / self.elapsed_s if self.elapsed_s > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Return the time left at this speed, None when it cannot be told."""
        speed = self.bars_per_second
        if not speed:
            return None
        return max(0, self.bars_total - self.bars_done) / speed


Listener = Callable[[Progress], None]


class RunControl:
    """Shared by a run and whoever watches it; a flag and a reference, so it needs no lock.

    ``is_cancelled`` may be set from any thread; the run reads it before every bar. ``progress`` is
    replaced as a whole, at most ten times a second, and never goes back. ``is_collecting`` says
    that the bars are over and the result is being made: nobody's code runs any more.
    """

    __slots__ = (
        "_clock",
        "_due_ns",
        "_listener",
        "_started_ns",
        "is_cancelled",
        "is_collecting",
        "progress",
    )

    def __init__(
        self, *, listener: Listener | None = None, clock: SystemClock | None = None
    ) -> None:
        self._clock = clock or SystemClock()
        self._listener = listener
        self._started_ns = self._clock.monotonic_ns()
        self._due_ns = 0
        self.is_cancelled = False
        self.is_collecting = False
        self.progress = Progress(status="waiting")

    def cancel(self) -> None:
        """Ask the run to end; idempotent."""
        self.is_cancelled = True

    def restart_clock(self) -> None:
        """Count the time from now on."""
        self._started_ns = self._clock.monotonic_ns()

    @property
    def is_due(self) -> bool:
        """Whether the last report is long enough ago for another."""
        return self._clock.monotonic_ns() >= self._due_ns

    def report(
        self,
        *,
        bars_done: int,
        bars_total: int,
        now_ns: int,
        equity_atoms: int,
        fills: int,
        events: int = 0,
        errors: int = 0,
    ) -> None:
        """Take how far the run is, unless the last report was just before."""
        monotonic_ns = self._clock.monotonic_ns()
        if monotonic_ns < self._due_ns or bars_done < self.progress.bars_done:
            return
        self._due_ns = monotonic_ns + PROGRESS_INTERVAL_NS
        self._publish(
            Progress(
                bars_done,
                bars_total,
                now_ns,
                equity_atoms,
                fills,
                (monotonic_ns - self._started_ns) / SECOND_NS,
                events=events,
                errors=errors,
            )
        )

    def begin_compiling(self) -> None:
        """Tell that nothing moves because kernels are being compiled, the first time only."""
        self._publish(replace(self.progress, status=COMPILING))

    def begin_collecting(self, progress: Progress | None = None) -> None:
        """Tell that the bars are over, at *progress*, and that the result is being made."""
        self.is_collecting = True
        self._publish(replace(progress or self.progress, status=COLLECTING))

    def finish(self, progress: Progress) -> None:
        """Publish the last state, whenever the one before was."""
        self._publish(progress)

    def elapsed_s(self) -> float:
        """Return the seconds since the start."""
        return (self._clock.monotonic_ns() - self._started_ns) / SECOND_NS

    def _publish(self, progress: Progress) -> None:
        self.progress = progress
        if self._listener is not None:
            self._listener(progress)
