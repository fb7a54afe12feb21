"""The database as a file: its identity, its schema version, its health before it is opened."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Final

from engine.store.data_dir import FILE_MODE
from engine.store.errors import StoreError

DATABASE_NAME: Final = "quarterdeck.db"
APPLICATION_ID: Final = 0x51_44_43_4B
"""`QDCK` in the file's header says whose database it is."""
SCHEMA_VERSION: Final = 4
"""Number of the newest migration, kept in the file's header as `user_version`."""
_OLDEST_SQLITE: Final = (3, 37)  # the first one with STRICT tables


def inspect_database(path: Path) -> int:
    """Return the schema version of the database *path*; create an empty file if there is none.

    A file without tables has version 0. Blocks: call it in a thread, under the directory's lock.

    Raises:
        StoreError: it is damaged, foreign, open to other users, or of a newer version.
    """
    check_library(sqlite3.sqlite_version_info)
    try:
        _create_private(path)
        _check_private(path)
        with closing(sqlite3.connect(path)) as connection:
            version = read_version(connection, path)
            if version:
                _check_pages(connection, path)
    except (sqlite3.Error, OSError) as error:
        raise damaged(path, str(error)) from error
    return version


def read_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema version of the open database *path*; 0 if it has no tables yet.

    Raises:
        StoreError: the database belongs to another program or to a newer version of this one.
        sqlite3.Error: the file cannot be read.
    """
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables == 0 and application_id in {0, APPLICATION_ID}:
        return 0
    if application_id != APPLICATION_ID:
        raise StoreError(
            f"the database {path} belongs to another program; name another directory with "
            "--data-dir or move the file away",
            details={"path": str(path), "application_id": application_id},
        )
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"the database {path} was written by a newer quarterdeck: it has schema version "
            f"{version} and this one knows {SCHEMA_VERSION}; upgrade quarterdeck or name another "
            "directory with --data-dir",
            details={"path": str(path), "version": version, "known": SCHEMA_VERSION},
        )
    return int(version)


def check_library(version: tuple[int, ...]) -> None:
    """Refuse an SQLite library that cannot hold our tables.

    Raises:
        StoreError: *version* is too old.
    """
    if version < _OLDEST_SQLITE:
        raise StoreError(
            f"this Python comes with SQLite {'.'.join(map(str, version))}, quarterdeck needs "
            f"{'.'.join(map(str, _OLDEST_SQLITE))} or newer; use a newer Python build"
        )


def damaged(path: Path, finding: str) -> StoreError:
    """Return the error for a database that cannot be read."""
    return StoreError(
        f"the database {path} is damaged or cannot be read: {finding}; move {path.name}* out of "
        "its directory to start with an empty one, or put a backup in its place",
        details={"path": str(path), "finding": finding},
    )


def _create_private(path: Path) -> None:
    # SQLite gives its -wal and -shm files the mode of the database, so one mode covers all three.
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    except FileExistsError:
        return
    try:
        os.fchmod(descriptor, FILE_MODE)
    finally:
        os.close(descriptor)


def _check_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StoreError(
            f"the database {path} is open to other users of this machine (mode {mode:04o}); "
            f"run: chmod 600 {path}*",
            details={"path": str(path), "mode": f"{mode:04o}"},
        )


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    rows = [text for (text,) in connection.execute("PRAGMA quick_check(3)")]
    if rows != ["ok"]:
        lines = "\n".join(rows).splitlines()
        raise damaged(path, "; ".join(line for line in lines if not line.startswith("***")))
