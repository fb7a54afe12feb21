"""Past and running sessions for another process: no lock, no writing, no database code to load."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from engine.store.database_file import DATABASE_NAME, damaged, read_version
from engine.store.decimal_text import from_text
from engine.store.lock import find_holder
from engine.store.records import SessionRecord, SessionStatus

_CONVERTERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "status": SessionStatus,
    "seed": int,
    "initial_equity": from_text,
    "equity": from_text,
    "realized_pnl": from_text,
    "unrealized_pnl": from_text,
    "fees": from_text,
}


def list_sessions(data_dir: Path) -> tuple[SessionRecord, ...]:
    """Return the sessions of *data_dir*, the newest first; none if it has no database yet.

    Works beside an engine that is writing. A session that is not over counts as interrupted when
    no living process holds the directory. Blocks.

    Raises:
        StoreError: the database is damaged, foreign, or of a newer version.
    """
    path = data_dir.absolute() / DATABASE_NAME
    if not path.exists():
        return ()
    names = [entry.name for entry in fields(SessionRecord)]
    address = f"file:{quote(str(path))}?mode=ro"
    if _is_at_rest(path):
        address += "&immutable=1"  # else SQLite wants to make a -shm file beside it
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            if not read_version(connection, path):
                return ()
            rows = connection.execute(
                f"SELECT {', '.join(names)} FROM session ORDER BY started_ns DESC, rowid DESC"  # noqa: S608 (names of our own fields)
            ).fetchall()
    except (sqlite3.Error, OSError) as error:
        raise damaged(path, str(error)) from error
    sessions = (_record(dict(zip(names, row, strict=True))) for row in rows)
    if find_holder(data_dir) is not None:
        return tuple(sessions)
    return tuple(_as_interrupted(session) for session in sessions)


def _is_at_rest(path: Path) -> bool:
    """Return whether nobody can write beside *path* and nothing waits in a log."""
    log = path.with_name(f"{path.name}-wal")
    return not os.access(path.parent, os.W_OK) and not log.exists()


def _record(row: dict[str, Any]) -> SessionRecord:
    return SessionRecord(
        **{
            name: _CONVERTERS[name](value) if name in _CONVERTERS else value
            for name, value in row.items()
        }
    )


def _as_interrupted(session: SessionRecord) -> SessionRecord:
    if session.status.is_final:
        return session
    return replace(session, status=SessionStatus.INTERRUPTED, ended_ns=session.updated_ns)
