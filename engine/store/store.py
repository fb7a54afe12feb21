"""The store of one data directory: every session, its journal and what came of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

import anyio
from anyio import to_thread

from engine.store.batch import StoreBatch
from engine.store.data_dir import prepare_data_dir
from engine.store.database_file import DATABASE_NAME, SCHEMA_VERSION, inspect_database
from engine.store.lock import DataDirLock
from engine.store.maintenance import StoreFigures, maintain
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
    SessionStatus,
    SessionUpdate,
)

if TYPE_CHECKING:
    from engine.store.database import Database

JOURNAL_PAGE: Final = 2_000
"""Journal entries that one call returns unless it asks for fewer or more."""
_INTERRUPTED: Final = "the process ended without stopping the session"


class Store:
    """Writes and reads the records of one data directory.

    Made by `open`; belongs to the event loop that opened it. Every write is one transaction, and
    is finished even if its caller is cancelled meanwhile. Reads see what is committed and never
    hold up a write.
    """

    def __init__(self, database: Database, *, interrupted: tuple[str, ...]) -> None:
        self._database = database
        self.interrupted = interrupted
        """Sessions that an earlier process left unfinished, found when the store was opened."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, data_dir: Path, *, now_ns: int, synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    ) -> AsyncIterator[Self]:
        """Lock *data_dir*, open its database, create or upgrade it if needed; close at the end.

        Sessions that are not over are marked as interrupted: their process is gone, since the lock
        is ours. FULL survives loss of power, NORMAL may lose the last commits then; neither loses
        anything when the process is killed.

        Raises:
            StoreInUseError: another process works on the directory.
            StoreError: the directory or the database cannot be used.
        """
        directory = await to_thread.run_sync(prepare_data_dir, data_dir)
        lock = await to_thread.run_sync(DataDirLock.acquire, directory)
        try:
            path = directory / DATABASE_NAME
            database_type = await to_thread.run_sync(_make_ready, path)
            async with database_type.open(path, synchronous=synchronous) as database:
                yield cls(database, interrupted=await _mark_interrupted(database, now_ns))
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(lock.release)

    @property
    def write_ms(self) -> float | None:
        """Return the median time of the last commits in milliseconds; None before the first."""
        return self._database.write_ms

    async def write(self, batch: StoreBatch) -> None:
        """Write all of *batch* in one transaction and return when it is committed.

        Raises:
            StoreWriteError: nothing of it was written.
        """
        if batch.row_count:
            await self._database.write(batch)

    async def create_session(self, session: SessionRecord, *, adopts: str = "") -> None:
        """Write a new session; with *adopts* it begins with the rows of that session.

        Raises:
            StoreWriteError: there is one with its id, or the database refused the row.
        """
        adopted = ((adopts, session.session_id),) if adopts else ()
        await self.write(StoreBatch(new_sessions=(session,), adopted=adopted))

    async def update_session(self, update: SessionUpdate) -> None:
        """Write where a session stands.

        Raises:
            StoreWriteError: there is no such session, or the database refused the row.
        """
        await self.write(StoreBatch(sessions=(update,)))

    async def end_session(self, update: SessionUpdate) -> None:
        """Write how a session ended: with a final status and an end.

        Raises:
            ValueError: the status of *update* is not final, or it has no end.
            StoreWriteError: there is no such session, or the database refused the row.
        """
        if not update.status.is_final or update.ended_ns is None:
            raise ValueError(
                f"session {update.session_id} cannot end as {update.status} at {update.ended_ns}: "
                "an end needs a final status and a time"
            )
        await self.update_session(update)

    async def maintain(self) -> StoreFigures:
        """Copy the write-ahead log into the database and renew its statistics, in a thread.

        Raises:
            StoreError: it could not be done; nothing is lost by that.
        """
        return await to_thread.run_sync(maintain, self._database.path)

    async def sessions(self) -> tuple[SessionRecord, ...]:
        """Return all sessions, the newest first."""
        return await self._database.read(SessionRecord)

    async def executors(self, session_id: str) -> tuple[ExecutorRecord, ...]:
        """Return the executors of a session in the order of their creation."""
        return await self._database.read(ExecutorRecord, session_id)

    async def orders(self, session_id: str) -> tuple[OrderRecord, ...]:
        """Return the orders of a session in the order of their creation."""
        return await self._database.read(OrderRecord, session_id)

    async def fills(self, session_id: str) -> tuple[FillRecord, ...]:
        """Return the fills of a session in the order of their time, then of their arrival."""
        return await self._database.read(FillRecord, session_id)

    async def positions(self, session_id: str) -> tuple[PositionRecord, ...]:
        """Return the positions of a session by connector and pair."""
        return await self._database.read(PositionRecord, session_id)

    async def equity(self, session_id: str) -> tuple[EquityRecord, ...]:
        """Return the equity samples of a session, the oldest first."""
        return await self._database.read(EquityRecord, session_id)

    async def performance(self, session_id: str) -> tuple[PerformanceRecord, ...]:
        """Return the performance samples of a session by controller, the oldest first."""
        return await self._database.read(PerformanceRecord, session_id)

    async def audit(self, session_id: str | None = None) -> tuple[AuditRecord, ...]:
        """Return the audit records of a session, or all, in the order they were written."""
        return await self._database.read(AuditRecord, session_id)

    async def backtests(self) -> tuple[BacktestRecord, ...]:
        """Return the finished backtests, the newest first."""
        return await self._database.read(BacktestRecord)

    async def journal(
        self, session_id: str, *, after_seq: int = -1, limit: int = JOURNAL_PAGE
    ) -> tuple[JournalEntry, ...]:
        """Return the next *limit* entries of a session's journal behind *after_seq*."""
        return await self._database.read_journal(session_id, after_seq=after_seq, limit=limit)


def _make_ready(path: Path) -> type[Database]:
    """Check, create or upgrade the database; return the class that opens it.

    Runs in a thread, where the imports that take long do not hold up the loop.
    """
    version = inspect_database(path)
    if version < SCHEMA_VERSION:
        from engine.store.migrating import migrate

        migrate(path, version=version)
    from engine.store.database import Database

    return Database


async def _mark_interrupted(database: Database, now_ns: int) -> tuple[str, ...]:
    sessions = await database.read_unfinished()
    if sessions:
        await database.write(
            StoreBatch(
                sessions=tuple(_interrupted(session, now_ns) for session in sessions),
                audit=tuple(_interruption(session, now_ns) for session in sessions),
            )
        )
    return tuple(session.session_id for session in sessions)


def _interrupted(session: SessionRecord, now_ns: int) -> SessionUpdate:
    kept = {entry.name: getattr(session, entry.name) for entry in fields(SessionUpdate)}
    kept |= {
        "status": SessionStatus.INTERRUPTED,
        "ended_ns": session.updated_ns,  # the last sign of life; the end itself left none
        "updated_ns": now_ns,
        "reason": _INTERRUPTED,
    }
    return SessionUpdate(**kept)


def _interruption(session: SessionRecord, now_ns: int) -> AuditRecord:
    return AuditRecord(
        event_id=f"interrupted:{session.session_id}",
        kind="session.interrupted",
        actor="engine",
        target=session.session_id,
        session_id=session.session_id,
        requested_ns=now_ns,
        finished_ns=now_ns,
        status="completed",
        reason=_INTERRUPTED,
    )
