"""The panel of the backtests screen: the backtest under the cursor."""

from __future__ import annotations

from typing import ClassVar

from tui.state.text import Line
from tui.widgets.panels import Panel


class BacktestPanel(Panel):
    """What is run, how it stands, what it brought, and what can be done."""

    every: ClassVar[int] = 2
    backtest_id: str | None = None

    def make_lines(self, width: int, height: int) -> tuple[Line, ...]:
        """Return the backtest's figures."""
        detail = self.console.engine.backtest(self.backtest_id) if self.backtest_id else None
        if detail is None:
            return (((" No backtest is selected. n runs one.", "dim"),),)
        from tui.state.backtest_text import panel_lines

        return panel_lines(detail, width, height)
