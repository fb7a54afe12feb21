"""Columns in temporary files: larger than memory may be, one block of them in memory at a time."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.flow.errors import OperationError
from engine.model.bar_columns import (
    FLAG_COLUMNS,
    INTEGER_COLUMNS,
    OPTIONAL_COLUMNS,
    BarColumns,
    blocks,
    map_of,
)

_FOLDER: Final = Path("/var/tmp")  # noqa: S108 (files without a name, which nobody else can open)
_CHOSEN_BY: Final = ("TMPDIR", "TEMP", "TMP")
_IS_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CANNOT_RESERVE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


class NoRoomError(OperationError):
    """The folder of temporary files has no room for what must be kept there."""


def temporary_folder() -> Path:
    """Return the folder of temporary columns: the one that TMPDIR names, or a folder on disk.

    ``/tmp`` is often in memory, which is what these files are to spare.
    """
    if not any(os.environ.get(name) for name in _CHOSEN_BY) and os.access(_FOLDER, os.W_OK):
        return _FOLDER
    return Path(tempfile.gettempdir())


def open_temporary() -> IO[bytes]:
    """Return a new file that nobody sees and that vanishes with its last map.

    Raises:
        NoRoomError: the disk is full.
    """
    try:
        return tempfile.TemporaryFile(dir=temporary_folder())
    except OSError as error:
        raise no_room(0, error) from error


def no_room(size: int, error: OSError) -> Exception:
    """Return what to raise when *size* bytes could not be written: *error* if it is another."""
    if error.errno not in _IS_FULL:
        return error
    return _full(size, shutil.disk_usage(temporary_folder()).free, cause=error)


def require_room(size: int, *, free: int | None = None) -> None:
    """Refuse to begin what needs *size* bytes on disk, if *free* bytes are fewer.

    Raises:
        NoRoomError: they are.
    """
    found = shutil.disk_usage(temporary_folder()).free if free is None else free
    if size > found:
        raise _full(size, found)


def _full(size: int, free: int, cause: OSError | None = None) -> NoRoomError:
    needed = f"{size:,} bytes are needed, " if size else ""
    return NoRoomError(
        f"{temporary_folder()}: no room for the columns of a large file: {needed}{free:,} are "
        "free: make room, or name another folder in TMPDIR",
        cause=cause,
    )


def is_mapped(values: NDArray[Any]) -> bool:
    """Whether *values* live in a file."""
    return map_of(values) is not None


def temporary_column(length: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a writable column of zeros in a file that vanishes with its last map.

    Its room on disk is reserved: writing to it cannot fail.

    Raises:
        NoRoomError: the disk is full.
    """
    if not length:
        return np.zeros(0, dtype=dtype)
    size = length * dtype.itemsize
    with open_temporary() as file:
        _reserve(file, size)
        return np.memmap(file, dtype=dtype, mode="r+", shape=(length,))


def _reserve(file: IO[bytes], size: int) -> None:
    """Make *file* *size* bytes long; a hole that the disk cannot fill would end the process."""
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in _CANNOT_RESERVE:
            raise no_room(size, error) from error
    except AttributeError:  # a system without it
        pass
    else:
        return
    require_room(size)
    file.truncate(size)


def column_like(
    values: NDArray[Any], *, dtype: np.dtype[Any] | None = None, length: int | None = None
) -> NDArray[Any]:
    """Return a column of zeros as long as *values* and where they are: in memory or in a file."""
    kind = dtype or values.dtype
    count = len(values) if length is None else length
    return temporary_column(count, kind) if is_mapped(values) else np.zeros(count, kind)


def table_like(values: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.int64]:
    """Return a table of zeros with *shape*, where *values* are: in memory or in a file."""
    dtype = np.dtype(np.int64)
    return column_like(values, dtype=dtype, length=shape[0] * shape[1]).reshape(shape)


def gathered(values: NDArray[Any], order: NDArray[np.int64]) -> NDArray[Any]:
    """Return ``values[order]``, in a file if *values* are."""
    if not is_mapped(values):
        return values[order]
    result = temporary_column(len(order), values.dtype)
    for part in blocks(len(order), result, values):
        result[part] = values[order[part]]
    return result


def kept(values: NDArray[Any], keep: NDArray[np.bool_]) -> NDArray[Any]:
    """Return ``values[keep]``, in a file if *values* are."""
    if not is_mapped(values):
        return values[keep]
    result = temporary_column(int(np.count_nonzero(keep)), values.dtype)
    start = 0
    for part in blocks(len(values), result, values):
        chosen = values[part][keep[part]]
        result[start : start + len(chosen)] = chosen
        start += len(chosen)
    return result


def on_disk(bars: BarColumns) -> BarColumns:
    """Return *bars* with their columns in files.

    Raises:
        NoRoomError: the disk is full.
    """
    names = (*INTEGER_COLUMNS, *FLAG_COLUMNS, *OPTIONAL_COLUMNS, "is_closed")
    columns = {name: getattr(bars, name) for name in names}
    return bars.with_columns(
        **{name: _in_file(values) for name, values in columns.items() if values is not None},
        features={name: _in_file(values) for name, values in bars.features.items()},
    )


def _in_file(values: NDArray[Any]) -> NDArray[Any]:
    column = temporary_column(len(values), values.dtype)
    for part in blocks(len(values), values, column):
        column[part] = values[part]
    return column
