"""One process for each data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final, Self

from engine.store.data_dir import FILE_MODE
from engine.store.errors import StoreError, StoreInUseError

LOCK_NAME: Final = "quarterdeck.lock"


class DataDirLock:
    """The operating system's lock on a data directory, held until `release` or the process's end.

    The lock file next to the database names the process that holds it. The file stays: removing it
    would let two processes lock two files of the same name. Blocks: call it in a thread.
    """

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, directory: Path) -> Self:
        """Lock *directory* for this process.

        Raises:
            StoreInUseError: another process, or this one, holds the lock already.
            StoreError: the lock file cannot be made or locked.
        """
        path = directory / LOCK_NAME
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            os.fchmod(descriptor, FILE_MODE)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            os.close(descriptor)
            raise _in_use(directory, error) from error
        except OSError as error:
            os.close(descriptor)
            raise _unusable(path, error) from error
        return cls(descriptor)

    def release(self) -> None:
        """Give the directory free; a second call does nothing."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)


def find_holder(directory: Path) -> int | None:
    """Return the id of the living process that the lock file of *directory* names, if any."""
    try:
        pid = int((directory / LOCK_NAME).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return pid if pid > 0 and _is_alive(pid) else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _in_use(directory: Path, cause: OSError) -> StoreInUseError:
    pid = find_holder(directory)
    holder = f"process {pid}" if pid is not None else "another process"
    return StoreInUseError(
        f"the data directory {directory} is in use by {holder}; stop that process or name another "
        "directory with --data-dir",
        details={"path": str(directory), "pid": pid},
        cause=cause,
    )


def _unusable(path: Path, cause: OSError) -> StoreError:
    return StoreError(
        f"the lock file {path} cannot be used: {cause.strerror or cause}; name a directory on a "
        "local disk with --data-dir",
        details={"path": str(path)},
        cause=cause,
    )
