"""The price ladder of one executor."""

from __future__ import annotations

from textual import events

from engine.api.views import ExecutorDetail
from tui.state.ladder_text import ladder_lines
from tui.widgets.painted import Painted


class Ladder(Painted):
    """Every barrier of an executor at its price, around the mark."""

    DEFAULT_CSS = """
    Ladder { height: 1fr; }
    """

    _detail: ExecutorDetail | None = None
    _now_ns: int | None = None

    def show_detail(self, detail: ExecutorDetail, now_ns: int | None) -> None:
        """Show the barriers of *detail* at the session's time *now_ns*."""
        self._detail, self._now_ns = detail, now_ns
        size = self.size
        if size.width and size.height:
            self.show_lines(
                ladder_lines(
                    detail.row, detail.barriers, now_ns, width=size.width, height=size.height
                )
            )

    def on_resize(self, _event: events.Resize) -> None:
        """Fill the new size."""
        if self._detail is not None:
            self.show_detail(self._detail, self._now_ns)
