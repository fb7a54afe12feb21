"""Lines in a dialog, as high as there are lines."""

from __future__ import annotations

from collections.abc import Sequence

from tui.state.text import Line
from tui.widgets.painted import Painted


class Facts(Painted):
    """A box of lines that takes the height it needs."""

    DEFAULT_CSS = """
    Facts { height: auto; }
    """

    def show_facts(self, lines: Sequence[Line]) -> None:
        """Show *lines* and take their height."""
        self.styles.height = len(lines)
        self.show_lines(lines)
