"""The frame of an overlay that only shows or chooses: no command comes out of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget

from tui.actions import Scope, bindings_for
from tui.state.console import ConsoleState
from tui.widgets.top_bar import TopBar

ResultT = TypeVar("ResultT")


class Overlay(ModalScreen[ResultT], Generic[ResultT]):
    """A box in the middle under the top bar; escape and q close it."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.OVERLAY)
    DEFAULT_CSS = """
    Overlay { align: center middle; background: $background 60%; }
    Overlay > .overlay-box {
        width: 88; max-width: 100%; height: 80%; background: $surface;
        border: round $primary; border-title-color: $primary; border-title-style: bold;
        border-subtitle-color: $muted;
    }
    Overlay LiveTable { background: $surface;
        scrollbar-background: $surface; scrollbar-background-hover: $surface;
        scrollbar-background-active: $surface; }
    """

    heading: ClassVar[str] = ""
    hint: ClassVar[str] = "esc closes"

    def __init__(self, console: ConsoleState) -> None:
        super().__init__()
        self.console = console

    def body(self) -> Iterable[Widget]:
        """Return what stands in the box."""
        return ()

    def compose(self) -> ComposeResult:
        """Put the body into the frame."""
        yield TopBar(self.console.engine, self.console.session or None)
        with Vertical(classes="overlay-box") as box:
            box.border_title = Content(f" {self.heading} ")
            box.border_subtitle = Content(f" {self.hint} ")
            yield from self.body()

    def action_close(self) -> None:
        """Close and choose nothing."""
        _ = self.dismiss(None)
