"""What one input caused, as data: the shell records it and tells who asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.executors.actions import ActionResult
from engine.executors.archive import ArchivedExecutor
from engine.executors.performance import PerformanceReport
from engine.executors.step import Notice
from engine.model.instruments import ConnectorPair
from engine.model.orders import Fill, Order


@dataclass(slots=True)
class Effects:
    """Facts in the order in which they came about; a changed order is kept in its last form."""

    orders: dict[str, Order] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    executors: dict[str, None] = field(default_factory=dict)
    """Ids of executors whose stored state changed."""
    markets: dict[ConnectorPair, None] = field(default_factory=dict)
    """Markets whose position changed."""
    notices: list[Notice] = field(default_factory=list)
    results: list[tuple[str, ActionResult]] = field(default_factory=list)
    """(request id, result) of the actions that were asked for from outside."""
    actions: list[tuple[str, str, ActionResult]] = field(default_factory=list)
    """(controller id, verb, result) of the actions that controllers took by themselves."""
    archived: list[ArchivedExecutor] = field(default_factory=list)
    performance: dict[str, PerformanceReport] = field(default_factory=dict)
    """Performance samples by controller."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be recorded or answered: so it is with most quotes."""
        return not (
            self.orders
            or self.fills
            or self.executors
            or self.markets
            or self.notices
            or self.results
            or self.actions
            or self.archived
            or self.performance
        )
