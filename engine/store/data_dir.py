"""The directory that holds the database: who may read it, whether it can be used."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from engine.store.errors import StoreError

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600


def prepare_data_dir(path: Path) -> Path:
    """Return *path*, absolute, as a directory in which files can be made; create it if needed.

    A directory that this call creates, or finds empty, becomes private to the user (0700) whatever
    the umask says; one with contents keeps its mode, because it may serve other purposes too. The
    files of the store are private in either case. Blocks: call it in a thread.

    Raises:
        StoreError: something else is in the way, or nothing can be created there.
    """
    absolute = path.absolute()
    try:
        _make_private(absolute)
        with tempfile.TemporaryFile(dir=absolute):
            pass
    except (FileExistsError, NotADirectoryError) as error:
        raise StoreError(
            f"the data directory {absolute} cannot be used: {_obstacle(absolute)} is a file and "
            "no directory; name another directory with --data-dir or move the file away",
            details={"path": str(absolute)},
            cause=error,
        ) from error
    except OSError as error:
        raise StoreError(
            f"the data directory {absolute} cannot be written: {error.strerror or error}; "
            "give yourself write permission there or name another directory with --data-dir",
            details={"path": str(absolute)},
            cause=error,
        ) from error
    return absolute


def _make_private(directory: Path) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        directory.mkdir(mode=DIRECTORY_MODE)
    except FileExistsError:
        if any(directory.iterdir()) or directory.stat().st_uid != os.getuid():
            return
    directory.chmod(DIRECTORY_MODE)


def _obstacle(path: Path) -> Path:
    """Return the nearest existing thing on the way to *path*."""
    return next(step for step in (path, *path.parents) if step.exists())
