"""An open database: one connection that writes, a few that read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import anyio
from sqlalchemy import ColumnElement, Select, Table, literal_column, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.store import tables
from engine.store.batch import StoreBatch
from engine.store.connections import Synchronous, reading_engine, reason_of, writing_engine
from engine.store.database_file import damaged
from engine.store.group_commit import GroupWriter
from engine.store.records import JournalEntry, SessionRecord, SessionStatus

RecordT = TypeVar("RecordT")

_ROWS_AT_ONCE: Final = 100
"""Rows converted before other tasks of the loop get their turn."""
_CLOSE_SECONDS: Final = 10
_ARRIVAL: Final[ColumnElement[Any]] = literal_column("rowid")
_ORDER: Final[Mapping[Table, tuple[ColumnElement[Any], ...]]] = {
    tables.session: (tables.session.c.started_ns.desc(), _ARRIVAL.desc()),
    tables.executor: (tables.executor.c.created_ns, _ARRIVAL),
    tables.order: (tables.order.c.created_ns, _ARRIVAL),
    tables.fill: (tables.fill.c.ts_ns, _ARRIVAL),
    tables.audit: (tables.audit.c.seq,),
    tables.backtest: (tables.backtest.c.created_ns.desc(), _ARRIVAL.desc()),
}
"""Order of the rows of a table; the others are read in the order of their keys."""


class Database:
    """The database of an open store. Belongs to the loop that opened it."""

    def __init__(self, *, path: Path, writer: GroupWriter, reader: AsyncEngine) -> None:
        self._path = path
        self._writer = writer
        self._reader = reader

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, synchronous: Synchronous) -> AsyncIterator[Self]:
        """Open the existing, current database *path*; close every connection at the end.

        Opening, reading and closing are not cut short by a cancellation: a driver that is
        interrupted half-way leaves its thread behind.
        """
        engine, reader = writing_engine(path, synchronous), reading_engine(path)
        try:
            with anyio.CancelScope(shield=True):
                connection = await _connect(engine, path)
            try:
                writer = GroupWriter(connection, name=str(path))
                yield cls(path=path, writer=writer, reader=reader)
            finally:
                with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
                    await connection.close()
        finally:
            with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
                await reader.dispose()
                await engine.dispose()

    @property
    def path(self) -> Path:
        """Return the database file."""
        return self._path

    @property
    def write_ms(self) -> float | None:
        """Return the median time of the last commits in milliseconds; None before the first."""
        return self._writer.median_ms

    async def write(self, batch: StoreBatch) -> None:
        """Return when *batch* is committed; see `GroupWriter.write`."""
        await self._writer.write(batch)

    async def read(
        self, record: type[RecordT], session_id: str | None = None
    ) -> tuple[RecordT, ...]:
        """Return the rows of *record*'s table, of one session or of all."""
        table = tables.TABLE_OF_RECORD[record]
        statement = _select(record).order_by(*_ORDER.get(table, tuple(table.primary_key)))
        if session_id is not None:
            statement = statement.where(table.c.session_id == session_id)
        return await self._fetch(record, statement)

    async def read_unfinished(self) -> tuple[SessionRecord, ...]:
        """Return the sessions whose status is not final."""
        final = [status for status in SessionStatus if status.is_final]
        statement = _select(SessionRecord).where(tables.session.c.status.not_in(final))
        return await self._fetch(SessionRecord, statement)

    async def read_journal(
        self, session_id: str, *, after_seq: int, limit: int
    ) -> tuple[JournalEntry, ...]:
        """Return at most *limit* entries behind *after_seq*."""
        columns = tables.journal.c
        statement = (
            _select(JournalEntry)
            .where(columns.session_id == session_id, columns.seq > after_seq)
            .order_by(columns.seq)
            .limit(limit)
        )
        return await self._fetch(JournalEntry, statement)

    async def _fetch(self, record: type[RecordT], statement: Select[Any]) -> tuple[RecordT, ...]:
        records: list[RecordT] = []
        with anyio.CancelScope(shield=True):
            try:
                async with self._reader.connect() as connection:
                    result = await connection.stream(statement)
                    async for rows in result.mappings().partitions(_ROWS_AT_ONCE):
                        records.extend(record(**row) for row in rows)
            except SQLAlchemyError as error:
                raise damaged(self._path, reason_of(error)) from error
        return tuple(records)


async def _connect(engine: AsyncEngine, path: Path) -> AsyncConnection:
    try:
        return await engine.connect()
    except SQLAlchemyError as error:
        raise damaged(path, reason_of(error)) from error


def _select(record: type[Any]) -> Select[Any]:
    table = tables.TABLE_OF_RECORD[record]
    return select(*(table.c[entry.name] for entry in fields(record)))
