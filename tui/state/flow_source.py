"""Counts of the event executors as a table source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.state.columns import Column
from tui.state.console import ConsoleState
from tui.state.flow_text import STATUSES, status_role
from tui.state.list_source import ListSource
from tui.state.text import Span

if TYPE_CHECKING:
    from engine.api.views import FlowStateView


def _count_column(status: str, title: str) -> Column[FlowStateView]:
    def cell(row: FlowStateView) -> Span:
        count = row.counts.get(status, 0)
        return (f"{count:,}", status_role(status, count))

    return Column(status, title, 8, cell, "right")


class FlowSource(ListSource["FlowStateView"]):
    """One row for each event executor."""

    def __init__(self, console: ConsoleState) -> None:
        self._console = console
        name: Column[FlowStateView] = Column(
            "name", "Executor", 12, lambda row: (row.name, "bold"), frozen=True
        )
        super().__init__(
            noun="event executors",
            columns=(name, *(_count_column(status, short) for status, short in STATUSES)),
            row_id=lambda row: row.name,
            text=lambda row: row.name,
        )

    def pull(self) -> None:
        """Take the present counts."""
        self.replace(self._console.engine.flow_states())
