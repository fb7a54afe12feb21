"""The events of one executor, of all statuses or of one, over the screen of the counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual import on
from textual.content import Content
from textual.widget import Widget

from tui.modals.overlay import Overlay
from tui.state.console import ConsoleState
from tui.state.flow_event_source import FILTERS, FlowEventSource
from tui.widgets.live_table import LiveTable
from tui.widgets.safe import safe

if TYPE_CHECKING:
    from textual import events

_EVERY_S: Final = 0.5
_STEPS: Final = {"right_square_bracket": 1, "left_square_bracket": -1}


class FlowEventTable(LiveTable[Any]):
    """Events of one executor; asks the engine with each pull."""

    def __init__(self, source: FlowEventSource, console: ConsoleState) -> None:
        self.source = source
        super().__init__(source, title="", clock=console.clock, empty="No events.", id="events")

    @safe
    def pull(self) -> None:
        """Take the present events, then repaint."""
        self.source.pull()
        super().pull()


class FlowEventsScreen(Overlay[None]):
    """Lists events while it is open.

    Args:
        console: the shared view state.
        name: the executor.
    """

    hint: ClassVar[str] = "[ ] status · y copy · esc closes"
    DEFAULT_CSS = """
    FlowEventsScreen > .overlay-box { width: 94%; min-width: 78; }
    """

    def __init__(self, console: ConsoleState, name: str) -> None:
        super().__init__(console)
        self._name = name
        self._table = FlowEventTable(FlowEventSource(console, name), console)

    def body(self) -> Iterable[Widget]:
        """Return the list."""
        return (self._table,)

    def on_mount(self) -> None:
        """Show the newest, and go on looking."""
        self._show()
        if self.console.fps:
            self.set_interval(_EVERY_S, self._table.pull)

    def on_key(self, event: events.Key) -> None:
        """Show another status."""
        step = _STEPS.get(event.key)
        if step is not None:
            event.stop()
            source = self._table.source
            place = (FILTERS.index(source.status) + step) % len(FILTERS)
            source.status = FILTERS[place]
            self._show()

    @on(LiveTable.Copied)
    def _copied(self, event: LiveTable.Copied) -> None:
        event.stop()
        self.app.copy_to_clipboard(event.text)

    def _show(self) -> None:
        status = self._table.source.status or "all"
        frame = self.query_one(".overlay-box")
        frame.border_title = Content(f" Events of {self._name} ─ {status} ")
        self._table.pull()
