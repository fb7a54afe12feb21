"""Jump: a letter on every panel that can have the focus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.geometry import Region
from textual.screen import ModalScreen

from tui.actions import Scope, bindings_for
from tui.widgets.painted import Painted

LETTERS: Final = "asdfghjklwertyuiopzxcvbnm"
"""The home row first; without q, which closes."""


class JumpScreen(ModalScreen[int | None]):
    """Lies over a screen whose panels fill *regions*; ends with the place of one, or None."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for(Scope.OVERLAY)
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.OVERLAY,)
    DEFAULT_CSS = """
    JumpScreen { background: transparent; }
    JumpScreen Painted { position: absolute; width: 3; height: 1; }
    """

    def __init__(self, regions: Sequence[Region]) -> None:
        super().__init__()
        self._regions = tuple(regions)[: len(LETTERS)]

    def compose(self) -> ComposeResult:
        """Put each letter on the upper left corner of its panel."""
        for letter, region in zip(LETTERS, self._regions, strict=False):
            label = Painted()
            label.styles.offset = (region.x, region.y)
            label.show_lines([((f" {letter} ", "chip"),)])
            yield label

    def on_key(self, event: events.Key) -> None:
        """Go to the panel of the letter; another letter only closes."""
        if event.character is None or not event.character.isalpha() or event.character == "q":
            return
        event.stop()
        place = LETTERS.find(event.character)
        _ = self.dismiss(place if 0 <= place < len(self._regions) else None)

    def action_close(self) -> None:
        """Go nowhere."""
        _ = self.dismiss(None)
