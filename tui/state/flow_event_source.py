"""The events of one executor as a table source: the newest first, of one status or of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.formatting import short_ids
from tui.state.columns import Column
from tui.state.console import ConsoleState
from tui.state.flow_text import STATUSES, status_role
from tui.state.list_source import ListSource
from tui.state.text import Span

if TYPE_CHECKING:
    from engine.api.views import FlowEventRow

FILTERS: Final = ("", *(status for status, _ in STATUSES))
"""What can be shown: all, or one status."""


class FlowEventSource(ListSource["FlowEventRow"]):
    """Events of the executor *name*."""

    def __init__(self, console: ConsoleState, name: str) -> None:
        self._console = console
        self._name = name
        self.status = ""
        super().__init__(
            noun="events",
            columns=(
                Column("time", "Made", 12, self._time, frozen=True),
                Column("status", "Status", 10, _status),
                Column("kind", "Kind", 12, lambda row: (row.kind, "bold"), rank=3),
                Column(
                    "subject",
                    "What",
                    30,
                    lambda row: (short_ids(row.subject), ""),
                    raw=lambda row: row.subject,
                ),
                Column("took", "Took", 8, _took, "right", rank=2),
                Column(
                    "outcome",
                    "Outcome",
                    20,
                    lambda row: (short_ids(row.outcome), "dim"),
                    rank=1,
                    flexible=True,
                    raw=lambda row: row.outcome,
                ),
            ),
            row_id=lambda row: row.id,
            text=lambda row: f"{row.status} {row.kind} {row.subject} {row.outcome}",
        )

    def pull(self) -> None:
        """Take the present events."""
        self.replace(self._console.engine.flow_events(self._name, self.status))

    def _time(self, row: FlowEventRow) -> Span:
        # Events are made at wall time, whatever the session's clock says.
        return (self._console.stamp(row.created_ns, None), "dim")


def _status(row: FlowEventRow) -> Span:
    return (row.status, status_role(row.status, 1))


def _took(row: FlowEventRow) -> Span:
    if row.duration_ms is None:
        return ("--", "dim")
    return (f"{row.duration_ms:,.1f}ms", "dim")
