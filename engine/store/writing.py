"""Batches as SQL: one statement for each kind of record, run for many rows at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final, TypeAlias

from sqlalchemy import Executable, Table, bindparam, literal, literal_column, select, update
from sqlalchemy.dialects.sqlite import dialect, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store import tables
from engine.store.batch import StoreBatch
from engine.store.errors import StoreError
from engine.store.records import JournalEntry, SessionUpdate

_ROWS_AT_ONCE: Final = 100
"""Converting this many rows holds the loop for about two milliseconds."""
_JOURNAL_ROWS_AT_ONCE: Final = 1_000
"""Journal entries need no conversion."""

Record: TypeAlias = Any
"""A record of `engine.store.records`: its fields are the columns of its table."""


def _upsert(table: Table) -> Executable:
    statement = insert(table)
    keys = [column.name for column in table.primary_key]
    return statement.on_conflict_do_update(
        index_elements=keys,
        set_={
            column.name: statement.excluded[column.name]
            for column in table.columns
            if column.name not in keys
        },
    )


_UPDATE_FIELDS: Final = tuple(
    entry.name for entry in fields(SessionUpdate) if entry.name != "session_id"
)
_UPDATE_SESSION: Final = (
    update(tables.session)
    .where(tables.session.c.session_id == bindparam("key"))
    .values({name: bindparam(name) for name in _UPDATE_FIELDS})
)
_APPEND_JOURNAL: Final = str(insert(tables.journal).compile(dialect=dialect()))
_journal_row: Final = attrgetter(*(entry.name for entry in fields(JournalEntry)))

_INSERT_SESSION: Final = insert(tables.session)
_UPSERT_EXECUTOR: Final = _upsert(tables.executor)
_UPSERT_ORDER: Final = _upsert(tables.order)
_INSERT_FILL: Final = insert(tables.fill).on_conflict_do_nothing()
_UPSERT_POSITION: Final = _upsert(tables.position)
_UPSERT_EQUITY: Final = _upsert(tables.equity)
_UPSERT_PERFORMANCE: Final = _upsert(tables.performance)
_APPEND_AUDIT: Final = insert(tables.audit)
_UPSERT_BACKTEST: Final = _upsert(tables.backtest)
_CAUSED: Final = (
    tables.executor,
    tables.order,
    tables.fill,
    tables.position,
    tables.equity,
    tables.performance,
)


async def write_batch(connection: AsyncConnection, batch: StoreBatch) -> None:
    """Write *batch* inside the transaction of *connection*.

    Raises:
        StoreError: a session to be updated does not exist.
        sqlalchemy.exc.SQLAlchemyError: the database refused a row.
        OverflowError: a whole number exceeds 64 bits.
    """
    await _execute(connection, _INSERT_SESSION, batch.new_sessions)
    for old_id, new_id in batch.adopted:
        await _adopt(connection, old_id, new_id)
    await _append_journal(connection, batch.journal)
    await _execute(connection, _UPSERT_EXECUTOR, batch.executors)
    await _execute(connection, _UPSERT_ORDER, batch.orders)
    await _execute(connection, _INSERT_FILL, batch.fills)
    await _execute(connection, _UPSERT_POSITION, batch.positions)
    await _execute(connection, _UPSERT_EQUITY, batch.equity)
    await _execute(connection, _UPSERT_PERFORMANCE, batch.performance)
    await _execute(connection, _APPEND_AUDIT, batch.audit)
    await _execute(connection, _UPSERT_BACKTEST, batch.backtests)
    for change in batch.sessions:
        await _update_session(connection, change)


async def _adopt(connection: AsyncConnection, old_id: str, new_id: str) -> None:
    """Copy what the inputs of a session have caused; journal and audit stay where they are."""
    for table in _CAUSED:
        names = [column.name for column in table.columns]
        values = [literal(new_id) if name == "session_id" else table.c[name] for name in names]
        rows = select(*values).where(table.c.session_id == old_id)
        if table.dialect_options["sqlite"]["with_rowid"]:
            rows = rows.order_by(literal_column("rowid"))
        await connection.execute(
            insert(table).from_select(names, rows).on_conflict_do_nothing(),
        )


async def _execute(
    connection: AsyncConnection, statement: Executable, records: Sequence[Record]
) -> None:
    for rows in _chunks(records, _ROWS_AT_ONCE):
        await connection.execute(statement, [_row_of(record) for record in rows])


def _row_of(record: Record) -> dict[str, Any]:
    return {entry.name: getattr(record, entry.name) for entry in fields(record)}


async def _append_journal(connection: AsyncConnection, entries: Sequence[JournalEntry]) -> None:
    for rows in _chunks(entries, _JOURNAL_ROWS_AT_ONCE):
        await connection.exec_driver_sql(_APPEND_JOURNAL, list(map(_journal_row, rows)))


async def _update_session(connection: AsyncConnection, change: SessionUpdate) -> None:
    row = _row_of(change)
    row["key"] = row.pop("session_id")
    result = await connection.execute(_UPDATE_SESSION, row)
    if result.rowcount != 1:
        raise StoreError(
            f"session {change.session_id} is not in the store; create it before it is updated",
            details={"session_id": change.session_id},
        )


def _chunks(records: Sequence[Record], size: int) -> Iterator[Sequence[Record]]:
    for start in range(0, len(records), size):
        yield records[start : start + size]
