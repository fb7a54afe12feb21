"""What is written together or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from engine.store.records import (
    AuditRecord,
    BacktestRecord,
    EquityRecord,
    ExecutorRecord,
    FillRecord,
    JournalEntry,
    OrderRecord,
    PerformanceRecord,
    PositionRecord,
    SessionRecord,
    SessionUpdate,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreBatch:
    """Rows of one transaction.

    Journal entries and audit records are appended. Fills are inserted once for each `(session_id,
    fill_id)`; a repeated one is ignored. Everything else is inserted or, if its key is there,
    replaced. `new_sessions` are inserted before anything else; `sessions` must exist then. What is
    `adopted` is copied next: rows that are there already stay as they are.
    """

    new_sessions: tuple[SessionRecord, ...] = ()
    sessions: tuple[SessionUpdate, ...] = ()
    journal: tuple[JournalEntry, ...] = ()
    executors: tuple[ExecutorRecord, ...] = ()
    orders: tuple[OrderRecord, ...] = ()
    fills: tuple[FillRecord, ...] = ()
    positions: tuple[PositionRecord, ...] = ()
    equity: tuple[EquityRecord, ...] = ()
    performance: tuple[PerformanceRecord, ...] = ()
    audit: tuple[AuditRecord, ...] = ()
    backtests: tuple[BacktestRecord, ...] = ()
    adopted: tuple[tuple[str, str], ...] = ()
    """(from, to): the rows of one session with which another one, that goes on with it, begins."""

    @property
    def row_count(self) -> int:
        """Return the number of records in the batch."""
        return sum(
            map(
                len,
                (
                    self.new_sessions,
                    self.sessions,
                    self.journal,
                    self.executors,
                    self.orders,
                    self.fills,
                    self.positions,
                    self.equity,
                    self.performance,
                    self.audit,
                    self.backtests,
                    self.adopted,
                ),
            )
        )
