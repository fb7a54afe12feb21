"""Two notices that take the place of a layout: too small a terminal, an engine in trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.formatting import format_duration, wrap_words
from tui.state.console import ConsoleState
from tui.state.text import Line
from tui.widgets.painted import Painted

if TYPE_CHECKING:
    from engine.api.views import HealthView

MIN_WIDTH: Final = 80
MIN_HEIGHT: Final = 24
SILENT_AFTER_S: Final = 3.0
"""How long a running engine may publish nothing before the console says so."""


def too_small_lines(width: int, height: int, box_width: int) -> tuple[Line, ...]:
    """Return the sentence about a terminal of *width* x *height*, wrapped to *box_width*."""
    text = (
        f"This terminal is {width}x{height}. quarterdeck needs at least "
        f"{MIN_WIDTH}x{MIN_HEIGHT}: enlarge it or use a smaller font. The engine goes on; q quits."
    )
    return ((), *(((f" {row}", "warn"),) for row in wrap_words(text, box_width - 2)))


def trouble_text(health: HealthView, now_s: float) -> str:
    """Return what is wrong with the engine at the monotonic time *now_s*; empty if nothing is."""
    if health.state.value == "faulted":
        return f" ⚠ Engine fault: {health.message} q quits."
    if health.state.value != "running" or health.beat_ns is None:
        return ""
    silent_s = now_s - health.beat_ns / 1_000_000_000
    if silent_s <= SILENT_AFTER_S:
        return ""
    return (
        f" ⚠ The engine has not answered for {format_duration(float(int(silent_s)))}: "
        f"figures are old, commands wait. q quits."
    )


class TooSmall(Painted):
    """Shown instead of the layout below 80x24."""

    DEFAULT_CSS = """
    TooSmall { display: none; height: 1fr; }
    """

    def on_resize(self) -> None:
        """Say the new size."""
        size = self.app.size
        self.show_lines(too_small_lines(size.width, size.height, self.size.width))


class FaultBar(Painted):
    """A full-width line while the engine has a fault or does not answer."""

    DEFAULT_CSS = """
    FaultBar { height: 1; width: 100%; display: none; }
    """

    def __init__(self, console: ConsoleState) -> None:
        super().__init__()
        self._shared = console

    def pull(self) -> None:
        """Show or hide the line."""
        text = trouble_text(self._shared.engine.health(), self._shared.clock())
        if text:
            self.show_lines([((text.ljust(self.app.size.width), "alarm"),)])
        self.display = bool(text)
