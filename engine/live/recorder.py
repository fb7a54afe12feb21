"""Collects what a session's inputs caused, until it is written in one transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from engine.containers.effects import Effects
from engine.containers.session_container import SessionContainer
from engine.executors.base import ExecutorBase
from engine.executors.step import Level, Notice
from engine.live.equity_curve import EquityCurve
from engine.live.executor_gallery import ExecutorGallery
from engine.live.executor_writes import ExecutorWrites
from engine.live.store_rows import (
    equity_record,
    executor_record,
    fill_record,
    order_record,
    performance_record,
    position_record,
)
from engine.model.clock import SECOND_NS
from engine.model.orders import Fill, Order
from engine.store.batch import StoreBatch
from engine.store.journal_hash import JournalHash
from engine.store.records import (
    AuditRecord,
    EquityRecord,
    ExecutorRecord,
    JournalEntry,
    PerformanceRecord,
    SessionStatus,
    SessionUpdate,
)

ORDERS_KEPT: Final = 2000
FILLS_KEPT: Final = 2000
STORED_EQUITY_INTERVAL_NS: Final = 60 * SECOND_NS
_KEPT: Final = ("orders", "fills", "fill_count", "alerts", "_equity_due_ns", "_executor_writes")
"""What a recorder knows of the past, beside the gallery of executors."""


class Recorder:
    """Turns effects into rows, and keeps the newest orders and fills for the console.

    The journal's sequence and hash live here: an entry is counted when it is handed over for
    writing, before its input reaches the core.
    """

    def __init__(
        self,
        *,
        session_id: str,
        container: SessionContainer,
        notify: Callable[[Notice], None],
        wall_ns: Callable[[], int],
    ) -> None:
        self._session_id = session_id
        self._container = container
        self._notify = notify
        self._wall_ns = wall_ns
        self._hash = JournalHash()
        self._pending = Effects()
        self._archived: dict[str, ExecutorBase] = {}
        """Archived since the last batch: the orchestrator may have forgotten them by then."""
        self._executor_writes = ExecutorWrites()
        self._audit: list[AuditRecord] = []
        self._equity_samples: list[EquityRecord] = []
        self._performance_samples: list[PerformanceRecord] = []
        self._equity_due_ns = 0
        self.status = SessionStatus.RUNNING
        self.reason = ""
        self.inputs = 0
        self.fill_count = 0
        self.orders: dict[str, Order] = {}
        self.fills: deque[Fill] = deque(maxlen=FILLS_KEPT)
        self.equity = EquityCurve(interval_ns=SECOND_NS)
        self.gallery = ExecutorGallery(container.orchestrator.find)
        self.alerts = 0

    @property
    def journal_hash(self) -> str:
        """Return the hash of all inputs so far."""
        return self._hash.hexdigest()

    def record(self, effects: Effects) -> None:
        """Take what one input caused."""
        self._sample_equity()
        if effects.is_empty:
            return
        now_ns = self._container.clock.now_ns()
        pending = self._pending
        pending.orders.update(effects.orders)
        pending.fills.extend(effects.fills)
        pending.executors.update(effects.executors)
        pending.markets.update(effects.markets)
        self._performance_samples += [
            performance_record(self._session_id, controller_id, report, now_ns=now_ns)
            for controller_id, report in effects.performance.items()
        ]
        self.fill_count += len(effects.fills)
        self.fills.extend(effects.fills)
        for order_id, order in effects.orders.items():
            self.orders.pop(order_id, None)
            self.orders[order_id] = order
        self.gallery.note(effects.executors)
        for archived in effects.archived:
            self._archive(archived.executor)
        for notice in effects.notices:
            self.alerts += notice.level in ("warning", "error")
            self._notify(notice)

    def adopt(self, effects: Effects) -> None:
        """Take what an input of an earlier life caused; its notices have been given then."""
        effects.notices.clear()
        effects.actions.clear()
        self.record(effects)

    def kept(self) -> dict[str, object]:
        """Return what a recorder of the same container needs to go on from here.

        Only while nothing waits to be written: between a batch and the next input.

        Raises:
            RuntimeError: something waits.
        """
        waits = (self._archived, self._equity_samples, self._performance_samples)
        if any(waits) or not self._pending.is_empty:
            raise RuntimeError("effects wait to be written")
        return {name: getattr(self, name) for name in _KEPT} | {"gallery": self.gallery.kept()}

    def go_on(self, kept: Mapping[str, Any]) -> None:
        """Take up what `kept` of an earlier life's recorder has returned."""
        for name in _KEPT:
            setattr(self, name, kept[name])
        self.gallery.go_on(kept["gallery"])

    def tell(self, level: Level, text: str) -> None:
        """Pass on a notice of the shell, stamped with the session's time."""
        self.alerts += level in ("warning", "error")
        self._notify(Notice(self._container.clock.now_ns(), level, "", text))

    def add_audit(self, record: AuditRecord) -> None:
        """Take a record of the audit trail for the next transaction."""
        self._audit.append(record)

    def sample_equity(self, now_ns: int) -> None:
        """Take a sample of the equity if it is time."""
        self.equity.add(now_ns, float(self._container.portfolio.account_snapshot().equity))

    def take_batch(self, entries: Iterable[tuple[int, str, str]]) -> StoreBatch:
        """Return what is to be written now: new journal *entries*, and the effects so far."""
        journal = tuple(self._journal_entry(*entry) for entry in entries)
        effects, self._pending = self._pending, Effects()
        archived, self._archived = self._archived, {}
        audit, self._audit = tuple(self._audit), []
        equity, self._equity_samples = tuple(self._equity_samples), []
        performance, self._performance_samples = tuple(self._performance_samples), []
        self._forget_done_orders()
        session_id = self._session_id
        container = self._container
        now_ns = container.clock.now_ns()
        instrument_of = container.data_handler.instrument
        held = container.held_lots() if effects.markets else {}
        return StoreBatch(
            sessions=(self._session_update(),),
            journal=journal,
            executors=tuple(self._executor_records(effects, archived, now_ns)),
            orders=tuple(
                order_record(session_id, order, instrument_of(order.request.market))
                for order in effects.orders.values()
            ),
            fills=tuple(
                fill_record(session_id, fill, instrument_of(fill.market)) for fill in effects.fills
            ),
            positions=tuple(
                position_record(
                    session_id,
                    position,
                    held=instrument_of(market).qty(held.get((market, position.side), 0)),
                    now_ns=now_ns,
                )
                for market in effects.markets
                for position in container.portfolio.position_snapshots(market)
            ),
            equity=equity,
            performance=performance,
            audit=audit,
        )

    def finish(self, status: SessionStatus, reason: str) -> None:
        """Let the next batch say that the session is over, and what it leaves."""
        self.status = status
        self.reason = reason
        for position in self._container.portfolio.account_snapshot().positions:
            if position.net_lots:
                # Its row is as old as its last fill: mark, result and holder have changed since.
                self._pending.markets[position.market] = None

    def _sample_equity(self) -> None:
        """Take a sample for the store if it is time, at the same instants at any pace."""
        now_ns = self._container.clock.now_ns()
        if now_ns >= self._equity_due_ns:
            self._equity_due_ns = now_ns + STORED_EQUITY_INTERVAL_NS
            account = self._container.portfolio.account_snapshot()
            self._equity_samples.append(equity_record(self._session_id, account, now_ns=now_ns))

    def _archive(self, executor: ExecutorBase) -> None:
        snapshot = executor.snapshot()
        self._pending.executors[snapshot.id] = None
        self._archived[snapshot.id] = executor
        self.gallery.archive(snapshot)

    def _executor_records(
        self, effects: Effects, archived: Mapping[str, ExecutorBase], now_ns: int
    ) -> Iterator[ExecutorRecord]:
        orchestrator = self._container.orchestrator
        for executor_id in self._executor_writes.candidates(effects.executors):
            executor = archived.get(executor_id) or orchestrator.find(executor_id)
            is_last = self.status.is_final or executor_id in archived
            if executor is not None and (is_last or self._executor_writes.is_due(executor, now_ns)):
                yield executor_record(
                    self._session_id,
                    executor,
                    self._container.data_handler.quote(executor.snapshot().market),
                    now_ns=now_ns,
                    is_archived=executor_id in archived or self.gallery.is_archived(executor_id),
                )

    def _journal_entry(self, ts_ns: int, kind: str, payload: str) -> JournalEntry:
        entry = JournalEntry(self._session_id, self.inputs, ts_ns, kind, payload)
        self.inputs += 1
        self._hash.update(entry)
        return entry

    def _session_update(self) -> SessionUpdate:
        container = self._container
        wall_ns = self._wall_ns()
        account = container.portfolio.account_snapshot()
        return SessionUpdate(
            session_id=self._session_id,
            status=self.status,
            updated_ns=wall_ns,
            ended_ns=wall_ns if self.status.is_final else None,
            equity=account.equity,
            realized_pnl=account.realised,
            unrealized_pnl=account.unrealised,
            fees=account.fees,
            executors=container.executor_count,
            orders=container.order_manager.total_count,
            fills=self.fill_count,
            inputs=self.inputs,
            journal_hash=self.journal_hash,
            reason=self.reason,
        )

    def _forget_done_orders(self) -> None:
        """Drop the oldest orders that are done, so that a session of weeks does not grow."""
        excess = len(self.orders) - ORDERS_KEPT
        if excess <= 0:
            return
        done = [key for key, order in self.orders.items() if not order.is_open][:excess]
        for order_id in done:
            del self.orders[order_id]
            self._container.forget_order(order_id)
