"""Keeps the database small and its queries fast, beside the connection that writes."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from engine.store.errors import StoreError

TRUNCATE_ABOVE_BYTES: Final = 64 * 1024 * 1024
"""A longer write-ahead log is cut to nothing; a shorter one is only copied into the database."""
_BUSY_S: Final = 2.0
_ANALYSIS_ROWS: Final = 400


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """How much room the store takes and how much is left; bytes.

    ``pages_left`` counts the pages of the log that a reader still held back.
    """

    database_bytes: int
    wal_bytes: int
    pages_left: int
    free_bytes: int
    disk_bytes: int


def maintain(path: Path) -> StoreFigures:
    """Copy the write-ahead log of the database *path* into it and renew its statistics.

    Writers go on meanwhile. Blocks: call it in a thread.

    Raises:
        StoreError: the database cannot be opened or is damaged.
    """
    wal = path.with_name(f"{path.name}-wal")
    try:
        mode = "TRUNCATE" if _size(wal) > TRUNCATE_ABOVE_BYTES else "PASSIVE"
        uri = f"file:{quote(str(path))}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_S)) as connection:
            _, log_pages, copied = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            connection.execute(f"PRAGMA analysis_limit = {_ANALYSIS_ROWS}")
            connection.execute("PRAGMA optimize")
        disk = shutil.disk_usage(path.parent)
        return StoreFigures(
            database_bytes=_size(path),
            wal_bytes=_size(wal),
            pages_left=max(0, log_pages - copied),
            free_bytes=disk.free,
            disk_bytes=disk.total,
        )
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"the store {path} could not be maintained: {error}") from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
