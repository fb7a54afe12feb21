"""Engines over the database file: pragmas, the way transactions begin, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

Synchronous: TypeAlias = Literal["NORMAL", "FULL"]
"""FULL survives loss of power; NORMAL may lose the last commits then, but none to a kill."""

_WAL_LIMIT_BYTES = 64 * 1024 * 1024
_BUSY_MS = 5000


def writing_engine(path: Path, synchronous: Synchronous) -> AsyncEngine:
    """Return an engine with at most one connection, whose transactions lock at once."""
    engine = create_async_engine(_url(path, "rw"), pool_size=1, max_overflow=0)
    _set_up(engine.sync_engine, *_writing_pragmas(synchronous), begin="BEGIN IMMEDIATE")
    return engine


def reading_engine(path: Path) -> AsyncEngine:
    """Return an engine whose connections cannot write and see one snapshot per transaction."""
    engine = create_async_engine(_url(path, "ro"), pool_size=2, max_overflow=0)
    _set_up(engine.sync_engine, f"PRAGMA busy_timeout = {_BUSY_MS}", begin="BEGIN")
    return engine


def migrating_engine(path: Path) -> Engine:
    """Return a blocking engine for a migration; every commit reaches the disk."""
    engine = create_engine(_url(path, "rw", driver="pysqlite"), poolclass=NullPool)
    _set_up(engine, *_writing_pragmas("FULL"), begin="BEGIN IMMEDIATE")
    return engine


def reason_of(error: Exception) -> str:
    """Return what the database said, without the statement and its values."""
    return str(error.orig if isinstance(error, StatementError) and error.orig else error)


def _url(path: Path, mode: str, *, driver: str = "aiosqlite") -> URL:
    return URL.create(
        f"sqlite+{driver}",
        database=f"file:{quote(str(path))}",
        query={"mode": mode, "uri": "true"},
    )


def _writing_pragmas(synchronous: Synchronous) -> tuple[str, ...]:
    return (
        f"PRAGMA busy_timeout = {_BUSY_MS}",
        "PRAGMA journal_mode = WAL",
        f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}",
        f"PRAGMA synchronous = {synchronous}",
        "PRAGMA foreign_keys = ON",
    )


def _set_up(engine: Engine, *pragmas: str, begin: str) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:  # noqa: ANN401 (the driver's own type)
        # The driver would begin late and never IMMEDIATE; left alone, it does not begin at all.
        connection.isolation_level = None
        cursor = connection.cursor()
        try:
            for pragma in pragmas:
                cursor.execute(pragma)
        finally:
            cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
